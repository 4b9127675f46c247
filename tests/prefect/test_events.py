"""What automations learn of campaigns and endpoints. The events are read back from Prefect's server."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from prefect.settings import PREFECT_API_URL

from leadpush_prefect import ApiEndpoint, Audience, CampaignRun, Workspace, fetch_api_data
from leadpush_prefect.errors import Reason
from leadpush_prefect.model.outcome import Failure, Outcome, Status
from leadpush_prefect.runs import events as module
from leadpush_prefect.runs import open_runs
from leadpush_prefect.runs.events import EndpointHealth
from tests.support.flows import run_flow
from tests.support.raw_server import RawServer, Request, each, respond
from tests.support.shown import ask, events, flow_run_id, flush_events
from tests.support.waiting import eventually

ENDPOINT = "events-profile"


class Api:
    """Answers with a status; from then on that some were asked, with 200. Never where the status is 0."""

    def __init__(self) -> None:
        self.status, self.broken, self.asked = 200, 10**9, 0

    async def __call__(self, request: Request) -> bytes:
        self.asked += 1
        if self.asked > self.broken:
            return respond()
        if not self.status:
            await asyncio.Event().wait()
        return respond(status=self.status)


@pytest.fixture
def behaviour() -> Api:
    return Api()


@pytest.fixture
def endpoint(behaviour: Api, acme: Workspace) -> Iterator[str]:
    """A saved endpoint of a real API."""
    with RawServer(each(behaviour)) as server:
        ApiEndpoint(
            workspace="acme",
            url=server.url + "/{{ contact._id }}",
            max_attempts=1,
            max_concurrency=50,
            timeout_seconds=30,  # a second's pause of a busy machine is no failure of the API
        ).save(ENDPOINT, overwrite=True)
        yield ENDPOINT


def run_campaign(endpoint: str, contacts: int, *, batches: int = 1, breaks: bool = False) -> UUID:
    def body() -> Any:
        audience = Audience.from_contacts({"id": n} for n in range(contacts))
        with CampaignRun.start("told", workspace="acme", audience=audience, batches=batches) as run:
            for batch in run.batches():
                fetch_api_data.submit(batch, endpoint, output_key="profile").wait()
            if breaks:
                raise ZeroDivisionError
            return run.finish()

    return flow_run_id(run_flow(body))


def told(run: UUID) -> list[Any]:
    """All events of a run that has ended: that of its end comes last."""
    flush_events()
    assert eventually(lambda: events(run, "leadpush.campaign."))
    return events(run)


def related(event: Any) -> dict[str, str]:
    """The related resources' names, by role."""
    return {r["prefect.resource.role"]: r.get("prefect.resource.name", "") for r in event["related"]}


@pytest.mark.parametrize(("breaks", "ended"), [(False, "completed"), (True, "failed")])
def test_a_campaign_ends(breaks: bool, ended: str, endpoint: str) -> None:
    """The counts, and what it concerns: the flow run by Prefect, endpoint and workspace by us."""
    run = run_campaign(endpoint, 5, breaks=breaks)
    [event] = told(run)
    assert event["event"] == f"leadpush.campaign.{ended}"
    assert event["resource"]["prefect.resource.id"] == "leadpush.campaign.told"
    counts = {name: event["payload"][name] for name in ("contacts", "completed", "stopped", "state")}
    state = "Stopped by ZeroDivisionError" if breaks else "Completed"
    assert counts == {"contacts": 5, "completed": 5, "stopped": 0, "state": state}
    assert event["payload"]["steps"] == [{"node": "profile", "fetched": 5, "skipped": 0, "failed": {}}]
    found = related(event)
    assert (found["endpoint"], found["workspace"]) == (ENDPOINT, "acme")
    assert {"flow-run", "flow"} <= found.keys()
    block = ask("GET", f"/block_types/slug/leadpush-api-endpoint/block_documents/name/{ENDPOINT}")
    assert f"prefect.block-document.{block['id']}" in [r["prefect.resource.id"] for r in event["related"]]


@pytest.mark.parametrize(("status", "reason"), [(503, "http_status_503"), (0, "timeout")])
def test_an_endpoint_fails(status: int, reason: str, endpoint: str, behaviour: Api) -> None:
    """Told from a task's thread, with the flow run; once, however many batches fail within 10 s."""
    behaviour.status = status
    if not status:
        silent: Any = ApiEndpoint.load(endpoint)
        silent.timeout_seconds = 0.5
        silent.save(endpoint, overwrite=True)
    failing, end = told(run_campaign(endpoint, 120, batches=2))
    assert (failing["event"], end["event"]) == ("leadpush.endpoint.failing", "leadpush.campaign.completed")
    assert failing["resource"]["prefect.resource.id"] == f"leadpush.endpoint.{ENDPOINT}"
    assert failing["payload"] == {"campaign": "told", "last_calls": 50, "failed_calls": 50, "reason": reason}
    found = related(failing)
    assert (found["endpoint"], found["workspace"]) == (ENDPOINT, "acme")
    assert {"flow-run", "task-run"} <= found.keys()


