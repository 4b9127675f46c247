"""How often endpoints were called of late, and how often that failed."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Engine, case, func, select

from leadpush_prefect.store.database import reading
from leadpush_prefect.store.outcomes import FAILED, FETCHED
from leadpush_prefect.store.schema import outcome, run, step

__all__ = ["EndpointStats", "endpoint_stats"]


@dataclass(frozen=True, slots=True)
class EndpointStats:
    """What came of an endpoint's calls.

    Attributes:
        calls: For how many contacts it was called, whatever the number of attempts.
        failed: How many of those have no output.
    """

    calls: int = 0
    failed: int = 0

    def __add__(self, other: EndpointStats) -> EndpointStats:
        return EndpointStats(self.calls + other.calls, self.failed + other.failed)


def endpoint_stats(database: Engine, workspace: str, *, runs: int = 10) -> dict[str, EndpointStats]:
    """Count the calls of a workspace's last runs, by endpoint; simulated runs call none.

    It reads all outcomes of these runs.

    Args:
        database: The workspace's database.
        workspace: Its name.
        runs: Of how many runs.
    """
    latest = (
        select(run.c.run)
        .where(run.c.workspace == workspace, run.c.simulate.is_(False))
        .order_by(run.c.run.desc())
        .limit(runs)
        .subquery()
    )
    failed = func.sum(case((outcome.c.status == FAILED, 1), else_=0))
    calls = (
        select(step.c.endpoint, func.count(), failed)
        .join(outcome, (outcome.c.run == step.c.run) & (outcome.c.step == step.c.step))
        .where(step.c.run.in_(select(latest.c.run)), step.c.endpoint != "")
        .where(outcome.c.status.in_((FETCHED, FAILED)))
        .group_by(step.c.endpoint)
    )
    with reading(database) as connection:
        rows = connection.execute(calls).all()
    return {
        name: EndpointStats(int(count), int(bad)) for name, count, bad in rows
    }  # a Decimal, of PostgreSQL
