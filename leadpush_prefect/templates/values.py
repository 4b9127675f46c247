"""How a template reads data: keys only, and a missing path may be walked but not used.

In Jinja `{{ offer.items }}` is a method of dict, and `{{ offer.items.0.name }}` fails. Here a dot is a key of
an object or an index of a list, and no Python attribute can be reached, which also shuts most of a sandbox's
doors.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from itertools import islice
from types import MappingProxyType
from typing import Any

from jinja2 import Undefined, runtime
from jinja2.runtime import LoopContext
from jinja2.utils import Namespace, internalcode

from leadpush_prefect.errors import Reason

UNSET: Any = runtime.missing  # type: ignore[attr-defined]
"""What stands for no value in Jinja, and here."""

__all__ = ["UNSET", "Missing", "Nothing", "TemplateFailed", "ValueMissing", "find", "present", "walk"]

MAX_NAMES, MAX_NAME = 500, 100
"""Among how many names, and for how long a one, the nearest is looked for: it takes time for each."""

_LOOP_KEYS = frozenset(
    "index index0 revindex revindex0 first last length depth depth0 previtem nextitem cycle changed".split()
)


class TemplateFailed(Exception):
    """A template cannot be compiled, or not be rendered for this context.

    Args:
        reason: `template_missing`, `template_invalid`, `template_too_large` or `condition_missing`.
        message: What is wrong, without any value.
        field: The template's field, such as `url` or `headers.X-Plan`.
    """

    def __init__(self, reason: Reason, message: str, field: str = "") -> None:
        super().__init__(reason, message, field)
        self.reason = reason
        self.message = message
        self.field = field


class ValueMissing(Exception):
    """A value that is not there was used; the message names the path and the nearest name."""


class Nothing(Undefined):
    """A missing value that renders as nothing (`missing_variables="empty"`)."""

    __slots__ = ("_names", "_path")

    def __init__(
        self,
        hint: str | None = None,
        obj: Any = UNSET,
        name: str | None = None,
        exc: type[Exception] = ValueMissing,
        path: str = "",
        names: Iterable[Any] = (),
    ) -> None:
        super().__init__(hint, obj, name, ValueMissing)  # type: ignore[arg-type]
        self._path = path or name or "a value"
        self._names = names

    @property
    def _undefined_message(self) -> str:
        parent, _, name = self._path.rpartition(".")
        names = [str(key) for key in islice(self._names, MAX_NAMES)] if len(name) <= MAX_NAME else []
        near = get_close_matches(name, names, n=1)
        if not near:
            return f"{self._path} is not there."
        return f"{self._path} is not there; the nearest name is {parent + '.' if parent else ''}{near[0]}."

    def raise_missing(self) -> None:
        """Say which path is missing."""
        raise ValueMissing(self._undefined_message)


class Missing(Nothing):
    """A missing value: it may be walked further, asked for `is defined` and given a default, but not used."""

    __slots__ = ()

    @internalcode
    def _use(self, *args: Any, **kwargs: Any) -> Any:
        raise ValueMissing(self._undefined_message)

    __iter__ = __str__ = __len__ = __bool__ = __hash__ = __eq__ = __ne__ = __contains__ = _use


_OBJECTS = frozenset({dict, MappingProxyType})
_LISTS = frozenset({list, tuple, str})


def find(value: Any, key: Any) -> Any:
    """The value under a key of an object, or an index of a list or text; `UNSET` if it is not there."""
    kind = type(value)
    if kind in _OBJECTS or isinstance(value, Mapping):
        return value.get(str(key) if type(key) is int else key, UNSET)
    if kind in _LISTS:
        return _element(value, key)
    if kind is LoopContext:
        return getattr(value, key, UNSET) if key in _LOOP_KEYS else UNSET
    if kind is Namespace:
        return UNSET if str(key).startswith("_") else getattr(value, key, UNSET)
    if isinstance(value, tuple):  # a group of `groupby` has names for its two elements
        return getattr(value, key) if key in getattr(value, "_fields", ()) else _element(value, key)
    return UNSET


def _element(value: Any, key: Any) -> Any:
    try:
        return value[int(key)]
    except (ValueError, TypeError, IndexError):
        return UNSET


def walk(
    value: Any, root: str, keys: Sequence[Any], missing: type[Nothing], shown: Sequence[Any] | None = None
) -> Any:
    """The value at the end of a path, or what stands for the first that is not there.

    Args:
        value: What is under the first name.
        root: The first name.
        keys: What comes after it: `("profile", "tags", 0)`.
        missing: What stands for a missing value.
        shown: The keys as a message may show them; none of them may be a value of the contact.
    """
    for depth, key in enumerate(keys, 1):
        parent = value
        value = find(parent, key)
        if value is UNSET:
            if isinstance(parent, Nothing):
                return parent  # the first name that is not there is the one to report
            path = ".".join((root, *map(str, (shown or keys)[:depth])))
            return missing(path=path, names=parent if isinstance(parent, Mapping) else ())
    return value


def present(value: Any) -> Any:
    """The value itself.

    Raises:
        ValueMissing: if it stands for a missing one that may not be used.
    """
    if isinstance(value, Missing):
        value.raise_missing()
    return value
