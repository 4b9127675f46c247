"""From a template's text to Jinja's tree: line ends stay as written, JSON is read before templates are."""

from __future__ import annotations

import json
import re

from jinja2 import nodes
from jinja2.parser import Parser

from leadpush_prefect.errors import Reason
from leadpush_prefect.templates.escaping import escape_outputs, escaped, refuse_other_escapes
from leadpush_prefect.templates.places import JSON_LEAF, JSON_STRING
from leadpush_prefect.templates.sandbox import ENVIRONMENTS
from leadpush_prefect.templates.values import TemplateFailed

__all__ = ["parse", "parse_condition", "parse_json"]

MAX_DEPTH = 200
"""How deep a template may be nested: about what Python itself compiles."""

# Jinja's lexer folds CR LF into LF. So a CR is hidden from it as a character that it takes for a space
# between the words of an expression, and for text anywhere else.
_CR_STANDINS = [*"\x1c\x1d\x1e\x1f\x0b\x0c\x85\u2028\u2029", *map(chr, range(0x2000, 0x200B))]


def parse(source: str, missing: str) -> nodes.Template:
    """Jinja's tree, in which line ends stay as they were written."""
    environment = ENVIRONMENTS[missing]
    if "\r" not in source:
        return _flat_enough(environment.parse(source))
    standin = next((mark for mark in _CR_STANDINS if mark not in source), None)
    if standin is None:
        raise TemplateFailed(Reason.TEMPLATE_INVALID, "It holds CR and every other space of Unicode.")
    tree = _flat_enough(environment.parse(source.replace("\r", standin)))
    for data in tree.find_all(nodes.TemplateData):
        data.data = data.data.replace(standin, "\r")
    for const in tree.find_all(nodes.Const):
        if isinstance(const.value, str):
            const.value = const.value.replace(standin, "\r")
    return tree


def parse_condition(source: str) -> nodes.Template:
    """The tree of a template that prints one expression."""
    if "{{" in source or "{%" in source:
        raise TemplateFailed(
            Reason.TEMPLATE_INVALID,
            "A condition is an expression by itself: write it without {{ }} and {% %}.",
        )
    parser = Parser(ENVIRONMENTS["error"], source, state="variable")
    expression = parser.parse_expression()
    if not parser.stream.eos:
        raise TemplateFailed(Reason.TEMPLATE_INVALID, "There is more than one expression.")
    return _flat_enough(nodes.Template([nodes.Output([expression], lineno=1)], lineno=1))


def _flat_enough(tree: nodes.Template) -> nodes.Template:
    """The tree, if it is not deep: where Python's recursion limit is high, a deep one ends the process."""
    level: list[nodes.Node] = [tree]
    for _ in range(MAX_DEPTH):
        level = [child for node in level for child in node.iter_child_nodes()]
        if not level:
            return tree
    raise TemplateFailed(Reason.TEMPLATE_INVALID, f"It is nested more than {MAX_DEPTH} levels deep.")


_JSON_TOKEN = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"')
_COLON = re.compile(r"\s*:")


def parse_json(source: str, missing: str) -> nodes.Template:
    """One tree of a whole JSON text: its own characters as they stand, its strings as escaped templates."""
    body: list[nodes.Node] = []
    position = 0
    for token in _JSON_TOKEN.finditer(source):
        text = json.loads(token[0])
        if "{{" in text or "{%" in text or "{#" in text:
            body.append(_literal(source[position : token.start()]))
            body += _leaf(text, missing, is_key=_COLON.match(source, token.end()) is not None)
            position = token.end()
    body.append(_literal(source[position:]))
    return nodes.Template(body, lineno=1)


def _literal(text: str) -> nodes.Output:
    return nodes.Output([nodes.TemplateData(text, lineno=1)], lineno=1)


def _leaf(text: str, missing: str, *, is_key: bool) -> list[nodes.Node]:
    tree = parse(text, missing)
    match tree.body:
        case [nodes.Output(nodes=[expression])] if not (is_key or isinstance(expression, nodes.TemplateData)):
            alone = nodes.Output([escaped(expression, JSON_LEAF, frozenset({""}))], lineno=1)
            refuse_other_escapes(alone, JSON_LEAF)
            return [alone]
    escape_outputs(tree, JSON_STRING)
    return [_literal('"'), *tree.body, _literal('"')]
