"""A task as one writes it by hand: a shared httpx client, the response's status and JSON; called for one contact."""

from __future__ import annotations

import statistics
from time import perf_counter
from typing import Any

import httpx
from prefect import flow, task
from prefect.cache_policies import NO_CACHE

from tests.benchmarks.people import people
from tests.benchmarks.result import Result
from tests.benchmarks.warm_prefect import warm_prefect

client = httpx.Client()


@task(retries=3, cache_policy=NO_CACHE)
def fetch_profile(url: str, contact: dict[str, str]) -> Any:
    return client.get(f"{url}/customers/{contact['email']}").raise_for_status().json()


@flow
def campaign(url: str, calls: int) -> list[float]:
    seconds = []
    for contact in people(calls):
        started = perf_counter()
        profile: Any = fetch_profile(url, contact)
        seconds.append(perf_counter() - started)
        assert profile["plan"] == "pro"
    return seconds


@warm_prefect()
def run(url: str, calls: int) -> Result:
    return Result(1, 1, statistics.median(campaign(url, calls)), other_requests=calls - 1)
