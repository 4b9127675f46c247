"""SQLAlchemy keeps quiet: what is written and read are people's data."""

from __future__ import annotations

from typing import Any

__all__ = ["QUIET"]

QUIET: dict[str, Any] = {"hide_parameters": True, "logging_name": "leadpush"}
"""For `create_engine`: neither an error's text nor the log shows what is written and read, which are people's data."""
