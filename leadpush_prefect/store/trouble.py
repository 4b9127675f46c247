"""What an error of the database means: that it is away for a while, or something else. By its codes, never by its text,
which differs between versions and languages, and may hold what was to be written."""

from __future__ import annotations

import sqlite3
from typing import Any, NamedTuple

from sqlalchemy.exc import DBAPIError, PendingRollbackError
from sqlalchemy.exc import TimeoutError as PoolTimeout

__all__ = ["Trouble", "trouble_of"]


class Trouble(NamedTuple):
    """What is wrong with a database.

    Attributes:
        is_away: Whether it may be well again by itself, so that the same is worth another try.
        why: What is wrong, in words that hold nothing of the data.
        is_read_only: Whether only a new connection may find that it is no longer so.
        is_contention: Whether others write at the same time, which is mostly over in a moment.
    """

    is_away: bool
    why: str
    is_read_only: bool = False
    is_contention: bool = False


def trouble_of(error: BaseException) -> Trouble:
    """What an error of SQLAlchemy or of a driver means."""
    cause: Any = getattr(error, "orig", None) or error
    if isinstance(cause, sqlite3.Error):
        return _of_sqlite(cause)
    state = getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None)
    if state:
        return _of_sqlstate(cause, state)
    invalidated = isinstance(error, DBAPIError) and error.connection_invalidated
    if invalidated or type(cause).__name__ in _WITHOUT_CONNECTION:
        return Trouble(True, f"there is no connection to it ({type(cause).__name__})")
    if isinstance(error, (PoolTimeout, PendingRollbackError)):
        return Trouble(True, f"no connection to it is usable ({type(error).__name__})")
    return Trouble(False, f"the driver says {type(cause).__name__}")


_WITHOUT_CONNECTION = {"OperationalError", "InterfaceError", "ConnectionTimeout"}
"""Of psycopg and psycopg2 where no server has given a code: it could not be asked."""

_SQLITE = {
    sqlite3.SQLITE_BUSY: "it is locked by another program",
    sqlite3.SQLITE_LOCKED: "it is locked by another connection",
    sqlite3.SQLITE_PROTOCOL: "it is locked by another program",
    sqlite3.SQLITE_FULL: "its disk is full",
    sqlite3.SQLITE_IOERR: "its disk cannot be read or written",
    sqlite3.SQLITE_READONLY: "it is read-only",
    sqlite3.SQLITE_CANTOPEN: "its file cannot be opened",
}

_STATES = {
    "53100": "its disk is full",
    "53300": "it has too many connections",
    "25006": "it is read-only",
    "25P03": "it has ended a transaction that took too long",
    "25P04": "it has ended a transaction that took too long",
    "40001": "others write the same at once",
    "40P01": "others write the same at once",
    "55000": "it is not ready",
    "55P03": "it is locked by others",
    "57014": "it has broken off a statement that took too long",
    "58030": "its disk cannot be read or written",
}

_CONTENTION = {"40001", "40P01", "55P03"}

_CLASSES = {
    "08": "the connection to it is broken",
    "53": "it is short of memory or of connections",
    "57": "it is shutting down, or starting",
}


def _of_sqlite(cause: sqlite3.Error) -> Trouble:
    code: int = getattr(cause, "sqlite_errorcode", None) or 0  # the module's own errors have none
    why = _SQLITE.get(code & 0xFF)
    if why is None or code == sqlite3.SQLITE_READONLY_DBMOVED:
        return Trouble(False, f"SQLite says {getattr(cause, 'sqlite_errorname', type(cause).__name__)}")
    code &= 0xFF
    is_contention = code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
    return Trouble(True, f"{why} ({cause.sqlite_errorname})", code == sqlite3.SQLITE_READONLY, is_contention)


def _of_sqlstate(cause: BaseException, state: str) -> Trouble:
    why = _STATES.get(state) or _CLASSES.get(state[:2])
    if why is None:
        return Trouble(False, f"the driver says {type(cause).__name__} (SQLSTATE {state})")
    return Trouble(True, f"{why} (SQLSTATE {state})", state == "25006", state in _CONTENTION)
