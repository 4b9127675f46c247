"""The database on its URL, its transactions, and the little that differs between SQLite and
PostgreSQL.

Readers and writers say which they are, `reading(database)` and `writing(database)`: on SQLite a transaction that
reads before it writes fails with "database is locked", whatever the timeout, unless it began as a writer.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from contextvars import ContextVar
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

from sqlalchemy import (
    URL,
    Connection,
    Engine,
    ExceptionContext,
    create_engine,
    event,
    func,
    inspect,
    make_url,
    select,
    text,
)
from sqlalchemy.exc import ArgumentError, InterfaceError, OperationalError

from leadpush_prefect.errors import LeadpushError
from leadpush_prefect.store.embedded_file import is_another_file, remember_file
from leadpush_prefect.store.schema import SCHEMA_VERSION, schema
from leadpush_prefect.store.trouble import trouble_of
from leadpush_prefect.system.fork_safe import ForkSafeLock
from leadpush_prefect.system.sql_privacy import QUIET

__all__ = [
    "clock",
    "database_name",
    "open_database",
    "reading",
    "trying_once",
    "works_in_process",
    "writing",
    "writing_on",
]

BUSY_SECONDS = 30.0
"""So long a writer waits for another one on SQLite."""

TRY_SECONDS = 1.0
"""So much of it in one go: SQLite hears of no Ctrl-C meanwhile."""

CONNECTION_FACTS = {
    "connect_timeout": 10,
    "tcp_user_timeout": 30_000,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 4,
}
"""For libpq: a server that is gone without a word is known to be so after half a minute, not after 15 minutes."""


SCHEMA_LOCK = 0x6C656164  # "lead": any number that nobody else locks in the same database


_WRITES, _DURABLE = "leadpush_writes", "leadpush_durable"


_engines: dict[tuple[int, URL, str], Engine] = {}


_lock = ForkSafeLock()


def open_database(url: str | URL, connect_args: Mapping[str, object] = {}) -> Engine:
    """Open a database of this process, with its tables made.

    On SQLite the file, and its folder if there is none, are made for their owner alone.

    Args:
        url: SQLite with a file, or PostgreSQL, with a synchronous driver.
        connect_args: For the driver's `connect`, as in `SqlAlchemyConnector`.

    Raises:
        LeadpushError: if the database cannot be reached or used here, or was written by a newer version of this
            package.
        OSError: if the SQLite file cannot be made.
    """
    address = _address(url)
    # The process id is part of the key: a connection must not be used on both sides of a fork.
    arguments = sha256(repr(sorted(connect_args.items())).encode()).hexdigest()  # they may hold a password
    key = os.getpid(), address, arguments
    with _lock:
        if key in _engines and is_another_file(_engines[key]):
            _engines.pop(key).dispose()
        if key not in _engines:
            _engines[key] = _prepared(address, connect_args)
        return _engines[key]


def works_in_process(database: Engine) -> bool:
    """Whether the database's work is done in this process, and none is waited for."""
    return database.dialect.name == "sqlite"


@contextmanager
def reading(database: Engine) -> Iterator[Connection]:
    """A transaction that only reads; on SQLite it waits for nobody, and nobody for it."""
    with database.connect() as connection, connection.begin():
        yield connection


@contextmanager
def writing(database: Engine, *, durable: bool = False) -> Iterator[Connection]:
    """A transaction that writes, committed at the end, rolled back by an exception.

    Args:
        database: The database.
        durable: Whether not even a power cut undoes it, once committed: SQLite has it on the disk then. PostgreSQL has it
            there in any case, unless its `synchronous_commit` is off.
    """
    options = {_WRITES: True, _DURABLE: durable}
    with database.connect().execution_options(**options) as connection, connection.begin():
        yield connection


@contextmanager
def writing_on(connection: Connection) -> Iterator[None]:
    """The same on a connection that is open already, for what only it can see."""
    with connection.execution_options(**{_WRITES: True}).begin():
        yield


_once: ContextVar[bool] = ContextVar("leadpush_try_once", default=False)


@contextmanager
def trying_once() -> Iterator[None]:
    """A writer does not wait for others for long: whoever calls it tries again, or can do without."""
    token = _once.set(True)
    try:
        yield
    finally:
        _once.reset(token)


def database_name(address: URL) -> str:
    """What to call a database in a message: without its user and password."""
    return " at ".join(part for part in (address.database, address.host) if part)


def clock(connection: Connection) -> int:
    """The time in seconds by the database's clock: executions may be on machines whose clocks differ."""
    sqlite, postgresql = "SELECT unixepoch('now')", "SELECT CAST(extract(epoch FROM now()) AS BIGINT)"
    return int(connection.scalar(text(sqlite if connection.dialect.name == "sqlite" else postgresql)) or 0)


def _address(url: str | URL) -> URL:
    try:
        address = make_url(url)
    except ArgumentError:  # its text holds the URL, and so perhaps a password
        raise LeadpushError("The database's URL is not one, such as sqlite:////data/outputs.db.") from None
    if address.get_backend_name() != "sqlite":
        return address
    path = address.database or ""
    if path in ("", ":memory:") or path.startswith("file:"):
        raise LeadpushError(
            "The store needs a file: sqlite:////data/outputs.db. A database in memory has one owner."
        )
    return address.set(database=os.path.abspath(path))


