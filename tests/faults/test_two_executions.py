"""Two processes that execute one run: at once, after a crash of the first, and while the first sleeps."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from tests.faults.child import CONCURRENCY
from tests.faults.conftest import Start
from tests.support.raw_server import RawServer, Request, each, respond
from tests.support.waiting import eventually

pytestmark = [
    pytest.mark.timeout(240),
    pytest.mark.parametrize(
        "url",
        [
            pytest.param("sqlite", marks=pytest.mark.faults),
            pytest.param("postgresql", marks=pytest.mark.postgres),
        ],
        indirect=True,
    ),
]

CONTACTS = 2_000
ANSWERED = 500  # at once; the others when the gate is open
Ask = Callable[[str], list[tuple[Any, ...]]]


class Gate:
    """An API that responses some requests at once, and the others when it is opened."""

    def __init__(self) -> None:
        self.open = False
        self.asked: Counter[bytes] = Counter()

    async def __call__(self, request: Request) -> bytes:
        self.asked[request.target] += 1
        while self.asked.total() > ANSWERED and not self.open:
            await asyncio.sleep(0.02)
        return respond(b'{"n": 1}')


@pytest.fixture
def look(url: str) -> Iterator[Ask]:
    """Asks the database, without making its tables."""
    engine = create_engine(url)

    def ask(query: str) -> list[tuple[Any, ...]]:
        with engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(query))]

    yield ask
    engine.dispose()


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
def server(gate: Gate) -> Iterator[RawServer]:
    with RawServer(each(gate)) as server:
        yield server


@pytest.fixture
def execute(start: Start, server: RawServer, block: str) -> Callable[[], Any]:
    """Starts an execution of the run in a process of its own."""
    return lambda: start("run", "r", server.url, CONTACTS, 1, *filter(None, [block]))


def check_all_stored(look: Ask) -> None:
    found = look(
        "SELECT step, count(*), min(status), max(status) FROM leadpush_outcome GROUP BY 1 ORDER BY 1"
    )
    assert found == [(0, CONTACTS, 1, 1), (1, CONTACTS, 1, 1)]


def wait_until_held_up(gate: Gate, look: Ask) -> None:
    """Until the process is at rest: all that was answered is stored, and all else waits for the gate."""
    eventually(lambda: gate.asked.total() >= ANSWERED + CONCURRENCY)
    eventually(lambda: look("SELECT count(*) FROM leadpush_outcome")[0][0] >= ANSWERED)


def test_at_once(gate: Gate, look: Ask, execute: Callable[[], Any]) -> None:
    """One goes on undisturbed, the other says RunBusy; each contact is asked for once."""
    both = [execute(), execute()]
    eventually(lambda: any(child.poll() is not None for child in both))
    both.sort(key=lambda child: child.poll() is None)
    busy, _ = both[0].communicate(timeout=30)
    assert "state: Failed" in busy
    assert "RunBusy: Run r is being executed by process " in busy
    assert str(both[1].pid) in busy
    gate.open = True
    output, _ = both[1].communicate(timeout=90)
    assert "state: Completed" in output, output
    check_all_stored(look)
    assert set(gate.asked.values()) == {1}
    assert look("SELECT execution, status, holder FROM leadpush_run") == [(1, "finished", "")]


def test_after_a_crash(gate: Gate, look: Ask, execute: Callable[[], Any]) -> None:
    """After kill -9 the next one takes over; only what was in flight is asked for again."""
    first = execute()
    wait_until_held_up(gate, look)
    first.kill()
    first.wait()
    assert look("SELECT holder FROM leadpush_run") != [("",)]
    gate.open = True
    output, _ = execute().communicate(timeout=90)
    assert "state: Completed" in output, output
    check_all_stored(look)
    assert gate.asked.total() - len(gate.asked) <= CONCURRENCY
    assert look("SELECT execution, status, holder FROM leadpush_run") == [(2, "finished", "")]


def test_while_it_sleeps(gate: Gate, look: Ask, execute: Callable[[], Any]) -> None:
    """One that stands still is taken over; when it wakes up it says RunBusy, and spoils nothing."""
    first = execute()
    wait_until_held_up(gate, look)
    first.send_signal(signal.SIGSTOP)
    gate.open = True
    output, _ = execute().communicate(timeout=120)
    assert "state: Completed" in output, output
    stored = look("SELECT step, number, output FROM leadpush_outcome ORDER BY 1, 2")
    first.send_signal(signal.SIGCONT)
    output, _ = first.communicate(timeout=90)
    assert "state: Failed" in output, output
    assert "RunBusy" in output
    check_all_stored(look)
    assert stored == look("SELECT step, number, output FROM leadpush_outcome ORDER BY 1, 2")
    assert look("SELECT execution, status, holder FROM leadpush_run") == [(2, "finished", "")]
