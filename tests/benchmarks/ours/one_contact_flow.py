"""A flow that fetches for one contact, again and again: what an event starts."""

from __future__ import annotations

import statistics
from time import perf_counter

from prefect import flow

from leadpush_prefect import CampaignContext, fetch_api_data
from tests.benchmarks.ours.blocks import WORKSPACE, save_blocks
from tests.benchmarks.people import people
from tests.benchmarks.result import Result
from tests.benchmarks.warm_prefect import warm_prefect

[CONTACT] = people(1)


@flow
def welcome() -> str:
    context = CampaignContext(workspace=WORKSPACE, campaign="benchmark", contact=CONTACT)
    context = fetch_api_data(context, "profile", output_key="profile")
    return str(context.workflow["profile"]["plan"])


def run(url: str, flows: int, heartbeats: bool = False) -> Result:
    with warm_prefect(heartbeats=heartbeats):
        save_blocks(url)
        welcome()
        seconds = [_timed() for _ in range(flows)]
    return Result(1, 1, statistics.median(seconds), other_requests=flows)


def _timed() -> float:
    started = perf_counter()
    assert welcome() == "pro"
    return perf_counter() - started
