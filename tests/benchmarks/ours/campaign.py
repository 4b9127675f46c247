"""A whole campaign with one step: the flow, its tasks, the snapshot of the audience, and the summary."""

from __future__ import annotations

import tempfile
from pathlib import Path
from time import perf_counter
from typing import Any, cast

from prefect import flow
from prefect.task_runners import ThreadPoolTaskRunner

from leadpush_prefect import Audience, CampaignRun, fetch_api_data
from leadpush_prefect.store.summary import RunSummary
from tests.benchmarks.ours.blocks import WORKSPACE, save_blocks
from tests.benchmarks.people import write_csv
from tests.benchmarks.result import Result
from tests.benchmarks.warm_prefect import warm_prefect

seconds: list[float] = []
"""From the start of the run to the return of `finish`."""


runner: Any = ThreadPoolTaskRunner(max_workers=2)


@flow(task_runner=runner)
def campaign(audience: Audience, run_id: str = "", report: bool = True) -> object:
    started = perf_counter()
    with CampaignRun.start(
        "benchmark", workspace=WORKSPACE, audience=audience, run_id=run_id, report=report
    ) as run:
        for batch in run.batches():
            fetch_api_data.submit(batch, "profile", output_key="profile")
        state = run.finish()
    seconds.append(perf_counter() - started)
    return state


@warm_prefect()
def run(url: str, contacts: int, run_id: str = "", report: bool = True) -> Result:
    save_blocks(url)
    return timed(contacts, run_id, report=report)


def timed(contacts: int, run_id: str, missing: int = 0, *, report: bool = True) -> Result:
    """Run the campaign, or what is missing of it."""
    with tempfile.TemporaryDirectory() as folder:
        write_csv(path := Path(folder) / "audience.csv", contacts)
        audience = Audience.from_file(path)
        started = perf_counter()
        summary = cast(RunSummary, campaign(audience, run_id=run_id, report=report))
        flow_seconds = perf_counter() - started
    assert summary.completed == contacts, summary
    done = missing or contacts
    return Result(done, done, seconds[-1], flow_seconds)
