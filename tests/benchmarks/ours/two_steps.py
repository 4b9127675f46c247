"""A whole campaign with two steps and a message for each contact."""

from __future__ import annotations

import tempfile
from pathlib import Path
from time import perf_counter
from typing import cast

from prefect import flow

from leadpush_prefect import Audience, CampaignRun, fetch_api_data, render_template
from leadpush_prefect.store.summary import RunSummary
from tests.benchmarks.ours.blocks import WORKSPACE, save_blocks
from tests.benchmarks.people import write_csv
from tests.benchmarks.result import Result
from tests.benchmarks.warm_prefect import warm_prefect

WARM_UPS = 3  # flows of a few contacts, until Prefect's own threads have settled
FEW = 10

MESSAGE = (
    "Hi {{ contact.attributes.first_name }}, your {{ workflow.profile.plan }} plan: {{ workflow.offer.city }}"
)


@flow
def campaign(audience: Audience) -> object:
    with CampaignRun.start("benchmark", workspace=WORKSPACE, audience=audience) as run:
        for batch in run.batches():
            profiled = fetch_api_data.submit(batch, "profile", output_key="profile")
            offered = fetch_api_data.submit(profiled, "offer", output_key="offer")
            render_template.submit(offered, MESSAGE, output_key="message")
        return run.finish()


@warm_prefect()
def run(url: str, contacts: int) -> Result:
    save_blocks(url)
    for _ in range(WARM_UPS):
        _timed(FEW)
    return Result(contacts, 2 * contacts, _timed(contacts), other_requests=2 * FEW * WARM_UPS)


def _timed(contacts: int) -> float:
    with tempfile.TemporaryDirectory() as folder:
        write_csv(path := Path(folder) / "audience.csv", contacts)
        audience = Audience.from_file(path)
        started = perf_counter()
        summary = cast(RunSummary, campaign(audience))
        seconds = perf_counter() - started
    assert [step.fetched for step in summary.steps] == [contacts] * 3, summary
    return seconds
