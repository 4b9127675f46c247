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
    update,
)
from sqlalchemy.sql.elements import ColumnElement

from leadpush_prefect.model.outcome import Failure, Outcome, Resend, Status
from leadpush_prefect.store.bulk_insert import insert_rows
from leadpush_prefect.store.column_types import corrupt
from leadpush_prefect.store.database import writing
from leadpush_prefect.store.locking import hold_execution
from leadpush_prefect.store.runs import RunRecord
from leadpush_prefect.store.schema import contact, outcome
from leadpush_prefect.store.schema import step as steps
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
    "outcome_values",
    "put_outcomes",
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
    other_requests: int = 0,
) -> None:
    """Write what a step did, over what it did before, in one transaction.

    Args:
        database: The database.
        run_key: The run's key.
        step: The step's number.
        rows: The contacts' numbers and outcomes.
        execution: The execution that writes; None for any.
        resend: Who may send again those that failed and may be sent again at all.
        other_requests: Requests that were sent, and that none of the outcomes counts.

    Raises:
        RunBusy: if a later execution has begun.
    """
    if rows or other_requests:  # a transaction for nothing would wait for the other writers
        with writing(database) as connection:
            if execution is not None:
                hold_execution(connection, run_key, execution, shared=True)
            values = [outcome_values(run_key, step, number, done, resend) for number, done in rows]
            put_outcomes(connection, run_key, step, values, other_requests, execution)


def put_outcomes(
    connection: Connection,
    run_key: int,
    step: int,
    values: Sequence[OutcomeValues],
    other_requests: int = 0,
    execution: int | None = None,
) -> None:
    """Put outcomes in place of former ones, whose requests still count.

    Args:
        connection: In a transaction that writes.
        run_key: The run's key.
        step: The step's number.
        values: The outcomes, as of `outcome_values`.
        other_requests: As of `write_outcomes`.
        execution: Likewise; in the first one there are no former outcomes.
    """
    numbers = [row[_NUMBER] for row in values]
    if numbers and execution != 1:
        former = connection.scalar(_REQUESTS, {"run": run_key, "step": step, "numbers": numbers})
        other_requests += int(former or 0)
    insert_rows(connection, outcome, values, overwrite=True)
    if other_requests:
        counted = update(steps).where(steps.c.run == run_key, steps.c.step == step)
        connection.execute(counted.values(other_requests=steps.c.other_requests + other_requests))


OutcomeValues = tuple[Any, ...]
"""The values of a row of `outcome`, in its columns' order."""

_NUMBER = list(outcome.c.keys()).index("number")

_REQUESTS = select(func.sum(outcome.c.attempts)).where(
    outcome.c.run == bindparam("run"),
    outcome.c.step == bindparam("step"),
    outcome.c.number.in_(bindparam("numbers", expanding=True)),
)


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
    known = {step.step: step for step in earlier}
    first, last = numbers[0], numbers[-1]
    # Neighbours are read in one go; a few far apart, as at the end of a run, one by one.
    statement = _OF_NEIGHBOURS if last - first < 4 * len(numbers) else _ONE_BY_ONE
    these = {"run": key, "steps": list(known), "first": first, "last": last, "numbers": numbers}
    for number, step, status, text in connection.execute(statement, these):
        if status == FETCHED and known[step].output_key:
            outputs.setdefault(number, {})[known[step].output_key] = text
        elif status == FAILED and known[step].on_failure == "stop":
            stopped.add(number)
    return outputs, stopped


def _outcomes(which: ColumnElement[bool]) -> Select[*tuple[Any, ...]]:
    o = outcome.c
    these = o.run == bindparam("run"), o.step.in_(bindparam("steps", expanding=True)), o.status != SKIPPED
    # Of two steps under one key, the later one's output counts.
    return select(o.number, o.step, o.status, o.output).where(*these, which).order_by(o.step)


_OF_NEIGHBOURS = _outcomes(outcome.c.number.between(bindparam("first"), bindparam("last")))
_ONE_BY_ONE = _outcomes(outcome.c.number.in_(bindparam("numbers", expanding=True)))


def outcome_values(
    run_key: int,
    step: int,
    number: int,
    done: Outcome,
    resend: Resend,
    *,
    intent_at: int | None = None,
    digest: str | None = None,
) -> OutcomeValues:
    """The row of an outcome.

    Args:
        run_key: The run's key.
        step: The step's number.
        number: The contact's.
        done: The outcome.
        resend: Who may send it again if it failed, and may be sent again at all.
        intent_at: Of a write under a key that failed: when it was first sent, in seconds by the database's clock.
        digest: And of what templates.
    """
    failure = done.failure
    detail = _detail(failure) if failure else None
    who = None if failure is None else int(resend if done.may_resend else Resend.IF_NAMED)
    microseconds = round(done.seconds * 1_000_000)
    status, counts = _CODES[done.status], (done.attempts, done.bytes)
    return (
        run_key, step, number, status, done.output, done.code, detail, microseconds, *counts, who, intent_at, digest,
    )  # fmt: skip


def _detail(failure: Failure) -> str:
    # Not orjson: an excerpt may hold what UTF-8 cannot, and one such must not lose a whole chunk of outcomes.
    return json.dumps({name: value for name, value in asdict(failure).items() if value not in ("", None)})
