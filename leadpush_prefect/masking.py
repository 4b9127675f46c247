"""Secrets, masked by value wherever they show: as they are, percent-encoded, as JSON or in base64."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator
from urllib.parse import quote, quote_plus

__all__ = ["MASK", "masker"]

MASK = "********"

# A secret of a character or two would mask half a page and say nothing by being hidden.
MIN_SECRET_LENGTH = 3


def masker(secrets: Iterable[str]) -> Callable[[str], str]:
    """A function that masks the secrets in a text.

    Args:
        secrets: Their values. Those shorter than 3 characters are left, since they would mask half a page.

    Example:
        >>> mask = masker(["s3cret/key"])
        >>> mask("https://a.example/?key=s3cret%2Fkey"), mask("Bearer s3cret/key")
        ('https://a.example/?key=********', 'Bearer ********')
    """
    forms = {form for secret in secrets if len(secret) >= MIN_SECRET_LENGTH for form in _forms(secret)}
    if not forms:
        return lambda text: text
    longest_first = sorted(forms, key=len, reverse=True)
    pattern = re.compile("|".join(map(re.escape, longest_first)), re.IGNORECASE)
    return lambda text: pattern.sub(MASK, text)


def _forms(secret: str) -> Iterator[str]:
    yield secret
    yield quote(secret, safe="")
    yield quote(secret, safe="/")
    yield quote_plus(secret)
    yield json.dumps(secret)[1:-1]
    yield json.dumps(secret, ensure_ascii=False)[1:-1]
    yield from _base64_forms(secret.encode("utf-8", "surrogatepass"))


def _base64_forms(secret: bytes) -> Iterator[str]:
    """The secret inside base64 text, at each of the three places where its first byte can fall."""
    for before in range(3):
        padded = b"\0" * before + secret
        text = b64encode(padded + b"\0" * (-len(padded) % 3)).decode()
        sure = text[-(-before * 8 // 6) : len(padded) * 8 // 6]  # characters that the secret alone decides
        if len(sure) >= 6:
            yield sure
