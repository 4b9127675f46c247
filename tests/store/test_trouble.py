"""Real errors of real drivers: which of them mean that the database is away."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, make_url, text
from sqlalchemy.exc import SQLAlchemyError

from leadpush_prefect.store.database import open_database, reading, writing
from leadpush_prefect.store.trouble import Trouble, trouble_of
from tests.support.databases import POSTGRESQL

DRIVERS = ["psycopg", "psycopg2"]


def trouble(work: Callable[[], object]) -> Trouble:
    with pytest.raises(SQLAlchemyError) as raised:
        work()
    return trouble_of(raised.value)


def run(database: Engine, *statements: str) -> None:
    with writing(database) as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


@pytest.fixture
def sqlite(tmp_path: Path) -> Engine:
    return open_database(f"sqlite:///{tmp_path}/outputs.db", {"timeout": 0.01})


def test_sqlite_locked(sqlite: Engine) -> None:
    with closing(sqlite3.connect(sqlite.url.database or "", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        found = trouble(lambda: run(sqlite, "SELECT 1"))
    assert found == (True, "it is locked by another program (SQLITE_BUSY)", False, True)


def test_sqlite_full(sqlite: Engine) -> None:
    full = "PRAGMA max_page_count=1", "CREATE TABLE more (n)"
    assert trouble(lambda: run(sqlite, *full)) == (True, "its disk is full (SQLITE_FULL)", False, False)


def test_sqlite_read_only(sqlite: Engine) -> None:
    read_only = "PRAGMA query_only=ON", "CREATE TABLE more (n)"
    assert trouble(lambda: run(sqlite, *read_only)) == (
        True,
        "it is read-only (SQLITE_READONLY)",
        True,
        False,
    )


def test_sqlite_cannot_be_opened(tmp_path: Path) -> None:
    """Its folder is not there: a disk that is not mounted."""
    elsewhere = create_engine(f"sqlite:///{tmp_path}/nowhere/outputs.db")
    found = trouble(lambda: elsewhere.connect())
    assert found == (True, "its file cannot be opened (SQLITE_CANTOPEN)", False, False)


def test_sqlite_other(sqlite: Engine) -> None:
    """What another try does not mend."""
    found = trouble(lambda: run(sqlite, "SELECT secret FROM nowhere"))
    assert found == (False, "SQLite says SQLITE_ERROR", False, False)
    found = trouble(lambda: run(sqlite, "CREATE TABLE t (n PRIMARY KEY)", "INSERT INTO t VALUES (1), (1)"))
    assert not found.is_away
    assert found.why.startswith("SQLite says SQLITE_CONSTRAINT")


def test_sqlite_no_database(tmp_path: Path) -> None:
    path = tmp_path / "outputs.db"
    path.write_bytes(os.urandom(8_192))
    found = trouble(lambda: run(create_engine(f"sqlite:///{path}"), "SELECT * FROM sqlite_master"))
    assert found == (False, "SQLite says SQLITE_NOTADB", False, False)


@pytest.fixture(params=DRIVERS)
def postgres(request: pytest.FixtureRequest, url: str) -> Iterator[Engine]:
    engine = create_engine(make_url(url).set(drivername=f"postgresql+{request.param}"))
    yield engine
    engine.dispose()


only_postgresql = pytest.mark.parametrize("url", [POSTGRESQL], indirect=True)


@only_postgresql
def test_postgresql_ended(postgres: Engine) -> None:
    """The server ends a connection: first it says so, and then there is none."""
    with postgres.connect() as connection:
        pid = connection.scalar(text("SELECT pg_backend_pid()"))
        with postgres.connect() as other:
            other.execute(text(f"SELECT pg_terminate_backend({pid})"))
        first = trouble(lambda: connection.execute(text("SELECT 1")))
        again = trouble(lambda: connection.execute(text("SELECT 1")))
    assert first.is_away
    assert again.is_away


@only_postgresql
def test_postgresql_not_there(postgres: Engine) -> None:
    """Nothing listens."""
    nobody = create_engine(postgres.url.set(host="127.0.0.1", port=9, query={}))
    found = trouble(lambda: nobody.connect())
    assert found == (True, "there is no connection to it (OperationalError)", False, False)


@only_postgresql
@pytest.mark.parametrize(
    ("statements", "why"),
    [
        (["SET TRANSACTION READ ONLY", "CREATE TABLE t (n int)"], "it is read-only (SQLSTATE 25006)"),
        (
            ["SET LOCAL statement_timeout = 10", "SELECT pg_sleep(1)"],
            "it has broken off a statement that took too long (SQLSTATE 57014)",
        ),
    ],
)
def test_postgresql_away(postgres: Engine, statements: list[str], why: str) -> None:
    found = trouble(lambda: run(postgres, *statements))
    assert (found.is_away, found.why) == (True, why)


@only_postgresql
def test_postgresql_locked(postgres: Engine) -> None:
    with postgres.begin() as holder:
        holder.execute(text("CREATE TABLE t (n int)"))
        holder.execute(text("SELECT pg_advisory_xact_lock(1)"))
        waits = "SET LOCAL lock_timeout = 10", "SELECT pg_advisory_xact_lock(1)"
        found = trouble(lambda: run(postgres, *waits))
    assert found == (True, "it is locked by others (SQLSTATE 55P03)", False, True)


@only_postgresql
@pytest.mark.parametrize("driver_class", ["UndefinedTable"])
def test_postgresql_other(postgres: Engine, driver_class: str) -> None:
    found = trouble(lambda: run(postgres, "SELECT secret FROM nowhere"))
    assert found == (False, f"the driver says {driver_class} (SQLSTATE 42P01)", False, False)


@only_postgresql
def test_postgresql_lost_in_copy(url: str) -> None:
    """A connection that is lost while many rows are written: the row by row that follows finds it gone too."""
    from leadpush_prefect.store.bulk_insert import insert_rows
    from leadpush_prefect.store.schema import claim

    database = open_database(url)

    def write() -> None:
        with writing(database) as connection:
            pid = connection.scalar(text("SELECT pg_backend_pid()"))
            with reading(database) as other:
                other.execute(text(f"SELECT pg_terminate_backend({pid})"))
            insert_rows(connection, claim, [(1, 1, number, 1, "") for number in range(10)])

    assert trouble(write).is_away
