"""A Block of any JSON: what can be used is used, what cannot is kept for `problems()`.

Prefect's default UI saves any JSON as any field, and a run with a Block that does not load says nothing
useful. So a field's value is read as kindly as it can be, null is the default, and anything else becomes a
problem with a sentence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from math import inf, isfinite
from typing import Any

from pydantic_core import PydanticUndefined

from leadpush_prefect.errors import Problem
from leadpush_prefect.text.json_text import from_json, to_json

__all__ = [
    "anything",
    "block_of_any_json",
    "in_clear",
    "integer",
    "mapping",
    "number",
    "scalar",
    "scalars",
    "switch",
    "template",
    "text",
    "texts",
]


class Unusable(Exception):
    """A value that a field cannot use: what it must be."""


def _kind(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "text"
        case Mapping():
            return "an object"
        case list() | tuple():
            return "a list"
    return f"a {type(value).__name__}"


def text(value: Any) -> str:
    """Text, or the text of a number or boolean."""
    if isinstance(value, str):
        if not (value.isascii() or _is_unicode(value)):
            raise Unusable("text without halves of surrogate pairs")
        return value
    if isinstance(value, (bool, int, float)):
        return to_json(value)
    raise Unusable("text")


def _is_unicode(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def template(value: Any) -> str:
    """Text, or an object or list, which is the JSON text of a body."""
    if not isinstance(value, (Mapping, list)):
        return text(value)
    try:
        return to_json(value)
    except TypeError:
        raise Unusable("JSON that has a form in UTF-8, nested less than 250 levels") from None


def number(value: Any) -> float:
    """A number, or its text."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise Unusable("a number")
    try:
        result = float(value)
    except ValueError:
        raise Unusable("a number") from None
    except OverflowError:
        result = inf
    if not isfinite(result):
        raise Unusable("a finite number")
    return result


def integer(value: Any) -> int:
    """A whole number, or its text."""
    result = number(value)
    if not result.is_integer():
        raise Unusable("a whole number")
    return int(result)


def switch(value: Any) -> bool:
    """true or false, or their text."""
    if isinstance(value, bool):
        return value
    if not isinstance(value, (str, int)):
        raise Unusable("true or false")
    known = {"true": True, "1": True, "false": False, "0": False}
    found = known.get(str(value).strip().lower())
    if found is None:
        raise Unusable("true or false")
    return found


def texts(value: Any) -> list[str]:
    """A list of texts, or one text."""
    items = value if isinstance(value, (list, tuple, set)) else [value]
    return _each(text, items, "a list of texts")


def _each(read: Callable[[Any], Any], items: Iterable[Any], wanted: str) -> list[Any]:
    try:
        return [read(item) for item in items]
    except Unusable:
        raise Unusable(wanted) from None


def scalar(value: Any) -> Any:
    """Text, a number or a boolean."""
    text(value)
    return value


def scalars(value: Any) -> Any:
    """Text, a number or a boolean, or a list of such."""
    if isinstance(value, (list, tuple)):
        return _each(scalar, value, "a list of texts, numbers or booleans")
    return scalar(value)


def anything(value: Any) -> Any:
    """Any JSON."""
    return value


def mapping(item: Callable[[Any], Any]) -> Callable[[Any], dict[str, Any]]:
    """An object (or its JSON text) whose values are read one by one; those that cannot be used are named."""

    def read(value: Any) -> dict[str, Any]:
        if isinstance(value, str):
            try:
                value = from_json(text(value)) if value.strip() else {}
            except ValueError:
                raise Unusable("an object") from None
        if not isinstance(value, Mapping):
            raise Unusable("an object")
        return {text(key): _Entry(item, entry) for key, entry in value.items()}

    return read


class _Entry:
    """A value of an object that is still to be read, so that one bad entry does not spoil the others."""

    def __init__(self, item: Callable[[Any], Any], value: Any) -> None:
        self.item = item
        self.value = value


def block_of_any_json(
    fields: Mapping[str, Any], readers: Mapping[str, Callable[[Any], Any]], data: Mapping[str, Any]
) -> tuple[dict[str, Any], list[Problem]]:
    """The data that a Block can be made of, and what was wrong with the rest.

    Args:
        fields: The Block's pydantic fields, by name.
        readers: How each is read.
        data: Any JSON.
    """
    usable: dict[str, Any] = {}
    problems: list[Problem] = []
    for name, value in data.items():
        if name not in fields:
            if not name.startswith("_") and name != "block_type_slug":
                problems.append(_unknown(name, fields))
            continue
        if value is None or value is PydanticUndefined:
            continue
        try:
            usable[name] = _entries(name, readers[name](in_clear(value)), problems)
        except Unusable as wanted:
            problems.append(_unusable(name, value, wanted))
    return usable, problems


def in_clear(value: Any) -> Any:
    """A secret as it is; anything else is so already."""
    if hasattr(value, "get_secret_value"):
        return in_clear(value.get_secret_value())
    return value


def _entries(name: str, value: Any, problems: list[Problem]) -> Any:
    if not isinstance(value, dict):
        return value
    read: dict[str, Any] = {}
    for key, entry in value.items():
        try:
            read[key] = entry.item(in_clear(entry.value)) if isinstance(entry, _Entry) else entry
        except Unusable as wanted:
            problems.append(_unusable(f"{name}.{key}", entry.value, wanted))
    return read


def _unusable(field: str, value: Any, wanted: Unusable) -> Problem:
    return Problem(
        "error", field, f"It is {_kind(in_clear(value))}, and must be {wanted}.", f"Give it as {wanted}."
    )


def _unknown(name: str, fields: Mapping[str, Any]) -> Problem:
    near = get_close_matches(name, list(fields), n=1)
    remedy = f"The nearest name is {near[0]}." if near else f"There are {', '.join(fields)}."
    return Problem("error", name, "There is no such field.", remedy)
