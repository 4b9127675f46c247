"""What this process cannot do is nobody's failure: a limit of open files, and a stop for longer than a request may
take."""

from __future__ import annotations

import asyncio
import resource
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]
import pytest

from tests.faults.conftest import Start
from tests.support.raw_server import RawServer, Request, each, respond
from tests.support.waiting import eventually

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]

LIMITS = Path(__file__).with_name("limits.py")
CONTACTS = 4_000
TIMEOUT = 3.0
Ask = Callable[[str], list[tuple[Any, ...]]]


class Api:
    """Answers after some time, and counts."""

    def __init__(self, delay: float) -> None:
        self.delay = delay
        self.asked: Counter[bytes] = Counter()
        self.answered = 0

    async def __call__(self, request: Request) -> bytes:
        self.asked[request.target] += 1
        await asyncio.sleep(self.delay)
        self.answered += 1
        return respond()


def check_all_once(api: Api, ask: Ask) -> None:
    assert ask("SELECT count(*) FROM leadpush_outcome") == [(CONTACTS,)]
    assert (len(api.asked), api.asked.total()) == (CONTACTS, CONTACTS), "nobody twice, and all others"


@pytest.mark.parametrize("files", [1024, 256])
def test_open_files(start: Start, ask: Ask, files: int) -> None:
    """`max_concurrency` is more than the process may have open: nobody fails, and nothing hangs afterwards."""
    api = Api(0.2)
    # This process has the other end of each connection.
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        with RawServer(each(api)) as server:
            child = start("r", server.url, CONTACTS, 1000, 20, files, program=LIMITS)
            output, _ = child.communicate(timeout=200)
            print(f"at most {server.most_open} connections")
            assert "failed: {}\nstate: Completed:" in output, output
            assert child.returncode == 0
            assert server.most_open < files
        check_all_once(api, ask)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_stopped_for_longer_than_a_request_may_take(start: Start, ask: Ask) -> None:
    """Answers that came while the process was stopped count; so nobody is asked again by the next execution."""
    api = Api(0.1)
    with RawServer(each(api)) as server:
        arguments = ("r", server.url, CONTACTS, 64, TIMEOUT)
        child = start(*arguments, program=LIMITS)
        process = psutil.Process(child.pid)
        for part in (1, 2, 3):
            enough = part * CONTACTS // 5
            server.wait_until(lambda enough=enough: api.answered >= enough, timeout=120)  # type: ignore[misc]
            child.send_signal(signal.SIGSTOP)
            eventually(lambda: process.status() == psutil.STATUS_STOPPED)
            # What is tried is a time: there is nothing else to wait for.
            over = time.monotonic() + 2 * TIMEOUT
            eventually(lambda over=over: time.monotonic() > over)  # type: ignore[misc]
            child.send_signal(signal.SIGCONT)
        output, _ = child.communicate(timeout=120)
        assert "failed: {}\nstate: Completed:" in output, output
        again = start(*arguments, program=LIMITS)
        output, _ = again.communicate(timeout=120)
        assert "state: Completed:" in output, output
    check_all_once(api, ask)
