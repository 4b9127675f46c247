"""Threads: few workers and many batches, one engine, an endpoint's limits, and a slow endpoint beside a fast
one."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from prefect import task

from leadpush_prefect import (
    ApiEndpoint,
    Audience,
    Batch,
    CampaignContext,
    CampaignRun,
    RunIncomplete,
    Workspace,
    fetch_api_data,
    render_template,
)
from leadpush_prefect.sending import dispatcher as dispatchers
from tests.support.flows import run_flow
from tests.support.raw_server import RawServer, Request, each, respond

Ask = Callable[[str], list[tuple[object, ...]]]


def people(count: int) -> Audience:
    return Audience.from_contacts({"id": n} for n in range(count))


def test_two_workers_and_thirty_batches(acme: Workspace, api: RawServer, rows: Ask) -> None:
    """Every contact goes through both steps, and each is fetched once."""
    endpoint = ApiEndpoint(url=api.url + "/profile/{{ contact._id }}", max_attempts=1)

    def body() -> Any:
        with CampaignRun.start("c", workspace=acme, audience=people(300), batches=30) as run:
            for batch in run.batches():
                done = fetch_api_data.submit(batch, endpoint, output_key="profile", on_failure="continue")
                render_template.submit(done, "Hi", output_key="m")
            return run.finish()

    state = run_flow(body, workers=2)
    assert state.result().completed == 300
    assert rows("SELECT count(*) FROM leadpush_outcome") == [(600,)]
    assert len(api.requests) == len({request.target for request in api.requests}) == 300


def test_a_step_that_raises(acme: Workspace, api: RawServer, rows: Ask) -> None:
    """The flow is not green, and names the batch; the other batches went on."""
    endpoint = ApiEndpoint(url=api.url + "/profile/{{ contact._id }}", max_attempts=1)

    @task
    def check(batch: Batch) -> Batch:
        if batch.number == 3:
            raise ZeroDivisionError("unlucky")
        return batch

    def body() -> Any:
        with CampaignRun.start("c", workspace=acme, audience=people(100), batches=10) as run:
            for batch in run.batches():
                render_template.submit(
                    fetch_api_data.submit(check.submit(batch), endpoint, output_key="profile"),
                    "Hi",
                    output_key="m",
                )
            return run.finish()

    state = run_flow(body, workers=2)
    error = state.result(raise_on_failure=False)
    assert isinstance(error, RunIncomplete)
    assert str(error).startswith("3 of 30 tasks did not complete: a task of the flow: Failed: ")
    assert "ZeroDivisionError" in str(error)
    assert "unlucky" not in str(error)  # which may be somebody's data; Prefect's page of the task run has it
    assert "step profile: NotReady" in str(error)
    assert rows("SELECT count(DISTINCT number) FROM leadpush_outcome") == [(90,)]


def test_one_dispatcher(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sixteen threads that start together make one dispatcher."""
    monkeypatch.setattr(dispatchers, "_dispatcher", None)
    barrier = threading.Barrier(16)
    made: list[Any] = []

    def make() -> None:
        barrier.wait()
        made.append(dispatchers.dispatcher())

    threads = [threading.Thread(target=make) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 16
    assert len({id(one) for one in made}) == 1
    made[0].shut_down()
    assert made[0].loop.is_closed()


def test_a_dispatcher_that_nobody_waits_for(monkeypatch: pytest.MonkeyPatch, acme: Workspace) -> None:
    """It ends all the same, and closes its connections: none is left for the collector to complain of."""
    monkeypatch.setattr(dispatchers, "_dispatcher", None)
    monkeypatch.setattr(dispatchers, "SHUTDOWN_SECONDS", 0.0)
    with RawServer(respond()) as server:
        context = CampaignContext(workspace=acme, campaign="c", contact={"_id": "7", "attributes": {}})
        assert ApiEndpoint(url=server.url).call(context) == {}
        mine = dispatchers.dispatcher()
        mine.shut_down()
        mine._thread.join(10)
        assert mine.loop.is_closed()
        del mine
        monkeypatch.undo()
        gc.collect()


def test_max_concurrency(acme: Workspace) -> None:
    """Over several batches at once, and two endpoints' worth of threads, the server sees no more
    connections."""
    most = 0
    now = 0

    async def response(request: Request) -> bytes:
        nonlocal most, now
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.002)
        now -= 1
        return respond()

    with RawServer(each(response)) as server:
        endpoint = ApiEndpoint(url=server.url + "/{{ contact._id }}", max_concurrency=5)
        endpoint.save("limited", overwrite=True)

        def body() -> Any:
            with CampaignRun.start("c", workspace=acme, audience=people(400), batches=8) as run:
                for batch in run.batches():
                    fetch_api_data.submit(batch, "limited", output_key="a")
                return run.finish()

        assert run_flow(body, workers=8).name == "Completed"
        assert (len(server.requests), most, server.most_open) == (400, 5, 5)


