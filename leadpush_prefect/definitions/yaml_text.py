"""Values as YAML that people review, and back: texts of several lines as block scalars, each text exactly as it was."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from io import StringIO
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.resolver import BaseResolver
from ruamel.yaml.scalarstring import (
    DoubleQuotedScalarString,
    LiteralScalarString,
    PlainScalarString,
    SingleQuotedScalarString,
)

from leadpush_prefect.definitions.references import Reference

__all__ = ["InvalidYaml", "as_written", "from_yaml", "styled", "to_yaml", "written_by"]

MAX_VALUES = 100_000
"""So many values a file may hold, those counted each time that an alias repeats them."""


class InvalidYaml(ValueError):
    """A text is not YAML, or not of the kind that is read here.

    Attributes:
        line: The line, from 1; None where it is not known.
        why: What is not allowed in it; empty where it is no YAML at all.
    """

    def __init__(self, line: int | None = None, why: str = "") -> None:
        super().__init__(line, why)
        self.line = line
        self.why = why


_TAG = "tag:yaml.org,2002:"

# What a word without quotes is in YAML 1.1, which is read here; but a date stays text.
_WORDS = {
    "bool": r"yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF",
    "float": r"[-+]?[0-9][0-9_]*\.[0-9_]*([eE][-+][0-9]+)?|\.[0-9][0-9_]*([eE][-+][0-9]+)?"
    r"|[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+\.[0-9_]*|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
    "int": r"[-+]?0b[0-1_]+|[-+]?0[0-7_]+|[-+]?(0|[1-9][0-9_]*)|[-+]?0x[0-9a-fA-F_]+"
    r"|[-+]?[1-9][0-9_]*(:[0-5]?[0-9])+",
    "null": r"~|null|Null|NULL|",
    "merge": "<<",
    "value": "=",
}
_PATTERNS = [(_TAG + name, re.compile(rf"(?:{words})\Z")) for name, words in _WORDS.items()]

# It takes these for text, and others for a date, or, as many editors with their YAML 1.2, for a number.
_OTHERS_WORDS = re.compile(
    r"[-+]?(\d+|\d*\.\d+|\d+\.)([eE][-+]?\d+)?|0o[0-7]+|0x[0-9a-fA-F]+|\d{4}-\d\d?-\d\d?.*"
)

_ALLOWED = {_TAG + name for name in ("map", "seq", "str", "bool", "int", "float", "null", "merge")}


class _Version11(BaseResolver):
    """Takes words for what they are in YAML 1.1."""

    yaml_implicit_resolvers = {None: _PATTERNS}  # noqa: RUF012
    processing_version = (1, 1)

    def __init__(self, version: Any = None, loader: Any = None, loadumper: Any = None) -> None:
        super().__init__(loader or loadumper)


class _AsWritten(_Version11):
    """Takes each word for text, so that it is written again as it was: `yes`, `0x1f`, `~`. Nothing stays nothing."""

    yaml_implicit_resolvers = {"": [(f"{_TAG}null", re.compile(r"\Z"))]}  # noqa: RUF012


def from_yaml(text: str) -> Any:
    """Read the value of a YAML text: of JSON's types only, and no key twice. A date is text.

    Raises:
        InvalidYaml: if it is not such a text.

    >>> from_yaml("from: 2026-03-01")
    {'from': '2026-03-01'}
    """
    yaml = YAML(typ="safe", pure=True)
    yaml.Resolver = _Version11
    yaml.composer.warn_double_anchors = False
    try:
        node = yaml.compose(text)
        if node is None:
            return None
        _check(node, {})
        return yaml.constructor.construct_document(node)
    except InvalidYaml:
        raise
    except MarkedYAMLError as error:
        raise InvalidYaml(error.problem_mark.line + 1 if error.problem_mark else None) from None
    except (YAMLError, ValueError, KeyError, IndexError, RecursionError):  # a number that is none, and such
        raise InvalidYaml from None


def _check(node: Node, sizes: dict[int, int]) -> int:
    """How many values a node stands for, before they are made: an alias of an alias may stand for billions."""
    known = sizes.get(id(node))
    if known is not None:
        if not known:
            raise _refused(node, "an alias within itself")
        return known
    if node.tag not in _ALLOWED:
        raise _refused(node, "a type that is not JSON's")
    sizes[id(node)] = 0
    size = 1 + sum(_check(child, sizes) for child in _children(node))
    if size > MAX_VALUES:
        raise _refused(node, "more values than a file may hold")
    sizes[id(node)] = size
    return size


def _children(node: Node) -> Iterator[Node]:
    if isinstance(node, SequenceNode):
        yield from node.value
    elif isinstance(node, MappingNode):
        seen = set()
        for key, value in node.value:
            if not isinstance(key, ScalarNode):
                raise _refused(key, "a key of several values")
            name = key.tag, str(key.value)
            if name in seen:
                raise _refused(key, "a key that is there twice")
            seen.add(name)
            yield from (key, value)


def _refused(node: Node, why: str) -> InvalidYaml:
    return InvalidYaml(node.start_mark.line + 1, why)


def to_yaml(value: Any) -> str:
    """Write JSON-like values and references as YAML text, keys in their order.

    >>> print(to_yaml({"method": "POST", "body": 'Hi {{ name }},\\nbye', "query": {"id": "1e3"}}), end="")
    method: POST
    body: |-
      Hi {{ name }},
      bye
    query:
      id: '1e3'
    """
    return written_by(as_written(), styled(value))


def as_written() -> YAML:
    """Make what reads and writes YAML and keeps all of it: comments, order and quotes."""
    yaml = YAML(typ="rt", pure=True)
    yaml.Resolver = _AsWritten
    yaml.preserve_quotes = True
    yaml.width = sys.maxsize
    yaml.composer.warn_double_anchors = False
    return yaml


def written_by(yaml: YAML, document: Any) -> str:
    """The text of a document."""
    out = StringIO()
    yaml.dump(document, out)
    return out.getvalue()


def styled(value: Any) -> Any:
    """A value as it is to be written: each text in the style in which it reads well, and comes back as it was."""
    if isinstance(value, Reference):
        reference = CommentedMap({_text(key): _text(name) for key, name in value.as_data().items()})
        reference.fa.set_flow_style()
        return reference
    if isinstance(value, dict):
        return CommentedMap({_text(str(key), is_key=True): styled(item) for key, item in value.items()})
    if isinstance(value, list):
        return CommentedSeq(map(styled, value))
    return _text(value) if isinstance(value, str) else PlainScalarString(_word(value))


def _word(value: float | bool | None) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    text = repr(value)
    return (
        text.replace("e", ".0e") if "e" in text and "." not in text else text
    )  # in YAML 1.1 it is text else


def _text(value: str, *, is_key: bool = False) -> Any:
    if value.splitlines() not in ([], [value]):
        literal = not is_key and _is_block(value)
        return LiteralScalarString(value) if literal else DoubleQuotedScalarString(value)
    is_a_word = any(pattern.match(value) for _, pattern in _PATTERNS)
    if is_a_word or _OTHERS_WORDS.fullmatch(value):
        return SingleQuotedScalarString(value)
    return value


# What no block scalar may hold, or gives back otherwise: what is not printed, and spaces that end a line.
_UNFIT_FOR_BLOCK = re.compile(
    "[^\n\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]| (\n|\\Z)|\n\n\\Z"
)


def _is_block(value: str) -> bool:
    """Whether a text of several lines reads well as a block scalar, and comes back from it as it was."""
    return value.strip() != "" and not _UNFIT_FOR_BLOCK.search(value)
