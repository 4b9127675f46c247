"""Values as YAML that people review, and back: texts of several lines as block scalars, each text exactly as it was."""

from __future__ import annotations

import re
from collections.abc import Iterator
from math import inf
from typing import Any

import yaml

from leadpush_prefect.definitions.references import Reference

__all__ = ["from_yaml", "to_yaml"]

MAX_VALUES = 100_000
"""So many values a file may hold, those counted each time that an alias repeats them."""

# YAML 1.1, which is read here, takes these for text, and YAML 1.2, which many editors speak, for numbers.
_NUMBER_ELSEWHERE = re.compile(r"[-+]?(\d+|\d*\.\d+|\d+\.)([eE][-+]?\d+)?|0o[0-7]+|0x[0-9a-fA-F]+")


def to_yaml(value: Any) -> str:
    """The YAML text of JSON-like values and references, keys in their order.

    >>> print(to_yaml({"method": "POST", "body": 'Hi {{ name }},\\nbye', "query": {"id": "1e3"}}), end="")
    method: POST
    body: |-
      Hi {{ name }},
      bye
    query:
      id: '1e3'
    """
    text: str = yaml.dump(
        value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=inf, default_flow_style=False
    )
    return text


class _Dumper(yaml.SafeDumper):
    """A dumper of its own, so that nobody else's YAML changes."""

    def ignore_aliases(self, data: Any) -> bool:
        return True  # a value that stands twice is written twice


def _text(dumper: _Dumper, value: str) -> yaml.ScalarNode:
    style = None
    if value.splitlines() not in ([], [value]):
        style = "|" if _is_block(value) else '"'
    elif _NUMBER_ELSEWHERE.fullmatch(value):
        style = "'"
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


def _is_block(value: str) -> bool:
    """Whether a text of several lines reads well as a block scalar, and comes back from it as it was."""
    only_line_feeds = value.removesuffix("\n") == "\n".join(value.splitlines())
    return only_line_feeds and value.strip() != "" and not value.endswith("\n\n")


def _reference(dumper: _Dumper, reference: Reference) -> yaml.MappingNode:
    return dumper.represent_mapping("tag:yaml.org,2002:map", reference.as_data(), flow_style=True)


_Dumper.add_representer(str, _text)
_Dumper.add_representer(Reference, _reference)


def from_yaml(text: str) -> Any:
    """The value of a YAML text: of JSON's types only, and no key twice. A date is text.

    Raises:
        yaml.YAMLError: if it is not such a text.
        ValueError: if a number in it is none.
        RecursionError: if it is nested too deeply.

    >>> from_yaml("from: 2026-03-01")
    {'from': '2026-03-01'}
    """
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        _check(node, {})
        return loader.construct_document(node)
    finally:
        loader.dispose()


class _Loader(yaml.SafeLoader):
    """A loader of its own, so that nobody else's YAML changes."""

    yaml_implicit_resolvers = {  # noqa: RUF012
        first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":timestamp")]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


_TYPES = frozenset(
    f"tag:yaml.org,2002:{name}" for name in ("map", "seq", "str", "int", "float", "bool", "null", "merge")
)


def _check(node: yaml.Node, sizes: dict[int, int]) -> int:
    """How many values a node stands for, before they are made: an alias of an alias may stand for billions."""
    known = sizes.get(id(node))
    if known is not None:
        if not known:
            raise yaml.MarkedYAMLError(problem="an alias within itself", problem_mark=node.start_mark)
        return known
    if node.tag not in _TYPES:
        raise yaml.MarkedYAMLError(problem="a type that is not JSON's", problem_mark=node.start_mark)
    sizes[id(node)] = 0
    size = 1 + sum(_check(child, sizes) for child in _children(node))
    if size > MAX_VALUES:
        raise yaml.MarkedYAMLError(problem="more values than a file may hold", problem_mark=node.start_mark)
    sizes[id(node)] = size
    return size


def _children(node: yaml.Node) -> Iterator[yaml.Node]:
    if isinstance(node, yaml.SequenceNode):
        yield from node.value
    elif isinstance(node, yaml.MappingNode):
        seen = set()
        for key, value in node.value:
            name = key.tag, str(key.value)
            if name in seen:
                raise yaml.MarkedYAMLError(problem="a key that is there twice", problem_mark=key.start_mark)
            seen.add(name)
            yield from (key, value)
