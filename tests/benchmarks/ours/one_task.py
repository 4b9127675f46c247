"""Fetch API Data for one contact, called in a flow."""

from __future__ import annotations

import statistics
from time import perf_counter

from prefect import flow

from leadpush_prefect import CampaignContext, fetch_api_data
from tests.benchmarks.ours.blocks import WORKSPACE, save_blocks
from tests.benchmarks.people import people
from tests.benchmarks.result import Result
from tests.benchmarks.warm_prefect import warm_prefect


@flow
def campaign(calls: int) -> list[float]:
    seconds = []
    for contact in people(calls):
        started = perf_counter()
        context = CampaignContext(workspace=WORKSPACE, campaign="benchmark", contact=contact)
        context = fetch_api_data(context, "profile", output_key="profile")
        seconds.append(perf_counter() - started)
        assert context.workflow["profile"]["plan"] == "pro"
    return seconds


@warm_prefect()
def run(url: str, calls: int) -> Result:
    save_blocks(url)
    return Result(1, 1, statistics.median(campaign(calls)), other_requests=calls - 1)
