"""Runs that nobody needs any more, deleted in chunks: transactions are short, however large the run."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Engine, Table, delete, func, select

from leadpush_prefect.store.database import reading, writing
from leadpush_prefect.store.schema import claim, contact, outcome, run, step, withdrawal

__all__ = ["delete_runs"]

CHUNK = 10_000


def delete_runs(database: Engine, keys: Collection[int]) -> None:
    """Delete runs with all that belongs to them.

    First they are gone, then their contacts and outcomes, so that nobody meets half a run. What an interrupted
    deletion has left is deleted by the next one. SQLite keeps the room in its file for later runs.

    Args:
        database: The database.
        keys: The runs' keys.
    """
    with writing(database) as connection:
        for table in (claim, step, run):
            connection.execute(delete(table).where(table.c.run.in_(keys)))
    for table in (outcome, contact, withdrawal):
        _sweep(database, table)


def _sweep(database: Engine, table: Table) -> None:
    """Delete the rows of runs that are not there. A run's key is never another's, and its row comes first."""
    key = -1
    while (next_key := _next_key(database, table, key)) is not None:
        key = next_key
        with reading(database) as connection:
            known = connection.scalar(select(run.c.run).where(run.c.run == key))
        while known is None and _delete_chunk(database, table, key):
            pass


def _next_key(database: Engine, table: Table, key: int) -> int | None:
    with reading(database) as connection:
        following: int | None = connection.scalar(select(func.min(table.c.run)).where(table.c.run > key))
        return following


def _delete_chunk(database: Engine, table: Table, key: int) -> bool:
    """Delete the first rows of a run; False if there are none."""
    order = [column for column in table.primary_key if column.name != "number"]
    with writing(database) as connection:
        first = connection.execute(
            select(*table.primary_key).where(table.c.run == key).order_by(*table.primary_key).limit(1)
        ).one_or_none()
        if first is None:
            return False
        these = [column == getattr(first, column.name) for column in order]
        connection.execute(delete(table).where(*these, table.c.number < first.number + CHUNK))
    return True
