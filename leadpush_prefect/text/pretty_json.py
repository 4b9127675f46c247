"""JSON text for a person: indented, secrets masked, every digit as it was received."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

__all__ = ["masked_json", "pretty_json"]

_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\],:]|[^\s{}\[\],:"]+')

MOST_INDENTED = 40
"""Levels from which on nothing is indented further: else a small text, deeply nested, would become a huge one."""


def pretty_json(text: str, mask: Callable[[str], str]) -> str:
    """JSON text, indented by two spaces, and still JSON where something in it is masked.

    It goes by the text, not by its values: no number is rewritten, and no nesting is too deep.

    Args:
        text: JSON text (RFC 8259); it is not checked again.
        mask: Masks what must not be shown in a string, or in a number.

    >>> print(pretty_json('{"price":1.10,"keys":["s3cr3t",{}]}', lambda text: text.replace("s3cr3t", "***")))
    {
      "price": 1.10,
      "keys": [
        "***",
        {}
      ]
    }
    """
    parts: list[str] = []
    depth, is_opened = 0, False
    for token in _TOKEN.findall(text):
        if token in ("}", "]"):
            depth -= 1
            parts.append(token if is_opened else _line(depth) + token)
            is_opened = False
            continue
        if is_opened:
            parts.append(_line(depth))
        is_opened = token in ("{", "[")
        depth += is_opened
        match token:
            case "{" | "[":
                parts.append(token)
            case ",":
                parts.append("," + _line(depth))
            case ":":
                parts.append(": ")
            case _:
                parts.append(_masked(token, mask))
    return "".join(parts)


def masked_json(text: str, mask: Callable[[str], str]) -> str:
    """JSON text with its strings and numbers masked, and nothing else of it changed.

    >>> masked_json('{"price": 1.10, "key": "s3cr3t"}', lambda text: text.replace("s3cr3t", "***"))
    '{"price": 1.10, "key": "***"}'
    """
    return _TOKEN.sub(lambda token: _masked(token[0], mask), text)


def _line(depth: int) -> str:
    return "\n" + "  " * min(depth, MOST_INDENTED)


def _masked(token: str, mask: Callable[[str], str]) -> str:
    """A string, number or word: as it was received, unless something in it is masked."""
    value = json.loads(token) if token.startswith('"') else token
    masked = mask(value)
    if masked == value and mask(token) == token:
        return token
    return json.dumps(masked, ensure_ascii=False)
