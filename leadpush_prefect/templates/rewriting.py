"""How a template reads data, as a rewriting of Jinja's tree: keys only, nothing missing, all paid for."""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from typing import Any, cast
from unicodedata import normalize

from jinja2 import nodes
from jinja2.meta import TrackingCodeGenerator
from jinja2.visitor import NodeTransformer

from leadpush_prefect.templates.budget import CALL, made, spend, turns
from leadpush_prefect.templates.escaping import OWN, call, flatten, refuse
from leadpush_prefect.templates.places import ESCAPES
from leadpush_prefect.templates.sandbox import ENVIRONMENTS, GLOBALS, Generator
from leadpush_prefect.templates.values import Nothing, present, walk
from leadpush_prefect.text.json_text import to_text

__all__ = ["Path", "check", "read_by_keys"]

Path = tuple[str | int, ...]

_NO_TEMPLATES = (nodes.Import, nodes.FromImport, nodes.Include, nodes.Extends, nodes.Block)
_NOT_DATA = ("self", "super")
_DATA_METHODS = {"items": "| items", "keys": "| list", "values": "| items", "get": "a dot and the key"}


def check(tree: nodes.Template, roots: frozenset[str]) -> None:
    """Refuse what no template may do, with what to write instead."""
    for unsupported in tree.find_all(_NO_TEMPLATES):
        refuse(f"`{type(unsupported).__name__.lower()}` is not available: a template stands alone.")
    for _ in tree.find_all(nodes.ScopedEvalContextModifier):
        refuse("`autoescape` is not available: each value is escaped for its place.")
    for called in tree.find_all(nodes.Call):
        _check_call(called)
    for filter_ in tree.find_all(nodes.Filter):
        if filter_.name in ("safe", "forceescape"):
            refuse(f"`| {filter_.name}` is refused: each value is escaped for its place.")
    _check_names(tree, roots)


def _check_call(called: nodes.Call) -> None:
    match called.node:
        case nodes.Name() | nodes.Getattr(node=nodes.Name(name="loop"), attr="cycle" | "changed"):
            return
        case nodes.Getattr(attr=attr):
            use = _DATA_METHODS.get(attr, f"a filter, such as `| {attr}`")
            refuse(f"`.{attr}()` is a method, and data has keys only. Use {use}.")
        case _:
            refuse("Data cannot be called.")


def _check_names(tree: nodes.Template, roots: frozenset[str]) -> None:
    names = list(tree.find_all(nodes.Name))
    set_here = {name.name for name in names if name.ctx != "load"} | {
        m.name for m in tree.find_all(nodes.Macro)
    }
    for name in {name.name for name in names} | set_here:
        if name != normalize("NFKC", name):  # Python would take it for another name
            refuse(f"`{name}` is not written as Python reads it: write {normalize('NFKC', name)}.")
    for name in sorted(set_here & roots):
        refuse(f"`{name}` has a meaning already. Give what is set here a name of its own.")
    read = _undeclared(tree) | {name.name for name in names if name.name in _NOT_DATA}
    for name in sorted(read - roots - GLOBALS):
        near = get_close_matches(name, sorted(roots), n=1)
        hint = f" The nearest name is {near[0]}." if near else ""
        refuse(f"There is no `{name}` here; it can read {', '.join(sorted(roots))}.{hint}")


def _undeclared(tree: nodes.Template) -> set[str]:
    generator = _Undeclared(ENVIRONMENTS["error"])
    generator.optimizer = None
    generator.visit(tree)
    return generator.undeclared_identifiers


class _Undeclared(Generator, TrackingCodeGenerator):
    """Finds the names that a template reads and does not set; folds no constants, which has no bound."""


def read_by_keys(tree: nodes.Template) -> frozenset[Path]:
    """Rewrite the tree to read data by our rules; the paths that it reads, as far as they are literal."""
    reader = _Reader()
    reader.visit(tree)
    return frozenset(reader.found)


