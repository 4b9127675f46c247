"""From a template's text to a function, once per template.

    parse -> check what it uses -> read data by keys -> escape each value for its place -> Jinja's code

The steps are rewritings of Jinja's syntax tree, so that nothing is left to be remembered when a value is printed. A
template of literal text and plain paths (`{{ a.b.c }}`), which most are, needs no Jinja at all to be rendered: it
becomes a list of texts and paths, with the same result.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, NoReturn

import jinja2
from jinja2 import nodes
from jinja2.meta import find_undeclared_variables
from jinja2.parser import Parser
from jinja2.visitor import NodeTransformer

from leadpush_prefect.errors import Reason
from leadpush_prefect.json_text import from_json
from leadpush_prefect.templates.places import CONDITION, ESCAPES, JSON_TEXT, Place
from leadpush_prefect.templates.sandbox import ENVIRONMENTS, GLOBALS, MAX_TEXT, DataEnvironment
from leadpush_prefect.templates.values import Nothing, TemplateFailed, ValueMissing, present, walk

__all__ = ["Condition", "Template", "compile_condition", "compile_json", "compile_template"]

Namespace = Mapping[str, Any]
Path = tuple[str | int, ...]


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
        holds: Whether the condition is met. Raises `TemplateFailed`, with `condition_missing` for a missing path.
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
        >>> url = compile_template("https://a.example/{{ contact.name }}", URL, field="url", roots=["contact"])
        >>> url.render({"contact": {"name": "Ana/María"}})
        'https://a.example/Ana%2FMar%C3%ADa'
    """
    with _naming(field):
        return _compile(_parse(source, missing), place, field, roots, missing)


def compile_json(source: str, *, field: str, roots: Iterable[str], missing: str = "error") -> Template:
    """The template of a JSON body: read as JSON first, so that no value can break it.

    String leaves are templates; a leaf that is one single `{{ expression }}` keeps the value's type. What only becomes
    JSON by rendering is escaped by position, and the result must parse.

    Example:
        >>> body = compile_json('{"name": "{{ n }}", "tags": "{{ t }}"}', field="body", roots=["n", "t"])
        >>> body.render({"n": 'O"Brien', "t": ["a", 1]})
        '{"name": "O\\\\"Brien", "tags": ["a",1]}'
    """
    with _naming(field):
        try:
            from_json(source)
        except ValueError:
            template = _compile(_parse(source, missing), JSON_TEXT, field, roots, missing)
            return Template(field, _parsing(template), template.paths)
        return _compile(_parse_json_leaves(source, missing), None, field, roots, missing)


def compile_condition(source: str, *, field: str = "when", roots: Iterable[str]) -> Condition:
    """The condition of a step: an expression, under the rules of a template.

    Example:
        >>> pro = compile_condition("plan == 'pro'", roots=["plan"])
        >>> pro.holds({"plan": "pro"}), pro.holds({"plan": "free"})
        (True, False)
    """
    with _naming(field):
        environment = ENVIRONMENTS["error"]
        parser = Parser(environment, source, state="variable")
        expression = parser.parse_expression()
        if not parser.stream.eos:
            _refuse("There is more than one expression.")
        tree = nodes.Template([nodes.Output([expression], lineno=1)], lineno=1)
        template = _compile(tree, CONDITION, field, roots, "error")

    def holds(namespace: Namespace) -> bool:
        try:
            return template.render(namespace) == "1"
        except TemplateFailed as error:
            if error.reason is Reason.TEMPLATE_MISSING:
                raise TemplateFailed(Reason.CONDITION_MISSING, error.message, field) from None
            raise

    return Condition(holds, template.paths)


class _naming:
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
                message = f"Line {error.lineno}: {error.message}"
                raise TemplateFailed(Reason.TEMPLATE_INVALID, message, self.field) from None
            case RecursionError() | OverflowError() | MemoryError():
                raise TemplateFailed(
                    Reason.TEMPLATE_INVALID, "It is nested too deeply, or too long.", self.field
                ) from None


def _refuse(message: str) -> NoReturn:
    raise TemplateFailed(Reason.TEMPLATE_INVALID, message)


