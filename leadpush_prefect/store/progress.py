"""How far a run is, counted in the database: for a run whose tasks work in other processes."""

from __future__ import annotations

from sqlalchemy import Engine, case, func, select

from leadpush_prefect.store.database import reading
from leadpush_prefect.store.outcomes import FAILED
from leadpush_prefect.store.runs import RunRecord
from leadpush_prefect.store.schema import outcome
from leadpush_prefect.store.steps import list_steps

__all__ = ["count_outcomes"]


def count_outcomes(database: Engine, run: RunRecord) -> tuple[dict[str, int], dict[str, int]]:
    """How many contacts each step is done with, and how many of them have failed, by node."""
    nodes = {step.step: step.node for step in list_steps(database, run)}
    failed = func.sum(case((outcome.c.status == FAILED, 1), else_=0))
    counts = select(outcome.c.step, func.count(), failed).where(outcome.c.run == run.key)
    with reading(database) as connection:
        rows = connection.execute(counts.group_by(outcome.c.step).order_by(outcome.c.step)).all()
    known = [(nodes[step], count, int(bad)) for step, count, bad in rows if step in nodes]
    return {node: count for node, count, _ in known}, {node: bad for node, _, bad in known}
