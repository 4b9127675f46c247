"""The filters and tests of templates: those of Jinja that are safe on data of others, and some of our own.

Each but `default` and `defined` refuses a missing value, pays for what it makes, and prints what is not text
as JSON would. Those that can make much out of little (padding, formats, separators) are bounded before they
make it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import wraps
from typing import Any
from urllib.parse import quote

from jinja2 import pass_environment
from jinja2.filters import FILTERS as JINJA_FILTERS
from jinja2.filters import do_wordwrap, make_attrgetter
from jinja2.tests import TESTS as JINJA_TESTS

from leadpush_prefect.errors import Reason
from leadpush_prefect.templates.budget import CALL, MAX_TEXT, digits, made, paid, size, spend, too_large
from leadpush_prefect.templates.values import Missing, Nothing, TemplateFailed, present
from leadpush_prefect.text.json_text import to_json, to_text

__all__ = ["filters", "tests"]

MAX_NUMBER = 1_000
"""The widest padding, the most columns, the most digits."""

MAX_DIGITS = 4_300
"""The longest text that is read as an integer, as in Python itself."""

# Those whose result is no larger than their input, by a small factor, and that read data by the environment.
_PLAIN = (
    "abs count dictsort filesizeformat first float items last length list map max min reject "
    "rejectattr reverse select selectattr sort unique"
).split()
_OF_TEXT = "capitalize e escape lower striptags title trim truncate upper wordcount".split()
_TESTS = (
    "boolean even divisibleby eq equalto false float ge greaterthan gt in integer iterable le lessthan "
    "lower lt mapping ne none number odd sameas sequence string true upper == != < <= > >="
).split()

# What it does not understand it finds as a `%` alone. Possessive, so that no long row of zeros is tried twice.
_FORMAT_DIRECTIVE = re.compile(r"%(?:(?:\(\w*+\))?[#0\- +]*+(\*|\d*+)(?:\.(\*|\d*+))?([a-zA-Z%]))?")
_WIDEST_NUMBER = 320
"""How many characters `%f` makes of the largest float."""

_COPIED = 1_024
"""How many characters are copied in about the time that one unit of the budget stands for."""


def _strict(
    function: Callable[..., Any], *, text: bool = False, compares: bool = False
) -> Callable[..., Any]:
    """The filter or test, but a missing value or argument is an error; with `text`, of the printed text.

    What `compares` goes through its arguments to the end, and pays for all of them.
    """
    skipped = 1 if hasattr(function, "jinja_pass_arg") else 0

    @wraps(function)  # keeps Jinja's mark of what is passed first
    def strict(*arguments: Any, **keywords: Any) -> Any:
        for argument in (*arguments[skipped:], *keywords.values()):
            if isinstance(argument, Missing):
                argument.raise_missing()
        value = arguments[skipped]
        if text and not isinstance(value, str):
            value = _printed(value)
            arguments = (*arguments[:skipped], value, *arguments[skipped + 1 :])
        spend(CALL + size(value))
        if compares:
            made(arguments[skipped:])
            made(keywords)
        result = function(*arguments, **keywords)
        return paid(result) if isinstance(result, Iterator) else made(result)

    return strict


def _plain_text(function: Callable[..., Any]) -> Callable[..., Any]:
    """The filter with plain text as its result: Jinja's `escape` gives Markup, which escapes others."""

    @wraps(function)
    def plain(*arguments: Any, **keywords: Any) -> Any:
        result = function(*arguments, **keywords)
        return str.__str__(result) if isinstance(result, str) else result

    return plain


def _printed(value: Any) -> str:
    return str(value) if isinstance(value, Nothing) else to_text(value)


def _bounded(number: Any, least: int = 0) -> Any:
    if isinstance(number, (int, float)) and not least <= number <= MAX_NUMBER:
        # Not which: it may be a contact's.
        message = f"A filter's number is not between {least} and {MAX_NUMBER}."
        raise TemplateFailed(Reason.TEMPLATE_TOO_LARGE, message)
    return number


def _bound_length(length: int, name: str) -> None:
    if length > MAX_TEXT:
        raise too_large(f"`| {name}`")


def _batch(value: Any, linecount: int, fill_with: Any = None) -> Any:
    return JINJA_FILTERS["batch"](value, _bounded(linecount, 1), fill_with)


@pass_environment
def _join(environment: Any, value: Any, d: str = "", attribute: str | int | None = None) -> str:
    items: Sequence[Any] = [*value]
    d = _printed(d)
    if attribute is not None:
        items = [*map(make_attrgetter(environment, attribute), items)]
    texts = [_printed(present(item)) for item in items]
    _bound_length(sum(map(len, texts)) + len(texts) * len(d), "join")
    return d.join(texts)


def _replace(value: str, old: str, new: str, count: int | None = None) -> str:
    old, new = _printed(old), _printed(new)
    times = value.count(old) if count is None or count < 0 else min(count, value.count(old))
    _bound_length(len(value) + times * len(new), "replace")
    return value.replace(old, new, times)


