"""Which Jinja there is: a sandboxed environment with the filters and tests that are safe on data of others.

Every filter and test, but `default` and `defined`, refuses a missing value. What can make much out of little (`*`, `**`,
`+`, padding, formats, ranges) is bounded, because the sandbox of Jinja bounds neither time nor memory.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import wraps
from typing import Any
from urllib.parse import quote

from jinja2.defaults import DEFAULT_FILTERS, DEFAULT_TESTS
from jinja2.runtime import LoopContext, Macro
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Cycler, Joiner, Namespace

from leadpush_prefect.errors import Reason
from leadpush_prefect.json_text import to_json, to_text
from leadpush_prefect.templates.values import Missing, Nothing, TemplateFailed, lookup, present

__all__ = ["ENVIRONMENTS", "GLOBALS", "MAX_TEXT", "DataEnvironment", "too_large"]

MAX_TEXT = 1_048_576
"""The longest text or list, in characters or items, that an expression may make."""

MAX_RANGE = 10_000
MAX_PADDING = 1_000
MAX_EXPONENT_DIGITS = 1_000

GLOBALS = frozenset({"range", "dict", "namespace", "cycler", "joiner"})

# Filters whose result is no larger than their input, by a small factor, and that reach no attribute but by `lookup`.
_PLAIN_FILTERS = (
    "abs batch count dictsort filesizeformat first float groupby int items last length list map max min reject "
    "rejectattr reverse round select selectattr slice sort sum unique"
).split()
_TEXT_FILTERS = "capitalize e escape lower striptags title trim truncate upper wordcount wordwrap".split()
_TESTS = (
    "boolean even divisibleby eq equalto false float ge greaterthan gt in integer iterable le lessthan lower lt mapping "
    "ne none number odd sameas sequence string true upper"
).split()
_TESTS += ["==", "!=", "<", "<=", ">", ">="]

_FORMAT_DIRECTIVE = re.compile(r"%(?:\((\w+)\))?[#0\- +]*(\*|\d*)(?:\.(\*|\d*))?[a-zA-Z%]")


def too_large(what: str = "A template") -> TemplateFailed:
    """The error for what would be larger than its place may hold."""
    return TemplateFailed(Reason.TEMPLATE_TOO_LARGE, f"{what} makes more than {MAX_TEXT} characters or items.")


class DataEnvironment(ImmutableSandboxedEnvironment):
    """Jinja over data: dots are keys, calls reach nothing but macros, loops and the globals of this module."""

    intercepted_binops = frozenset({"+", "*", "**", "%"})

    def __init__(self, missing: type[Nothing]) -> None:
        super().__init__(undefined=missing, keep_trailing_newline=True)
        self.missing = missing
        self.filters = dict(_filters())
        self.tests = dict(_tests())
        self.globals = {
            "range": _range,
            "dict": dict,
            "namespace": Namespace,
            "cycler": Cycler,
            "joiner": Joiner,
        }

    def getattr(self, obj: Any, attribute: str) -> Any:
        return lookup(obj, attribute, attribute, self.missing)

    def getitem(self, obj: Any, argument: Any) -> Any:
        return lookup(obj, argument, str(argument), self.missing)

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        return False

    def is_safe_callable(self, obj: Any) -> bool:
        return (
            isinstance(obj, (Macro, LoopContext, Cycler, Joiner))
            or obj in (_range, dict, Namespace, Cycler, Joiner)
            or getattr(obj, "__func__", None) is LoopContext.cycle
        )

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        _BOUNDS[operator](present(left), present(right))
        return super().call_binop(context, operator, left, right)


def _size(value: Any) -> int:
    return len(value) if isinstance(value, (str, list, tuple)) else 0


def _bound_sum(left: Any, right: Any) -> None:
    if _size(left) + _size(right) > MAX_TEXT:
        raise too_large("`+`")


def _bound_product(left: Any, right: Any) -> None:
    for repeated, times in ((left, right), (right, left)):
        if _size(repeated) and isinstance(times, int) and _size(repeated) * times > MAX_TEXT:
            raise too_large("`*`")
    if _digits(left) + _digits(right) > MAX_EXPONENT_DIGITS:
        raise too_large("`*`")


def _bound_power(left: Any, right: Any) -> None:
    if isinstance(right, (int, float)) and abs(right) * max(_digits(left), 1) > MAX_EXPONENT_DIGITS:
        raise too_large("`**`")


def _bound_remainder(left: Any, right: Any) -> None:
    if isinstance(left, str):
        raise TemplateFailed(Reason.TEMPLATE_INVALID, "`%` formats no text here. Use `| format(...)`.")


def _digits(value: Any) -> int:
    return value.bit_length() * 3 // 10 if isinstance(value, int) else 0


_BOUNDS: Mapping[str, Callable[[Any, Any], None]] = {
    "+": _bound_sum,
    "*": _bound_product,
    "**": _bound_power,
    "%": _bound_remainder,
}


def _range(*arguments: int) -> range:
    numbers = range(*arguments)
    if len(numbers) > MAX_RANGE:
        raise TemplateFailed(Reason.TEMPLATE_TOO_LARGE, f"range() gives more than {MAX_RANGE} numbers.")
    return numbers


def _refusing_missing(function: Callable[..., Any], *, text: bool = False) -> Callable[..., Any]:
    """The filter or test, but a missing value (or argument) is an error; with `text`, of the value as it prints."""
    skipped = 1 if hasattr(function, "jinja_pass_arg") else 0

    @wraps(function)  # keeps Jinja's mark of what is passed first
    def strict(*arguments: Any, **keywords: Any) -> Any:
        for argument in arguments[skipped:]:
            if isinstance(argument, Missing):
                argument.raise_missing()
        if text:
            value = arguments[skipped]
            value = value if isinstance(value, (str, Nothing)) else to_text(value)
            arguments = (*arguments[:skipped], value, *arguments[skipped + 1 :])
        return function(*arguments, **keywords)

    return strict


def _join(value: Any, separator: str = "", attribute: str | int | None = None) -> str:
    items: Sequence[Any] = [*value]
    if attribute is not None:
        items = [lookup(item, attribute, str(attribute), Missing) for item in items]
    texts = [_printed(item) for item in items]
    if sum(map(len, texts)) + len(texts) * len(separator) > MAX_TEXT:
        raise too_large("`| join`")
    return str(separator).join(texts)


def _printed(value: Any) -> str:
    return to_text(present(value)) if not isinstance(value, Nothing) else str(value)


def _replace(value: str, old: str, new: str, count: int = -1) -> str:
    times = value.count(old) if count < 0 else min(count, value.count(old))
    if len(value) + times * len(new) > MAX_TEXT:
        raise too_large("`| replace`")
    return value.replace(old, new, count)


def _format(value: str, *arguments: Any, **keywords: Any) -> str:
    for _, width, precision in _FORMAT_DIRECTIVE.findall(value):
        for size in (width, precision):
            if size == "*" or len(size) > 3:
                raise TemplateFailed(Reason.TEMPLATE_TOO_LARGE, "`| format` may pad to 999 at most.")
    printable = [item if isinstance(item, (int, float, str)) else to_text(item) for item in arguments]
    return str(value) % (keywords or tuple(printable))


def _center(value: str, width: int = 80) -> str:
    return value.center(_padding(width))


def _indent(value: str, width: int = 4, first: bool = False, blank: bool = False) -> str:
    space = " " * _padding(width)
    lines = value.splitlines(keepends=True)
    if len(value) + len(lines) * len(space) > MAX_TEXT:
        raise too_large("`| indent`")
    for number, line in enumerate(lines):
        if (number or first) and (line.strip() or blank):
            lines[number] = space + line
    return "".join(lines)


def _padding(width: int) -> int:
    if not 0 <= width <= MAX_PADDING:
        raise TemplateFailed(Reason.TEMPLATE_TOO_LARGE, f"A padding may have {MAX_PADDING} characters at most.")
    return width


def _default(value: Any, default_value: Any = "", boolean: bool = False) -> Any:
    return default_value if isinstance(value, Nothing) or (boolean and not value) else value


def _urlencode(value: Any) -> str:
    return quote(_printed(value), safe="")


def _tojson(value: Any) -> str:
    return "null" if isinstance(value, Nothing) else to_json(value)


def _filters() -> Iterator[tuple[str, Callable[..., Any]]]:
    for name in _PLAIN_FILTERS:
        yield name, _refusing_missing(DEFAULT_FILTERS[name])
    for name in _TEXT_FILTERS:
        yield name, _refusing_missing(_unmarked(DEFAULT_FILTERS[name]), text=True)
    own = {"center": _center, "format": _format, "indent": _indent, "replace": _replace, "string": str}
    for name, function in own.items():
        yield name, _refusing_missing(function, text=True)
    for name, function in {"join": _join, "urlencode": _urlencode, "tojson": _tojson}.items():
        yield name, _refusing_missing(function)
    yield "default", _default
    yield "d", _default


def _unmarked(function: Callable[..., Any]) -> Callable[..., Any]:
    """The filter with plain text as its result: Jinja's `escape` gives Markup, which would escape what is added."""

    @wraps(function)
    def plain(*arguments: Any, **keywords: Any) -> Any:
        result = function(*arguments, **keywords)
        return str.__str__(result) if isinstance(result, str) else result

    return plain


def _tests() -> Iterator[tuple[str, Callable[..., Any]]]:
    for name in _TESTS:
        yield name, _refusing_missing(DEFAULT_TESTS[name])
    yield "defined", lambda value: not isinstance(value, Nothing)
    yield "undefined", lambda value: isinstance(value, Nothing)


ENVIRONMENTS: Mapping[str, DataEnvironment] = {
    "error": DataEnvironment(Missing),
    "empty": DataEnvironment(Nothing),
}
