"""The engine on the database's URL, its transactions, and the little that differs between SQLite and
PostgreSQL.

Readers and writers say which they are, `reading(engine)` and `writing(engine)`: on SQLite a transaction that
reads before it writes fails with "database is locked", whatever the timeout, unless it began as a writer.
"""

from __future__ import annotations

import logging
import os
import re
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from functools import lru_cache
from hashlib import sha256
from itertools import chain
from pathlib import Path
from typing import Any

from sqlalchemy import (
    URL,
    Connection,
    Dialect,
    Engine,
    Table,
    create_engine,
    event,
    func,
    inspect,
    make_url,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, InterfaceError, OperationalError

from leadpush_prefect.errors import LeadpushError
from leadpush_prefect.store.schema import SCHEMA_VERSION, schema

__all__ = [
    "QUIET",
    "insert_or_ignore",
    "insert_or_lower",
    "insert_or_update",
    "insert_rows",
    "open_database",
    "reading",
    "works_in_process",
    "writing",
    "writing_on",
]

BUSY_SECONDS = 30.0
SCHEMA_LOCK = 0x6C656164  # "lead": any number that nobody else locks in the same database
_WRITES = "leadpush_writes"

QUIET: dict[str, Any] = {"hide_parameters": True, "logging_name": "leadpush"}
"""For `create_engine`: neither an error's text nor the log shows what is written and read, which are people's data."""

# At DEBUG, SQLAlchemy logs each row that is read, whatever it hides otherwise.
logging.getLogger("sqlalchemy.engine.Engine.leadpush").addFilter(
    lambda record: record.levelno > logging.DEBUG
)

_engines: dict[tuple[int, URL, str], Engine] = {}
_lock = threading.Lock()


def _new_lock() -> None:
    global _lock
    _lock = threading.Lock()  # another thread of the parent may have held it at the fork


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_new_lock)


def open_database(url: str | URL, connect_args: Mapping[str, object] = {}) -> Engine:
    """The engine of this process on a database, with its tables made.

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
        if key not in _engines:
            _engines[key] = _prepared(address, connect_args)
        return _engines[key]


def works_in_process(engine: Engine) -> bool:
    """Whether the database's work is done in this process, and none is waited for."""
    return engine.dialect.name == "sqlite"


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A transaction that only reads; on SQLite it waits for nobody, and nobody for it."""
    with engine.connect() as connection, connection.begin():
        yield connection


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that writes, committed at the end, rolled back by an exception."""
    with engine.connect().execution_options(**{_WRITES: True}) as connection, connection.begin():
        yield connection


@contextmanager
def writing_on(connection: Connection) -> Iterator[None]:
    """The same on a connection that is open already, for what only it can see."""
    with connection.execution_options(**{_WRITES: True}).begin():
        yield


def insert_or_ignore(connection: Connection, table: Table) -> Any:
    """An insert that leaves a row of the same primary key, or of another unique one, as it is."""
    return _insert(connection.dialect, table).on_conflict_do_nothing()


def insert_or_update(connection: Connection, table: Table) -> Any:
    """An insert that overwrites a row of the same primary key."""
    return _overwriting(_insert(connection.dialect, table), table)


def insert_or_lower(connection: Connection, table: Table, column: str) -> Any:
    """An insert that leaves a row of the same primary key, but for a column that may become lower."""
    statement = _insert(connection.dialect, table)
    new, old = statement.excluded[column], table.c[column]
    keys = [key.name for key in table.primary_key]
    return statement.on_conflict_do_update(index_elements=keys, set_={column: new}, where=new < old)


def insert_rows(
    connection: Connection, table: Table, rows: Sequence[tuple[object, ...]], *, overwrite: bool = False
) -> None:
    """Write many rows.

    Args:
        connection: In a transaction that writes.
        table: The table.
        rows: All their values, in the order of the table's columns.
        overwrite: Whether they replace rows of the same primary key.
    """
    if not rows:  # an empty executemany inserts a row of defaults
        return
    if connection.dialect.driver == "psycopg" and _copy(connection, table, rows):
        return
    text, names = _insert_text(connection.dialect, table, overwrite)
    if names:
        connection.exec_driver_sql(text, [dict(zip(names, row, strict=True)) for row in rows])
        return
    # Straight to the driver: what SQLAlchemy does to each row takes longer than SQLite does.
    many = _of_many(text, ROWS)
    whole = len(rows) - len(rows) % ROWS
    if whole:
        together = [tuple(chain.from_iterable(rows[at : at + ROWS])) for at in range(0, whole, ROWS)]
        connection.exec_driver_sql(many, together)
    if whole < len(rows):
        connection.exec_driver_sql(text, list(rows[whole:]))


def _copy(connection: Connection, table: Table, rows: Sequence[tuple[object, ...]]) -> bool:
    """Write rows by COPY, some four times as fast as INSERT.

    Returns:
        False, with nothing written, if a row is refused, such as one that is there already: an INSERT can
        overwrite it, or says what is wrong without showing it, which the error of a COPY does.
    """
    driver: Any = connection.connection.driver_connection
    text, types = _copy_text(connection.dialect, table)
    try:
        with connection.begin_nested(), driver.cursor() as cursor, cursor.copy(text) as copy:
            copy.set_types(types)
            for row in rows:
                copy.write_row(row)
    except connection.dialect.loaded_dbapi.Error:
        return False
    return True


ROWS = 25
"""So many rows are written by one statement on SQLite, whose driver gives Python's lock away for each one."""


