"""Secrets, masked by value wherever they show, in whatever way they are written there.

A text is searched as it is, and again with its escapes undone, up to four times over: percent-encoding, the escapes of
JSON and of Python, the references of HTML and XML. So any mixture of them is seen. Base64 and hexadecimal digits are
searched for as such. Case does not count, and `+` is a space.
"""

from __future__ import annotations

import json
import re
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from contextlib import suppress
from html import unescape
from typing import NamedTuple
from urllib.parse import quote

__all__ = ["MASK", "Masker", "is_maskable"]

MASK = "********"

MIN_SECRET_LENGTH = 4
"""A secret of fewer characters would mask half a page and say nothing by being hidden."""

MIN_BEGINNING = 3
"""So much of a secret, where a text is cut off, is taken for its beginning."""

MIN_BASE64 = 6
MIN_CREDENTIAL = 6

LEVELS = 4
"""How often escapes are undone."""

# The words of HTTP and JSON themselves: hiding them hides nothing, and leaves no page to read.
_WORDS = frozenset(
    "true false null none undefined http https html json text plain xml yaml form data application octet-stream "
    "application/json text/html text/plain application/x-www-form-urlencoded charset utf-8 utf8 gzip deflate identity "
    "accept accept-encoding accept-language content content-type content-length content-encoding user-agent host "
    "location authorization basic bearer token connection close keep-alive cache-control no-cache cookie date server "
    "head post patch delete options localhost 127.0.0.1 error errors message status code type name title detail value "
    "result response request header headers body query path leadpush leadpush-prefect".split()
)


def is_maskable(secret: str) -> bool:
    """Whether a secret can be masked by its value: it is no word of the protocol, and not too short.

    >>> is_maskable("s3cr3t"), is_maskable("abc"), is_maskable("application")
    (True, False, False)
    """
    text = secret.strip()
    return len(text) >= MIN_SECRET_LENGTH and text.lower() not in _WORDS


