"""The campaigns of prefect.yaml, deployed to a work pool or served from one process, on Prefect's own server."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect import get_client
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import DeploymentUpdate
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.schedules import CronSchedule
from prefect.settings import PREFECT_API_URL
from sqlalchemy import create_engine, text

from leadpush_prefect import LeadpushError
from leadpush_prefect.definitions.apply import apply_definitions
from leadpush_prefect.definitions.read import read_definitions
from leadpush_prefect.deployments.serving import read_deployments
from tests.support.demo import API_KEY, DEMO, demo_script
from tests.support.raw_server import RawServer, Request, each, respond
from tests.support.waiting import eventually

REPOSITORY = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
AUDIENCE = {"$ref": {"block_document_slug": "leadpush-audience/customers"}}


@pytest.fixture
def client(prefect_server: None) -> Iterator[SyncPrefectClient]:
    with get_client(sync_client=True) as client:
        yield client


@pytest.fixture
def api() -> Iterator[str]:
    """The demo's API."""
    command = demo_script("api", "--port", "0")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        yield process.stdout.readline().strip()
        process.terminate()


def environment(tmp_path: Path) -> dict[str, str]:
    return {
        **os.environ,
        "PREFECT_API_URL": str(PREFECT_API_URL.value()),
        "PREFECT_HOME": str(tmp_path / "home"),
        "LEADPUSH_CAMPAIGNS": str(REPOSITORY),
        "PREFECT_RUNNER_POLL_FREQUENCY": "1",
    }


def deployment(client: SyncPrefectClient, name: str) -> DeploymentResponse | None:
    found = client.read_deployments()
    return next((deployment for deployment in found if deployment.name == name), None)


def check_renewal_reminder(found: DeploymentResponse) -> None:
    [schedule] = found.schedules
    assert ("0 9 * * 1-5", "Europe/Berlin") == (schedule.schedule.cron, schedule.schedule.timezone)  # type: ignore[union-attr]
    assert {"leadpush", "campaign"} == set(found.tags)
    assert AUDIENCE == found.parameters["audience"]
    assert found.global_concurrency_limit
    assert 1 == found.global_concurrency_limit.limit
    assert found.concurrency_options
    assert "CANCEL_NEW" == found.concurrency_options.collision_strategy


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_serve(client: SyncPrefectClient, api: str, tmp_path: Path) -> None:
    """One process serves all campaigns; a run with `limit` and one for a contact's id complete; it ends on SIGTERM."""
    settings = {
        "LEADPUSH_DEMO_API": api,
        "LEADPUSH_DEMO_KEY": API_KEY,
        "LEADPUSH_DEMO_AUDIENCE": str(DEMO / "audience.csv"),
    }
    apply_definitions(read_definitions(REPOSITORY / "blocks", settings))
    command = [str(BIN / "leadpush"), "serve", "--file", str(REPOSITORY / "prefect.yaml")]
    log = (tmp_path / "serve.log").open("w+")
    with (
        log,
        subprocess.Popen(command, env=environment(tmp_path), cwd=tmp_path, stdout=log, stderr=log) as process,
    ):
        try:
            reminder = eventually(lambda: deployment(client, "renewal-reminder"))
            welcome = eventually(lambda: deployment(client, "welcome"))
            assert reminder, log.name
            check_renewal_reminder(reminder)
            assert [] == welcome.schedules
            assert welcome.global_concurrency_limit is None

            runs = [
                client.create_flow_run_from_deployment(
                    reminder.id, parameters={"audience": AUDIENCE, "limit": 5}
                ),
                client.create_flow_run_from_deployment(
                    welcome.id, parameters={"audience": AUDIENCE, "contact_id": "u000007"}
                ),
            ]
            ended = [eventually(lambda run=run: _final(client, run.id), 120) for run in runs]  # type: ignore[misc]
            assert ["COMPLETED", "COMPLETED"] == [state and state.type.value for state in ended]
            assert "5 contacts" in ended[0].message
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_two_runs_at_once(client: SyncPrefectClient, tmp_path: Path) -> None:
    """While a served campaign runs, the next one is cancelled and sends nothing; the first completes."""
    let_go = threading.Event()

    async def response(_: Request) -> bytes:
        while not let_go.is_set():
            await asyncio.sleep(0.05)
        return respond(b'{"plan": "pro"}')

    (tmp_path / "campaign.py").write_text(CAMPAIGN)
    (tmp_path / "prefect.yaml").write_text(yaml.safe_dump(ONE_AT_A_TIME))
    log = (tmp_path / "serve.log").open("w+")
    command = [str(BIN / "leadpush"), "serve", "--file", str(tmp_path / "prefect.yaml")]
    with (
        RawServer(each(response)) as server,
        log,
        subprocess.Popen(command, env=environment(tmp_path), cwd=tmp_path, stdout=log, stderr=log) as process,
    ):
        try:
            served = eventually(lambda: deployment(client, "one-at-a-time"))
            assert served, log.name
            parameters = {"url": server.url}
            first, second = (
                client.create_flow_run_from_deployment(served.id, parameters=parameters) for _ in range(2)
            )
            cancelled = eventually(
                lambda: next((run for run in (first, second) if _final(client, run.id)), None), 120
            )
            assert cancelled
            assert "CANCELLED" == _final(client, cancelled.id).type.value
            other = second if cancelled is first else first
            assert eventually(lambda: len(server.requests) == 3, 120)
            let_go.set()
            ended = eventually(lambda: _final(client, other.id), 120)
            assert "COMPLETED" == ended.type.value
            assert ["/1", "/2", "/3"] == sorted(request.target.decode() for request in server.requests)
            assert [str(other.id)] == _runs(tmp_path / "home")
        finally:
            let_go.set()
            process.send_signal(signal.SIGTERM)
            process.wait(30)