def _format(value: str, *arguments: Any, **keywords: Any) -> str:
    arguments = tuple(map(_formattable, arguments))
    keywords = {name: _formattable(item) for name, item in keywords.items()}
    longest = max(map(_widest, (*arguments, *keywords.values())), default=0)
    length = len(value)
    for *sizes, conversion in _FORMAT_DIRECTIVE.findall(value):
        if not conversion:
            message = "`| format` finds a `%` that begins no directive such as %s, %5d or %(name)s. Write %%."
            raise TemplateFailed(Reason.TEMPLATE_INVALID, message)
        if "*" in sizes or max(map(len, sizes)) > 3:
            raise TemplateFailed(Reason.TEMPLATE_TOO_LARGE, "`| format` may pad to 999 at most.")
        length += sum(int(number) for number in sizes if number)
        length += longest if conversion != "%" else 0
    _bound_length(length, "format")
    return value % (keywords or arguments)


def _widest(value: Any) -> int:
    return len(value) if isinstance(value, str) else max(_WIDEST_NUMBER, digits(value))


def _formattable(value: Any) -> Any:
    return value if isinstance(value, (int, float, str)) and not isinstance(value, bool) else _printed(value)


def _center(value: str, width: int = 80) -> str:
    return value.center(_bounded(width))


def _indent(value: str, width: int = 4, first: bool = False, blank: bool = False) -> str:
    space = " " * _bounded(width)
    lines = value.splitlines(keepends=True)
    _bound_length(len(value) + len(lines) * len(space), "indent")
    for number, line in enumerate(lines):
        if (number or first) and (line.strip() or blank):
            lines[number] = space + line
    return "".join(lines)


@pass_environment
def _groupby(
    environment: Any, value: Any, attribute: str | int, default: Any = None, case_sensitive: bool = False
) -> Any:
    items = [*value]
    spend(len(items) * size(default))  # it is put into lower case for each item that lacks the attribute
    return JINJA_FILTERS["groupby"](environment, items, attribute, default, case_sensitive)


def _int(value: Any, default: Any = 0, base: int = 10) -> Any:
    if size(value) > MAX_DIGITS:  # in a base such as 32 Python would read it, however long it is
        return default
    return JINJA_FILTERS["int"](value, default, base)


def _round(value: Any, precision: int = 0, method: str = "common") -> Any:
    return JINJA_FILTERS["round"](value, _bounded(precision, -MAX_NUMBER), method)


def _slice(value: Any, slices: int, fill_with: Any = None) -> Any:
    return JINJA_FILTERS["slice"](value, _bounded(slices, 1), fill_with)


@pass_environment
def _sum(environment: Any, iterable: Any, attribute: str | int | None = None, start: float = 0) -> Any:
    numbers = iterable if attribute is None else map(make_attrgetter(environment, attribute), iterable)
    total = start + 0  # only of numbers: lists would be copied for each one that is added
    for number in numbers:
        total += present(number) + 0
    return total


@pass_environment
def _wordwrap(
    environment: Any,
    value: str,
    width: int = 79,
    break_long_words: bool = True,
    wrapstring: str = "\n",
    break_on_hyphens: bool = True,
) -> str:
    if size(wrapstring) > len("\r\n"):
        _bound_length(len(value) * (1 + size(wrapstring)), "wordwrap")
    # A long word is copied once for each line that is cut off from it.
    spend(sum(len(word) ** 2 for word in value.split()) // (_COPIED * max(width, 1)))
    return do_wordwrap(environment, value, width, break_long_words, wrapstring, break_on_hyphens)


def _default(value: Any, default_value: Any = "", boolean: bool = False) -> Any:
    return default_value if isinstance(value, Nothing) or (boolean and not value) else value


def _urlencode(value: Any) -> str:
    return quote(_printed(value), safe="")


def _tojson(value: Any) -> str:
    return "null" if isinstance(value, Nothing) else to_json(value)


def filters() -> Iterator[tuple[str, Callable[..., Any]]]:
    """The filters, by name."""
    for name in _PLAIN:
        yield name, _strict(JINJA_FILTERS[name])
    for name in _OF_TEXT:
        yield name, _strict(_plain_text(JINJA_FILTERS[name]), text=True)
    of_text: Mapping[str, Callable[..., Any]] = {
        "center": _center,
        "format": _format,
        "indent": _indent,
        "replace": _replace,
        "string": str,
        "wordwrap": _wordwrap,
    }
    for name, function in of_text.items():
        yield name, _strict(function, text=True)
    others: Mapping[str, Callable[..., Any]] = {
        "batch": _batch,
        "groupby": _groupby,
        "int": _int,
        "join": _join,
        "round": _round,
        "slice": _slice,
        "sum": _sum,
        "tojson": _tojson,
        "urlencode": _urlencode,
    }
    for name, function in others.items():
        yield name, _strict(function)
    yield "default", _default
    yield "d", _default


def tests() -> Iterator[tuple[str, Callable[..., Any]]]:
    """The tests, by name."""
    for name in _TESTS:
        test: Callable[..., Any] = JINJA_TESTS[name]  # type: ignore[assignment]
        yield name, _strict(test, compares=True)
    yield "defined", lambda value: not isinstance(value, Nothing)
    yield "undefined", lambda value: isinstance(value, Nothing)