def _compile(
    tree: nodes.Template, place: Place | None, field: str, roots: Iterable[str], missing: str
) -> Template:
    environment = ENVIRONMENTS[missing]
    tree.set_environment(environment)
    _check_calls(tree)
    _check_names(tree, frozenset(roots))
    if place is not None:
        _escape_outputs(tree, place)
    paths = _KeyReader()
    paths.visit(tree)
    _use_our_rules(tree)
    tree.set_environment(environment)
    render = _plain_renderer(tree, environment) or _jinja_renderer(tree, environment)
    return Template(field, _mapping_errors(render, field), frozenset(paths.found))


# Parse

_CR_STANDINS = [chr(code) for code in range(0xFDD0, 0xFDF0)]


def _parse(source: str, missing: str) -> nodes.Template:
    """Jinja's tree, in which line ends stay as they were written (Jinja's lexer folds CR LF into LF)."""
    environment = ENVIRONMENTS[missing]
    if "\r" not in source:
        return environment.parse(source)
    standin = next((mark for mark in _CR_STANDINS if mark not in source), None)
    if standin is None:
        _refuse("It holds every noncharacter of Unicode.")
    tree = environment.parse(source.replace("\r", standin))
    for node in tree.find_all((nodes.TemplateData, nodes.Const)):
        text = getattr(node, "data", None) or getattr(node, "value", None)
        if isinstance(text, str):
            setattr(node, "data" if isinstance(node, nodes.TemplateData) else "value", text.replace(standin, "\r"))
    return tree


_JSON_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')


def _parse_json_leaves(source: str, missing: str) -> nodes.Template:
    """One tree of a whole JSON text: its own characters as they stand, and the templates of its strings."""
    body: list[nodes.Node] = []
    position = 0
    for token in _JSON_STRING.finditer(source):
        text = json.loads(token[0])
        if "{{" in text or "{%" in text or "{#" in text:
            body.append(_literal(source[position : token.start()]))
            body += _leaf(text, missing, is_key=source[token.end() :].lstrip().startswith(":"))
            position = token.end()
    body.append(_literal(source[position:]))
    return nodes.Template(body, lineno=1)


def _literal(text: str) -> nodes.Output:
    return nodes.Output([nodes.TemplateData(text, lineno=1)], lineno=1)


def _leaf(text: str, missing: str, *, is_key: bool) -> list[nodes.Node]:
    tree = _parse(text, missing)
    match tree.body:
        case [nodes.Output(nodes=[expression])] if not (is_key or isinstance(expression, nodes.TemplateData)):
            return [nodes.Output([_escaped(expression, _LEAF, frozenset({""}))], lineno=1)]
    _escape_outputs(tree, _IN_STRING)
    return [_literal('"'), *tree.body, _literal('"')]


_LEAF = Place(
    "a JSON body", "", lambda state, text: state, lambda states, path: "json leaf", unwrapped="tojson"
)
_IN_STRING = Place(
    "a JSON body",
    "",
    lambda state, text: state,
    lambda states, path: "json string",
    literal=lambda state, text: json.dumps(text, ensure_ascii=False)[1:-1],
    unwrapped="tojson",
    blocks=False,
)


# Check

_NO_TEMPLATES = (nodes.Import, nodes.FromImport, nodes.Include, nodes.Extends, nodes.Block)
_NOT_DATA = ("self", "super")
_DATA_METHODS = {"items": "| items", "keys": "| list", "values": "| items", "get": "a dot and the key"}


def _check_names(tree: nodes.Template, roots: frozenset[str]) -> None:
    read = find_undeclared_variables(tree) | {name.name for name in tree.find_all(nodes.Name) if name.name in _NOT_DATA}
    for name in sorted(read - roots - GLOBALS):
        near = get_close_matches(name, sorted(roots), n=1)
        hint = f" The nearest name is {near[0]}." if near else ""
        can = ", ".join(sorted(roots))
        _refuse(f"There is no `{name}` here; it can read {can}.{hint}")


def _check_calls(tree: nodes.Template) -> None:
    for unsupported in tree.find_all(_NO_TEMPLATES):
        _refuse(f"`{type(unsupported).__name__.lower()}` is not available: a template stands alone.")
    for call in tree.find_all(nodes.Call):
        match call.node:
            case nodes.Name() | nodes.Getattr(node=nodes.Name(name="loop"), attr="cycle" | "changed"):
                continue
            case nodes.Getattr(attr=attr):
                use = _DATA_METHODS.get(attr, f"a filter, such as `| {attr}`")
                _refuse(f"`.{attr}()` is a method, and data has keys only. Use {use}.")
            case _:
                _refuse("Data cannot be called.")
    for filter_ in tree.find_all(nodes.Filter):
        if filter_.name in ("safe", "forceescape"):
            _refuse(f"`| {filter_.name}` is refused: each value is escaped for its place.")


