"""`leadpush automations pause-when-failing`, on a server that evaluates its triggers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from prefect import flow, get_client
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import FlowRun
from prefect.flow_engine import run_flow
from prefect.settings import PREFECT_SERVER_SERVICES_TRIGGERS_ENABLED, temporary_settings
from prefect.testing.utilities import prefect_test_harness

from leadpush_prefect import ApiEndpoint, Audience, CampaignRun, Workspace, fetch_api_data
from leadpush_prefect.cli import main
from tests.support.raw_server import RawServer, respond
from tests.support.waiting import eventually

NAME = "pausable/automation"
AUTOMATION = f"Pause {NAME} when an endpoint keeps failing"
Run = Callable[..., tuple[int, str, str]]


pytestmark = pytest.mark.slow  # a server of its own


@pytest.fixture(scope="module")
def server() -> Iterator[None]:
    """Prefect's server, which looks at each event here."""
    with (
        temporary_settings({PREFECT_SERVER_SERVICES_TRIGGERS_ENABLED: True}),
        prefect_test_harness(server_startup_timeout=120),
    ):
        yield


@pytest.fixture
def client(server: None) -> Iterator[SyncPrefectClient]:
    with get_client(sync_client=True) as client:
        yield client


@pytest.fixture
def run(
    client: SyncPrefectClient, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Run:
    """Runs the command; gives its exit code and what it printed."""

    def command(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["leadpush", "automations", "pause-when-failing", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return ended.value.code, printed.out, printed.err

    return command


@flow
def pausable(contacts: int) -> Any:
    audience = Audience.from_contacts({"id": n} for n in range(contacts))
    with CampaignRun.start("pausable", workspace="automation", audience=audience) as run:
        fetch_api_data.submit(run.batches()[0], "automation-profile", output_key="profile")
        return run.finish()


@pytest.fixture
def deployment(client: SyncPrefectClient) -> Iterator[Any]:
    """A deployment of the flow, not served by anybody."""
    made = client.create_deployment(client.create_flow(pausable), "automation")
    yield made
    for automation in client.read_automations_by_name(AUTOMATION):
        client.delete_automation(automation.id)
    client.delete_deployment(made)


def run_deployed(client: SyncPrefectClient, deployment: Any, contacts: int) -> None:
    """Run it here, as a worker would in a process of its own."""
    created: FlowRun = client.create_flow_run_from_deployment(deployment, parameters={"contacts": contacts})
    engine: Any = run_flow
    engine(pausable, flow_run=created, return_type="state")


def test_a_failing_endpoint_pauses_the_deployment(
    client: SyncPrefectClient, deployment: Any, run: Run
) -> None:
    """Made twice, there is one; after one event of a run of the deployment, it is paused."""
    for threshold in ("3", "1"):
        code, printed, _ = run(NAME, "--events", threshold, "--json")
        assert (code, json.loads(printed)) == (0, {"automation": AUTOMATION})
    [automation] = client.read_automations_by_name(AUTOMATION)
    trigger: Any = automation.trigger
    assert trigger.threshold == 1
    with RawServer(respond(status=503)) as server:
        Workspace(allowed_networks=["127.0.0.0/8"]).save("automation", overwrite=True)
        endpoint = ApiEndpoint(workspace="automation", url=server.url + "/{{ contact._id }}", max_attempts=1)
        endpoint.save("automation-profile", overwrite=True)
        run_deployed(client, deployment, 10)
        assert not client.read_deployment(deployment).paused, "too few calls to say anything"
        run_deployed(client, deployment, 60)
    assert eventually(lambda: client.read_deployment(deployment).paused)


def test_an_unknown_deployment(run: Run) -> None:
    """One sentence, and exit code 2; also for what is no name of a deployment."""
    for name in ("no-flow/no-deployment", "no-slash"):
        code, printed, error = run(name)
        assert (code, printed) == (2, "")
        assert f"There is no deployment {name}." in error
        assert "Traceback" not in error


@pytest.mark.parametrize("option", [("--events", "0"), ("--within-seconds", "-1")])
def test_a_number_that_makes_no_sense(option: tuple[str, str], deployment: Any, run: Run) -> None:
    """One sentence, and exit code 2."""
    code, printed, error = run(NAME, *option)
    assert (code, printed) == (2, "")
    assert option[0] in error
    assert "Traceback" not in error
