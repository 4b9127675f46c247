"""Which parts of an answer are kept: what no later step reads need not lie in a database. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from leadpush_prefect.json_text import from_json, to_json

__all__ = ["Paths", "keep_paths", "kept"]

Paths = tuple[tuple[str, ...], ...]

_Tree = dict[str, "_Tree"]
"""The paths by their first name; a name under which nothing stands is kept whole."""


def keep_paths(keep: Iterable[str]) -> Paths:
    """The names of each path.

    Args:
        keep: Such as `plan` or `account.id`.

    Raises:
        TypeError: if it is one text, or holds what is none.
        ValueError: if a path has an empty name.

    >>> keep_paths(["plan", "account.id"])
    (('plan',), ('account', 'id'))
    """
    paths = [keep] if isinstance(keep, str) else list(keep)
    if isinstance(keep, str) or not all(isinstance(path, str) for path in paths):
        raise TypeError('keep is a list of paths, such as ["plan", "account.id"].')
    for path in paths:
        if not all(path.split(".")):
            raise ValueError(f"keep has the path {path!r}, and must name members, such as account.id.")
    return tuple(tuple(path.split(".")) for path in paths)


def kept(text: str, paths: Paths) -> str:
    """The JSON text of an object or array, with nothing but what the paths name, numbers as they were received.

    Of an array, each element is limited the same way, so that each keeps its place; where an element has nothing
    of it, null stands.

    Args:
        text: The answer.
        paths: As of `keep_paths`; none keeps all.

    >>> kept('{"plan": "pro", "total": 1.10, "email": "ana@example.com"}', keep_paths(["plan", "total"]))
    '{"plan":"pro","total":1.10}'
    >>> kept('{"orders": [{"id": 1, "to": "Ana"}, {"id": 2}]}', keep_paths(["orders.id"]))
    '{"orders":[{"id":1},{"id":2}]}'
    """
    return to_json(_limited(from_json(text), _tree(paths))) if paths else text


def _tree(paths: Sequence[Sequence[str]]) -> _Tree:
    tree: _Tree = {}
    for first in dict.fromkeys(path[0] for path in paths):
        below = [path[1:] for path in paths if path[0] == first]
        tree[first] = _tree(below) if all(below) else {}
    return tree


def _limited(value: Any, tree: _Tree) -> Any:
    if not tree:
        return value
    if isinstance(value, list):
        return [_limited(item, tree) for item in value]
    if not isinstance(value, Mapping):
        return None
    return {name: _limited(value[name], below) for name, below in tree.items() if name in value}
