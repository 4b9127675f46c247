"""Parts of a JSON value by their paths, and which of a response are kept: what no later step reads need not lie in a
database. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from leadpush_prefect.text.json_text import from_json, to_json

__all__ = ["Paths", "keep_paths", "kept", "value_at"]

Paths = tuple[tuple[str, ...], ...]


def value_at(value: Any, path: Iterable[str]) -> Any:
    """What stands at a path; None where there is nothing.

    >>> value_at({"orders": [{"id": 1}]}, ["orders", "0", "id"]), value_at({"orders": []}, ["orders", "0"])
    (1, None)
    """
    for name in path:
        if isinstance(value, dict):
            value = value.get(name)
        elif isinstance(value, list) and name.isdecimal() and int(name) < len(value):
            value = value[int(name)]
        else:
            return None
    return value


def keep_paths(keep: object) -> Paths:
    """The names of each path, in an order of their own: the same paths are the same step, however they are written.

    Args:
        keep: A list of paths, such as `plan` or `account.id`.

    Raises:
        TypeError: if it is no list, or holds what is no text.
        ValueError: if a path has an empty name, or one with a space around it.

    >>> keep_paths(["plan", "account.id"])
    (('account', 'id'), ('plan',))
    """
    # Nothing that is used up by being read: a second attempt would keep all of the response.
    if not isinstance(keep, (list, tuple, set, frozenset)):
        raise TypeError(f'keep is {keep!r:.80}, and must be a list of paths, such as ["plan", "account.id"].')
    for path in keep:
        if not isinstance(path, str):
            raise TypeError(f"keep has {path!r:.80}, and must have paths, such as account.id.")
        if not all(name and name == name.strip() for name in path.split(".")):
            raise ValueError(f"keep has the path {path!r:.80}, and must name members, such as account.id.")
    return tuple(sorted({tuple(path.split(".")) for path in keep}))


def kept(text: str, paths: Paths) -> str:
    """The JSON text of an object or array, with nothing but what the paths name, numbers as they were received.

    Of an array, each element is limited the same way, so that each keeps its place; where an element has nothing
    of it, null stands. A number names one element, as in a template, or a member of that name.

    Args:
        text: The response.
        paths: As of `keep_paths`; none keeps all.

    >>> kept('{"plan": "pro", "total": 1.10, "email": "ana@example.com"}', keep_paths(["plan", "total"]))
    '{"plan":"pro","total":1.10}'
    >>> kept('{"orders": [{"id": 1, "to": "Ana"}, {"id": 2}]}', keep_paths(["orders.id"]))
    '{"orders":[{"id":1},{"id":2}]}'
    >>> kept('{"orders": [[1, 2], [3, 4], 5]}', keep_paths(["orders.0"]))
    '{"orders":[[1,2],null,null]}'
    """
    return to_json(_limited(from_json(text), paths)) if paths else text


def _limited(value: Any, paths: Paths) -> Any:
    if () in paths:
        return value
    if not paths:
        return None
    if isinstance(value, list):
        if not any(name.isdecimal() for name in _below(paths)):
            return [_limited(item, paths) for item in value]
        return [_limited(item, _of_element(paths, at, item)) for at, item in enumerate(value)]
    if not isinstance(value, dict):
        return None
    return {name: _limited(value[name], below) for name, below in _below(paths).items() if name in value}


@lru_cache(maxsize=256)  # it is asked for each object of each response
def _below(paths: Paths) -> dict[str, Paths]:
    """What is kept under each name."""
    names = dict.fromkeys(path[0] for path in paths)
    return {name: tuple(path[1:] for path in paths if path[0] == name) for name in names}


def _of_element(paths: Paths, at: int, element: Any) -> Paths:
    named = tuple(path for path in paths if isinstance(element, dict) or not path[0].isdecimal())
    return (*named, *_below(paths).get(str(at), ()))
