"""Each value that a template prints is wrapped in the escape of the place where it lands, in Jinja's tree."""

from __future__ import annotations

from typing import NoReturn, cast

from jinja2 import nodes

from leadpush_prefect.errors import Reason
from leadpush_prefect.templates.places import Place
from leadpush_prefect.templates.values import TemplateFailed

__all__ = ["OWN", "call", "escape_outputs", "escaped", "flatten", "refuse", "refuse_other_escapes"]

_PRINTED_AGAIN = (nodes.Macro, nodes.CallBlock, nodes.FilterBlock, nodes.AssignBlock)
_ESCAPES_OF_AUTHORS = ("urlencode", "tojson")

OWN = "own "
"""What the names of our own functions begin with: no name that an author can write holds a space."""


def refuse(message: str) -> NoReturn:
    """Refuse a template."""
    raise TemplateFailed(Reason.TEMPLATE_INVALID, message)


def escape_outputs(tree: nodes.Template, place: Place) -> None:
    """Wrap each value that is printed in the escape of its place."""
    if not place.blocks:
        for block in tree.find_all(_PRINTED_AGAIN):
            kind = type(block).__name__.lower()
            refuse(f"A {kind} is not available in {place.name}: what it prints would be escaped twice.")
    _Escaper(place).body(tree.body, frozenset({place.start}))
    refuse_other_escapes(tree, place)


def refuse_other_escapes(tree: nodes.Node, place: Place) -> None:
    """Refuse a filter of the author that escapes, where values are escaped anyway."""
    if place.keeps_filters:
        return
    for filter_ in tree.find_all(nodes.Filter):
        names = [
            filter_.name,
            *(a.value for a in filter_.args if filter_.name == "map" and isinstance(a, nodes.Const)),
        ]
        for name in _ESCAPES_OF_AUTHORS:
            if name in names:
                refuse(f"Drop `| {name}`: in {place.name}, values are escaped where they land.")


class _Escaper:
    """Follows literal text and control flow, and replaces what is printed by its escaped form."""

    def __init__(self, place: Place, *, changes: bool = True) -> None:
        self.place = place
        self.changes = changes

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
                states |= self.loop(node, states)
                return states | self.body(node.else_, states)
            case nodes.With() | nodes.Scope():
                return self.body(node.body, states)
            case nodes.Macro() | nodes.CallBlock() | nodes.FilterBlock() | nodes.AssignBlock():
                self.body(node.body, frozenset({self.place.start}))
        return states

    def loop(self, loop: nodes.For, states: frozenset[str]) -> frozenset[str]:
        """The states after any number of turns. A turn may begin where one ended: all are found first."""
        if self.changes:
            return self.body(loop.body, states | _Follower(self.place).loop(loop, states))
        known: frozenset[str] = frozenset()
        while states != known:
            known = states
            states |= self.body(loop.body, states)
        return states

    def output(self, output: nodes.Output, states: frozenset[str]) -> frozenset[str]:
        for index, node in enumerate(output.nodes):
            if isinstance(node, nodes.TemplateData):
                fed = frozenset(self.place.feed(state, node.data) for state in states)
                if self.changes:
                    node.data = self.place.literal(states, node.data)
                states = fed
            else:
                if self.changes:
                    output.nodes[index] = escaped(node, self.place, states)
                states = frozenset(self.place.printed.get(state, state) for state in states)
        return states


class _Follower(_Escaper):
    """Follows, and changes nothing.

    What it has learned of a loop it keeps: else loops in loops would be gone through 3^n times.
    """

    def __init__(self, place: Place) -> None:
        super().__init__(place, changes=False)
        self.known: dict[tuple[int, frozenset[str]], frozenset[str]] = {}

    def loop(self, loop: nodes.For, states: frozenset[str]) -> frozenset[str]:
        key = id(loop), states
        if key not in self.known:
            self.known[key] = super().loop(loop, states)
        return self.known[key]


def escaped(node: nodes.Expr, place: Place, states: frozenset[str]) -> nodes.Expr:
    """An expression, escaped for a place in one of these states."""
    if isinstance(node, nodes.CondExpr):
        second = node.expr2 if node.expr2 is not None else nodes.Const("", lineno=node.lineno)
        first, second = escaped(node.expr1, place, states), escaped(second, place, states)
        return nodes.CondExpr(node.test, first, second, lineno=node.lineno)
    if isinstance(node, nodes.Filter) and node.name == place.unwrapped and node.node is not None:
        node = node.node
    path = path_text(node)
    return call(f"escape {place.escape(states, path)}", node, [nodes.Const(path, lineno=node.lineno)])


def path_text(node: nodes.Node) -> str:
    """The path of an expression if it is a plain one, else words for it."""
    base, keys = flatten(node)
    literal = [str(key.value) for key in keys if isinstance(key, nodes.Const)]
    if isinstance(base, nodes.Name) and len(literal) == len(keys):
        return ".".join([base.name, *literal])
    if isinstance(base, nodes.Filter) and base.node is not None:
        return f"{path_text(base.node)} | {base.name}"
    return "an expression"


def flatten(node: nodes.Node) -> tuple[nodes.Node, list[nodes.Expr]]:
    """A chain of dots and brackets as its beginning and its keys."""
    keys: list[nodes.Expr] = []
    while isinstance(node, (nodes.Getattr, nodes.Getitem)):
        keys.append(
            nodes.Const(node.attr, lineno=node.lineno) if isinstance(node, nodes.Getattr) else node.arg
        )
        node = node.node
    return node, keys[::-1]


def call(name: str, node: nodes.Node, arguments: list[nodes.Expr]) -> nodes.Filter:
    """A call of one of our own functions: in Jinja's tree a filter, whose name no author can write."""
    filtered = cast(nodes.Expr, node)
    return nodes.Filter(filtered, OWN + name, arguments, [], None, None, lineno=node.lineno)