def test_a_slow_endpoint_holds_up_no_other(acme: Workspace) -> None:
    """The slow endpoint answers only when the fast one's batches are done: both are, so neither waited."""
    fast_is_done = asyncio.Event()

    async def slow(request: Request) -> bytes:
        await fast_is_done.wait()
        return respond()

    with RawServer(each(slow)) as slow_server, RawServer(respond()) as fast_server:
        slow_one = ApiEndpoint(url=slow_server.url, max_concurrency=4, timeout_seconds=30)
        fast_one = ApiEndpoint(url=fast_server.url, max_concurrency=4)

        def body() -> Any:
            with CampaignRun.start("c", workspace=acme, audience=people(600), batches=3) as run:
                for batch in run.batches():
                    fetch_api_data.submit(batch, slow_one, output_key="slow")
                slow_server.wait_until(lambda: len(slow_server.requests) >= 4)
                fast = [fetch_api_data.submit(b, fast_one, output_key="fast") for b in run.batches()]
                for future in fast:
                    future.wait(20)
                assert all(future.state.is_completed() for future in fast)
                assert len(slow_server.requests) == 4
                slow_server.call(fast_is_done.set)
                return run.finish()

        assert run_flow(body, workers=6).name == "Completed"
        assert (len(slow_server.requests), len(fast_server.requests)) == (600, 600)


def test_requests_per_second(acme: Workspace) -> None:
    """Over several batches: 60 requests at 100 a second take half a second at least (a tenth may go at
    once)."""
    with RawServer(respond()) as server:
        endpoint = ApiEndpoint(url=server.url, requests_per_second=100)

        def body() -> Any:
            with CampaignRun.start("c", workspace=acme, audience=people(60), batches=3) as run:
                begin = time.monotonic()
                for batch in run.batches():
                    fetch_api_data.submit(batch, endpoint, output_key="a")
                state = run.finish()
                assert time.monotonic() - begin > 0.45
                return state

        assert run_flow(body, workers=3).name == "Completed"


def test_a_waiting_contact_holds_up_no_other(acme: Workspace) -> None:
    """One that is to be tried again after a second lets the others go first."""
    order: list[bytes] = []

    def response(request: Request) -> bytes:
        order.append(request.target)
        if request.target == b"/0" and order.count(b"/0") == 1:
            return respond(status=503, headers=[("Retry-After", "1")])
        return respond()

    with RawServer(each(response)) as server:
        endpoint = ApiEndpoint(url=server.url + "/{{ contact._id }}", max_concurrency=1)

        def body() -> Any:
            with CampaignRun.start("c", workspace=acme, audience=people(20)) as run:
                fetch_api_data.submit(run.batches()[0], endpoint, output_key="a")
                return run.finish()

        summary = run_flow(body, workers=2).result()
    assert (order[0], order[-1], len(order)) == (b"/0", b"/0", 21)
    assert (summary.steps[0].fetched, summary.steps[0].requests) == (20, 21)


def test_contacts_from_many_threads(acme: Workspace, api: RawServer) -> None:
    """Single contacts from threads of the user's own share the engine and the limits."""
    endpoint = ApiEndpoint(url=api.url + "/profile/{{ contact._id }}", max_concurrency=3, max_attempts=1)
    plans: list[str] = []

    def fetch(number: int) -> None:
        context = CampaignContext(workspace=acme, campaign="c", contact={"id": number * 10})
        plans.append(endpoint.call(context)["plan"])

    threads = [threading.Thread(target=fetch, args=(n,)) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert plans == ["free"] * 20
    assert api.most_open <= 3


def test_a_request_that_cannot_be_prepared(acme: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever goes wrong inside the dispatcher, nobody waits for ever: the contact fails with
    unexpected_error."""
    monkeypatch.setattr(dispatchers.Dispatcher, "transport", lambda self, target: 1 / 0)
    endpoint = ApiEndpoint(url="https://a.example/")
    with pytest.raises(Exception, match="unexpected_error") as failed:
        endpoint.call(CampaignContext(workspace=acme, campaign="c", contact={"id": 1}))
    assert "ZeroDivisionError while the request was prepared" in str(failed.value)


def test_a_batch_that_waits_for_its_next_attempts_holds_up_no_other(acme: Workspace) -> None:
    """A batch reads on when another one's requests wait: the API refuses the first batch until it sees the second."""
    second_is_there = asyncio.Event()

    async def response(request: Request) -> bytes:
        if int(request.target[1:]) >= 1_000:
            second_is_there.set()
        if second_is_there.is_set():
            return respond()
        return respond(status=429, headers=[("Retry-After", "1")])

    with RawServer(each(response)) as server:
        endpoint = ApiEndpoint(url=server.url + "/{{ contact._id }}", max_attempts=6)

        def body() -> Any:
            with CampaignRun.start("c", workspace=acme, audience=people(2_000), batches=2) as run:
                first, second = run.batches()
                done = fetch_api_data.submit(first, endpoint, output_key="a")
                server.wait_until(lambda: len(server.requests) > 16)
                fetch_api_data.submit(second, endpoint, output_key="a")
                assert not done.state.is_final()  # Prefect may still take it for pending
                return run.finish()

        assert run_flow(body, workers=2).name == "Completed"
