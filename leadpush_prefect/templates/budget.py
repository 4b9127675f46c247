"""What one rendering may cost, because the sandbox of Jinja bounds neither time nor memory.

Whatever a template makes (a text, a list, a turn of a loop) is paid from a budget that each rendering has
anew. So two nested loops, a list of lists of lists, or a macro that calls itself twice, end early. Plain
paths cost nothing.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from leadpush_prefect.errors import Reason
from leadpush_prefect.templates.values import TemplateFailed, present

__all__ = [
    "CALL",
    "MAX_TEXT",
    "begin",
    "begin_source",
    "digits",
    "made",
    "paid",
    "size",
    "spend",
    "token",
    "too_large",
    "turns",
]

MAX_TEXT = 1_048_576
"""The longest text or list, in characters or items, that a template or an expression may make."""

BUDGET = 8 * MAX_TEXT

MAX_TOKENS = 20_000
"""The most words, signs and chunks of text that one template may be written in: each costs time to compile."""

ITEM = 8
"""What an item of a list or an object costs, in characters."""

CALL = 16
"""What the call of a filter, a macro or any part of a loop's body costs, in characters."""


MAX_NUMBER = 65_536
"""The most digits in a row: Jinja's lexer takes 300 bytes for each digit of a number."""


class _Left(threading.local):
    units = BUDGET
    tokens = MAX_TOKENS


_left = _Left()
_DIGITS = re.compile(r"[\d_]++")


def begin() -> None:
    """Begin a rendering, in this thread."""
    _left.units = BUDGET


def begin_source(source: str) -> None:
    """Begin to compile a template, in this thread.

    Raises:
        TemplateFailed: `template_too_large`, if it is longer than any text that it may render to.
    """
    if len(source) > MAX_TEXT:
        raise TemplateFailed(Reason.TEMPLATE_TOO_LARGE, f"It is longer than {MAX_TEXT} characters.")
    if len(source) > MAX_NUMBER and any(len(row[0]) > MAX_NUMBER for row in _DIGITS.finditer(source)):
        raise TemplateFailed(Reason.TEMPLATE_TOO_LARGE, f"It has a row of more than {MAX_NUMBER} digits.")
    _left.tokens = MAX_TOKENS


def token() -> None:
    """Count one token of the template that is compiled.

    Raises:
        TemplateFailed: `template_too_large`, if there are too many.
    """
    _left.tokens -= 1
    if _left.tokens < 0:
        message = f"It is made of more than {MAX_TOKENS} words, signs and chunks of text."
        raise TemplateFailed(Reason.TEMPLATE_TOO_LARGE, message)


def spend(units: int) -> None:
    """Pay for something.

    Raises:
        TemplateFailed: `template_too_large`, if the budget is spent.
    """
    _left.units -= units
    if _left.units < 0:
        message = "It makes too much: texts, lists and turns of loops come to more than it may cost."
        raise TemplateFailed(Reason.TEMPLATE_TOO_LARGE, message)


def too_large(what: str) -> TemplateFailed:
    """The error for what would be larger than any text or list may be."""
    return TemplateFailed(
        Reason.TEMPLATE_TOO_LARGE, f"{what} makes more than {MAX_TEXT} characters or items."
    )


def size(value: Any) -> int:
    """The length of a text or a list; 0 for anything else."""
    return len(value) if isinstance(value, (str, list, tuple, Mapping, range)) else 0


def made(value: Any) -> Any:
    """A value that the template has made, paid for with all that is in it."""
    if isinstance(value, str):
        spend(len(value))
    elif isinstance(value, (list, tuple, Mapping)):
        left = [value]
        while left:
            container = left.pop()
            spend(ITEM * (len(container) + 1))
            for item in container.values() if isinstance(container, Mapping) else container:
                if isinstance(item, str):
                    spend(len(item))
                elif isinstance(item, (list, tuple, Mapping)):
                    left.append(item)
    return value


def turns(value: Any, cost: int) -> Iterable[Any]:
    """What a loop goes over, paid for turn by turn."""
    if length := size(present(value)):
        spend(length * cost)
        return value  # type: ignore[no-any-return]
    return _paying(value, cost)


def _paying(value: Iterable[Any], cost: int) -> Iterator[Any]:
    for item in value:
        spend(cost)
        yield item


def paid(value: Iterable[Any]) -> Iterator[Any]:
    """What makes its items one by one, each of them paid for before anything is done with it."""
    for item in value:
        spend(CALL)
        yield made(item)


def digits(value: object) -> int:
    """About how many digits a whole number has, without writing it, which takes long; 0 for anything else."""
    return value.bit_length() * 3 // 10 if isinstance(value, int) else 0
