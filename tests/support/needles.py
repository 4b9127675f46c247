"""All the ways in which a text may stand somewhere, and the search for them; by other means than the product's."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterator, Mapping
from urllib.parse import quote, quote_plus


def needles(secret: str) -> set[bytes]:
    """Each form of a secret, in lower case."""
    raw = secret.encode()
    forms = {
        secret,
        quote(secret, safe=""),
        quote(secret),
        quote_plus(secret),
        quote(quote(secret, safe=""), safe=""),
        "".join(f"%{byte:02x}" for byte in raw),
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        json.dumps(json.dumps(secret))[3:-3],
        "".join(f"\\u{ord(letter):04x}" for letter in secret),
        html.escape(secret),
        html.escape(html.escape(secret)),
        html.escape(json.dumps(secret)[1:-1]),
        "".join(f"&#{ord(letter)};" for letter in secret),
        secret.replace("'", "'\"'\"'"),
        repr(secret)[1:-1],
    }
    found = {form.encode().lower() for form in forms} | {secret.encode("utf-16-le").lower()}
    for written in {raw, quote(secret, safe="").encode(), json.dumps(secret)[1:-1].encode()}:
        found |= set(_base64(written)) | {written.hex().encode()}
    return {form for form in found if len(form) >= 5}


def _base64(raw: bytes) -> Iterator[bytes]:
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for before in range(3):
            text = encode(b"\0" * before + raw)
            yield text[(before * 8 + 5) // 6 : -4].lower()


class Searched:
    """Where each of some texts was found: in no place, if all is well."""

    def __init__(self, planted: Mapping[str, str]) -> None:
        pairs = [(form, name) for name, text in planted.items() for form in needles(text)]
        self._names = dict(pairs)
        self._pattern = re.compile(b"|".join(map(re.escape, sorted(self._names, key=len, reverse=True))))
        self.found: dict[str, str] = {}

    def search(self, where: str, text: bytes) -> None:
        """Look into something."""
        for match in self._pattern.finditer(lowered := text.lower()):
            around = lowered[max(0, match.start() - 80) : match.end() + 40]
            self.found.setdefault(f"{self._names[match[0]]} in {where}", repr(around))