# Escape

_PRINTED_AGAIN = (nodes.Macro, nodes.CallBlock, nodes.FilterBlock, nodes.AssignBlock)


def _escape_outputs(tree: nodes.Template, place: Place) -> None:
    """Wrap each value that is printed in the escape of its place."""
    if not place.blocks:
        for block in tree.find_all(_PRINTED_AGAIN):
            kind = type(block).__name__.lower()
            _refuse(f"A {kind} is not available in {place.name}: what it prints would be escaped twice.")
    _Escaper(place).body(tree.body, frozenset({place.start}))
    if not place.keeps_filters:
        for filter_ in tree.find_all(nodes.Filter):
            if filter_.name in ("urlencode", "tojson"):
                _refuse(f"Drop `| {filter_.name}`: in {place.name}, values are escaped where they land.")


class _Escaper:
    """Follows literal text and control flow, and replaces what is printed by its escaped form."""

    def __init__(self, place: Place) -> None:
        self.place = place

    def body(self, body: list[nodes.Node], states: frozenset[str]) -> frozenset[str]:
        for node in body:
            states = self.node(node, states)
        return states

    def node(self, node: nodes.Node, states: frozenset[str]) -> frozenset[str]:
        match node:
            case nodes.Output():
                return self.output(node, states)
            case nodes.If():
                branches = [node.body, *(branch.body for branch in node.elif_), node.else_]
                return frozenset().union(*(self.body(branch, states) for branch in branches))
            case nodes.For():
                # a body may begin where it ended, so first find all states that it can begin in
                known: frozenset[str] = frozenset()
                start = states
                while start != known:
                    known = start
                    start = start | self.follow(node.body, start)
                self.body(node.body, start)
                return start | self.body(node.else_, states)
            case nodes.With() | nodes.Scope() | nodes.ScopedEvalContextModifier():
                return self.body(node.body, states)
            case nodes.Macro() | nodes.CallBlock() | nodes.FilterBlock() | nodes.AssignBlock():
                self.body(node.body, frozenset({self.place.start}))
        return states

    def follow(self, body: list[nodes.Node], states: frozenset[str]) -> frozenset[str]:
        """The states after a body, which is left as it is."""
        return _Follower(self.place).body(body, states)

    def output(self, output: nodes.Output, states: frozenset[str]) -> frozenset[str]:
        for index, node in enumerate(output.nodes):
            if isinstance(node, nodes.TemplateData):
                fed = frozenset(self.place.feed(state, node.data) for state in states)
                self.literal(node, states)
                states = fed
            else:
                self.printed(output, index, states)
                states = frozenset(self.place.printed.get(state, state) for state in states)
        return states

    def literal(self, node: nodes.TemplateData, states: frozenset[str]) -> None:
        node.data = self.place.literal(min(states), node.data)

    def printed(self, output: nodes.Output, index: int, states: frozenset[str]) -> None:
        output.nodes[index] = _escaped(output.nodes[index], self.place, states)


class _Follower(_Escaper):
    """Follows, and changes nothing."""

    def literal(self, node: nodes.TemplateData, states: frozenset[str]) -> None:
        return None

    def printed(self, output: nodes.Output, index: int, states: frozenset[str]) -> None:
        return None


def _escaped(node: nodes.Expr, place: Place, states: frozenset[str]) -> nodes.Expr:
    if isinstance(node, nodes.CondExpr):
        second = node.expr2 if node.expr2 is not None else nodes.Const("", lineno=node.lineno)
        first, second = _escaped(node.expr1, place, states), _escaped(second, place, states)
        return nodes.CondExpr(node.test, first, second, lineno=node.lineno)
    if isinstance(node, nodes.Filter) and node.name == place.unwrapped and node.node is not None:
        node = node.node
    path = _path_text(node)
    escape = place.escape(states, path)
    return _call(f"escape {escape}", node, [nodes.Const(path, lineno=node.lineno)])


