"""The fields of a Block as plain values, to compare and to write them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prefect.blocks.core import Block

from leadpush_prefect.blocks.lenient import in_clear
from leadpush_prefect.definitions.definition import AnyBlock

__all__ = ["default_values", "field_values", "is_same", "stored_values"]


def field_values(block: Block) -> dict[str, Any]:
    """All fields of a Block in their order, secrets in clear.

    >>> from leadpush_prefect.blocks import Audience
    >>> field_values(Audience(path="customers.csv"))
    {'path': 'customers.csv', 'connector': '', 'query': '', 'id_column': '', 'subscribed': '', 'unsubscribed': ''}
    """
    values = {name: getattr(block, name) for name in type(block).model_fields}
    return {name: in_clear(value) for name, value in values.items()}


def default_values(kind: type[AnyBlock]) -> dict[str, Any]:
    """What the fields of a Block are where nothing is said."""
    return field_values(kind())


def stored_values(kind: type[AnyBlock], data: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a saved Block, secrets in clear: as they are used, and what cannot be used as it is saved.

    Args:
        kind: The Block's class.
        data: The document's data, secrets in clear.

    Example:
        >>> from leadpush_prefect.blocks import ApiEndpoint
        >>> values = stored_values(ApiEndpoint, {"timeout_seconds": "7", "max_attempts": "many"})
        >>> values["timeout_seconds"], values["max_attempts"]
        (7.0, 'many')
    """
    block = kind.model_validate(dict(data))
    values = field_values(block)
    unusable = {problem.field.split(".")[0] for problem in block._unusable}
    return {name: data[name] if name in unusable else value for name, value in values.items()}


def is_same(left: Any, right: Any) -> bool:
    """Whether two values are the same to a template: `1`, `1.0` and `true` are not. The order of keys is not
    looked at.

    >>> is_same({"a": 1, "b": [True]}, {"b": [True], "a": 1}), is_same(1, 1.0), is_same(1, True)
    (True, False, False)
    """
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(is_same(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(is_same, left, right))
    return _kind(left) is _kind(right) and bool(left == right)


def _kind(value: Any) -> type:
    return next(
        (kind for kind in (bool, int, float, str, dict, list) if isinstance(value, kind)), type(value)
    )
