"""The tables: made by migrations, brought to the newest version by them, and as `schema` declares them."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, Engine, create_engine, inspect
from sqlalchemy.exc import DBAPIError

from leadpush_prefect.errors import LeadpushError
from leadpush_prefect.store.database import open_database, reading, writing
from leadpush_prefect.store.runs import list_runs
from leadpush_prefect.store.schema import SCHEMA_VERSION, metadata
from leadpush_prefect.store.upgrade import VERSION_TABLE
from tests.support.databases import forget_engines
from tests.support.store import imported_to_open, load_released, open_late

VIEWS = ["leadpush_failures", "leadpush_outcomes", "leadpush_runs", "leadpush_steps"]


@pytest.fixture(params=["new", "0.1.0", "version-2"])
def upgraded(request: pytest.FixtureRequest, url: str) -> Engine:
    """A database of the newest version: a new one, and that of each release."""
    if request.param != "new":
        load_released(url, request.param)
    return open_database(url)


def test_is_as_declared(upgraded: Engine) -> None:
    """Alembic finds no difference to `metadata`, and has its version in a table of ours."""
    with reading(upgraded) as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
        assert [] == compare_metadata(context, metadata)
        assert f"{SCHEMA_VERSION:04}" == context.get_current_revision()
        assert VIEWS == sorted(inspect(connection).get_view_names())
        assert [(SCHEMA_VERSION,)] == list(connection.exec_driver_sql("SELECT version FROM leadpush_schema"))


def test_is_what_create_all_makes(upgraded: Engine) -> None:
    """Each column, key, default and option is as SQLAlchemy makes it from `metadata`."""
    with writing(upgraded) as connection:
        connection.exec_driver_sql(f"DROP TABLE {VERSION_TABLE}")
        for view in VIEWS:
            connection.exec_driver_sql(f"DROP VIEW {view}")
        migrated = described(connection)
        metadata.drop_all(connection)
        metadata.create_all(connection)
        assert migrated == described(connection)


def described(connection: Connection) -> list[Any]:
    """All that the database says of our tables."""
    return _of_sqlite(connection) if connection.dialect.name == "sqlite" else _of_postgresql(connection)


def _of_sqlite(connection: Connection) -> list[Any]:
    def ask(query: str) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in connection.exec_driver_sql(query)]

    found: list[Any] = []
    for table in sorted(metadata.tables):
        [(sql,)] = ask(f"SELECT sql FROM sqlite_master WHERE name = '{table}'")
        indexes = sorted(row[1:] for row in ask(f"PRAGMA index_list({table})"))
        columns = [ask(f"PRAGMA index_xinfo({name})") for name, *_ in indexes]
        options = "AUTOINCREMENT" in sql, "WITHOUT ROWID" in sql
        found.append((table, options, ask(f"PRAGMA table_xinfo({table})"), indexes, columns))
    return found


def _of_postgresql(connection: Connection) -> list[Any]:
    queries = (
        "SELECT table_name, ordinal_position, column_name, data_type, is_nullable, column_default "
        "FROM information_schema.columns WHERE table_schema = current_schema()",
        "SELECT tablename, indexdef FROM pg_indexes WHERE schemaname = current_schema()",
        "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint "
        "WHERE connamespace = current_schema()::regnamespace",
    )
    return [sorted(map(tuple, connection.exec_driver_sql(query))) for query in queries]


def test_processes_upgrade_at_once(url: str) -> None:
    """Processes that open a database of a former version at once all find its runs."""
    load_released(url, "0.1.0")
    with ProcessPoolExecutor(4, multiprocessing.get_context("spawn")) as pool:
        assert [2] * 8 == list(pool.map(open_late, [url] * 8))


def test_up_to_date_is_cheap(url: str) -> None:
    """Alembic is imported where there is something to do, and only there."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, spawn, max_tasks_per_child=1) as pool:
        assert [True, False] == [pool.submit(imported_to_open, url).result() for _ in range(2)]


def test_whole_or_not_at_all(url: str) -> None:
    """An upgrade that fails leaves the database as it was; the next one does it all."""
    load_released(url, "0.1.0")
    engine = create_engine(url)
    with writing(engine) as connection:
        connection.exec_driver_sql("CREATE TABLE leadpush_failures (mine INTEGER)")
    with pytest.raises((LeadpushError, DBAPIError), match="leadpush_failures"):
        open_database(url)
    with writing(engine) as connection:
        assert VERSION_TABLE not in inspect(connection).get_table_names()
        assert "holder" not in {column["name"] for column in inspect(connection).get_columns("leadpush_run")}
        connection.exec_driver_sql("DROP TABLE leadpush_failures")
    engine.dispose()

    assert ["half", "whole"] == [run.run_id for run in list_runs(open_database(url))]


def test_beside_another_user_of_alembic(url: str) -> None:
    """Another application's migrations in the same database are its own."""
    load_released(url, "0.1.0")
    engine = create_engine(url)
    with writing(engine) as connection:
        connection.exec_driver_sql("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
        connection.exec_driver_sql("INSERT INTO alembic_version VALUES ('e4f1')")
    engine.dispose()
    with reading(open_database(url)) as connection:
        assert [("e4f1",)] == list(connection.exec_driver_sql("SELECT * FROM alembic_version"))


def test_upgraded_once(url: str) -> None:
    """A second opening changes nothing."""
    load_released(url, "0.1.0")
    open_database(url)
    forget_engines()
    with reading(open_database(url)) as connection:
        versions = list(connection.exec_driver_sql(f"SELECT * FROM {VERSION_TABLE}"))
        assert [(f"{SCHEMA_VERSION:04}",)] == versions
