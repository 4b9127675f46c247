"""POSTs: none is sent twice, whatever ends the process or cuts the line, and all others are sent."""

from __future__ import annotations

import random
import subprocess
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from tests.faults.child import CONCURRENCY
from tests.faults.conftest import Start
from tests.support.databases import POSTGRESQL
from tests.support.raw_server import RawServer, Request, each, respond

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.parametrize(
        "url", [pytest.param("sqlite", marks=pytest.mark.faults), POSTGRESQL], indirect=True
    ),
]

Ask = Callable[[str], list[tuple[Any, ...]]]
CONTACTS, WORKERS = 4_000, 2
AHEAD_OF_FAST = 250
SHARE_CUT = 10
POST = {"METHOD": "POST", "MAX_ATTEMPTS": "3"}
UNKNOWN = "SELECT step, count(*) FROM leadpush_outcome WHERE code = 'outcome_unknown' GROUP BY 1 ORDER BY 1"
LEFT = "SELECT count(*) FROM leadpush_intent"


class CuttingApi:
    """Does what it is asked, once for each key, and cuts the line instead of some answers."""

    def __init__(self, seed: int, share: int) -> None:
        self.chance = random.Random(seed)
        self.share = share
        self.asked: Counter[bytes] = Counter()
        self.cut: set[bytes] = set()
        self.keys: dict[bytes, set[bytes]] = {}

    def __call__(self, request: Request) -> bytes | None:
        self.asked[request.target] += 1
        if key := request.header("Idempotency-Key"):
            self.keys.setdefault(key, set()).add(request.target)
        if self.share and self.chance.randrange(self.share) == 0:
            self.cut.add(request.target)
            return None
        return respond(b'{"n": 1}')


def run_until(
    moments: list[int], api: CuttingApi, start: Start, block: str, **environment: str
) -> tuple[str, int]:
    """Run the campaign, killed as often as there are moments; gives what the last execution printed."""
    with RawServer(each(api)) as server:
        for moment in moments:
            child = start("run", "r", server.url, CONTACTS, WORKERS, block, **POST | environment)
            server.wait_until(partial(_is_reached, api, moment, child), timeout=120)
            child.kill()
            child.wait()
            server.wait_until(lambda: server.open_now == 0)
        last = start("run", "r", server.url, CONTACTS, WORKERS, block, **POST | environment)
        output, _ = last.communicate(timeout=200)
    return output, api.asked.total()


def _is_reached(api: CuttingApi, moment: int, child: subprocess.Popen[str]) -> bool:
    return api.asked.total() >= moment or child.poll() is not None


def test_kill(start: Start, block: str, ask: Ask) -> None:
    """After kill -9 those who may have been asked are unknown, at most what was ahead and in flight of each batch at
    work; nobody is asked twice, and everybody else is."""
    seed = random.SystemRandom().randrange(10**6)
    moments = sorted(random.Random(seed).sample(range(1, CONTACTS), 2))
    print(f"seed {seed}: killed at requests {moments}")
    api = CuttingApi(seed, 0)
    output, asked = run_until(moments, api, start, block)
    assert "state: Completed" in output, output
    unknown: dict[int, int] = dict(ask(UNKNOWN))
    print(f"{asked} requests, unknown: {unknown}")
    assert set(api.asked.values()) == {1}
    assert ask(LEFT) == [(0,)]
    at_most = len(moments) * WORKERS * (AHEAD_OF_FAST + CONCURRENCY)
    assert sum(unknown.values()) <= at_most
    reached = CONTACTS
    for step, path in enumerate((b"/a/", b"/b/")):
        sent = sum(target.startswith(path) for target in api.asked)
        assert reached - unknown.get(step, 0) <= sent <= reached
        reached -= unknown.get(step, 0)  # who is unknown at a step does not come to the next
    assert ask("SELECT step, count(*) FROM leadpush_outcome GROUP BY 1 ORDER BY 1") == [
        (0, CONTACTS),
        (1, CONTACTS - unknown.get(0, 0)),
    ]


def test_a_cut_line(start: Start, block: str, ask: Ask) -> None:
    """Without a key, as many are unknown as lines were cut; a second execution sends none of them."""
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")
    api = CuttingApi(seed, SHARE_CUT)
    for execution in (1, 2):
        output, _ = run_until([], api, start, block)
        assert "state: Completed with failures" in output, output
        assert set(api.asked.values()) == {1}, execution
        assert sum(count for _, count in ask(UNKNOWN)) == len(api.cut)
    first = sum(target.startswith(b"/a/") for target in api.asked)
    assert first == CONTACTS


def test_a_cut_line_under_a_key(start: Start, block: str, ask: Ask) -> None:
    """With a key each is sent until it is answered, also after kill -9, and each has one key: as many effects as
    contacts."""
    seed = random.SystemRandom().randrange(10**6)
    moments = sorted(random.Random(seed).sample(range(1, CONTACTS), 2))
    print(f"seed {seed}: killed at requests {moments}")
    api = CuttingApi(seed, SHARE_CUT)
    more = {"IDEMPOTENCY_HEADER": "Idempotency-Key", "MAX_ATTEMPTS": "9"}
    output, asked = run_until(moments, api, start, block, **more)
    assert "state: Completed:" in output, output
    print(f"{asked} requests for {2 * CONTACTS} effects")
    assert len(api.asked) == len(api.keys) == 2 * CONTACTS
    assert all(len(targets) == 1 for targets in api.keys.values())
    assert (ask(UNKNOWN), ask(LEFT)) == ([], [(0,)])
