"""Prefect's process runner: tasks are pickled, and other processes than the flow's work on the batches."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from prefect import flow
from prefect.settings import PREFECT_HOME, temporary_settings
from prefect.task_runners import ProcessPoolTaskRunner

from leadpush_prefect import ApiEndpoint, Audience, CampaignRun, Workspace, fetch_api_data, render_template
from tests.support.raw_server import RawServer, respond

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]


def test_process_runner(
    prefect_server: None, tmp_path: Path, ask: Callable[[str], list[tuple[Any, ...]]]
) -> None:
    """All contacts go through both steps, and each is fetched once."""
    runner: Any = ProcessPoolTaskRunner(max_workers=2)

    @flow(task_runner=runner)
    def campaign() -> Any:
        audience = Audience.from_contacts({"id": n} for n in range(40))
        with CampaignRun.start("c", workspace="processes", audience=audience, batches=4) as run:
            for batch in run.batches():
                done = fetch_api_data.submit(batch, "by-process", output_key="profile")
                render_template.submit(done, "{{ workflow.profile.plan }}", output_key="message")
            return run.finish()

    with RawServer(respond(b'{"plan": "pro"}')) as server, temporary_settings({PREFECT_HOME: tmp_path}):
        Workspace(allowed_networks=["127.0.0.0/8"]).save("processes", overwrite=True)
        ApiEndpoint(url=server.url + "/{{ contact._id }}").save("by-process", overwrite=True)
        summary: Any = campaign()
        assert len(server.requests) == len({request.target for request in server.requests}) == 40
    assert summary.completed == 40
    assert ask("SELECT step, count(*) FROM leadpush_outcome GROUP BY 1") == [(0, 40), (1, 40)]
