"""A fast path that looks like a trick, with and without, while another thread computes as that of the requests does."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Any

from sqlalchemy import Column, Engine, Integer, MetaData, Table, Text, select

from leadpush_prefect.store import bulk_insert, rows_as_text
from leadpush_prefect.store.database import open_database, reading, writing
from tests.benchmarks.result import Result

BATCH = 1_000
DATA = '{"_id":"c1","attributes":{"email":"ana@example.com","plan":"pro","first_name":"Ana"}}'
TABLE = Table("benchmark", MetaData(), Column("number", Integer, primary_key=True), Column("data", Text))


def run(url: str, path: str, contacts: int, without: bool = False) -> Result:
    """Time a fast path, and see that it does the same without.

    Args:
        url: The API's, which is not asked.
        path: Which one.
        contacts: So many rows.
        without: Whether it is taken out.
    """
    with tempfile.TemporaryDirectory() as folder:
        database = open_database(f"sqlite:///{folder}/outputs.db")
        TABLE.create(database)
        work = PATHS[path](database, contacts, without)
        with _busy():
            begun = perf_counter()
            done = work()
            seconds = perf_counter() - begun
        database.dispose()
    assert done == contacts
    return Result(contacts, 0, seconds)


@contextmanager
def _busy() -> Iterator[None]:
    """Another thread that takes Python's lock whenever it is given away."""
    over = threading.Event()

    def compute() -> None:
        while not over.is_set():
            sum(range(100))

    thread = threading.Thread(target=compute)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _batches(contacts: int) -> Iterator[list[tuple[object, ...]]]:
    for first in range(0, contacts, BATCH):
        yield [(number, DATA) for number in range(first, min(first + BATCH, contacts))]


def _take_out(module: Any, name: str, replacement: Any) -> None:
    assert hasattr(module, name), f"{module} has no {name}: the fast path is elsewhere"
    setattr(module, name, replacement)


def _read_as_text(database: Engine, contacts: int, without: bool) -> Callable[[], int]:
    with writing(database) as connection:
        for rows in _batches(contacts):
            bulk_insert.insert_rows(connection, TABLE, rows)
    if without:
        _take_out(rows_as_text, "works_in_process", lambda database: False)
    number = TABLE.c.number
    read = [
        rows_as_text.reader(database, select(number, TABLE.c.data).where(number >= at, number < at + BATCH))
        for at in range(0, contacts, BATCH)
    ]

    def work() -> int:
        with reading(database) as connection:
            return sum(len(each(connection, {})) for each in read)

    return work


def _insert_many(database: Engine, contacts: int, without: bool) -> Callable[[], int]:
    if without:
        _take_out(bulk_insert, "ROWS", 1)

    def work() -> int:
        for rows in _batches(contacts):
            with writing(database) as connection:
                bulk_insert.insert_rows(connection, TABLE, rows)
        with reading(database) as connection:
            return len(connection.execute(select(TABLE.c.number)).all())

    return work


PATHS = {"read-as-text": _read_as_text, "insert-many": _insert_many}
