"""Outcomes: what waits for a step, and what the step did."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

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

from leadpush_prefect.errors import LeadpushError
from leadpush_prefect.outcome import Failure, Outcome, Status
from leadpush_prefect.store.database import insert_rows, reading, writing
from leadpush_prefect.store.locking import hold_execution
from leadpush_prefect.store.reading import foreign
from leadpush_prefect.store.reading import stored_failure as read_failure
from leadpush_prefect.store.runs import RunRecord
from leadpush_prefect.store.schema import contact, outcome
from leadpush_prefect.store.steps import StepRecord, list_steps

__all__ = [
    "FAILED",
    "FETCHED",
    "SKIPPED",
    "PendingContact",
    "earlier_outcomes",
    "eligible",
    "failed_at",
    "pending",
    "read_failure",
    "read_outcome",
    "status_at",
    "write_outcomes",
]

FETCHED, SKIPPED, FAILED = 1, 2, 3
_CODES = {Status.FETCHED: FETCHED, Status.SKIPPED: SKIPPED, Status.FAILED: FAILED}


class PendingContact(NamedTuple):
    """A contact that waits for a step.

    Attributes:
        number: Its number in the run.
        data: The contact as JSON.
        outputs: The JSON text that earlier steps stored, by output key.
    """

    number: int
    data: str
    outputs: dict[str, str]


def pending(
    engine: Engine, run: RunRecord, step: int, numbers: range, piece: int = 500
) -> Iterator[list[PendingContact]]:
    """The contacts that a step has to touch, in order, in pieces; each piece is read when it is asked for.

    These are the contacts without outcome at the step that are subscribed (or the run includes the others)
    and have not failed at an earlier step that stops the workflow. From the second execution on, a step that
    stops the workflow tries those again that failed at it.

    No transaction is open between two pieces.

    Args:
        engine: The database.
        run: The run, of this execution.
        step: The step's number.
        numbers: The contacts' numbers, as of `batch_range`.
        piece: How many contacts a piece has at most.

    Raises:
        LeadpushError: if the run has no such step.
    """
    steps = list_steps(engine, run)
    earlier = [other for other in steps if other.step < step]
    for rows in _waiting(engine, run, _step(steps, step), numbers, piece):
        with reading(engine) as connection:
            outputs, stopped = earlier_outcomes(connection, run.key, earlier, [row[0] for row in rows])
        if found := [PendingContact(n, data, outputs.get(n, {})) for n, data in rows if n not in stopped]:
            yield found


def write_outcomes(
    engine: Engine, run_key: int, step: int, rows: Sequence[tuple[int, Outcome]], execution: int | None = None
) -> None:
    """Write what a step did, over what it did before, in one transaction.

    Args:
        engine: The database.
        run_key: The run's key.
        step: The step's number.
        rows: The contacts' numbers and outcomes.
        execution: The execution that writes; None for any.

    Raises:
        RunBusy: if a later execution has begun.
    """
    values = [_values(run_key, step, number, done) for number, done in rows]
    if values:  # a transaction for nothing would wait for the other writers
        with writing(engine) as connection:
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
        raise foreign(f"the status {row.status}")
    failure = read_failure(row.detail) if status is Status.FAILED else None
    return Outcome(status, row.output, failure, row.microseconds / 1_000_000, row.attempts, row.bytes)


def _step(steps: Sequence[StepRecord], number: int) -> StepRecord:
    for step in steps:
        if step.step == number:
            return step
    raise LeadpushError(f"The run has no step of number {number}: declare it first.")


def _waiting(
    engine: Engine, run: RunRecord, step: StepRecord, numbers: range, piece: int
) -> Iterator[Sequence[Row[int, str]]]:
    """Those without outcome at the step; the stopped among them are more quickly sorted out by the piece."""
    if run.execution > 1:
        yield from _left_over(engine, run, step, numbers, piece)
        return
    these = eligible(run), _between(contact.c.number)
    waiting = select(contact.c.number, contact.c.data).where(*these, status_at(step.step).is_(None))
    first = numbers.start
    while first < numbers.stop:
        with reading(engine) as connection:
            rows = connection.execute(
                waiting.order_by(contact.c.number).limit(piece), {"start": first, "stop": numbers.stop}
            ).all()
        if rows:
            yield rows
        first = rows[-1][0] + 1 if len(rows) == piece else numbers.stop


def _between(number: ColumnElement[int]) -> ColumnElement[bool]:
    return and_(number >= bindparam("start"), number < bindparam("stop"))


WINDOW = 10_000
"""So many contacts are looked at in one go for those that are left over."""


def _left_over(
    engine: Engine, run: RunRecord, step: StepRecord, numbers: range, piece: int
) -> Iterator[Sequence[Row[int, str]]]:
    """The same where most have their outcome: two lists of numbers are sooner compared than each is asked for."""
    o = outcome.c
    done = select(o.number).where(o.run == run.key, o.step == step.step, _between(o.number))
    if step.on_failure == "stop":
        done = done.where(o.status != FAILED)
    these = eligible(run), _between(contact.c.number)
    missing = select(contact.c.number).where(*these).except_(done)
    for first in range(numbers.start, numbers.stop, WINDOW):
        with reading(engine) as connection:
            window = {"start": first, "stop": min(first + WINDOW, numbers.stop)}
            left = sorted(connection.scalars(missing, window))
        for at in range(0, len(left), piece):
            some = contact.c.run == run.key, contact.c.number.in_(left[at : at + piece])
            with reading(engine) as connection:
                yield connection.execute(
                    select(contact.c.number, contact.c.data).where(*some).order_by(contact.c.number)
                ).all()


def earlier_outcomes(
    connection: Connection, key: int, earlier: Sequence[StepRecord], numbers: Sequence[int]
) -> tuple[dict[int, dict[str, str]], set[int]]:
    """The outputs of earlier steps by contact, and the contacts that one of these steps stopped."""
    outputs: dict[int, dict[str, str]] = {}
    stopped: set[int] = set()
    if not earlier or not numbers:
        return outputs, stopped
    steps = {step.step: step for step in earlier}
    for number, step, status, text in connection.execute(_outcomes(key, list(steps), numbers)):
        if status == FETCHED and steps[step].output_key:
            outputs.setdefault(number, {})[steps[step].output_key] = text
        elif status == FAILED and steps[step].on_failure == "stop":
            stopped.add(number)
    return outputs, stopped


def _outcomes(key: int, steps: Sequence[int], numbers: Sequence[int]) -> Select[*tuple[Any, ...]]:
    o = outcome.c
    these = o.run == key, o.step.in_(steps), _among(numbers), o.status != SKIPPED
    # Of two steps under one key, the later one's output counts.
    return select(o.number, o.step, o.status, o.output).where(*these).order_by(o.step)


def _among(numbers: Sequence[int]) -> ColumnElement[bool]:
    # Neighbours are read in one go; a few far apart, as at the end of a run, one by one.
    first, last = numbers[0], numbers[-1]
    if last - first < 4 * len(numbers):
        return outcome.c.number.between(first, last)
    return outcome.c.number.in_(numbers)


def _values(run_key: int, step: int, number: int, done: Outcome) -> tuple[object, ...]:
    failure = done.failure
    code, detail = (failure.code, _detail(failure)) if failure else (None, None)
    microseconds = round(done.seconds * 1_000_000)
    status = _CODES[done.status]
    return run_key, step, number, status, done.output, code, detail, microseconds, done.attempts, done.bytes


def _detail(failure: Failure) -> str:
    # Not orjson: an excerpt may hold what UTF-8 cannot, and one such must not lose a whole piece of outcomes.
    return json.dumps({name: value for name, value in asdict(failure).items() if value not in ("", None)})
