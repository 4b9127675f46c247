"""Prefect's server is away while a campaign works: it answers 500 or 401, or nobody is there.

Two seconds stand for a minute. With 500 and 401, Prefect's client gives up at once, so that any call on the way would
fail a task however short the time is; a refused connection is what a server that restarts looks like. Where no task calls
the server, its absence has no length. What does call it, the loading of a Block, is asked again for 120 s, and is met in
`late`.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from prefect.settings import PREFECT_API_URL

from tests.faults.away import CONTACTS
from tests.support.prefect_proxy import PrefectProxy
from tests.support.raw_server import RawServer, Request, each, respond

pytestmark = [pytest.mark.faults, pytest.mark.timeout(150)]

SCRIPT = Path(__file__).with_name("away.py")
AWAY_SECONDS = 2.0


class Api:
    """Has Prefect's server leave with its first request, and answers the last one when that is back."""

    def __init__(self, proxy: PrefectProxy, how: str) -> None:
        self.asked: Counter[str] = Counter()
        self._proxy, self._how = proxy, how

    async def __call__(self, request: Request) -> bytes:
        self.asked[request.target.decode()] += 1
        if self.asked.total() == 1:
            await asyncio.to_thread(self._proxy.leave, self._how, AWAY_SECONDS)
        if self.asked.total() == 2 * CONTACTS:
            await asyncio.to_thread(self._proxy.back.wait, 60)
        return respond(b'{"n": 1}')


def run_campaign(kind: str, url: str, proxy: PrefectProxy, home: Path) -> str:
    """What the campaign's process prints; all of its Prefect goes through the proxy."""
    environment = {
        **os.environ,
        "PREFECT_HOME": str(home),
        "PREFECT_API_URL": proxy.url,
        "PREFECT_TEST_MODE": "0",
        "PREFECT_LOGGING_LEVEL": "WARNING",
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    command = [sys.executable, str(SCRIPT), kind, url]
    return subprocess.run(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120
    ).stdout


@pytest.mark.parametrize(
    ("how", "kind"),
    [
        ("500", "chained"),
        ("500", "own-tasks"),
        ("500", "mapped"),
        ("500", "late"),
        ("500", "async"),
        ("401", "chained"),
        ("401", "late"),
        ("401", "async"),
        ("refused", "chained"),
        ("refused", "late"),
        ("refused", "async"),
    ],
)
def test_between_the_first_and_the_last_request(
    how: str, kind: str, prefect_server: None, tmp_path: Path
) -> None:
    """The flow run is Completed; everybody was asked at both steps, and nobody twice."""
    with PrefectProxy(PREFECT_API_URL.value() or "") as proxy:
        api = Api(proxy, how)
        with RawServer(each(api)) as server:
            output = run_campaign(kind, server.url, proxy, tmp_path)
    assert "state: Completed:" in output, output[-5_000:]
    assert api.asked == {f"/{step}/{contact}": 1 for step in "ab" for contact in range(CONTACTS)}
