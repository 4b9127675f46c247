"""A run that is left in the middle: what is in flight may still come, so that the next execution asks nobody twice."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from prefect import flow

from leadpush_prefect import (
    ApiEndpoint,
    Audience,
    CampaignRun,
    Workspace,
    afetch_api_data,
    fetch_api_data,
)
from tests.support.flows import run_flow
from tests.support.raw_server import RawServer, Request, each, respond

Ask = Callable[[str], list[tuple[Any, ...]]]
CONTACTS = 40
IN_FLIGHT = 8


class Api:
    """Keeps all requests waiting until it is told to answer."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.asked: Counter[bytes] = Counter()

    async def __call__(self, request: Request) -> bytes:
        self.asked[request.target] += 1
        await self.open.wait()
        return respond()


@pytest.fixture
def slow() -> Iterator[tuple[Api, RawServer]]:
    """An API that answers late, and its server."""
    api = Api()
    with RawServer(each(api)) as server:
        yield api, server


def begin(acme: Workspace) -> CampaignRun:
    people = Audience.from_contacts({"id": n} for n in range(CONTACTS))
    return CampaignRun.start("c", workspace=acme, audience=people, run_id="r", batches=2)


def endpoint(server: RawServer) -> ApiEndpoint:
    url = server.url + "/{{ contact._id }}"
    return ApiEndpoint(url=url, max_concurrency=IN_FLIGHT, max_attempts=1, timeout_seconds=30)


def run_again(acme: Workspace, server: RawServer) -> None:
    def body() -> Any:
        with begin(acme) as run:
            for batch in run.batches():
                fetch_api_data.submit(batch, endpoint(server), output_key="a")
            return run.finish()

    assert run_flow(body, workers=2).name == "Completed"


def test_left_by_an_exception(acme: Workspace, slow: tuple[Api, RawServer], rows: Ask) -> None:
    """The answers come while the run ends: they are stored, and the next execution asks the others."""
    api, server = slow

    def body() -> Any:
        with begin(acme) as run:
            for batch in run.batches():
                fetch_api_data.submit(batch, endpoint(server), output_key="a")
            server.wait_until(lambda: api.asked.total() == IN_FLIGHT)
            # The run ends after this, and waits for what is in flight.
            server.call(lambda: asyncio.get_running_loop().call_later(0.5, api.open.set))
            raise ZeroDivisionError

    assert run_flow(body, workers=2).is_failed()
    assert rows("SELECT count(*) FROM leadpush_outcome") == [(IN_FLIGHT,)]
    assert rows("SELECT status, holder FROM leadpush_run") == [("stopped", "")]
    run_again(acme, server)
    assert (len(api.asked), api.asked.total()) == (CONTACTS, CONTACTS)


def test_no_answer_comes(
    acme: Workspace, slow: tuple[Api, RawServer], rows: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are cut after the time that is set, and are the ones that the next execution asks again."""
    api, server = slow
    monkeypatch.setenv("PREFECT_INTEGRATIONS_LEADPUSH_STOP_SECONDS", "0.1")

    def body() -> Any:
        with begin(acme) as run:
            for batch in run.batches():
                fetch_api_data.submit(batch, endpoint(server), output_key="a")
            server.wait_until(lambda: api.asked.total() == IN_FLIGHT)
            raise ZeroDivisionError

    assert run_flow(body, workers=2).is_failed()
    assert rows("SELECT count(*) FROM leadpush_outcome") == [(0,)]
    server.wait_until(lambda: server.open_now == 0)
    server.call(api.open.set)
    run_again(acme, server)
    assert (len(api.asked), api.asked.total()) == (CONTACTS, CONTACTS + IN_FLIGHT)


def test_a_task_is_cancelled(acme: Workspace, slow: tuple[Api, RawServer], rows: Ask) -> None:
    """An async task that is cancelled lets its own requests come too."""
    api, server = slow

    @flow
    async def body() -> Any:
        with begin(acme) as run:
            tasks = [
                asyncio.create_task(afetch_api_data(batch, endpoint(server), output_key="a"))
                for batch in run.batches()
            ]
            await server.until(lambda: api.asked.total() == IN_FLIGHT)
            server.call(lambda: asyncio.get_running_loop().call_later(0.5, api.open.set))
            for each_task in tasks:
                each_task.cancel()
            await asyncio.wait(tasks)
            assert all(each_task.cancelled() for each_task in tasks)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        asyncio.run(body())
    assert rows("SELECT count(*) FROM leadpush_outcome") == [(IN_FLIGHT,)]
    run_again(acme, server)
    assert (len(api.asked), api.asked.total()) == (CONTACTS, CONTACTS)
