from __future__ import annotations

import multiprocessing
import os
import stat
import threading
import warnings
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import Engine, inspect, text, update
from sqlalchemy.exc import StatementError

from leadpush_prefect.errors import LeadpushError
from leadpush_prefect.store import database as module
from leadpush_prefect.store.bulk_insert import insert_rows
from leadpush_prefect.store.database import open_database, reading, writing
from leadpush_prefect.store.schema import SCHEMA_VERSION, claim, contact, metadata, schema
from tests.support.databases import forget_engines
from tests.support.store import begin, open_late


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_files_are_private(sqlite_path: Path, umask: Callable[[int], int]) -> None:
    """The folder, the file and what SQLite puts beside it are their owner's alone, whatever the umask."""
    umask(0)
    engine = open_database(f"sqlite:///{sqlite_path}")
    begin(engine)

    assert mode(sqlite_path.parent) == 0o700
    names = {path.name: mode(path) for path in sqlite_path.parent.iterdir()}
    assert names == {"outputs.db": 0o600, "outputs.db-wal": 0o600, "outputs.db-shm": 0o600}


def test_existing_modes_stay(tmp_path: Path, umask: Callable[[int], int]) -> None:
    """A folder and a file that were there keep their modes."""
    umask(0)
    tmp_path.chmod(0o755)
    path = tmp_path / "shared.db"
    path.touch(0o640)
    open_database(f"sqlite:///{path}")

    assert (0o755, 0o640) == (mode(tmp_path), mode(path))


def test_tables_are_ours(database: Engine) -> None:
    """All tables bear the prefix, and the schema's version is written once."""
    assert all(name.startswith("leadpush_") for name in metadata.tables)
    with reading(database) as connection:
        assert set(metadata.tables) <= set(inspect(connection).get_table_names())
        assert [SCHEMA_VERSION] == list(connection.scalars(schema.select()))


def test_one_engine_per_process(url: str) -> None:
    """Threads that open a database at once get one engine."""
    barrier = threading.Barrier(16)

    def open_at_once(_: int) -> Engine:
        barrier.wait()
        return open_database(url)

    with ThreadPoolExecutor(16) as pool:
        engines = set(pool.map(open_at_once, range(16)))

    assert len(engines) == 1


def test_one_engine_per_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative path is the file it names when it is opened."""
    monkeypatch.chdir(tmp_path)

    assert open_database("sqlite:///own.db") is open_database(f"sqlite:///{tmp_path}/own.db")


def test_processes_create_at_once(url: str) -> None:
    """Processes that open a new database at once all find its tables."""
    with ProcessPoolExecutor(4, multiprocessing.get_context("spawn")) as pool:
        assert [0] * 8 == list(pool.map(open_late, [url] * 8))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_fork_gets_its_own(url: str) -> None:
    """A forked process does not use its parent's engine, nor waits for a lock that a thread of it held."""
    parent = open_database(url)
    with module._lock, warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of fork beside threads
        child = os.fork()
        if not child:
            os._exit(0 if open_database(url) is not parent else 1)

    assert os.waitpid(child, 0)[1] == 0


def test_readers_do_not_wait(database: Engine) -> None:
    """A reader sees the last commit while a writer is at work."""
    with writing(database) as writer:
        insert_rows(writer, claim, [(1, 0, 0, 1, "me")])
        with reading(database) as reader:
            assert [] == reader.execute(claim.select()).all()


def test_settings(sqlite_path: Path) -> None:
    """SQLite keeps a write-ahead log, and waits for another writer, 1 s in one go."""
    with reading(open_database(f"sqlite:///{sqlite_path}")) as connection:
        found = {
            name: connection.scalar(text(f"PRAGMA {name}"))
            for name in ("journal_mode", "synchronous", "busy_timeout")
        }

    assert found == {"journal_mode": "wal", "synchronous": 1, "busy_timeout": 1_000}


def test_no_rows_is_no_row(database: Engine) -> None:
    """Writing no rows writes none."""
    with writing(database) as connection:
        insert_rows(connection, claim, [])
    with reading(database) as connection:
        assert [] == connection.execute(claim.select()).all()


def test_newer_schema_is_refused(url: str) -> None:
    """A database of a newer version is refused, with what to do."""
    engine = open_database(url)
    with writing(engine) as connection:
        connection.execute(update(schema).values(version=SCHEMA_VERSION + 1))
    forget_engines()

    with pytest.raises(LeadpushError, match="newer leadpush-prefect .* Upgrade"):
        open_database(url)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("sqlite://", "needs a file"),
        ("sqlite:///:memory:", "needs a file"),
        ("sqlite+aiosqlite:///x.db", "synchronous"),
        ("mysql://x/y", "SQLite and PostgreSQL"),
        ("no url", "not one"),
    ],
)
def test_unfit_urls(url: str, says: str) -> None:
    """What cannot hold a store is refused in a sentence."""
    with pytest.raises(LeadpushError, match=says):
        open_database(url)


def test_errors_hold_no_data(database: Engine) -> None:
    """The text of a database's error holds no contact."""
    rows: list[tuple[object, ...]] = [(1, 0, "ada@example.com", True, "{}", "line 2")] * 2
    with pytest.raises(StatementError) as caught, writing(database) as connection:
        insert_rows(connection, contact, rows)

    assert "ada@example.com" not in str(caught.value)