class _Reader(NodeTransformer):
    def __init__(self) -> None:
        self.found: set[Path] = set()

    def visit_Name(self, node: nodes.Name) -> nodes.Node:
        if node.ctx == "load":
            self.found.add((node.name,))
        return node

    def visit_Getattr(self, node: nodes.Getattr) -> nodes.Node:
        return self.chain(node)

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Node:
        return self.chain(node)

    def chain(self, node: nodes.Getattr | nodes.Getitem) -> nodes.Node:
        """A chain of dots becomes one walk over keys that knows its whole path."""
        base, keys = flatten(node)
        if any(isinstance(key, nodes.Slice) for key in keys):
            self.generic_visit(node)
            return call("made", node, [])
        shown = tuple(key.value if isinstance(key, nodes.Const) else "[...]" for key in keys)
        root = "the value"
        if isinstance(base, nodes.Name):
            root = base.name
            literal = [isinstance(key, nodes.Const) for key in keys]
            self.found.add((root, *shown[: [*literal, False].index(False)]))
        else:
            base = self.visit(base)
        keys = [key if isinstance(key, nodes.Const) else cast(nodes.Expr, self.visit(key)) for key in keys]
        arguments: list[nodes.Expr] = [nodes.Const(root), nodes.Tuple(keys, "load"), nodes.Const(shown)]
        for argument in arguments:
            argument.set_lineno(node.lineno)
        return call("walk", base, arguments)

    def visit_CondExpr(self, node: nodes.CondExpr) -> nodes.Node:
        if node.expr2 is None:
            node.expr2 = nodes.Const("", lineno=node.lineno)
        return self.generic_visit(node)

    def visit_Compare(self, node: nodes.Compare) -> nodes.Node:
        self.generic_visit(node)
        node.expr = call("compared", node.expr, [])
        for operand in node.ops:
            operand.expr = call("compared", operand.expr, [])
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:
        """`~` prints as JSON would."""
        self.generic_visit(node)
        node.nodes = [call("joined", part, []) for part in node.nodes]
        return node

    def visit_List(self, node: nodes.List) -> nodes.Node:
        self.generic_visit(node)
        node.items = [call("element", item, []) for item in node.items]
        return call("made", node, [])

    def visit_Tuple(self, node: nodes.Tuple) -> nodes.Node:
        self.generic_visit(node)
        if node.ctx != "load":
            return node
        node.items = [call("element", item, []) for item in node.items]
        return call("made", node, [])

    def visit_Dict(self, node: nodes.Dict) -> nodes.Node:
        self.generic_visit(node)
        for pair in node.items:
            pair.value = call("element", pair.value, [])
        return call("made", node, [])

    def visit_For(self, node: nodes.For) -> nodes.Node:
        cost = sum(_cost(inside) for inside in node.find_all(nodes.Node))
        self.generic_visit(node)
        node.iter = call("turns", node.iter, [nodes.Const(cost, lineno=node.lineno)])
        if node.recursive:  # whoever calls `loop`, under whatever name, pays for each turn
            loop = nodes.Name("loop", "load", lineno=node.lineno)
            turn = call("turn", loop, [nodes.Const(cost, lineno=node.lineno)])
            node.body.insert(0, nodes.ExprStmt(turn, lineno=node.lineno))
        return node


def _cost(node: nodes.Node) -> int:
    return CALL + (len(node.data) if isinstance(node, nodes.TemplateData) else 0)


def _element(value: object) -> object:
    """What stands in a list or an object: null for a missing value, where that is nothing."""
    return None if isinstance(present(value), Nothing) else value


def _compared(value: object) -> object:
    return made(present(value))


def _turn(_loop: object, cost: int) -> None:
    spend(cost)


def _paying(escape: Callable[[Any, str], str]) -> Callable[[Any, str], str]:
    """The escape; what is printed into a macro, a block or a loop is held there until its end, so it is paid
    for."""

    def escaped(value: Any, path: str) -> str:
        text = escape(value, path)
        spend(len(text))
        return text

    return escaped


def _joined(value: object) -> str:
    text = str(value) if isinstance(value, Nothing) else to_text(value)
    spend(len(text))
    return text


for _environment in ENVIRONMENTS.values():
    _environment.filters |= {f"{OWN}escape {name}": _paying(function) for name, function in ESCAPES.items()}
    _environment.filters |= {
        f"{OWN}made": made,
        f"{OWN}turns": turns,
        f"{OWN}turn": _turn,
        f"{OWN}element": _element,
        f"{OWN}compared": _compared,
        f"{OWN}joined": _joined,
    }
    _environment.filters[f"{OWN}walk"] = lambda value, root, keys, shown, missing=_environment.missing: walk(
        value, root, keys, missing, shown
    )
