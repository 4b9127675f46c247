"""A whole campaign over an audience of one, again and again: snapshot, batch, report."""

from __future__ import annotations

import statistics

from tests.benchmarks.ours.blocks import save_blocks
from tests.benchmarks.ours.campaign import timed
from tests.benchmarks.result import Result
from tests.benchmarks.warm_prefect import warm_prefect


@warm_prefect()
def run(url: str, flows: int) -> Result:
    save_blocks(url)
    timed(contacts=1, run_id="")
    seconds = [timed(contacts=1, run_id="").flow_seconds for _ in range(flows)]
    return Result(1, 1, statistics.median(seconds), other_requests=flows)
