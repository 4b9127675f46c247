"""Ctrl-C, SIGTERM and Prefect's Cancel end a large run against a slow server soon: what is in flight may still come, and
all that came is stored."""

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
NEVER = 3600.0
Ask = Callable[[str], list[tuple[Any, ...]]]


class SlowApi:
    """Answers after some time, until it is made quick."""

    def __init__(self, delay: float = 0.2) -> None:
        self.delay = delay
        self.asked: Counter[bytes] = Counter()
        self.answered = 0
        self.silent = 0

    async def __call__(self, request: Request) -> bytes:
        self.asked[request.target] += 1
        self.silent += self.delay == NEVER
        await asyncio.sleep(self.delay)
        self.answered += 1
        return respond(b'{"n": 1}')


def check_stored(api: SlowApi, ask: Ask) -> None:
    [(stored,)] = ask("SELECT count(*) FROM leadpush_outcome")
    print(f"{api.asked.total()} asked, {api.answered} answered, {stored} stored")
    assert stored == api.answered == api.asked.total() >= ARRIVED, "none is lost that was asked"
    assert ask("SELECT status, holder FROM leadpush_run") == [("stopped", "")], "nobody holds it any more"


def check_again(run_id: str, api: SlowApi, server: RawServer, start: Start, ask: Ask) -> None:
    """The same run id completes; all others are asked, and nobody twice."""
    api.delay = 0
    again = start("run", run_id, server.url, CONTACTS, 4)
    output, _ = again.communicate(timeout=120)
    assert "state: Completed" in output, output
    assert ask("SELECT step, count(*) FROM leadpush_outcome GROUP BY 1") == [(0, CONTACTS), (1, CONTACTS)]
    assert (len(api.asked), api.asked.total()) == (2 * CONTACTS, 2 * CONTACTS)


@pytest.mark.parametrize("how", ["run", "arun"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=str)
def test_signal(number: signal.Signals, how: str, start: Start, ask: Ask) -> None:
    """What is in flight comes, the process ends, and the same run id goes on without asking anybody twice."""
    api = SlowApi()
    with RawServer(each(api)) as server:
        child = start(how, "r", server.url, CONTACTS, 4)
        server.wait_until(lambda: api.answered >= ARRIVED, timeout=120)
        end_by(number, child)
        check_stored(api, ask)
        if how == "run" and number == signal.SIGINT:
            check_again("r", api, server, start, ask)


def end_by(number: signal.Signals, child: subprocess.Popen[str]) -> None:
    """Send a signal, and see that the process ends by itself."""
    began = time.monotonic()
    child.send_signal(number)
    try:
        output, _ = child.communicate(timeout=30)
    except subprocess.TimeoutExpired:
        child.send_signal(signal.SIGABRT)
        pytest.fail("it hangs")
    print(f"{number.name}: ended after {time.monotonic() - began:.2f} s with {child.returncode}")
    assert child.returncode != 0, output


def test_no_answer_comes(start: Start, ask: Ask) -> None:
    """What is not answered is not waited for: an API that takes as long as a request may is cut off."""
    api = SlowApi()
    with RawServer(each(api)) as server:
        child = start("run", "r", server.url, CONTACTS, 4)
        server.wait_until(lambda: api.answered >= ARRIVED, timeout=120)
        api.delay = NEVER
        server.wait_until(lambda: api.silent == CONCURRENCY, timeout=120)
        end_by(signal.SIGINT, child)
        [(stored,)] = ask("SELECT count(*) FROM leadpush_outcome")
        assert (stored, api.silent) == (api.answered, CONCURRENCY), "nothing was sent any more"
        assert ask("SELECT status, holder FROM leadpush_run") == [("stopped", "")]


def test_cancel(start: Start, ask: Ask, tmp_path: Path) -> None:
    """Prefect's Cancel of a served deployment's run: its process ends, and nobody is asked twice."""
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
        process.wait(timeout=60)
        print(f"Cancel: ended after {time.monotonic() - began:.2f} s")
        check_stored(api, ask)
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
