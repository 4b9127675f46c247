"""JSON text to Python values and back, without losing a digit.

`orjson` is the parser and its strictness (RFC 8259) is the rule, but it reads an integer of more than 64 bits
as a float, and a float forgets how it was written. Where the text holds such a number, it is read a second
time by the standard parser, with the digits kept.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import orjson

__all__ = ["MAX_DEPTH", "JsonNumber", "NestedTooDeeply", "check_json", "from_json", "to_json", "to_text"]

MAX_DEPTH = 200
"""How deeply what comes from others may be nested. Less than what can be written, so that what holds it (a line of
a file, a report) can still be written too; and few enough for whoever goes down it with a function per level."""

_MOST_WRITTEN = 254
"""How deep orjson writes."""

# Python refuses to turn longer texts into an int (CVE-2020-10735).
MAX_INTEGER_DIGITS = 4300

# A number that `repr(float(text))` or a 64-bit integer might not give back: a negative zero, 16 or more
# digits (with or without a point), an exponent, a fraction that ends in 0, a small fraction (1e-05). It
# stands behind one of these characters, and what looks like it in a string costs only time. Its first character
# comes first here, since the engine is quick to skip what no number begins with.
_UNUSUAL_NUMBER = re.compile(
    rb"[-0-9](?<=[\[,:\s].)(?:(?<=-)0(?![.\d])|[\d.]{15}|\d*(?:\.\d+)?[eE]|\d*\.\d*0(?!\d)|0?\.0000)"
)


class JsonNumber(float):
    """A number of which the text as received is kept: `1.10`, `1e3`.

    >>> price = from_json('{"price": 1.10}')["price"]
    >>> price == 1.1, str(price)
    (True, '1.10')
    """

    __slots__ = ("text",)  # a response may be full of them

    text: str

    def __new__(cls, text: str) -> JsonNumber:
        number = super().__new__(cls, text)
        number.text = text
        return number

    def __reduce__(self) -> tuple[type[JsonNumber], tuple[str]]:
        return JsonNumber, (self.text,)

    def __str__(self) -> str:
        return self.text

    __repr__ = __str__


class NestedTooDeeply(ValueError):
    """JSON perhaps, but nested more deeply than it may be (RFC 8259, section 9)."""


def from_json(text: bytes | str) -> Any:
    """The value of a JSON text.

    Raises:
        ValueError: if it is not JSON (RFC 8259), or nested more deeply than about 1,000 levels.

    >>> from_json(b'[12345678901234567890123, 0.10, "1e3"]')
    [12345678901234567890123, 0.10, '1e3']
    """
    raw = text.encode() if isinstance(text, str) else text
    value = _parsed(raw)
    if type(value) is dict and _is_without_numbers(value):  # as contacts of a CSV file are
        return value
    is_plain = type(value) is dict or type(value) is list
    if is_plain and not _UNUSUAL_NUMBER.search(raw):
        return value
    try:
        return _with_digits(raw)
    except ValueError:  # nested more deeply than the standard parser goes, which is not far below 1,000
        return value


def _is_without_numbers(value: dict[str, Any], levels: int = 2) -> bool:
    """Whether an object holds nothing but text, true, false and null, in so few levels: sooner seen here than in its
    text."""
    for item in value.values():
        kind = type(item)
        if kind is str or kind is bool or item is None:
            continue
        if kind is not dict or levels == 1 or not _is_without_numbers(item, levels - 1):
            return False
    return True


def check_json(raw: bytes) -> Any:
    """The value of a JSON text that comes from others, but for the digits: quicker than `from_json`, where only the
    kind matters. What passes can be read by `from_json` and written by `to_json`, inside something else too.

    Raises:
        NestedTooDeeply: if it is nested more deeply than `MAX_DEPTH`.
        ValueError: if it is not JSON (RFC 8259).

    >>> type(check_json(b'{"price": 1.10}'))
    <class 'dict'>
    """
    value = _parsed(raw)
    if raw.count(b"[") + raw.count(b"{") > MAX_DEPTH:  # else no second look is needed
        _check_depth(value)
    return value


def _parsed(raw: bytes) -> Any:
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        refused = error
    # A number that no double can hold is JSON, which sets no bound; and who is refused for his depth shall hear so.
    try:
        value = _with_digits(raw)
    except NestedTooDeeply:
        raise
    except ValueError:
        raise refused from None
    try:
        to_json(value)
    except TypeError:  # what only the standard parser takes, such as a lone surrogate
        raise NestedTooDeeply("nested too deeply") if _is_deeper(value, _MOST_WRITTEN) else refused from None
    return value


def _is_deeper(value: Any, levels: int) -> bool:
    """Whether a value is nested in more than so many levels, found without a function for each."""
    below = [value]
    for _ in range(levels + 1):
        below = [
            item
            for outer in below
            if isinstance(outer, (dict, list))
            for item in (outer.values() if isinstance(outer, dict) else outer)
        ]
    return bool(below)


def _check_depth(value: Any) -> None:
    for _ in range(_MOST_WRITTEN - MAX_DEPTH):
        value = [value]
    try:
        to_json(value)
    except TypeError:
        raise NestedTooDeeply("nested too deeply") from None


def _with_digits(raw: bytes) -> Any:
    try:
        return json.loads(
            raw.decode(), parse_float=JsonNumber, parse_int=_integer, parse_constant=_refuse_constant
        )
    except RecursionError:
        raise NestedTooDeeply("nested too deeply") from None


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _integer(text: str) -> int | JsonNumber:
    if text == "-0" or len(text) > MAX_INTEGER_DIGITS:
        return JsonNumber(text)
    return int(text)


def to_json(value: Any) -> str:
    """Compact JSON text of a value, numbers as they were received.

    Dates become ISO 8601 text, UUIDs text, Decimals numbers, as they come from databases.

    Raises:
        TypeError: if the value, or something in it, has no JSON form.

    >>> to_json({"price": from_json("1.10"), "name": 'O"Brien', "id": 2**70})
    '{"price":1.10,"name":"O\\\\"Brien","id":1180591620717411303424}'
    """
    try:
        return orjson.dumps(value, default=_fragment, option=_OPTIONS).decode()
    except TypeError:  # orjson.JSONEncodeError is one: perhaps only for an integer of more than 64 bits
        pass
    try:
        return orjson.dumps(_with_long_integers(value), default=_fragment, option=_OPTIONS).decode()
    except (RecursionError, ValueError) as error:  # an integer that Python prints no more
        raise TypeError(str(error)) from None


_OPTIONS = orjson.OPT_PASSTHROUGH_SUBCLASS | orjson.OPT_PASSTHROUGH_DATETIME


def _fragment(value: Any) -> Any:
    match value:
        case JsonNumber():
            return orjson.Fragment(value.text)
        case Decimal() if value.is_finite():
            return orjson.Fragment(format(value, "f"))
        case datetime() | date() | time():
            return value.isoformat()
        case UUID():
            return str(value)
        case Enum():
            return value.value
        case str():
            return str.__str__(value)
        case Mapping():
            return dict(value)
        case list() | tuple():
            return list(value)
        case int():
            return int(value)
    raise TypeError(f"a {type(value).__name__} has no JSON form")


def _with_long_integers(value: Any) -> Any:
    match value:
        case bool():
            return value
        case int() if not -(2**63) <= value < 2**64:
            return orjson.Fragment(str(int(value)))
        case Mapping():
            return {key: _with_long_integers(item) for key, item in value.items()}
        case list() | tuple():
            return [_with_long_integers(item) for item in value]
    return value


def to_text(value: Any) -> str:
    """A value as a template prints it: text as it is, null as nothing, anything else as JSON would.

    >>> to_text(True), to_text(None), to_text([1, "a"]), to_text("a")
    ('true', '', '[1,"a"]', 'a')
    """
    if type(value) is str:
        return value
    if value is None:
        return ""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, (date, time, UUID)):
        return value.isoformat() if not isinstance(value, UUID) else str(value)
    return to_json(value)
