"""Work that waits for its database."""

from __future__ import annotations

import sqlite3
import threading
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Engine

from leadpush_prefect.errors import StoreFailed
from leadpush_prefect.store import patience as module
from leadpush_prefect.store.database import open_database, writing
from leadpush_prefect.store.patience import Patience
from tests.support.waiting import eventually


@pytest.fixture(autouse=True)
def _no_contention(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock is said at once."""
    monkeypatch.setattr(module, "CONTENTION_SECONDS", 0.0)


@pytest.fixture
def database(tmp_path: Path) -> Engine:
    return open_database(f"sqlite:///{tmp_path}/outputs.db", {"timeout": 0.01})


@pytest.fixture
def other(database: Engine) -> Iterator[sqlite3.Connection]:
    """Another program, which holds the lock."""
    other = sqlite3.connect(database.url.database or "", isolation_level=None, check_same_thread=False)
    with closing(other):
        other.execute("BEGIN IMMEDIATE")
        yield other


def write(database: Engine) -> str:
    with writing(database) as connection:
        connection.exec_driver_sql("UPDATE leadpush_run SET state = 'secret'")
    return "done"


def test_at_once(database: Engine) -> None:
    """Where nothing is wrong, nothing is said."""
    said: list[str] = []
    assert Patience(database, 60, say=said.append)(lambda: write(database)) == "done"
    assert said == []


def test_said_once(database: Engine, other: sqlite3.Connection) -> None:
    """All threads wait for the database, one of them says so, and one that it is back."""
    said: list[str] = []
    patience = Patience(database, 60, say=said.append)
    with ThreadPoolExecutor(4) as threads:
        waiting = [threads.submit(patience, lambda: write(database)) for _ in range(4)]
        eventually(lambda: said)
        other.execute("ROLLBACK")
        assert [future.result() for future in waiting] == ["done"] * 4
    assert said[0] == (
        f"The database {database.url.database} is away: it is locked by another program (SQLITE_BUSY). It is tried "
        "again for 60 s at most; nothing new is sent meanwhile."
    )
    assert said[1].startswith(f"The database {database.url.database} is back after ")
    # One that was refused may find the lock taken by another thread for a moment.
    assert len(said) % 2 == 0


def test_contention(database: Engine, other: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody hears of another writer that is done in a moment."""
    monkeypatch.setattr(module, "CONTENTION_SECONDS", 600.0)
    said: list[str] = []
    tries: list[int] = []

    def work() -> str:
        tries.append(1)
        return write(database)

    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(Patience(database, 600, say=said.append), work)
        eventually(lambda: len(tries) > 1)
        other.execute("ROLLBACK")
        assert waiting.result() == "done"
    assert said == []


def test_for_too_long(database: Engine, other: sqlite3.Connection) -> None:
    """It is given up with what to do, and without the driver's error; the next work waits no more."""
    patience = Patience(database, 0.2, say=lambda _: None)
    with pytest.raises(StoreFailed) as failed:
        patience(lambda: write(database))
    assert str(failed.value) == (
        f"The database {database.url.database} has been away for 0 s: it is locked by another program (SQLITE_BUSY). "
        "See to it that it is back, and run the campaign again with the same run id: it goes on where it stopped."
    )
    assert "secret" not in "".join(traceback.format_exception(failed.value))
    tries: list[int] = []

    def work() -> None:
        tries.append(1)
        write(database)

    with pytest.raises(StoreFailed):
        patience(work)
    assert len(tries) == 1
    other.execute("ROLLBACK")
    assert patience(lambda: write(database)) == "done"


@pytest.mark.parametrize("whose", ["the run", "this work"])
def test_stopped(
    whose: str, database: Engine, other: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nobody wants it any more, it is not waited for as long."""
    assert other.in_transaction
    monkeypatch.setattr(module, "STOPPED_SECONDS", 0.1)
    stopped = threading.Event()
    said: list[str] = []
    run_is_over = stopped.is_set if whose == "the run" else module.never
    work_is_over = stopped.is_set if whose == "this work" else module.never
    patience = Patience(database, 600, say=said.append, is_over=run_is_over)
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(patience, lambda: write(database), work_is_over)
        eventually(lambda: said)
        stopped.set()
        with pytest.raises(StoreFailed):
            waiting.result()


def test_refused(database: Engine) -> None:
    """What another try does not mend is said at once, without the statement."""

    def work() -> None:
        with writing(database) as connection:
            connection.exec_driver_sql("SELECT secret FROM nowhere")

    with pytest.raises(StoreFailed) as failed:
        Patience(database, 600, say=lambda _: None)(work)
    assert "refuses what it is asked: SQLite says SQLITE_ERROR." in str(failed.value)
    assert "secret" not in "".join(traceback.format_exception(failed.value))


@pytest.mark.parametrize("replaced", [False, True])
def test_deleted(replaced: bool, database: Engine) -> None:
    """A file that is gone takes all with it, though SQLite goes on writing."""
    patience, path = Patience(database, 600, say=lambda _: None), Path(database.url.database or "")
    assert patience(lambda: write(database)) == "done"
    path.unlink()
    if replaced:
        path.touch()
    with pytest.raises(StoreFailed, match="was deleted or replaced while it was in use"):
        patience(lambda: write(database))
    anew = open_database(database.url, {"timeout": 0.01})
    assert anew is not database, "the next run has a database again"
    assert Patience(anew, 600, say=lambda _: None)(lambda: write(anew)) == "done"


def test_a_writer_waits(database: Engine, other: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without patience, a writer waits as long as the connection's timeout says, however short one try of SQLite is."""
    tries: list[int] = []

    def free_at_the_third(error: object) -> bool:
        tries.append(1)
        if len(tries) == 3:
            other.execute("ROLLBACK")
        return True

    monkeypatch.setattr("leadpush_prefect.store.database._is_locked", free_at_the_third)
    monkeypatch.setattr("leadpush_prefect.store.database.TRY_SECONDS", 0.01)
    long = open_database(database.url, {"timeout": 60})
    assert write(long) == "done"