def test_an_endpoint_recovers(endpoint: str, behaviour: Api) -> None:
    """Of the last 50 calls, less than a quarter fail again."""
    behaviour.status, behaviour.broken = 503, 60
    failing, recovered, _ = told(run_campaign(endpoint, 120, batches=2))
    assert failing["event"] == "leadpush.endpoint.failing"
    assert recovered["event"] == "leadpush.endpoint.recovered"
    assert recovered["payload"] == {"campaign": "told", "last_calls": 50, "failed_calls": 0}


def test_a_flood_of_404(endpoint: str, behaviour: Api) -> None:
    """It is the audience's fault, and no sign of a failing API."""
    behaviour.status = 404
    [end] = told(run_campaign(endpoint, 120, batches=2))
    assert end["payload"]["steps"][0]["failed"] == {"http_status_404": 120}


BAD = Outcome(Status.FAILED, failure=Failure(Reason.TIMEOUT, "No response within 1 s."), attempts=1)
GOOD = Outcome(Status.FETCHED, output="{}", attempts=1)
MOCKED = Outcome(Status.FAILED, failure=Failure(Reason.TIMEOUT, "No response within 1 s."))


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, float]]:
    """What an EndpointHealth says, and when by a clock that the test moves."""
    said: list[tuple[str, float]] = []
    monkeypatch.setattr(module, "monotonic", lambda: clock[0])
    clock[0] = 100.0
    monkeypatch.setattr(
        module, "emit_event", lambda name, **_: said.append((name.rsplit(".", 1)[1], clock[0]))
    )
    return said


clock = [100.0]


def test_at_most_once_in_ten_seconds(said: list[tuple[str, float]], acme: Workspace) -> None:
    """Also for an endpoint that recovers and fails in turn."""
    health = EndpointHealth("e", "acme", "c")
    for _ in range(100):
        clock[0] += 0.5
        health.note([BAD] * 50)
        health.note([GOOD] * 50)
    times = [time for name, time in said if name == "failing"]
    assert len(times) == 5
    assert min(later - earlier for earlier, later in pairwise(times)) >= 10
    assert [name for name, _ in said] == ["failing", "recovered"] * 5


def test_again_while_it_lasts(said: list[tuple[str, float]], acme: Workspace) -> None:
    health = EndpointHealth("e", "acme", "c")
    for _ in range(60):
        clock[0] += 0.5
        health.note([BAD] * 5)
    assert [name for name, _ in said] == ["failing"] * 3


def test_what_is_too_little(said: list[tuple[str, float]], acme: Workspace) -> None:
    """Fewer than 25 failures in all, or of 50 calls, say nothing; nor do those of a simulated run."""
    health = EndpointHealth("e", "acme", "c")
    health.note([BAD] * 24 + [MOCKED] * 100)
    health.note([GOOD] * 26)
    assert said == []


def test_prefect_cannot_be_told(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """The batch goes on; a line of the log."""

    def refused(*_: Any, **__: Any) -> None:
        raise RuntimeError

    monkeypatch.setattr(module, "emit_event", refused)
    EndpointHealth("e", "acme", "c").note([BAD] * 50)
    assert "leadpush.endpoint.failing was not said: RuntimeError." in caplog.messages


CHILD = """
import sys
from prefect import flow
from leadpush_prefect import Audience, CampaignRun, fetch_api_data

@flow
def told():
    with CampaignRun.start("told", workspace="acme", audience=Audience.from_contacts([{"id": 1}])) as run:
        fetch_api_data.submit(run.batches()[0], "events-profile", output_key="profile")
        return run.finish()

print(told(return_state=True).state_details.flow_run_id)
"""


def test_the_process_ends_at_once(endpoint: str, tmp_path: Path) -> None:
    """What was emitted last is sent before the process has gone."""
    environment = {
        **os.environ,
        "PREFECT_API_URL": str(PREFECT_API_URL.value()),
        "PREFECT_HOME": str(tmp_path),
        "PREFECT_LOGGING_LEVEL": "ERROR",
    }
    done = subprocess.run(
        [sys.executable, "-c", CHILD], env=environment, check=True, capture_output=True, text=True, timeout=60
    )
    [event] = told(UUID(done.stdout.strip()))
    assert event["event"] == "leadpush.campaign.completed"


@pytest.mark.parametrize("report", [True, False])
def test_in_another_process(
    report: bool, behaviour: Api, endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that knows the run only from the database says what the flow's would: with `report=False`, nothing."""
    behaviour.status = 503
    kept = dict(open_runs._runs)

    def body() -> Any:
        audience = Audience.from_contacts({"id": n} for n in range(60))
        with CampaignRun.start("told", workspace="acme", audience=audience, report=report) as run:
            [batch] = run.batches()
            with monkeypatch.context() as elsewhere:
                elsewhere.setattr(open_runs, "_runs", kept)
                fetch_api_data.submit(batch, endpoint, output_key="profile").wait()
            return run.finish()

    run = flow_run_id(run_flow(body))
    kept.clear()
    flush_events()
    assert eventually(lambda: events(run, "prefect.task-run.Completed")), (
        "which comes after those of the endpoint"
    )
    assert [event["event"] for event in events(run, "leadpush.endpoint.")] == (
        ["leadpush.endpoint.failing"] if report else []
    )
