"""Many rows read at once.

SQLite's driver gives Python's lock away for each row, and other threads take it: with two batches at work, a thousand
rows mean a thousand switches of threads, and one text of all of them a single one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import Connection, Engine, Select, Text, cast, func, select
from sqlalchemy.exc import DBAPIError

from leadpush_prefect.store.database import works_in_process

__all__ = ["Read", "reader"]

Read = Callable[[Connection, Mapping[str, Any]], list[tuple[int, str]]]

# JSON cannot hold them in clear (RFC 8259, section 7), and this is what they are made for.
RECORD, UNIT = "\x1e", "\x1f"


def reader(database: Engine, rows: Select[int, str]) -> Read:
    """How to read the rows of a statement, in the order of their numbers.

    Args:
        database: The database.
        rows: Each a number and JSON.

    Returns:
        A function of a connection and the statement's parameters.
    """

    def by_row(connection: Connection, parameters: Mapping[str, Any]) -> list[tuple[int, str]]:
        return sorted((number, text) for number, text in connection.execute(rows, parameters))

    def by_text(connection: Connection, parameters: Mapping[str, Any]) -> list[tuple[int, str]]:
        try:
            count, text = connection.execute(whole, parameters).one()
            found = sorted(_split(text)) if text else []
        except (DBAPIError, ValueError):  # more than a text may hold, or not what was written here
            return by_row(connection, parameters)
        return found if len(found) == count else by_row(connection, parameters)

    if not works_in_process(database):
        return by_row
    number, text = rows.subquery().c
    record = cast(number, Text).concat(UNIT).concat(text)
    whole = select(func.count(), func.aggregate_strings(record, RECORD))
    return by_text


def _split(text: str) -> list[tuple[int, str]]:
    return [(int(number), value) for number, value in (record.split(UNIT) for record in text.split(RECORD))]
