"""References in definition files: where a value comes from that does not stand in the file.

`{env: NAME}` is a variable of the environment, anywhere in a file; `{secret: BLOCK}` is a Prefect Secret Block by
its name, under `secrets:`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

__all__ = ["SECRETS", "Keys", "Reference", "references", "replaced"]

SECRETS = "secrets"
"""The field whose values never stand in a file."""

Keys = tuple[str, ...]
"""Where a value stands: the field, and the keys below it, such as `("secrets", "api_key")`."""


@dataclass(frozen=True, slots=True)
class Reference:
    """Where a value comes from.

    Attributes:
        source: `env` for the environment, `secret` for a Prefect Secret Block.
        name: The variable's or the Block's name.

    Example:
        >>> print(Reference("env", "API_KEY"))
        {env: API_KEY}
    """

    source: Literal["env", "secret"]
    name: str

    def __str__(self) -> str:
        return f"{{{self.source}: {self.name}}}"

    def as_data(self) -> dict[str, str]:
        """As it stands in a file."""
        return {self.source: self.name}


def _reference(value: Any, keys: Keys) -> Reference | None:
    match value:
        case {"env": str(name), **others} if not others:
            return Reference("env", name)
        case {"secret": str(name), **others} if not others and keys[:1] == (SECRETS,):
            return Reference("secret", name)
    return None


def references(value: Any, keys: Keys = ()) -> Iterator[tuple[Keys, Reference]]:
    """All references in the fields of a file, each with where it stands.

    >>> list(references({"secrets": {"api_key": {"env": "KEY"}}}))
    [(('secrets', 'api_key'), Reference(source='env', name='KEY'))]
    """
    found = _reference(value, keys) if keys else None
    if found:
        yield keys, found
        return
    for key, item in _items(value):
        yield from references(item, (*keys, str(key)))


def replaced(value: Any, value_of: Callable[[Keys, Reference], Any], keys: Keys = ()) -> Any:
    """The fields of a file, with a value in the place of each reference.

    >>> replaced({"url": {"env": "API"}, "max_attempts": 2}, lambda keys, reference: f"of {reference.name}")
    {'url': 'of API', 'max_attempts': 2}
    """
    found = _reference(value, keys) if keys else None
    if found:
        return value_of(keys, found)
    if isinstance(value, dict):
        return {key: replaced(item, value_of, (*keys, str(key))) for key, item in value.items()}
    if isinstance(value, list):
        return [replaced(item, value_of, (*keys, str(index))) for index, item in enumerate(value)]
    return value


def _items(value: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(value, dict):
        yield from value.items()
    elif isinstance(value, list):
        yield from enumerate(value)