@lru_cache(maxsize=64)
def _of_many(text: str, rows: int) -> str:
    """An insert of one row as one of many."""
    before, row, after = re.split(r"(?<=VALUES )(\([?, ]+\))", text)
    return before + ", ".join([row] * rows) + after


@lru_cache(maxsize=64)
def _copy_text(dialect: Dialect, table: Table) -> tuple[str, tuple[str, ...]]:
    """The statement, and the columns' types: the binary format has no conversions."""
    quote = dialect.identifier_preparer.quote
    columns = ", ".join(quote(column.name) for column in table.columns)
    types = tuple(column.type.compile(dialect).lower() for column in table.columns)
    return f"COPY {quote(table.name)} ({columns}) FROM STDIN (FORMAT BINARY)", types


@lru_cache(maxsize=64)
def _insert_text(dialect: Dialect, table: Table, overwrite: bool) -> tuple[str, tuple[str, ...]]:
    """The statement, and the parameters' names where the driver takes them by name."""
    statement = _insert(dialect, table)
    compiled = (_overwriting(statement, table) if overwrite else statement).compile(dialect=dialect)
    return str(compiled), () if dialect.positional else tuple(table.columns.keys())


def _insert(dialect: Dialect, table: Table) -> sqlite.Insert | postgresql.Insert:
    return sqlite.insert(table) if dialect.name == "sqlite" else postgresql.insert(table)


def _overwriting(statement: Any, table: Table) -> Any:
    keys = [column.name for column in table.primary_key]
    rest = {
        column.name: statement.excluded[column.name] for column in table.columns if column.name not in keys
    }
    return statement.on_conflict_do_update(index_elements=keys, set_=rest)


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
    engine = _engine(address, connect_args)
    try:
        _prepare(engine)
        return engine
    except (InterfaceError, OperationalError, sqlite3.DatabaseError) as error:
        # One of the driver itself says that the file is none of SQLite.
        engine.dispose()
        said = str(getattr(error, "orig", error)).strip().splitlines()
        why = (said or [type(error).__name__])[0].rstrip(".")
    except BaseException:
        engine.dispose()
        raise
    where = " at ".join(part for part in (address.database, address.host) if part)
    # Raised here, so that no error of the driver comes along, whose frames hold the password.
    raise LeadpushError(f"The database {where} cannot be used: {why}.")


def _engine(address: URL, connect_args: Mapping[str, object]) -> Engine:
    match address.get_backend_name():
        case "sqlite":
            return _sqlite_engine(address, connect_args)
        case "postgresql":
            return _refuse_async(_create(address, connect_args, pool_pre_ping=True))
    raise LeadpushError(f"The store works on SQLite and PostgreSQL, not on {address.get_backend_name()}.")


def _create(address: URL, connect_args: Mapping[str, object], **options: Any) -> Engine:
    try:
        return create_engine(address, connect_args=dict(connect_args), **QUIET, **options)
    except ImportError as error:
        raise LeadpushError(f"The driver {error.name} of {address.drivername} is not installed.") from error


def _refuse_async(engine: Engine) -> Engine:
    if engine.dialect.is_async:
        raise LeadpushError(f"The store needs a synchronous driver, which {engine.url.drivername} is not.")
    return engine


def _sqlite_engine(address: URL, connect_args: Mapping[str, object]) -> Engine:
    arguments = {"timeout": BUSY_SECONDS, "check_same_thread": False, **connect_args, "isolation_level": None}
    engine = _refuse_async(_create(address, arguments, max_overflow=-1))
    event.listen(engine, "connect", _set_pragmas)
    event.listen(engine, "begin", _begin)
    return engine


def _set_pragmas(connection: Any, _record: object) -> None:
    with closing(connection.cursor()) as cursor:
        # A view or trigger that somebody else has put there calls nothing with side effects.
        cursor.execute("PRAGMA trusted_schema=OFF")
        cursor.execute("PRAGMA synchronous=NORMAL")  # in WAL mode: no corruption, and no fsync per commit


def _begin(connection: Connection) -> None:
    # isolation_level=None: the driver leaves BEGIN to us.
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _prepare(engine: Engine) -> None:
    if engine.dialect.name == "sqlite":
        _make_file(Path(engine.url.database or ""))
        _use_wal(engine)
    with reading(engine) as connection:
        version = _version(connection)
    if version < SCHEMA_VERSION:
        version = _upgrade(engine)
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


def _use_wal(engine: Engine) -> None:
    # SQLite does not wait for its busy timeout when two connections switch the mode of a new file at once.
    deadline = time.monotonic() + BUSY_SECONDS
    while not _try_wal(engine):
        if time.monotonic() > deadline:
            raise LeadpushError(f"The database {engine.url.database} is locked by another program.")
        time.sleep(0.02)


def _try_wal(engine: Engine) -> bool:
    with closing(engine.raw_connection()) as connection, closing(connection.cursor()) as cursor:
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


def _upgrade(engine: Engine) -> int:
    """Make the tables of the newest version, or bring them to it. Returns the version that they have then."""
    from leadpush_prefect.store.upgrade import upgrade  # takes long, and is seldom needed

    with writing(engine) as connection:  # DDL is part of the transaction on both databases
        if connection.dialect.name == "postgresql":
            connection.execute(select(func.pg_advisory_xact_lock(SCHEMA_LOCK)))
        version = _version(connection)
        if version < SCHEMA_VERSION:  # else another process was quicker
            upgrade(connection)
            version = SCHEMA_VERSION
    return version
