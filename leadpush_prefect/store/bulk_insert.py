"""Rows written: one by one with a word on conflicts, or many at once, by COPY where the driver can."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import chain
from typing import Any

from sqlalchemy import (
    Connection,
    Dialect,
    Table,
)
from sqlalchemy.dialects import postgresql, sqlite

__all__ = ["ROWS", "insert_or_ignore", "insert_or_lower", "insert_or_update", "insert_rows", "put_row"]


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


def put_row(connection: Connection, table: Table, row: tuple[object, ...]) -> None:
    """Write one row over that of the same primary key, without what it costs to build a statement each time.

    Args:
        connection: In a transaction that writes.
        table: The table.
        row: All its values, in the order of the table's columns.
    """
    text, names = _insert_text(connection.dialect, table, True)
    connection.exec_driver_sql(text, dict(zip(names, row, strict=True)) if names else row)


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
