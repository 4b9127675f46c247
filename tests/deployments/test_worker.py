"""The campaigns of prefect.yaml on a work pool, as docs/scheduling.md deploys them: a worker runs and cancels them."""

from __future__ import annotations

import os
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from prefect import get_client
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import State, StateType
from prefect.settings import PREFECT_API_URL
from prefect.states import Cancelling
from sqlalchemy import create_engine, text

from leadpush_prefect import ApiEndpoint, Audience, Workspace
from tests.support.campaign_api import CONTACTS, KEY, CustomerApi, audience_csv
from tests.support.prefect_site import BIN, REPOSITORY
from tests.support.waiting import eventually

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]

EVERYBODY = set(range(1, CONTACTS + 1))
ANSWERED = 10
AT_ONCE = 16
"""How many requests an endpoint has under way."""


@pytest.fixture(scope="module")
def client(prefect_server: None) -> Iterator[SyncPrefectClient]:
    with get_client(sync_client=True) as client:
        yield client


@pytest.fixture
def api() -> Iterator[CustomerApi]:
    """What the campaign calls, with the Blocks that say how."""
    with CustomerApi() as api:
        url, headers = "{{ workspace.variables.api }}", {"Authorization": "Bearer {{ secrets.api_key }}"}
        common: dict[str, Any] = {
            "workspace": "acme",
            "headers": headers,
            "secrets": {"api_key": KEY},
            "timeout_seconds": 120,  # no time-out ends what Cancel should
        }
        Workspace(variables={"api": api.url}, allowed_networks=["127.0.0.0/8"], max_timeout_seconds=120).save(
            "acme", overwrite=True
        )
        profile = url + "/customers/{{ contact.attributes.email }}/profile"
        ApiEndpoint(url=profile, **common).save("customer-profile", overwrite=True)
        offers = url + "/customers/{{ workflow.customer_profile.customer_id }}/offers"
        ApiEndpoint(url=offers, method="POST", **common).save("pro-offers", overwrite=True)
        yield api


@pytest.fixture(scope="module")
def home(client: SyncPrefectClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The worker's machine: all of prefect.yaml is deployed, and a worker of its pool is at work."""
    home = tmp_path_factory.mktemp("worker")
    (home / "customers.csv").write_text(audience_csv())
    Audience(path=str(home / "customers.csv")).save("customers", overwrite=True)
    for command in ("work-pool create leadpush --type process --overwrite", "--no-prompt deploy --all"):
        done = subprocess.run(
            [str(BIN / "prefect"), *command.split()],
            env=environment(home),
            cwd=REPOSITORY,
            check=False,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert 0 == done.returncode, (done.stdout + done.stderr)[-4000:]
    with worker(home):
        yield home


def environment(home: Path) -> dict[str, str]:
    return {
        **os.environ,
        "PREFECT_API_URL": str(PREFECT_API_URL.value()),
        "PREFECT_HOME": str(home),
        "PREFECT_TEST_MODE": "0",
        "PREFECT_WORKER_QUERY_SECONDS": "1",
        "LEADPUSH_CAMPAIGNS": str(REPOSITORY),
    }


@contextmanager
def worker(home: Path) -> Iterator[None]:
    """A worker, as long as the block lasts; what it said is printed."""
    command = [str(BIN / "prefect"), "worker", "start", "--pool", "leadpush"]
    with (
        (home / "worker.log").open("w") as log,
        subprocess.Popen(command, env=environment(home), cwd=home, stdout=log, stderr=log) as process,
    ):
        try:
            yield
        finally:
            process.terminate()
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:  # Prefect's own: on a busy machine it may wait for itself
                process.kill()
            print((home / "worker.log").read_text()[-8_000:])


def start(client: SyncPrefectClient) -> UUID:
    """Run the campaign, as the UI's Quick run does."""
    deployment = client.read_deployment_by_name("renewal-reminder/renewal-reminder")
    assert "leadpush" == deployment.work_pool_name
    return client.create_flow_run_from_deployment(deployment.id).id


def final(client: SyncPrefectClient, run: UUID, run_count: int = 1) -> State[Any]:
    """The flow run's final state in its so-many-eth execution."""

    def ended() -> Any:
        found = client.read_flow_run(run)
        return (
            found.state if found.run_count >= run_count and found.state and found.state.is_final() else None
        )

    state = eventually(ended, 120)
    assert isinstance(state, State)
    return state


def report(client: SyncPrefectClient, run: UUID) -> str:
    """The newest report, which is of this run."""
    call: Any = client.request
    found = call("GET", "/artifacts/campaign-renewal-reminder-report/latest").json()
    assert str(run) == found["flow_run_id"]
    return str(found["data"])


def ask(home: Path, query: str) -> list[tuple[Any, ...]]:
    """Asks the campaign's database."""
    engine = create_engine(f"sqlite:///{home}/leadpush/outputs.db")
    with engine.connect() as connection:
        found = [tuple(row) for row in connection.execute(text(query))]
    engine.dispose()
    return found


def test_run(client: SyncPrefectClient, home: Path, api: CustomerApi) -> None:
    """It completes with the parameters of prefect.yaml, everybody is asked for once, and the report says so."""
    run = start(client)
    assert "Completed" == final(client, run).name
    assert Counter(EVERYBODY) == api.asked_since()
    page = report(client, run)
    assert page.startswith("# renewal\\-reminder: Completed\n")
    assert f"{CONTACTS} to the end" in page


def test_cancel_then_retry(client: SyncPrefectClient, home: Path, api: CustomerApi) -> None:
    """Cancel stops the requests, stores what had come, and reports it; Retry asks for what is missing alone."""
    api.slow_from = ANSWERED + 1
    run = start(client)
    api.wait_until_asked(ANSWERED + AT_ONCE, since=0)
    client.set_flow_run_state(run, Cancelling(), force=True)
    api.wait_until_idle()
    assert "Cancelled" == final(client, run).name
    assert api.asked_since() == Counter(range(1, ANSWERED + AT_ONCE + 1)), "nobody was asked for after that"

    key = f"(SELECT run FROM leadpush_run WHERE run_id = '{run}')"
    stored = ask(home, f"SELECT number + 1 FROM leadpush_outcome WHERE run = {key} AND step = 0 ORDER BY 1")
    assert [(number,) for number in range(1, ANSWERED + 1)] == stored
    assert [("stopped", "")] == ask(home, f"SELECT status, holder FROM leadpush_run WHERE run_id = '{run}'")
    page = report(client, run)
    assert page.startswith("# renewal\\-reminder: Stopped\n")
    assert f'audience -->|"{ANSWERED}"| step0' in page

    api.mend()
    mark = api.mark()
    state: State[Any] = State(type=StateType.SCHEDULED, name="AwaitingRetry", message="Retry from the UI")
    client.set_flow_run_state(run, state, force=True)
    assert "Completed" == final(client, run, 2).name
    assert Counter(range(ANSWERED + 1, CONTACTS + 1)) == api.asked_since(mark)
    assert report(client, run).startswith("# renewal\\-reminder: Completed\n")
