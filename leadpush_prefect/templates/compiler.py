"""From a template's text to a function, once per template.

    parse -> check what it uses -> escape each value for its place -> read data by keys -> a function

The steps are rewritings of Jinja's syntax tree, so that nothing is left to be remembered when a value is
printed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from json import JSONDecodeError

import jinja2
from jinja2 import nodes

from leadpush_prefect.errors import Reason
from leadpush_prefect.templates.budget import begin_source
from leadpush_prefect.templates.escaping import escape_outputs
from leadpush_prefect.templates.parsing import parse, parse_condition, parse_json
from leadpush_prefect.templates.places import CONDITION, JSON_TEXT, Place
from leadpush_prefect.templates.rendering import Namespace, renderer
from leadpush_prefect.templates.rewriting import Path, check, read_by_keys
from leadpush_prefect.templates.sandbox import ENVIRONMENTS
from leadpush_prefect.templates.values import TemplateFailed
from leadpush_prefect.text.json_text import from_json

__all__ = ["Condition", "Template", "compile_condition", "compile_json", "compile_template"]


@dataclass(frozen=True, slots=True)
class Template:
    """A compiled template.

    Attributes:
        field: What it is the template of, such as `url`.
        render: From the values that it may read to its text. Raises `TemplateFailed`.
        paths: The paths that it reads, as far as they are literal: `("workflow", "profile", "plan")`.
    """

    field: str
    render: Callable[[Namespace], str]
    paths: frozenset[Path]


@dataclass(frozen=True, slots=True)
class Condition:
    """A compiled `when=`.

    Attributes:
        holds: Whether the condition is met. Raises `TemplateFailed`: `condition_missing` for a missing path.
        paths: The paths that it reads.
    """

    holds: Callable[[Namespace], bool]
    paths: frozenset[Path]


def compile_template(
    source: str, place: Place, *, field: str, roots: Iterable[str], missing: str = "error"
) -> Template:
    """The template of a text that lands in one place.

    Args:
        source: Jinja.
        place: Where its text lands, and so how values are escaped.
        field: Its name in messages.
        roots: The names that it may read, such as `contact`.
        missing: What a missing value is: `"error"`, or `"empty"` for nothing.

    Raises:
        TemplateFailed: `template_invalid`, if it can never be rendered.

    Example:
        >>> from leadpush_prefect.templates import URL
        >>> text = "https://a.example/{{ contact.name }}"
        >>> url = compile_template(text, URL, field="url", roots=["contact"])
        >>> url.render({"contact": {"name": "Ana/María"}})
        'https://a.example/Ana%2FMar%C3%ADa'
    """
    with _Naming(field):
        begin_source(source)
        return _compile(parse(source, missing), place, field, roots, missing)


def compile_json(source: str, *, field: str, roots: Iterable[str], missing: str = "error") -> Template:
    """The template of a JSON body: read as JSON first, so that no value can break it.

    String leaves are templates; a leaf that is one single `{{ expression }}` keeps the value's type. What
    only becomes JSON by rendering is escaped by position, and the result must parse.

    Example:
        >>> body = compile_json('{"name": "{{ n }}", "tags": "{{ t }}"}', field="body", roots=["n", "t"])
        >>> body.render({"n": 'O"Brien', "t": ["a", 1]})
        '{"name": "O\\\\"Brien", "tags": ["a",1]}'
    """
    with _Naming(field):
        begin_source(source)
        try:
            from_json(source)
        except ValueError:
            template = _compile(parse(source, missing), JSON_TEXT, field, roots, missing)
            return Template(field, _parsing(template), template.paths)
        return _compile(parse_json(source, missing), None, field, roots, missing)


def compile_condition(source: str, *, field: str = "when", roots: Iterable[str]) -> Condition:
    """The condition of a step: an expression, under the rules of a template.

    Example:
        >>> pro = compile_condition("plan == 'pro'", roots=["plan"])
        >>> pro.holds({"plan": "pro"}), pro.holds({"plan": "free"})
        (True, False)
    """
    with _Naming(field):
        begin_source(source)
        template = _compile(parse_condition(source), CONDITION, field, roots, "error")

    def holds(namespace: Namespace) -> bool:
        try:
            return template.render(namespace) == "1"
        except TemplateFailed as error:
            if error.reason is Reason.TEMPLATE_MISSING:
                raise TemplateFailed(Reason.CONDITION_MISSING, error.message, field) from None
            raise

    return Condition(holds, template.paths)


class _Naming:
    """Any error while a template is compiled, as a `TemplateFailed` that names the field."""

    def __init__(self, field: str) -> None:
        self.field = field

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        match error:
            case TemplateFailed():
                raise TemplateFailed(error.reason, error.message, self.field) from None
            case jinja2.TemplateSyntaxError():
                message = f"Line {error.lineno}: {(error.message or 'it does not parse').rstrip('.')}."
                raise TemplateFailed(Reason.TEMPLATE_INVALID, message, self.field) from None
            case Exception():  # such as RecursionError, MemoryError, SyntaxError, SystemError
                raise TemplateFailed(
                    Reason.TEMPLATE_INVALID, "It is nested too deeply, or too long.", self.field
                ) from None


def _compile(
    tree: nodes.Template, place: Place | None, field: str, roots: Iterable[str], missing: str
) -> Template:
    environment = ENVIRONMENTS[missing]
    tree.set_environment(environment)
    check(tree, frozenset(roots))
    if place is not None:
        escape_outputs(tree, place)
    paths = read_by_keys(tree)
    tree.set_environment(environment)
    return Template(field, renderer(tree, environment, field), paths)


def _parsing(template: Template) -> Callable[[Namespace], str]:
    def render(namespace: Namespace) -> str:
        text = template.render(namespace)
        try:
            from_json(text)
        except ValueError as error:
            position = "it does not parse"
            if isinstance(error, JSONDecodeError):
                position = f"line {error.lineno} column {error.colno} (char {error.pos})"
            message = f"What it renders to is not JSON: {position}."
            raise TemplateFailed(Reason.TEMPLATE_INVALID, message, template.field) from None
        return text

    return render