CAMPAIGN = """
from prefect import flow
from leadpush_prefect import ApiEndpoint, Audience, CampaignRun, Workspace, fetch_api_data

@flow
def one_at_a_time(url: str):
    workspace = Workspace(allowed_networks=["127.0.0.0/8"], max_timeout_seconds=200)
    endpoint = ApiEndpoint(url=url + "/{{ contact._id }}", timeout_seconds=200)
    audience = Audience.from_contacts({"id": n} for n in (1, 2, 3))
    with CampaignRun.start("one-at-a-time", workspace=workspace, audience=audience) as run:
        for batch in run.batches():
            fetch_api_data.submit(batch, endpoint, output_key="profile")
        return run.finish()
"""
ONE_AT_A_TIME = {
    "deployments": [
        {
            "name": "one-at-a-time",
            "entrypoint": "campaign.py:one_at_a_time",
            "concurrency_limit": {"limit": 1, "collision_strategy": "CANCEL_NEW"},
        }
    ]
}


def _runs(home: Path) -> list[str]:
    engine = create_engine(f"sqlite:///{home}/leadpush/outputs.db")
    with engine.connect() as connection:
        found = [row.run_id for row in connection.execute(text("SELECT run_id FROM leadpush_run"))]
    engine.dispose()
    return found


def _final(client: SyncPrefectClient, run_id: Any) -> Any:
    state = client.read_flow_run(run_id).state
    return state if state and state.is_final() else None


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_deploy_again(client: SyncPrefectClient, tmp_path: Path) -> None:
    """What docs/scheduling.md says of a second deploy: schedules that the file does not name stay as they were."""
    for name in ("flows", "prefect.yaml"):
        source = REPOSITORY / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, tmp_path / name)

    def deploy() -> DeploymentResponse:
        command = [str(BIN / "prefect"), "--no-prompt", "deploy", "--all"]
        done = subprocess.run(
            command,
            env=environment(tmp_path),
            cwd=tmp_path,
            check=False,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert 0 == done.returncode, (done.stdout + done.stderr)[-4000:]
        found = deployment(client, "renewal-reminder")
        assert found
        return found

    pool = [str(BIN / "prefect"), "work-pool", "create", "leadpush", "--type", "process", "--overwrite"]
    subprocess.run(pool, env=environment(tmp_path), check=True, capture_output=True, timeout=60)
    first = deploy()
    check_renewal_reminder(first)
    assert "leadpush" == first.work_pool_name

    client.pause_deployment(first.id)
    client.update_deployment_schedule(first.id, first.schedules[0].id, active=False)
    added: Any = [(CronSchedule(cron="0 7 * * *", timezone="Europe/Berlin"), True)]
    client.create_deployment_schedules(first.id, added)
    client.update_deployment(first.id, DeploymentUpdate(parameters={**first.parameters, "limit": 20}))
    second = deploy()

    # Prefect's deploy takes the file's word for all that it names, and a pause of the deployment is lifted.
    assert not second.paused
    assert [("weekdays", True)] == [(schedule.slug, schedule.active) for schedule in second.schedules]
    check_renewal_reminder(second)

    file = tmp_path / "prefect.yaml"
    without = yaml.safe_load(file.read_text())
    for name in ("schedules", "parameters"):
        del without["deployments"][0][name]
    file.write_text(yaml.safe_dump(without))
    client.update_deployment_schedule(second.id, second.schedules[0].id, active=False)
    client.create_deployment_schedules(second.id, added)
    third = deploy()
    kept = {(schedule.slug, schedule.active) for schedule in third.schedules}
    assert {("weekdays", False), (None, True)} == kept
    assert {} == third.parameters


def test_what_cannot_be_read(tmp_path: Path) -> None:
    """A file without deployments, and a deployment without entrypoint or with an odd schedule, are named."""
    file = tmp_path / "prefect.yaml"
    odd: list[dict[str, Any]] = [
        {},
        {"deployments": [{"name": "a"}]},
        {"deployments": [{"name": "a", "entrypoint": "a.py:a", "schedules": [{"every": "day"}]}]},
    ]
    for data in odd:
        file.write_text(yaml.safe_dump(data))
        with pytest.raises(LeadpushError, match=r"prefect\.yaml"):
            read_deployments(file)
    with pytest.raises(LeadpushError, match="not there"):
        read_deployments(tmp_path / "none.yaml")
