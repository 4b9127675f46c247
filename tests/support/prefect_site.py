"""What a person finds who opens the UI: Prefect's server, and one process that serves the campaigns."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import BlockDocumentCreate
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterDeploymentId,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import BlockDocument, FlowRun, StateType
from prefect.client.schemas.responses import DeploymentResponse

from tests.support.waiting import eventually

REPOSITORY = Path(__file__).parents[2]
BIN = Path(sys.executable).parent

DEPLOYMENTS: list[dict[str, Any]] = yaml.safe_load((REPOSITORY / "prefect.yaml").read_text())["deployments"]
# A time that no test will see, and no list of runs that are to come.
DEPLOYMENTS[0]["schedules"] = [{"cron": "0 9 1 1 *", "timezone": "Europe/Berlin", "slug": "yearly"}]


@dataclass(frozen=True, slots=True)
class Site:
    """Prefect, with the package's Blocks and the deployments.

    Attributes:
        url: Where its UI is.
        client: Of its API, for what a person does not look at.
    """

    url: str
    client: SyncPrefectClient

    def delete_blocks(self) -> None:
        """As on the first day."""
        for document in self.client.read_block_documents():
            self.client.delete_block_document(document.id)

    def save_block(self, kind: str, name: str, **data: Any) -> BlockDocument:
        """Save a Block as a form does, which sends whatever is in it."""
        block_type = self.client.read_block_type_by_slug(kind)
        schema = self.client.get_most_recent_block_schema_for_block_type(block_type.id)
        assert schema
        return self.client.create_block_document(
            BlockDocumentCreate(name=name, data=data, block_type_id=block_type.id, block_schema_id=schema.id)
        )

    def stored(self, kind: str, name: str) -> dict[str, Any]:
        """The fields of a Block as they are stored, secrets in clear."""
        document = self.client.read_block_document_by_name(name, kind, include_secrets=True)
        return dict(document.data)

    def deployment(self, name: str) -> DeploymentResponse:
        """A deployment by its name."""
        [found] = [deployment for deployment in self.client.read_deployments() if deployment.name == name]
        return found

    def planned(self, deployment: str, parameters: dict[str, Any]) -> list[FlowRun]:
        """The next run of a deployment with these among its parameters, once it is planned."""
        runs = self.client.read_flow_runs(
            flow_run_filter=FlowRunFilter(
                deployment_id=FlowRunFilterDeploymentId(any_=[self.deployment(deployment).id]),
                state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.SCHEDULED])),
            )
        )
        return [run for run in runs if parameters.items() <= run.parameters.items()][:1]


@contextmanager
def running_site(home: Path) -> Iterator[Site]:
    """The site, until it is left."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    url = f"http://127.0.0.1:{port}"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")} | {
        "PREFECT_HOME": str(home),
        "PREFECT_API_URL": f"{url}/api",
        "PREFECT_UI_API_URL": f"{url}/api",  # else the page asks port 4200
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
        "PREFECT_RUNNER_POLL_FREQUENCY": "1",
        "DO_NOT_TRACK": "1",
    }
    (home / "prefect.yaml").write_text(yaml.safe_dump({"deployments": DEPLOYMENTS}))
    shutil.copytree(REPOSITORY / "flows", home / "flows", ignore=shutil.ignore_patterns("__pycache__"))
    prefect, leadpush = str(BIN / "prefect"), str(BIN / "leadpush")

    with _running([prefect, "server", "start", "--host", "127.0.0.1", "--port", port], home, environment):
        eventually(lambda: _is_up(f"{url}/api/health"), 120)
        register = [prefect, "block", "register", "-m", "leadpush_prefect"]
        subprocess.run(register, env=environment, cwd=home, check=True, capture_output=True, timeout=120)
        with (
            _running([leadpush, "serve", "--file", "prefect.yaml"], home, environment),
            SyncPrefectClient(f"{url}/api") as client,
        ):
            eventually(lambda: len(client.read_deployments()) == len(DEPLOYMENTS), 60)
            yield Site(url, client)


@contextmanager
def _running(command: list[str], home: Path, environment: dict[str, str]) -> Iterator[None]:
    """A process, as long as the block lasts. What it says is in a file of its name."""
    log = home / f"{Path(command[0]).name}.log"
    with (
        log.open("w") as said,
        subprocess.Popen(command, env=environment, cwd=home, stdout=said, stderr=said) as process,
    ):
        try:
            yield
        finally:
            process.terminate()
            process.wait(60)


def _is_up(url: str) -> bool:
    try:
        return httpx.get(url).status_code == 200
    except httpx.HTTPError:
        return False
