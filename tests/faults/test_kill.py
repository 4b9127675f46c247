"""kill -9 of the flow's process at a random moment, then the same run again."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from tests.faults.conftest import Start
from tests.support.databases import POSTGRESQL
from tests.support.raw_server import RawServer, Request, each, respond

pytestmark = pytest.mark.parametrize(
    "url", [pytest.param("sqlite", marks=pytest.mark.faults), POSTGRESQL], indirect=True
)

CONTACTS = 5_000
FLUSH = 500
IN_FLIGHT = 2 * 16  # two endpoints


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("workers", "_attempt"), [(1, "first"), (1, "second"), (3, "third")])
def test_kill(
    workers: int, _attempt: str, start: Start, block: str, ask: Callable[[str], list[tuple[Any, ...]]]
) -> None:
    """Each contact has one outcome per step; at most a flush per batch at work, and what was in flight, is
    repeated."""
    seed = random.SystemRandom().randrange(10**6)
    moment = random.Random(seed).randrange(1, 2 * CONTACTS)
    print(f"seed {seed}: killed at request {moment} of {2 * CONTACTS}")
    counts: Counter[bytes] = Counter()

    def response(request: Request) -> bytes:
        counts[request.target] += 1
        return respond(b'{"n": 1}')

    with RawServer(each(response)) as server:
        child = start("run", "r", server.url, CONTACTS, workers, block)
        server.wait_until(lambda: counts.total() >= moment, timeout=120)
        child.kill()
        child.wait()
        server.wait_until(lambda: server.open_now == 0)
        killed_at = counts.total()
        again = start("run", "r", server.url, CONTACTS, workers, block)
        output, _ = again.communicate(timeout=90)
    assert "state: Completed" in output, output
    stored = ask(
        "SELECT step, count(*), count(DISTINCT number), min(status), max(status) "
        "FROM leadpush_outcome GROUP BY 1 ORDER BY 1"
    )
    assert stored == [(0, CONTACTS, CONTACTS, 1, 1), (1, CONTACTS, CONTACTS, 1, 1)]
    assert len(counts) == 2 * CONTACTS
    repeats = counts.total() - len(counts)
    print(f"seed {seed}: {killed_at} requests at the kill, {repeats} repeats")
    assert repeats <= workers * FLUSH + IN_FLIGHT
    assert max(counts.values()) <= 2