class Masker:
    """Masks secrets in texts.

    Args:
        secrets: Their values. Those that are not `is_maskable` are left.

    Example:
        >>> mask = Masker(["s3cret/key"])
        >>> mask("https://a.example/?key=s3cret%2Fkey"), mask("Bearer s3cret/key")
        ('https://a.example/?key=********', 'Bearer ********')
        >>> mask.beginning("You sent: s3cret/k")
        'You sent: ********'
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        self._forms = tuple({_plainly(form) for secret in secrets for form in _forms(secret)})

    def __repr__(self) -> str:
        return "Masker()"

    def __call__(self, text: str) -> str:
        """The text without the secrets."""
        return self._masked(text, is_cut=False)

    def beginning(self, text: str) -> str:
        """The beginning of a text, without the secrets and the part of one at which it was cut off."""
        return self._masked(text, is_cut=True)

    def _masked(self, text: str, *, is_cut: bool) -> str:
        if not self._forms:
            return text
        raw = text.encode("utf-8", "surrogatepass")
        found: list[tuple[int, int]] = []
        steps: list[_Undone] = []
        level = raw
        while True:
            plain = _plainly(level)
            for span in (*self._whole(plain), *(self._cut_off(plain) if is_cut else ())):
                for step in reversed(steps):
                    span = step.source(*span)
                found.append(span)
            if len(steps) == LEVELS or not _ESCAPE.search(level):
                break
            steps.append(_undone(level))
            level = steps[-1].text
        return _without(raw, found).decode("utf-8", "surrogatepass") if found else text

    def _whole(self, plain: bytes) -> Iterator[tuple[int, int]]:
        for form in self._forms:  # one by one: quicker by far than one pattern of them all
            at = plain.find(form)
            while at >= 0:
                yield at, at + len(form)
                at = plain.find(form, at + 1)

    def _cut_off(self, plain: bytes) -> Iterator[tuple[int, int]]:
        """The end of a text, if it is the beginning of a secret, perhaps with half an escape after it."""
        half = _HALF_ESCAPE.search(plain)
        for end in {len(plain), half.start() if half else len(plain)}:
            cut = max((_overlap(plain[:end], form) for form in self._forms), default=0)
            if cut:
                yield end - cut, len(plain)


# Case does not count, and a form writes a space as +.
_PLAIN = bytes.maketrans(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ+", b"abcdefghijklmnopqrstuvwxyz ")


def _plainly(text: bytes) -> bytes:
    return text.translate(_PLAIN)


def _overlap(text: bytes, form: bytes) -> int:
    """How many bytes at the end of a text are the beginning of a secret."""
    longest = min(len(form) - 1, len(text))
    return next((n for n in range(longest, MIN_BEGINNING - 1, -1) if text.endswith(form[:n])), 0)


def _without(text: bytes, spans: list[tuple[int, int]]) -> bytes:
    """A text with one mask for all secrets that overlap or touch."""
    chunks: list[bytes] = []
    at = -1
    for start, end in sorted(spans):
        if start > at:
            chunks += [text[max(at, 0) : start], MASK.encode()]
        at = max(at, end)
    return b"".join((*chunks, text[max(at, 0) :]))


_ESCAPE = re.compile(
    rb"""
      [\\%]ud[89ab][0-9a-f]{2}[\\%]ud[c-f][0-9a-f]{2}   # of JSON, a pair of surrogates
    | [\\%]u[0-9a-f]{4}
    | \\U[0-9a-f]{8}
    | (?:%|\\x)[0-9a-f]{2}
    | \\["'\\/bfnrt]
    | &(?:\#[0-9]{1,8}|\#x[0-9a-f]{1,6}|[a-z][a-z0-9]{1,31});
    """,
    re.IGNORECASE | re.VERBOSE,
)
_HALF_ESCAPE = re.compile(
    rb"(?:[\\%](?:u[0-9a-f]{0,3}|u[0-9a-f]{4}[\\%](?:u[0-9a-f]{0,3})?|x?[0-9a-f]?)?|&[#a-z0-9]{0,32})?\Z"
)
_SIGNS = {b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t"}


def _value(escape: bytes) -> bytes:
    """What an escape stands for, as UTF-8 or as a byte of it."""
    if escape[:1] == b"&":
        return unescape(escape.decode()).encode("utf-8", "surrogatepass")
    kind, digits = escape[1:2], escape[2:]
    if escape[:1] == b"\\" and not digits:
        return _SIGNS.get(kind.lower(), kind)
    if kind in b"uU":
        if len(digits) == 10:
            high, low = int(digits[:4], 16), int(digits[6:], 16)
            return chr(0x10000 + ((high & 0x3FF) << 10) + (low & 0x3FF)).encode()
        number = int(digits, 16)
        return chr(number if number < 0x110000 else 0xFFFD).encode("utf-8", "surrogatepass")
    return bytes([int(escape[-2:], 16)])


class _Undone(NamedTuple):
    """A text with its escapes undone, and where each chunk of it came from."""

    text: bytes
    starts: list[int]
    sources: list[tuple[int, int]]

    def source(self, start: int, end: int) -> tuple[int, int]:
        """Where a part of it stood; of an escape, the whole."""
        return self._piece(start)[0], self._piece(end - 1)[1]

    def _piece(self, at: int) -> tuple[int, int]:
        number = bisect_right(self.starts, at) - 1
        first, last = self.sources[number]
        next_start = self.starts[number + 1] if number + 1 < len(self.starts) else len(self.text)
        if last - first == next_start - self.starts[number]:  # it stands there as it is
            return first + at - self.starts[number], first + at - self.starts[number] + 1
        return first, last


def _undone(text: bytes) -> _Undone:
    chunks: list[bytes] = []
    starts: list[int] = []
    sources: list[tuple[int, int]] = []
    length = at = 0

    def add(chunk: bytes, first: int, last: int) -> None:
        nonlocal length
        if chunk:
            chunks.append(chunk)
            starts.append(length)
            sources.append((first, last))
            length += len(chunk)

    for match in _ESCAPE.finditer(text):
        add(text[at : match.start()], at, match.start())
        add(_value(match[0]), *match.span())
        at = match.end()
    add(text[at:], at, len(text))
    return _Undone(b"".join(chunks), starts, sources)


def _forms(secret: str) -> Iterator[bytes]:
    if not is_maskable(secret):
        return
    for text in {secret.strip(), *_credentials(secret.strip())}:
        for written in {text, text.lower(), text.upper()}:
            yield from _levels(written.encode("utf-8", "surrogatepass"))
        with suppress(UnicodeEncodeError):  # as pages and URLs of an older encoding have it
            yield from _levels(text.encode("latin-1"))
        # In base64, and in hexadecimal digits, there is perhaps a whole URL or JSON text.
        quoted = quote(text.encode("utf-8", "surrogatepass"), safe="")
        for written in {
            text,
            quoted,
            quoted.lower(),
            json.dumps(text)[1:-1],
            json.dumps(text, ensure_ascii=False)[1:-1],
        }:
            raw = written.encode("utf-8", "surrogatepass")
            yield raw.hex().encode()
            yield from _base64_forms(raw)


def _levels(secret: bytes) -> Iterator[bytes]:
    """The secret, and what undoing escapes makes of one that looks as if it had some."""
    yield secret
    for _ in range(LEVELS):
        if not _ESCAPE.search(secret):
            return
        secret = _undone(secret).text
        if len(secret) >= MIN_SECRET_LENGTH:
            yield secret


def _credentials(secret: str) -> Iterator[str]:
    """What an API may say of a secret that is a whole header, or the base64 of user and password (RFC 7617)."""
    _, space, rest = secret.partition(" ")
    if space and len(rest.strip()) >= MIN_CREDENTIAL:  # such as `Bearer ...`
        yield rest.strip()
    try:
        text = b64decode((rest or secret).strip(), validate=True).decode()
    except (NotBase64, ValueError):
        return
    _, colon, password = text.partition(":")
    if colon and text.isprintable() and len(text) >= MIN_CREDENTIAL:
        yield text
        yield from (password for password in [password] if is_maskable(password))


def _base64_forms(secret: bytes) -> Iterator[bytes]:
    """The secret inside base64 text, at each of the three places where its first byte can fall."""
    for before in range(3):
        padded = b"\0" * before + secret
        text = b64encode(padded + b"\0" * (-len(padded) % 3))
        sure = text[-(-before * 8 // 6) : len(padded) * 8 // 6]  # characters that the secret alone decides
        if len(sure) >= MIN_BASE64:
            yield sure
            yield sure.translate(bytes.maketrans(b"+/", b"-_"))