def _path_text(node: nodes.Node) -> str:
    """The path of an expression if it is a plain one, else words for it."""
    base, keys = _flatten(node)
    if isinstance(base, nodes.Name) and all(isinstance(key, nodes.Const) for key in keys):
        return ".".join([base.name, *(str(key.value) for key in keys)])
    named = base.node if isinstance(base, nodes.Filter) and base.node is not None else None
    return f"{_path_text(named)} | {base.name}" if named is not None else "an expression"


def _call(name: str, node: nodes.Expr, arguments: list[nodes.Expr]) -> nodes.Filter:
    """A call of one of our own functions; Jinja's tree has a filter for it, whose name no author can write."""
    return nodes.Filter(node, name, arguments, [], None, None, lineno=node.lineno)


# Read


def _flatten(node: nodes.Node) -> tuple[nodes.Node, list[Any]]:
    """A chain of dots and brackets as its beginning and its keys."""
    keys: list[Any] = []
    while isinstance(node, (nodes.Getattr, nodes.Getitem)):
        keys.append(nodes.Const(node.attr, lineno=node.lineno) if isinstance(node, nodes.Getattr) else node.arg)
        node = node.node
    return node, keys[::-1]


class _KeyReader(NodeTransformer):
    """Replaces each chain of dots by one walk over keys that knows its whole path."""

    def __init__(self) -> None:
        self.found: set[Path] = set()

    def visit_Getattr(self, node: nodes.Getattr) -> nodes.Node:
        return self.chain(node)

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Node:
        return self.chain(node)

    def visit_Name(self, node: nodes.Name) -> nodes.Node:
        if node.ctx == "load":
            self.found.add((node.name,))
        return node

    def visit_CondExpr(self, node: nodes.CondExpr) -> nodes.Node:
        if node.expr2 is None:
            node.expr2 = nodes.Const("", lineno=node.lineno)
        return self.generic_visit(node)

    def chain(self, node: nodes.Node) -> nodes.Node:
        base, keys = _flatten(node)
        if any(isinstance(key, nodes.Slice) for key in keys):
            return self.generic_visit(node)
        root = base.name if isinstance(base, nodes.Name) else "the value"
        if isinstance(base, nodes.Name):
            literal = [key.value for key in keys if isinstance(key, nodes.Const)]
            whole = len(literal) == len(keys)
            cut = literal if whole else literal[: next(n for n, k in enumerate(keys) if not isinstance(k, nodes.Const))]
            self.found.add((base.name, *cut))
            start: nodes.Node = base
        else:
            start = self.visit(base)
        visited = [key if isinstance(key, nodes.Const) else self.visit(key) for key in keys]
        return _call(
            "walk", start, [nodes.Const(root, lineno=node.lineno), nodes.Tuple(visited, "load", lineno=node.lineno)]
        )


def _use_our_rules(tree: nodes.Template) -> None:
    """Where Python would go by its own rules: `~` prints as JSON would; to compare or to list needs a value."""
    for concat in tree.find_all(nodes.Concat):
        empty = nodes.Const("", lineno=concat.lineno)
        concat.nodes = [_call("bounded text", node, [empty]) for node in concat.nodes]
    for compare in tree.find_all(nodes.Compare):
        compare.expr = _call("present", compare.expr, [])
        for operand in compare.ops:
            operand.expr = _call("present", operand.expr, [])
    for list_ in tree.find_all(nodes.List):
        list_.items = [_call("element", item, []) for item in list_.items]
    for pair in tree.find_all(nodes.Pair):
        pair.value = _call("element", pair.value, [])


# Render


def _bounded_text(value: Any, path: str) -> str:
    text = ESCAPES["text"](value, path)
    if len(text) > MAX_TEXT:
        raise TemplateFailed(Reason.TEMPLATE_TOO_LARGE, f"`~` joins more than {MAX_TEXT} characters.")
    return text


def _element(value: Any) -> Any:
    return None if isinstance(present(value), Nothing) else value


for _environment in ENVIRONMENTS.values():
    _environment.filters |= {f"escape {name}": function for name, function in ESCAPES.items()}
    _environment.filters["present"] = present
    _environment.filters["element"] = _element
    _environment.filters["bounded text"] = _bounded_text
    _environment.filters["walk"] = lambda value, root, keys, missing=_environment.missing: walk(
        value, root, keys, missing
    )


