"""The flows that come with the package, deployed by prefect.yaml: served, an endpoint is tested from Prefect's UI."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from prefect import get_client
from prefect.settings import PREFECT_API_URL

from leadpush_prefect import ApiEndpoint, Workspace
from leadpush_prefect.deployments.serving import read_deployments
from tests.support.raw_server import RawServer, respond
from tests.support.waiting import eventually

REPOSITORY = Path(__file__).parents[2]
NAMES = {"test-api-endpoint", "api-endpoints"}


def test_deployments(monkeypatch: pytest.MonkeyPatch) -> None:
    """prefect.yaml deploys both flows, with tags and without a schedule."""
    monkeypatch.chdir(REPOSITORY)
    monkeypatch.syspath_prepend(REPOSITORY)
    found = {each.name: each for each in read_deployments(REPOSITORY / "prefect.yaml") if each.name in NAMES}
    assert found.keys() == NAMES
    for each in found.values():
        assert (["leadpush"], []) == (each.tags, each.schedules)
        assert each.description
    form = found["test-api-endpoint"]._parameter_openapi_schema
    assert ["endpoint"] == form.required
    assert all(field.get("description") for field in form.properties.values())


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_served(prefect_server: None, tmp_path: Path) -> None:
    """One process serves both; a run that names a saved endpoint completes as OK, and the list says so."""
    with RawServer(respond(b'{"plan": "pro"}')) as api:
        Workspace(allowed_networks=["127.0.0.0/8"]).save("served", overwrite=True)
        ApiEndpoint(workspace="served", url=f"{api.url}/{{{{ contact._id }}}}").save("served", overwrite=True)
        command = [
            str(Path(sys.executable).parent / "leadpush"),
            "serve",
            "--file",
            str(REPOSITORY / "prefect.yaml"),
        ]
        environment = {
            **os.environ,
            "PREFECT_API_URL": str(PREFECT_API_URL.value()),
            "PREFECT_HOME": str(tmp_path / "home"),
            "PREFECT_RUNNER_POLL_FREQUENCY": "1",
        }
        log = (tmp_path / "serve.log").open("w+")
        with (
            log,
            get_client(sync_client=True) as client,
            subprocess.Popen(command, env=environment, cwd=tmp_path, stdout=log, stderr=log) as process,
        ):

            def deployed() -> dict[str, Any]:
                found = {each.name: each for each in client.read_deployments() if each.name in NAMES}
                return found if found.keys() == NAMES else {}

            def ended(run: Any) -> Any:
                def final() -> Any:
                    state = client.read_flow_run(run.id).state
                    return state if state and state.is_final() else None

                return eventually(final)

            try:
                found = eventually(deployed)
                assert found, log.name
                reference = {"$ref": {"block_document_slug": "leadpush-api-endpoint/served"}}
                start = client.create_flow_run_from_deployment
                tested = ended(
                    start(
                        found["test-api-endpoint"].id,
                        parameters={"endpoint": reference, "contact": {"id": 7}},
                    )
                )
                assert tested, log.name
                assert ("OK", True) == (tested.name, tested.is_completed())
                assert [b"/7"] == [request.target for request in api.requests]
                listed = ended(start(found["api-endpoints"].id))
                assert listed, log.name
                assert listed.is_completed()
            finally:
                process.send_signal(signal.SIGTERM)
                process.wait(30)
