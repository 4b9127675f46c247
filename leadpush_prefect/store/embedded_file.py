"""Whether an embedded database's file is still the one that was opened: SQLite goes on writing into one that was deleted,
and all of it is gone when the last connection closes."""

from __future__ import annotations

import os
from weakref import WeakKeyDictionary

from sqlalchemy import Engine

from leadpush_prefect.errors import StoreFailed

__all__ = ["is_another_file", "refuse_another_file", "remember_file"]

_opened: WeakKeyDictionary[Engine, tuple[int, int]] = WeakKeyDictionary()


def remember_file(database: Engine) -> None:
    """Note which file was opened."""
    if identity := _identity(database):
        _opened[database] = identity


def is_another_file(database: Engine) -> bool:
    """Whether the file was deleted, or another one is in its place."""
    opened = _opened.get(database)
    return opened is not None and _identity(database) not in (opened, None)


def refuse_another_file(database: Engine) -> None:
    """See that the file is the one that was opened.

    Raises:
        StoreFailed: if it was deleted, or another one is in its place.
    """
    if is_another_file(database):
        raise StoreFailed(
            f"The database {database.url.database} was deleted or replaced while it was in use: what was written since, "
            "and what was in it, is lost unless there is a copy. Put the copy there and run it again with the same run "
            "id, or with another one to begin anew."
        )


GONE = 0, 0


def _identity(database: Engine) -> tuple[int, int] | None:
    """Of the file that is there; None where that cannot be said."""
    try:
        found = os.stat(database.url.database or "")
    except FileNotFoundError:
        return GONE
    except OSError:  # a disk that does not answer may do so later
        return None
    return found.st_dev, found.st_ino
