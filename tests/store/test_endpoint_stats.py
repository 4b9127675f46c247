from __future__ import annotations

from sqlalchemy import Engine

from leadpush_prefect.store.endpoint_stats import EndpointStats, endpoint_stats
from leadpush_prefect.store.outcomes import write_outcomes
from tests.support.store import FAILED, FETCHED, SKIPPED, declare, started


def test_calls_of_the_last_runs(database: Engine) -> None:
    """Calls and failures are added up over runs and steps; skipped contacts and steps without endpoint are not."""
    for number in range(3):
        run = started(database, 4, run_id=f"r{number}")
        a, b = declare(database, run, "a"), declare(database, run, "b")
        other = declare(database, run, "c", endpoint="offers")
        render = declare(database, run, "d", endpoint="", kind="render")
        write_outcomes(database, run.key, a, [(0, FETCHED), (1, FAILED), (2, SKIPPED)])
        write_outcomes(database, run.key, b, [(0, FETCHED)])
        write_outcomes(database, run.key, other, [(0, FAILED)])
        write_outcomes(database, run.key, render, [(0, FETCHED)])

    assert {"crm": EndpointStats(9, 3), "offers": EndpointStats(3, 3)} == endpoint_stats(database, "acme")
    last = endpoint_stats(database, "acme", runs=1)
    assert {"crm": EndpointStats(3, 1), "offers": EndpointStats(1, 1)} == last


def test_other_runs(database: Engine) -> None:
    """Simulated runs, and those of another workspace, are not counted."""
    for run_id, changes in (("simulated", {"simulate": True}), ("other", {"workspace": "globex"})):
        run = started(database, 1, run_id=run_id, **changes)
        write_outcomes(database, run.key, declare(database, run, "a"), [(0, FETCHED)])

    assert {} == endpoint_stats(database, "acme")
    assert {"crm": EndpointStats(1, 0)} == endpoint_stats(database, "globex")
