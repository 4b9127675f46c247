"""Who may send again what failed, of failures that an earlier version wrote: it did not say so with each."""

from __future__ import annotations

from sqlalchemy import Connection, select, update

from leadpush_prefect.model.effects import Effect, effect_of_code
from leadpush_prefect.model.outcome import Resend, resend_of
from leadpush_prefect.store.schema import outcome
from leadpush_prefect.store.schema import step as steps

__all__ = ["decide_resend"]

FAILED = 3


def decide_resend(connection: Connection, run_key: int, step: int, on_failure: str, *, writes: bool) -> None:
    """Decide it by code and method, when the step is next declared; once.

    Args:
        connection: In a transaction that writes.
        run_key: The run's key.
        step: The step's number.
        on_failure: Whether the step stops at a failure.
        writes: Whether it sends what must not be sent twice.
    """
    this = steps.c.run == run_key, steps.c.step == step
    if not connection.scalar(select(steps.c.undecided).where(*this)):
        return
    o = outcome.c
    open_ones = o.run == run_key, o.step == step, o.status == FAILED, o.resend.is_(None)
    for code in connection.scalars(select(o.code).where(*open_ones).distinct()).all():
        may = not writes or effect_of_code(code or "") is Effect.NONE
        who = resend_of(on_failure) if may else Resend.IF_NAMED
        connection.execute(update(outcome).where(*open_ones, o.code == code).values(resend=int(who)))
    connection.execute(update(steps).where(*this).values(undecided=False))
