"""A second execution of a run: what is tried again, and what never. Counted at the server."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import Engine

from leadpush_prefect import (
    ApiEndpoint,
    Audience,
    CampaignRun,
    LeadpushError,
    RunIncomplete,
    Workspace,
    fetch_api_data,
    render_template,
)
from leadpush_prefect.model.step import OnFailure
from leadpush_prefect.store.database import open_database
from tests.support.flows import on_database, run_flow
from tests.support.raw_server import RawServer, Request, each, respond

Ask = Callable[[str], list[tuple[object, ...]]]


@pytest.fixture
def acme(acme: Workspace, block: str) -> Workspace:
    """The workspace, on either database."""
    return on_database(acme, block)


@pytest.fixture
def database(url: str) -> Engine:
    return open_database(url)


class Api:
    """`/first/N` and `/second/N`; those in `broken` answer 500."""

    def __init__(self) -> None:
        self.broken = {"/first/3", "/first/4", "/second/6", "/second/8"}

    def __call__(self, request: Request) -> bytes:
        target = request.target.decode()
        return respond(status=500) if target in self.broken else respond(b'{"n": %d}' % int(target[-1]))


@pytest.fixture
def behaviour() -> Api:
    return Api()


@pytest.fixture
def server(behaviour: Api) -> Iterator[RawServer]:
    with RawServer(each(behaviour)) as server:
        yield server


def counts(server: RawServer) -> Counter[str]:
    return Counter(request.target.decode() for request in server.requests)


def campaign(
    server: RawServer,
    workspace: Workspace,
    *,
    on_second: OnFailure = "continue",
    last: str = "{{ contact._id }}",
) -> Callable[[str], Any]:
    """first (stop), second (only for odd-numbered and even ones from 6 on), then a message."""
    first, second = (
        ApiEndpoint(url=f"{server.url}/{path}/{{{{ contact._id }}}}", max_attempts=1)
        for path in ("first", "second")
    )

    def body(run_id: str = "") -> Any:
        audience = Audience.from_contacts({"id": n} for n in range(10))
        with CampaignRun.start("c", workspace=workspace, audience=audience, run_id=run_id, batches=2) as run:
            for batch in run.batches():
                done = fetch_api_data.submit(batch, first, output_key="first")
                done = fetch_api_data.submit(
                    done, second, output_key="second", when="contact._id >= '5'", on_failure=on_second
                )
                render_template.submit(done, last, output_key="message")
            return run.finish()

    return body


def test_the_same_run_id(acme: Workspace, server: RawServer, behaviour: Api, rows: Ask) -> None:
    """Failed under stop: tried again. Fetched, skipped, or failed under continue: never."""
    body = campaign(server, acme)
    assert run_flow(body, "r").name == "Completed with failures"
    assert rows("SELECT number, code FROM leadpush_outcome WHERE status = 3 ORDER BY step, number") == [
        (3, "http_status_500"), (4, "http_status_500"), (6, "http_status_500"), (8, "http_status_500")
    ]  # fmt: skip
    before = counts(server)
    assert before == Counter([f"/first/{n}" for n in range(10)] + [f"/second/{n}" for n in range(5, 10)])
    behaviour.broken = set()
    state = run_flow(body, "r")
    assert counts(server) - before == Counter(["/first/3", "/first/4"])
    assert rows("SELECT step, status, count(*) FROM leadpush_outcome GROUP BY 1, 2 ORDER BY 1, 2") == [
        (0, 1, 10), (1, 1, 3), (1, 2, 5), (1, 3, 2), (2, 1, 10)
    ]  # fmt: skip
    assert rows("SELECT execution, status FROM leadpush_run") == [(2, "finished")]
    assert state.result().completed == 10
    run_flow(body, "r")
    assert sum(counts(server).values()) == 17, "a third execution has nothing to do"


def test_failed_under_stop_at_a_later_step(
    acme: Workspace, server: RawServer, behaviour: Api, rows: Ask
) -> None:
    """Only the step that failed is tried again, with the outputs of the earlier ones."""
    body = campaign(server, acme, on_second="stop", last="{{ workflow.first.n }}")
    run_flow(body, "r")
    behaviour.broken = {"/first/3"}
    run_flow(body, "r")
    assert counts(server)["/second/6"] == counts(server)["/second/8"] == 2
    assert counts(server)["/first/6"] == 1
    assert rows("SELECT output FROM leadpush_outcome WHERE step = 2 AND number = 8") == [('"8"',)]
    assert rows("SELECT step, status FROM leadpush_outcome WHERE number = 3") == [(0, 3)]


def test_a_retry_of_the_flow(acme: Workspace, server: RawServer, behaviour: Api, rows: Ask) -> None:
    """`retries` of the flow keep its run's id, and so the run goes on: only what is missing is fetched."""
    first = ApiEndpoint(url=server.url + "/first/{{ contact._id }}", max_attempts=1)
    ids: list[str] = []

    def again() -> Any:
        audience = Audience.from_contacts({"id": n} for n in range(10))
        with CampaignRun.start("c", workspace=acme, audience=audience, batches=2) as run:
            ids.append(run.id)
            for batch in run.batches()[: len(ids)]:
                fetch_api_data.submit(batch, first, output_key="first")
            return run.finish()

    state = run_flow(again, retries=1)
    assert state.is_completed()
    assert ids == [str(state.state_details.flow_run_id)] * 2
    assert counts(server) == Counter([*(f"/first/{n}" for n in range(10)), "/first/3", "/first/4"])
    assert rows("SELECT execution, run_id FROM leadpush_run") == [(2, ids[0])]


def test_after_a_mistake_was_mended(acme: Workspace, server: RawServer, behaviour: Api) -> None:
    """A task that failed as a whole leaves no outcome: the next execution does it all."""
    behaviour.broken = set()
    body = campaign(server, acme, last="{{ secrets.nothing }}")
    assert isinstance(run_flow(body, "r").result(raise_on_failure=False), RunIncomplete)
    before = counts(server)
    assert run_flow(campaign(server, acme), "r").name == "Completed"
    assert counts(server) == before


def test_another_campaign(acme: Workspace, server: RawServer) -> None:
    """A run id of another campaign, or of a simulated run, is refused."""
    run_flow(campaign(server, acme), "r")
    audience = Audience.from_contacts([{"id": 1}])
    with pytest.raises(LeadpushError, match="began with campaign 'c'"):
        CampaignRun.start("d", workspace=acme, audience=audience, run_id="r")
    with pytest.raises(LeadpushError, match="began with simulate False"):
        CampaignRun.start("c", workspace=acme, audience=audience, run_id="r", simulate=True)
