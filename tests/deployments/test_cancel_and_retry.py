"""Cancel and Retry of a served campaign, as the buttons of Prefect's UI do it."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from prefect import get_client
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import State, StateType
from prefect.settings import PREFECT_API_URL
from prefect.states import Cancelling
from sqlalchemy import create_engine, text

from tests.support.raw_server import RawServer, Request, each, respond
from tests.support.waiting import eventually

REPOSITORY = Path(__file__).parents[2]
CONTACTS, AT_ONCE, ANSWERED = 60, 4, 20
CAMPAIGN = """
from prefect import flow
from leadpush_prefect import ApiEndpoint, Audience, CampaignRun, Workspace, fetch_api_data
from tests.support.waiting import eventually

@flow
def cancelled_and_retried(url: str):
    workspace = Workspace(allowed_networks=["127.0.0.0/8"])
    endpoint = ApiEndpoint(url=url + "/{{ contact._id }}", max_attempts=1, max_concurrency=4, timeout_seconds=30)
    audience = Audience.from_contacts({"id": n} for n in range(60))
    with CampaignRun.start("cancelled-and-retried", workspace=workspace, audience=audience, batches=2) as run:
        for batch in run.batches():
            fetch_api_data.submit(batch, endpoint, output_key="profile")
        return run.finish()

if __name__ == "__main__":
    cancelled_and_retried.serve("cancel")
"""


class Api:
    """Answers the first few, and the others only when it is quick. `broken` are not found."""

    def __init__(self) -> None:
        self.quick = asyncio.Event()
        self.answered = 0
        self.broken: set[bytes] = set()
        self.asked: Counter[bytes] = Counter()

    async def __call__(self, request: Request) -> bytes:
        self.asked[request.target] += 1
        if self.answered >= ANSWERED:
            await self.quick.wait()
        self.answered += 1
        return respond(status=404 if request.target in self.broken else 200)


@pytest.fixture
def client(prefect_server: None) -> Iterator[SyncPrefectClient]:
    with get_client(sync_client=True) as client:
        yield client


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@contextmanager
def served(tmp_path: Path, home: Path) -> Iterator[None]:
    """The campaign, served from a process of its own."""
    (tmp_path / "campaign.py").write_text(CAMPAIGN)
    environment = {
        **os.environ,
        "PREFECT_API_URL": str(PREFECT_API_URL.value()),
        "PREFECT_HOME": str(home),
        "PREFECT_RUNNER_POLL_FREQUENCY": "1",
        "PYTHONPATH": str(REPOSITORY),
    }
    command = [sys.executable, str(tmp_path / "campaign.py")]
    with (
        (tmp_path / "serve.log").open("w") as log,
        subprocess.Popen(command, env=environment, cwd=tmp_path, stdout=log, stderr=log) as process,
    ):
        try:
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


def start(client: SyncPrefectClient, server: RawServer) -> Any:
    """A flow run of the served campaign."""

    def deployment() -> Any:
        return next((found for found in client.read_deployments() if found.name == "cancel"), None)

    found = eventually(deployment)
    assert found
    return client.create_flow_run_from_deployment(found.id, parameters={"url": server.url}).id


def final(client: SyncPrefectClient, run_id: Any, run_count: int = 1) -> State[Any]:
    """The flow run's final state in its so-many-eth execution."""

    def ended() -> Any:
        run = client.read_flow_run(run_id)
        return run.state if run.run_count >= run_count and run.state and run.state.is_final() else None

    state = eventually(ended)
    assert isinstance(state, State), client.read_flow_run(run_id).state
    return state


def retry(client: SyncPrefectClient, run_id: Any) -> State[Any]:
    """Retry, as the UI's button does it."""
    state: State[Any] = State(type=StateType.SCHEDULED, name="AwaitingRetry", message="Retry from the UI")
    client.set_flow_run_state(run_id, state, force=True)
    return final(client, run_id, 2)


def ask(home: Path, query: str) -> list[tuple[Any, ...]]:
    """Asks the campaign's database."""
    engine = create_engine(f"sqlite:///{home}/leadpush/outputs.db")
    with engine.connect() as connection:
        found = [tuple(row) for row in connection.execute(text(query))]
    engine.dispose()
    return found


def report(client: SyncPrefectClient) -> Any:
    call: Any = client.request
    return call("GET", "/artifacts/campaign-cancelled-and-retried-report/latest").json()


def event_names(client: SyncPrefectClient, run_id: Any) -> list[str]:
    related = {"related": {"id": [f"prefect.flow-run.{run_id}"]}, "event": {"prefix": ["leadpush.campaign."]}}
    call: Any = client.request
    found = call("POST", "/events/filter", json={"filter": related | {"order": "ASC"}, "limit": 50})
    return [event["event"] for event in found.json()["events"]]


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_cancel_then_retry(client: SyncPrefectClient, tmp_path: Path, home: Path) -> None:
    """Requests stop, what had come is stored and reported, nobody holds the run; Retry fetches what is missing."""
    api = Api()
    with RawServer(each(api)) as server, served(tmp_path, home):
        run_id = start(client, server)
        server.wait_until(lambda: len(server.requests) == ANSWERED + AT_ONCE, 120)
        client.set_flow_run_state(run_id, Cancelling(), force=True)
        assert final(client, run_id).name == "Cancelled"
        server.wait_until(lambda: server.open_now == 0, 30)
        assert len(server.requests) == ANSWERED + AT_ONCE

        stored = [number for (number,) in ask(home, "SELECT number FROM leadpush_outcome")]
        assert len(stored) == ANSWERED
        assert ask(home, "SELECT run_id, status, holder FROM leadpush_run") == [(str(run_id), "stopped", "")]
        page = report(client)
        assert page["flow_run_id"] == str(run_id)
        assert page["data"].startswith("# cancelled\\-and\\-retried: Stopped\n"), page["data"]
        assert f'audience -->|"{ANSWERED}"| step0' in page["data"]
        assert eventually(lambda: event_names(client, run_id)) == ["leadpush.campaign.failed"]

        before = Counter(api.asked)
        server.call(api.quick.set)
        assert retry(client, run_id).name == "Completed"
        asked = api.asked - before
        assert asked == Counter(f"/{n}".encode() for n in range(CONTACTS) if n not in stored)
        assert report(client)["data"].startswith("# cancelled\\-and\\-retried: Completed\n")


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_retry_of_a_run_with_failures(client: SyncPrefectClient, tmp_path: Path, home: Path) -> None:
    """Only the contacts that failed are asked again, and it ends Completed."""
    api = Api()
    api.quick.set()
    api.broken = {b"/7", b"/42"}
    with RawServer(each(api)) as server, served(tmp_path, home):
        run_id = start(client, server)
        assert final(client, run_id).name == "Completed with failures"
        before = Counter(api.asked)
        assert before.total() == CONTACTS
        api.broken = set()
        assert retry(client, run_id).name == "Completed"
        assert api.asked - before == Counter([b"/7", b"/42"])
        assert report(client)["data"].startswith("# cancelled\\-and\\-retried: Completed\n")
        assert "execution 2" in report(client)["data"]
