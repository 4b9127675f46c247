"""Which Jinja there is: a sandboxed environment in which dots are keys, and whatever is made is paid for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from jinja2 import nodes
from jinja2.compiler import CodeGenerator
from jinja2.lexer import Token, TokenStream
from jinja2.runtime import LoopContext, Macro
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Joiner, Namespace

from leadpush_prefect.errors import Reason
from leadpush_prefect.templates.budget import (
    CALL,
    MAX_TEXT,
    digits,
    made,
    size,
    spend,
    token,
    too_large,
    turns,
)
from leadpush_prefect.templates.filters import filters, tests
from leadpush_prefect.templates.values import Missing, Nothing, TemplateFailed, present, walk

__all__ = ["ENVIRONMENTS", "GLOBALS", "DataEnvironment", "Generator"]

MAX_RANGE = 10_000
MAX_DIGITS = 1_000
MACRO = 16 * CALL

GLOBALS = frozenset({"range", "dict", "namespace", "joiner"})


class Generator(CodeGenerator):
    """Writes a template's code, and evaluates nothing of it: what that costs would be paid by nobody."""

    def _output_child_to_const(self, node: nodes.Expr, frame: Any, finalize: Any) -> str:
        if not isinstance(node, nodes.TemplateData):
            raise nodes.Impossible
        return super()._output_child_to_const(node, frame, finalize)


class DataEnvironment(ImmutableSandboxedEnvironment):
    """Jinja over data: dots are keys, and calls reach macros, loops and the globals of this module alone."""

    code_generator_class = Generator
    intercepted_binops = frozenset({"+", "*", "**", "%"})

    def __init__(self, missing: type[Nothing]) -> None:
        super().__init__(undefined=missing, keep_trailing_newline=True, optimized=False)
        self.missing = missing
        self.filters = dict(filters())
        self.tests = dict(tests())
        self.globals = {"range": _range, "dict": dict, "namespace": Namespace, "joiner": Joiner}

    def _tokenize(
        self, source: str, name: str | None, filename: str | None = None, state: str | None = None
    ) -> TokenStream:
        return TokenStream(self._tokens(source, state), name, filename)

    def _tokens(self, source: str, state: str | None) -> Iterator[Token]:
        """Jinja's tokens, counted. Floats are read here: Jinja reads them by Python's parser, which in 3.11
        may fail in one thread while another one parses."""
        for line, kind, text in self.lexer.tokeniter(source, None, None, state):
            token()
            if kind == "float":
                yield Token(line, kind, float(text.replace("_", "")))  # type: ignore[arg-type]
            else:
                yield from self.lexer.wrap([(line, kind, text)])

    def _filter_test_common(self, name: Any, *arguments: Any) -> Any:
        if isinstance(name, str) and " " in name:  # as `map("own turns")` would
            raise TemplateFailed(Reason.TEMPLATE_INVALID, "A filter's name holds no space.")
        return super()._filter_test_common(name, *arguments)

    def getattr(self, obj: Any, attribute: str) -> Any:
        return walk(obj, "the value", (attribute,), self.missing)

    def getitem(self, obj: Any, argument: Any) -> Any:
        spend(CALL)  # `map(attribute="a.a.a")` asks for each part of each item
        return walk(obj, "the value", (argument,), self.missing, ("[...]",))  # perhaps a contact's

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        return False

    def is_safe_callable(self, obj: Any) -> bool:
        return (
            isinstance(obj, (Macro, LoopContext, Joiner))
            or obj in (_range, dict, Namespace, Joiner)
            or getattr(obj, "__func__", None) in (LoopContext.cycle, LoopContext.changed)
        )

    def call(self, context: Any, obj: Any, /, *arguments: Any, **keywords: Any) -> Any:
        spend(MACRO)
        made([*arguments, *keywords.values()])
        if isinstance(obj, LoopContext):
            arguments = (turns(arguments[0], CALL), *arguments[1:])
        return made(super().call(context, obj, *arguments, **keywords))

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        _BOUNDS[operator](present(left), present(right))
        return made(super().call_binop(context, operator, left, right))


def _bound_sum(left: Any, right: Any) -> None:
    if size(left) + size(right) > MAX_TEXT:
        raise too_large("`+`")


def _bound_product(left: Any, right: Any) -> None:
    for repeated, times in ((left, right), (right, left)):
        if size(repeated) and isinstance(times, int) and size(repeated) * times > MAX_TEXT:
            raise too_large("`*`")
    if digits(left) + digits(right) > MAX_DIGITS:
        raise too_large("`*`")


def _bound_power(left: Any, right: Any) -> None:
    if isinstance(right, (int, float)) and abs(right) * max(digits(left), 1) > MAX_DIGITS:
        raise too_large("`**`")


def _bound_remainder(left: Any, _right: Any) -> None:
    if isinstance(left, str):
        raise TemplateFailed(Reason.TEMPLATE_INVALID, "`%` formats no text here. Use `| format(...)`.")


_BOUNDS: Mapping[str, Callable[[Any, Any], None]] = {
    "+": _bound_sum,
    "*": _bound_product,
    "**": _bound_power,
    "%": _bound_remainder,
}


def _range(*arguments: int) -> range:
    numbers = range(*arguments)
    if numbers[MAX_RANGE:]:
        raise TemplateFailed(Reason.TEMPLATE_TOO_LARGE, f"range() gives more than {MAX_RANGE} numbers.")
    return numbers


ENVIRONMENTS: Mapping[str, DataEnvironment] = {
    "error": DataEnvironment(Missing),
    "empty": DataEnvironment(Nothing),
}