def _prepared(address: URL, connect_args: Mapping[str, object]) -> Engine:
    database = _engine(address, connect_args)
    try:
        _prepare(database)
        if database.dialect.name == "sqlite":
            remember_file(database)
        return database
    except (InterfaceError, OperationalError, sqlite3.DatabaseError) as error:
        # One of the driver itself says that the file is none of SQLite.
        database.dispose()
        said = str(getattr(error, "orig", error)).strip().splitlines()
        why = (said or [type(error).__name__])[0].rstrip(".")
    except BaseException:
        database.dispose()
        raise
    # Raised here, so that no error of the driver comes along, whose frames hold the password.
    raise LeadpushError(f"The database {database_name(address)} cannot be used: {why}.")


def _engine(address: URL, connect_args: Mapping[str, object]) -> Engine:
    match address.get_backend_name():
        case "sqlite":
            return _sqlite_engine(address, connect_args)
        case "postgresql":
            arguments = _of_connection(address) | dict(connect_args)
            return _refuse_async(_create(address, arguments, pool_pre_ping=True))
    raise LeadpushError(f"The store works on SQLite and PostgreSQL, not on {address.get_backend_name()}.")


def _of_connection(address: URL) -> dict[str, object]:
    """For the driver's `connect`, where it is libpq's: what the URL does not say itself."""
    if address.get_driver_name() not in ("psycopg", "psycopg2"):
        return {}
    return {name: value for name, value in CONNECTION_FACTS.items() if name not in address.query}


def _create(address: URL, connect_args: Mapping[str, object], **options: Any) -> Engine:
    try:
        database = create_engine(address, connect_args=dict(connect_args), **QUIET, **options)
    except ImportError as error:
        raise LeadpushError(f"The driver {error.name} of {address.drivername} is not installed.") from error
    event.listen(database, "handle_error", _leave_read_only)
    return database


def _leave_read_only(context: ExceptionContext) -> None:
    """A connection that can only read stays so, whatever becomes of the disk, or which server is the primary."""
    if trouble_of(context.original_exception).is_read_only:
        context.is_disconnect = True


def _refuse_async(database: Engine) -> Engine:
    if database.dialect.is_async:
        raise LeadpushError(f"The store needs a synchronous driver, which {database.url.drivername} is not.")
    return database


def _sqlite_engine(address: URL, connect_args: Mapping[str, object]) -> Engine:
    seconds: Any = connect_args.get("timeout", BUSY_SECONDS)
    in_one_go = {"timeout": min(seconds, TRY_SECONDS), "isolation_level": None}
    arguments = {"check_same_thread": False, **connect_args, **in_one_go}
    database = _refuse_async(_create(address, arguments, max_overflow=-1))
    event.listen(database, "connect", _set_pragmas)
    event.listen(database, "begin", partial(_begin, seconds))
    return database


def _set_pragmas(connection: Any, _record: object) -> None:
    with closing(connection.cursor()) as cursor:
        # A view or trigger that somebody else has put there calls nothing with side effects.
        cursor.execute("PRAGMA trusted_schema=OFF")
        cursor.execute("PRAGMA synchronous=NORMAL")  # in WAL mode: no corruption, and no fsync per commit


def _begin(seconds: float, connection: Connection) -> None:
    # isolation_level=None: the driver leaves BEGIN to us.
    options = connection.get_execution_options()
    _set_synchronous(connection, "FULL" if options.get(_DURABLE, False) else "NORMAL")
    if options.get(_WRITES, False):
        _begin_writing(connection, 0 if _once.get() else seconds)
    else:
        connection.exec_driver_sql("BEGIN")


def _set_synchronous(connection: Connection, wanted: str) -> None:
    if connection.info.get("synchronous", "NORMAL") != wanted:
        connection.exec_driver_sql(f"PRAGMA synchronous={wanted}")
        connection.info["synchronous"] = wanted


def _begin_writing(connection: Connection, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            return
        except OperationalError as error:
            if not _is_locked(error.orig) or time.monotonic() >= deadline:
                raise


def _is_locked(error: BaseException | None) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY


def _prepare(database: Engine) -> None:
    if database.dialect.name == "sqlite":
        _make_file(Path(database.url.database or ""))
        _use_wal(database)
    with reading(database) as connection:
        version = _version(connection)
    if version < SCHEMA_VERSION:
        version = _upgrade(database)
    if version > SCHEMA_VERSION:
        raise LeadpushError(
            f"The database was written by a newer leadpush-prefect (its tables are version {version}, this "
            f"one knows {SCHEMA_VERSION}). Upgrade leadpush-prefect here."
        )


def _make_file(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Never open and close a database that exists: that drops the locks which this process holds on it.
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))


def _use_wal(database: Engine) -> None:
    # SQLite does not wait for its busy timeout when two connections switch the mode of a new file at once.
    deadline = time.monotonic() + BUSY_SECONDS
    while not _try_wal(database):
        if time.monotonic() > deadline:
            raise LeadpushError(f"The database {database.url.database} is locked by another program.")
        time.sleep(0.02)


def _try_wal(database: Engine) -> bool:
    with closing(database.raw_connection()) as connection, closing(connection.cursor()) as cursor:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error):
                raise
            return False
    return True


def _version(connection: Connection) -> int:
    """The version of the tables; 0 where there are none."""
    if not inspect(connection).has_table(schema.name):
        return 0
    return connection.scalar(select(func.max(schema.c.version))) or 0


def _upgrade(database: Engine) -> int:
    """Make the tables of the newest version, or bring them to it. Returns the version that they have then."""
    from leadpush_prefect.store.upgrade import upgrade  # takes long, and is seldom needed

    with writing(database) as connection:  # DDL is part of the transaction on both databases
        if connection.dialect.name == "postgresql":
            connection.execute(select(func.pg_advisory_xact_lock(SCHEMA_LOCK)))
        version = _version(connection)
        if version < SCHEMA_VERSION:  # else another process was quicker
            upgrade(connection)
            version = SCHEMA_VERSION
    return version
