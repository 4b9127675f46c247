"""How a template reads data: keys only, and a missing path may be walked but not used.

In Jinja `{{ offer.items }}` is a method of dict, and `{{ offer.items.0.name }}` fails. Here a dot is a key of an object
or an index of a list, and no Python attribute can be reached, which also shuts most of a sandbox's doors.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from jinja2 import Undefined
from jinja2.runtime import LoopContext
from jinja2.runtime import missing as _unset
from jinja2.utils import Namespace, internalcode

from leadpush_prefect.errors import Reason

__all__ = ["Missing", "Nothing", "TemplateFailed", "ValueMissing", "lookup", "present", "walk"]

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
        obj: Any = _unset,
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
        near = get_close_matches(name, [str(key) for key in self._names], n=1)
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

    __iter__ = __str__ = __len__ = __bool__ = __hash__ = __eq__ = __ne__ = __contains__ = _use  # type: ignore[assignment]


def lookup(value: Any, key: Any, path: str, missing: type[Nothing]) -> Any:
    """The value under a key of an object, an index of a list or text, or what stands for a missing one."""
    kind = type(value)
    if kind is dict or isinstance(value, Mapping):
        found = value.get(str(key) if type(key) is int else key, _unset)
        return missing(path=path, names=value) if found is _unset else found
    if kind is list or kind is tuple or kind is str:
        return _element(value, key, path, missing)
    if isinstance(value, Nothing):
        return value  # the first name that is not there is the one to report
    if (kind is LoopContext and key in _LOOP_KEYS) or (kind is Namespace and not str(key).startswith("_")):
        return getattr(value, key, missing(path=path))
    return missing(path=path)


def _element(value: Any, key: Any, path: str, missing: type[Nothing]) -> Any:
    if isinstance(key, slice):
        return value[key]
    try:
        return value[int(key)]
    except (ValueError, TypeError, IndexError):
        return missing(path=path, names=())


def walk(value: Any, root: str, keys: Iterable[Any], missing: type[Nothing]) -> Any:
    """The value at the end of a path: `walk(workflow, "workflow", ("profile", "tags", 0), Missing)`."""
    path = root
    for key in keys:
        path = f"{path}.{key}"
        value = lookup(value, key, path, missing)
    return value


def present(value: Any) -> Any:
    """The value itself.

    Raises:
        ValueMissing: if it stands for a missing one that may not be used.
    """
    if isinstance(value, Missing):
        value.raise_missing()
    return value
