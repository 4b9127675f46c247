"""A flow that does nothing, again and again."""

from __future__ import annotations

import statistics
from time import perf_counter

from prefect import flow

from tests.benchmarks.result import Result
from tests.benchmarks.warm_prefect import warm_prefect


@flow
def empty() -> None:
    pass


def run(url: str, flows: int, heartbeats: bool = False) -> Result:
    seconds = []
    with warm_prefect(heartbeats=heartbeats):
        for _ in range(flows):
            started = perf_counter()
            empty()
            seconds.append(perf_counter() - started)
    return Result(1, 0, statistics.median(seconds))
