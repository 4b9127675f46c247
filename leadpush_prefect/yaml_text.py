"""Values as YAML that people review: texts of several lines as block scalars, and each text exactly as it was."""

from __future__ import annotations

import re
from math import inf
from typing import Any

import yaml

from leadpush_prefect.references import Reference

__all__ = ["to_yaml"]

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
