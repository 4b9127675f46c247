"""What waits for a step."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import orjson
from sqlalchemy import (
    Connection,
    Engine,
    Integer,
    Row,
    ScalarSelect,
    Select,
    Text,
    and_,
    bindparam,
    cast,
    func,
    or_,
    select,
)
from sqlalchemy.sql.elements import ColumnElement

from leadpush_prefect.errors import LeadpushError
from leadpush_prefect.model.outcome import Resend
from leadpush_prefect.store.chunk_size import ChunkSize
from leadpush_prefect.store.column_types import corrupt
from leadpush_prefect.store.database import reading
from leadpush_prefect.store.outcomes import FAILED, earlier_outcomes, eligible, status_at
from leadpush_prefect.store.patience import Tries, at_once
from leadpush_prefect.store.rows_as_text import Read, reader
from leadpush_prefect.store.runs import RunRecord
from leadpush_prefect.store.schema import contact, outcome
from leadpush_prefect.store.steps import StepRecord, list_steps
from leadpush_prefect.store.withdrawals import withdrawn_among

__all__ = ["FIRST_CHUNK", "PendingContact", "pending", "text_in"]


class PendingContact(NamedTuple):
    """A contact that waits for a step.

    Attributes:
        number: Its number in the run.
        data: The contact as JSON.
        outputs: The JSON text that earlier steps stored, by output key.
        is_withdrawn: Whether it is no longer subscribed, and is to be skipped.
    """

    number: int
    data: str
    outputs: dict[str, str]
    is_withdrawn: bool = False


FIRST_CHUNK = 4
"""So many contacts of a batch are read first, and then more as long as they are small."""


def pending(
    database: Engine,
    run: RunRecord,
    step: int,
    numbers: range,
    chunk: int = 500,
    *,
    first: int = 0,
    patience: Tries = at_once,
) -> Iterator[list[PendingContact]]:
    """The contacts that a step has to touch, in order, in chunks; each chunk is read when it is asked for.

    These are the contacts without outcome at the step that are subscribed (or the run includes the others)
    and have not failed at an earlier step that stops the workflow. From the second execution on, those that failed at
    it too, where any execution may send them again.

    No transaction is open between two chunks.

    Args:
        database: The database.
        run: The run, of this execution.
        step: The step's number.
        numbers: The contacts' numbers, as of `batch_range`.
        chunk: How many contacts a chunk has at most; fewer where they and their outputs are large.
        first: How many the first one has; 0 for as many as the others.
        patience: How each chunk is read.

    Raises:
        LeadpushError: if the run has no such step.
    """
    steps = patience(lambda: list_steps(database, run))
    this, earlier = _step(steps, step), [other for other in steps if other.step < step]
    look = _without_outcome if run.execution == 1 else _left_over
    for found in look(database, run, this, earlier, numbers, ChunkSize(chunk, first), patience):
        if found:
            yield found


def _step(steps: Sequence[StepRecord], number: int) -> StepRecord:
    for step in steps:
        if step.step == number:
            return step
    raise LeadpushError(f"The run has no step of number {number}: declare it first.")


def _without_outcome(
    database: Engine,
    run: RunRecord,
    step: StepRecord,
    earlier: Sequence[StepRecord],
    numbers: range,
    size: ChunkSize,
    patience: Tries,
) -> Iterator[list[PendingContact]]:
    """Each contact is asked for its outcome."""
    number = contact.c.number
    these = number >= bindparam("start"), number < bindparam("stop"), status_at(step.step).is_(None)
    read = reader(database, _contacts(run, *these).limit(bindparam("limit", type_=Integer)))
    first = numbers.start
    while first < numbers.stop:
        limit = size.rows
        asked = {"start": first, "stop": numbers.stop, "limit": limit}
        rows, found = patience(partial(_read_chunk, database, run, earlier, read, asked))
        size.note(len(rows), text_in(found))
        yield found
        first = rows[-1][0] + 1 if len(rows) == limit else numbers.stop


WINDOW = 25_000
"""So many contacts are looked at in one go for those that are left over."""

HUNDRED = 100
"""Of so many neighbours the outcomes are counted first: where none is missing, none is looked for."""


def _left_over(
    database: Engine,
    run: RunRecord,
    step: StepRecord,
    earlier: Sequence[StepRecord],
    numbers: range,
    size: ChunkSize,
    patience: Tries,
) -> Iterator[list[PendingContact]]:
    """The same where most have their outcome: they are sooner counted than asked for one by one."""
    incomplete = _incomplete(run, step)
    read = reader(database, _contacts(run, contact.c.number.in_(bindparam("numbers", expanding=True))))
    for first in range(numbers.start, numbers.stop, WINDOW):
        window = range(first, min(first + WINDOW, numbers.stop))
        hundreds = patience(partial(_read_all, database, incomplete, window))
        left = [number for first, done in hundreds for number in _missing(first, done, window)]
        at = 0
        while at < len(left):
            asked = {"numbers": left[at : at + size.rows]}
            at += size.rows
            rows, found = patience(partial(_read_chunk, database, run, earlier, read, asked))
            size.note(len(rows), text_in(found))
            yield found


def _read_all(database: Engine, statement: Select[int, str], window: range) -> Sequence[Row[int, str]]:
    with reading(database) as connection:
        return connection.execute(statement, {"start": window.start, "stop": window.stop}).all()


def _read_chunk(
    database: Engine, run: RunRecord, earlier: Sequence[StepRecord], read: Read, asked: Mapping[str, Any]
) -> tuple[Sequence[tuple[int, str]], list[PendingContact]]:
    """The rows of a chunk, and the contacts among them whose workflow goes on."""
    with reading(database) as connection:
        rows = read(connection, asked)
        return rows, _with_outputs(connection, run, earlier, rows)


def text_in(contacts: Iterable[PendingContact]) -> int:
    """How much text contacts and their outputs are."""
    return sum(len(contact.data) + sum(map(len, contact.outputs.values())) for contact in contacts)


def _incomplete(run: RunRecord, step: StepRecord) -> Select[int, str]:
    """Of the hundreds from `start` to `stop` those with fewer outcomes than contacts: their first numbers, and
    the numbers of those that have one, as a text. A row for each number would take several times as long."""
    o = outcome.c
    done = [o.run == run.key, o.step == step.step]
    done += [or_(o.status != FAILED, func.coalesce(o.resend, Resend.IF_NAMED) != Resend.BY_ITSELF)]

    hundred = select(bindparam("start", type_=Integer).label("first")).cte("hundred", recursive=True)
    following = hundred.c.first + HUNDRED
    hundred = hundred.union_all(select(following).where(following < bindparam("stop")))

    def of(number: ColumnElement[int], first: ColumnElement[int]) -> ColumnElement[bool]:
        return and_(number >= first, number < first + HUNDRED, number < bindparam("stop"))

    def count(*where: ColumnElement[bool]) -> ScalarSelect[int]:
        return select(func.count()).where(*where).scalar_subquery()

    outcomes = count(*done, of(o.number, hundred.c.first))
    contacts: Any = HUNDRED
    if run.reachable < run.contacts:
        contacts = count(eligible(run), of(contact.c.number, hundred.c.first))
    counted = select(hundred.c.first).where(outcomes < contacts).subquery("incomplete")
    numbers = select(func.aggregate_strings(cast(o.number, Text), ",")).where(
        *done, of(o.number, counted.c.first)
    )
    return select(counted.c.first, numbers.scalar_subquery()).order_by(counted.c.first)


def _missing(first: int, done: str | None, window: range) -> list[int]:
    """The numbers of a hundred that are not in the text."""
    try:
        others = orjson.loads(f"[{done}]") if done else []
    except ValueError:
        raise corrupt("a contact's number that is none") from None
    return sorted(set(range(first, min(first + HUNDRED, window.stop))).difference(others))


def _contacts(run: RunRecord, *where: ColumnElement[bool]) -> Select[int, str]:
    return select(contact.c.number, contact.c.data).where(eligible(run), *where).order_by(contact.c.number)


def _with_outputs(
    connection: Connection, run: RunRecord, earlier: Sequence[StepRecord], rows: Sequence[tuple[int, str]]
) -> list[PendingContact]:
    """The contacts whose workflow goes on; the others are more quickly sorted out by the chunk."""
    numbers = [number for number, _ in rows]
    outputs, stopped = earlier_outcomes(connection, run.key, earlier, numbers)
    withdrawn = withdrawn_among(connection, run.key, numbers) if run.withdrawn else ()
    return [
        PendingContact(n, data, outputs.get(n, {}), n in withdrawn) for n, data in rows if n not in stopped
    ]