def _jinja_renderer(tree: nodes.Template, environment: DataEnvironment) -> Callable[[Namespace], str]:
    code = environment.compile(tree)
    template = jinja2.Template.from_code(environment, code, environment.globals)

    def render(namespace: Namespace) -> str:
        pieces: list[str] = []
        size = 0
        for piece in template.root_render_func(template.new_context(dict(namespace))):
            size += len(piece)
            if size > MAX_TEXT:
                raise TemplateFailed(Reason.TEMPLATE_TOO_LARGE, f"It renders to more than {MAX_TEXT} characters.")
            pieces.append(piece)
        return "".join(pieces)

    return render


def _plain_renderer(tree: nodes.Template, environment: DataEnvironment) -> Callable[[Namespace], str] | None:
    """The template as a list of texts and paths, or None if there is more in it."""
    parts = list(_plain_parts(tree))
    if None in parts:
        return None
    missing = environment.missing
    literal = "".join(part for part in parts if isinstance(part, str))
    if all(isinstance(part, str) for part in parts):
        return lambda namespace: literal

    def render(namespace: Namespace) -> str:
        pieces = []
        for part in parts:
            if type(part) is str:
                pieces.append(part)
            else:
                escape, path, root, keys = part  # type: ignore[misc]
                value = namespace[root]
                pieces.append(escape(walk(value, root, keys, missing) if keys else value, path))
        text = "".join(pieces)
        if len(text) > MAX_TEXT:
            raise TemplateFailed(Reason.TEMPLATE_TOO_LARGE, f"It renders to more than {MAX_TEXT} characters.")
        return text

    return render


PlainPart = str | tuple[Callable[[Any, str], str], str, str, Path] | None


def _plain_parts(tree: nodes.Template) -> Iterator[PlainPart]:
    for statement in tree.body:
        if not isinstance(statement, nodes.Output):
            yield None
            continue
        for node in statement.nodes:
            yield node.data if isinstance(node, nodes.TemplateData) else _plain_value(node)


def _plain_value(node: nodes.Node) -> PlainPart:
    match node:
        case nodes.Filter(name=name, node=inner, args=[nodes.Const(value=path)]) if name.startswith("escape "):
            escape = ESCAPES[name.removeprefix("escape ")]
        case _:
            return None
    match inner:
        case nodes.Name(name=root) if root not in GLOBALS:
            return escape, path, root, ()
        case nodes.Filter(name="walk", node=nodes.Name(name=root), args=[_, nodes.Tuple(items=keys)]) if (
            root not in GLOBALS
        ):
            if all(isinstance(key, nodes.Const) for key in keys):
                return escape, path, root, tuple(key.value for key in keys)
    return None


def _mapping_errors(render: Callable[[Namespace], str], field: str) -> Callable[[Namespace], str]:
    """Every error of a rendering as a `TemplateFailed`; none carries a value."""

    def rendered(namespace: Namespace) -> str:
        try:
            return render(namespace)
        except ValueMissing as error:
            raise TemplateFailed(Reason.TEMPLATE_MISSING, str(error), field) from None
        except TemplateFailed as error:
            raise TemplateFailed(error.reason, error.message, field) from None
        except UnicodeEncodeError:
            message = "A value holds half of a surrogate pair, which has no form in UTF-8."
            raise TemplateFailed(Reason.TEMPLATE_INVALID, message, field) from None
        except (TypeError, ZeroDivisionError) as error:  # their texts name types, not values
            raise TemplateFailed(Reason.TEMPLATE_INVALID, f"{error}.", field) from None
        except Exception as error:
            message = f"{type(error).__name__} while it was rendered."
            raise TemplateFailed(Reason.TEMPLATE_INVALID, message, field) from None

    return rendered


def _parsing(template: Template) -> Callable[[Namespace], str]:
    def render(namespace: Namespace) -> str:
        text = template.render(namespace)
        try:
            from_json(text)
        except ValueError as error:
            position = f" {str(error)[str(error).rfind(': ') + 2 :]}" if "line" in str(error) else ""
            message = f"What it renders to is not JSON:{position or ' it does not parse'}."
            raise TemplateFailed(Reason.TEMPLATE_INVALID, message, template.field) from None
        return text

    return render
