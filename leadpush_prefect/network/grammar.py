"""HTTP's grammar, as far as what is sent must keep to it."""

from __future__ import annotations

import re

__all__ = ["CONTROL", "TOKEN"]

TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
"""A method, or the name of a header, by a full match (RFC 9110, section 5.6.2)."""

CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
"""What no value of a header may hold, such as what ends its line (RFC 9110, section 5.5)."""
