"""Outcomes: what a step did with each contact."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import (
    Connection,
    Engine,
    Row,
    ScalarSelect,
    Select,
    and_,
    bindparam,
    false,
    func,
    or_,
    select,
    true,
)
from sqlalchemy.sql.elements import ColumnElement

from leadpush_prefect.model.outcome import Failure, Outcome, Resend, Status
from leadpush_prefect.store.bulk_insert import insert_rows
from leadpush_prefect.store.column_types import corrupt
from leadpush_prefect.store.database import writing
from leadpush_prefect.store.locking import hold_execution
from leadpush_prefect.store.runs import RunRecord
from leadpush_prefect.store.schema import contact, outcome
from leadpush_prefect.store.steps import StepRecord
from leadpush_prefect.store.stored_values import stored_failure as read_failure
from leadpush_prefect.store.stored_values import stored_reason

__all__ = [
    "FAILED",
    "FETCHED",
    "SKIPPED",
    "earlier_outcomes",
    "eligible",
    "failed_at",
    "read_failure",
    "read_outcome",
    "status_at",
    "write_outcomes",
]

FETCHED, SKIPPED, FAILED = 1, 2, 3
_CODES = {Status.FETCHED: FETCHED, Status.SKIPPED: SKIPPED, Status.FAILED: FAILED}


def write_outcomes(
    database: Engine,
    run_key: int,
    step: int,
    rows: Sequence[tuple[int, Outcome]],
    execution: int | None = None,
    *,
    resend: Resend = Resend.BY_ITSELF,
) -> None:
    """Write what a step did, over what it did before, in one transaction.

    Args:
        database: The database.
        run_key: The run's key.
        step: The step's number.
        rows: The contacts' numbers and outcomes.
        execution: The execution that writes; None for any.
        resend: Who may send again those that failed and may be sent again at all.

    Raises:
        RunBusy: if a later execution has begun.
    """
    values = [_values(run_key, step, number, done, resend) for number, done in rows]
    if values:  # a transaction for nothing would wait for the other writers
        with writing(database) as connection:
            if execution is not None:
                hold_execution(connection, run_key, execution, shared=True)
            insert_rows(connection, outcome, values, overwrite=True)


def eligible(run: RunRecord) -> ColumnElement[bool]:
    """Of `contact`: those of the run that it may touch."""
    return and_(contact.c.run == run.key, true() if run.include_unsubscribed else contact.c.subscribed)


# The database shall ask for each contact by the primary key, and is left no other way: PostgreSQL, whose
# statistics know nothing of a new run, would join the tables by comparing each row with each.
def status_at(step: int) -> ScalarSelect[int]:
    """Of `contact`: the status of its outcome at a step, or NULL."""
    there = outcome.alias("there")
    this = there.c.run == contact.c.run, there.c.step == step, there.c.number == contact.c.number
    return select(there.c.status).where(*this).scalar_subquery()


def failed_at(steps: Sequence[int]) -> ColumnElement[bool]:
    """Of `contact`: those that failed at one of the steps."""
    return or_(false(), *(func.coalesce(status_at(step), FETCHED) == FAILED for step in steps))


def read_outcome(row: Row[*tuple[Any, ...]]) -> Outcome:
    """An outcome from its row."""
    status = next((status for status, code in _CODES.items() if code == row.status), None)
    if status is None:
        raise corrupt(f"the status {row.status}")
    failure = read_failure(row.detail) if status is Status.FAILED else None
    skipped_for = stored_reason(row.code) if status is Status.SKIPPED and row.code else None
    return Outcome(
        status, row.output, failure, row.microseconds / 1_000_000, row.attempts, row.bytes, skipped_for
    )


def earlier_outcomes(
    connection: Connection, key: int, earlier: Sequence[StepRecord], numbers: Sequence[int]
) -> tuple[dict[int, dict[str, str]], set[int]]:
    """The outputs of earlier steps by contact, and the contacts that one of these steps stopped."""
    outputs: dict[int, dict[str, str]] = {}
    stopped: set[int] = set()
    if not earlier or not numbers:
        return outputs, stopped
    steps = {step.step: step for step in earlier}
    first, last = numbers[0], numbers[-1]
    # Neighbours are read in one go; a few far apart, as at the end of a run, one by one.
    statement = _OF_NEIGHBOURS if last - first < 4 * len(numbers) else _ONE_BY_ONE
    these = {"run": key, "steps": list(steps), "first": first, "last": last, "numbers": numbers}
    for number, step, status, text in connection.execute(statement, these):
        if status == FETCHED and steps[step].output_key:
            outputs.setdefault(number, {})[steps[step].output_key] = text
        elif status == FAILED and steps[step].on_failure == "stop":
            stopped.add(number)
    return outputs, stopped


def _outcomes(which: ColumnElement[bool]) -> Select[*tuple[Any, ...]]:
    o = outcome.c
    these = o.run == bindparam("run"), o.step.in_(bindparam("steps", expanding=True)), o.status != SKIPPED
    # Of two steps under one key, the later one's output counts.
    return select(o.number, o.step, o.status, o.output).where(*these, which).order_by(o.step)


_OF_NEIGHBOURS = _outcomes(outcome.c.number.between(bindparam("first"), bindparam("last")))
_ONE_BY_ONE = _outcomes(outcome.c.number.in_(bindparam("numbers", expanding=True)))


def _values(run_key: int, step: int, number: int, done: Outcome, resend: Resend) -> tuple[object, ...]:
    failure = done.failure
    detail = _detail(failure) if failure else None
    microseconds = round(done.seconds * 1_000_000)
    status = _CODES[done.status]
    return (
        run_key,
        step,
        number,
        status,
        done.output,
        done.code,
        detail,
        microseconds,
        done.attempts,
        done.bytes,
        None if failure is None else int(resend if done.may_resend else Resend.IF_NAMED),
        None,
        None,
    )


def _detail(failure: Failure) -> str:
    # Not orjson: an excerpt may hold what UTF-8 cannot, and one such must not lose a whole chunk of outcomes.
    return json.dumps({name: value for name, value in asdict(failure).items() if value not in ("", None)})
