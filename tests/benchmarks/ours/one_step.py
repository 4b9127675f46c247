"""One step for each contact of a run: rendered, guarded, read within limits, checked, and stored.

The task's body alone, without Prefect: what it costs above a loop that only GETs.
"""

from __future__ import annotations

from time import perf_counter

from leadpush_prefect import Audience, CampaignRun, fetch_api_data
from tests.benchmarks.ours.blocks import profile_endpoint, workspace
from tests.benchmarks.people import people
from tests.benchmarks.result import Result

WARM_UP = 2_000


def run(url: str, contacts: int, max_concurrency: int = 64) -> Result:
    _step(url, WARM_UP, max_concurrency)
    return Result(contacts, contacts, _step(url, contacts, max_concurrency), other_requests=WARM_UP)


def _step(url: str, contacts: int, max_concurrency: int) -> float:
    audience = Audience.from_contacts(people(contacts))
    endpoint = profile_endpoint(max_concurrency)
    with CampaignRun.start("benchmark", workspace=workspace(url), audience=audience, batches=1) as run:
        [batch] = run.batches()
        started = perf_counter()
        fetch_api_data.fn(batch, endpoint, output_key="profile")
        seconds = perf_counter() - started
        run.finish()
    [step] = run.summary().steps
    assert step.fetched == contacts, step
    return seconds
