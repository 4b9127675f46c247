"""Secrets, masked by value wherever they show: as they are, percent-encoded, as JSON or in base64."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus

__all__ = ["MASK", "Masker"]

MASK = "********"

# A secret of a character or two would mask half a page and say nothing by being hidden.
MIN_SECRET_LENGTH = 3


class Masker:
    """Masks secrets in texts.

    Args:
        secrets: Their values. Those shorter than 3 characters are left, since they would mask half a page.

    Example:
        >>> mask = Masker(["s3cret/key"])
        >>> mask("https://a.example/?key=s3cret%2Fkey"), mask("Bearer s3cret/key")
        ('https://a.example/?key=********', 'Bearer ********')
        >>> mask.beginning("You sent: s3cret/k")
        'You sent: ********'
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        forms = {form for secret in secrets if len(secret) >= MIN_SECRET_LENGTH for form in _forms(secret)}
        self._forms = sorted(forms, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, self._forms)), re.IGNORECASE) if forms else None

    def __call__(self, text: str) -> str:
        """The text without the secrets."""
        return text if self._pattern is None else self._pattern.sub(MASK, text)

    def beginning(self, text: str) -> str:
        """The beginning of a text, without the secrets and the part of one at which it was cut off."""
        masked = self(text)
        folded = masked.lower()
        cut = max((_overlap(folded, form.lower()) for form in self._forms), default=0)
        return masked[:-cut] + MASK if cut else masked


def _overlap(text: str, form: str) -> int:
    """How many characters at the end of a text are the beginning of a secret."""
    longest = min(len(form) - 1, len(text))
    return next((n for n in range(longest, MIN_SECRET_LENGTH - 1, -1) if text.endswith(form[:n])), 0)


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
