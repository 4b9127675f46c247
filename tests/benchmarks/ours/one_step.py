"""One step for each contact of a run: rendered, guarded, read within limits, checked, and stored.

The task's body alone, without Prefect: what it costs above a loop that only GETs.
"""

from __future__ import annotations

import os
from time import perf_counter

from leadpush_prefect import ApiEndpoint, Audience, CampaignRun, fetch_api_data
from tests.benchmarks.ours.blocks import profile_endpoint, workspace
from tests.benchmarks.people import people
from tests.benchmarks.result import Result

WARM_UP = 2_000


def run(
    url: str, contacts: int, max_concurrency: int = 64, method: str = "GET", durable: bool = False
) -> Result:
    """Time the step.

    Args:
        url: The API's.
        contacts: How many.
        max_concurrency: The endpoint's.
        method: The endpoint's; of a POST the store knows before it is sent.
        durable: Whether SQLite has that on the disk.
    """
    os.environ["PREFECT_INTEGRATIONS_LEADPUSH_DURABLE_INTENTS"] = str(durable)
    endpoint = profile_endpoint(max_concurrency)
    endpoint = endpoint.model_copy(update={"method": method})
    _step(url, WARM_UP, endpoint)
    return Result(contacts, contacts, _step(url, contacts, endpoint), other_requests=WARM_UP)


def _step(url: str, contacts: int, endpoint: ApiEndpoint) -> float:
    audience = Audience.from_contacts(people(contacts))
    with CampaignRun.start("benchmark", workspace=workspace(url), audience=audience, batches=1) as run:
        [batch] = run.batches()
        started = perf_counter()
        fetch_api_data.fn(batch, endpoint, output_key="profile")
        seconds = perf_counter() - started
        run.finish()
    [step] = run.summary().steps
    assert step.fetched == contacts, step
    return seconds
