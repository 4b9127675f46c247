"""Ctrl-C, SIGTERM and Prefect's Cancel end a large run against a slow server at once; what had arrived is
stored."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]
import pytest
from prefect.client.orchestration import get_client
from prefect.deployments import run_deployment
from prefect.states import Cancelling

from tests.faults.child import CONCURRENCY
from tests.faults.conftest import Start
from tests.support.raw_server import RawServer, Request, each, respond

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]

CONTACTS = 20_000
ARRIVED = 300  # answers before the stop
Ask = Callable[[str], list[tuple[Any, ...]]]


class SlowApi:
    """Answers after 0.2 s, until it is made quick."""

    def __init__(self) -> None:
        self.delay = 0.2
        self.asked: Counter[bytes] = Counter()
        self.answered = 0

    async def __call__(self, request: Request) -> bytes:
        self.asked[request.target] += 1
        await asyncio.sleep(self.delay)
        self.answered += 1
        return respond(b'{"n": 1}')


def check_stored(api: SlowApi, ask: Ask) -> None:
    [(stored,)] = ask("SELECT count(*) FROM leadpush_outcome")
    print(f"{api.answered} answered, {stored} stored")
    assert api.answered - CONCURRENCY <= stored <= api.answered
    assert stored >= ARRIVED - CONCURRENCY
    assert ask("SELECT status, holder FROM leadpush_run") == [("stopped", "")], "nobody holds it any more"


def check_again(run_id: str, api: SlowApi, server: RawServer, start: Start, ask: Ask) -> None:
    """The same run id completes; only what was not stored is asked for again."""
    api.delay = 0
    stored = {number for (number,) in ask("SELECT number FROM leadpush_outcome WHERE step = 0")}
    before = Counter(api.asked)
    again = start("run", run_id, server.url, CONTACTS, 4)
    output, _ = again.communicate(timeout=120)
    assert "state: Completed" in output, output
    assert ask("SELECT step, count(*) FROM leadpush_outcome GROUP BY 1") == [(0, CONTACTS), (1, CONTACTS)]
    asked_again = api.asked - before
    assert not [n for n in stored if f"/a/{n}".encode() in asked_again]
    assert asked_again.total() == 2 * CONTACTS - len(stored)


@pytest.mark.parametrize("how", ["run", "arun"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=str)
def test_signal(number: signal.Signals, how: str, start: Start, ask: Ask) -> None:
    """The process ends within 3 s of the signal (6 are allowed for), and the same run id goes on."""
    api = SlowApi()
    with RawServer(each(api)) as server:
        child = start(how, "r", server.url, CONTACTS, 4)
        server.wait_until(lambda: api.answered >= ARRIVED, timeout=120)
        began = time.monotonic()
        child.send_signal(number)
        try:
            output, _ = child.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            child.send_signal(signal.SIGABRT)
            pytest.fail("it hangs")
        seconds = time.monotonic() - began
        print(f"{number.name}, {how}: ended after {seconds:.2f} s with {child.returncode}")
        assert child.returncode != 0, output
        check_stored(api, ask)
        assert seconds < 6
        if how == "run" and number == signal.SIGINT:
            check_again("r", api, server, start, ask)


def test_cancel(start: Start, ask: Ask, tmp_path: Path) -> None:
    """Prefect's Cancel of a served deployment's run: its process ends within 3 s (6 are allowed for)."""
    api = SlowApi()
    pid_file = tmp_path / "pid"
    with RawServer(each(api)) as server:
        start("serve", server.url, CONTACTS, 4, pid_file)
        flow_run = _run_when_deployed()
        server.wait_until(lambda: api.answered >= ARRIVED, timeout=120)
        process = psutil.Process(int(pid_file.read_text()))
        assert process.pid != os.getpid()
        began = time.monotonic()
        with get_client(sync_client=True) as client:
            client.set_flow_run_state(flow_run.id, Cancelling(), force=True)
        process.wait(timeout=30)
        seconds = time.monotonic() - began
        print(f"Cancel: ended after {seconds:.2f} s")
        check_stored(api, ask)
        assert seconds < 6
        check_again(str(flow_run.id), api, server, start, ask)


def _run_when_deployed() -> Any:
    deadline = time.monotonic() + 60
    while True:
        try:
            return run_deployment("stoppable/faults", timeout=0, as_subflow=False)
        except Exception:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)
