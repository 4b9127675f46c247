"""The contacts of a run whose workflow goes on, for a task of the user's own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from sqlalchemy import Engine, select

from leadpush_prefect.store.chunk_size import ChunkSize
from leadpush_prefect.store.database import reading
from leadpush_prefect.store.outcomes import earlier_outcomes, eligible
from leadpush_prefect.store.patience import Tries, at_once
from leadpush_prefect.store.pending import FIRST_CHUNK, PendingContact, text_in
from leadpush_prefect.store.runs import RunRecord
from leadpush_prefect.store.schema import contact
from leadpush_prefect.store.steps import StepRecord, list_steps
from leadpush_prefect.store.withdrawals import withdrawn_among

__all__ = ["active"]


def active(
    database: Engine, run: RunRecord, numbers: range, chunk: int = 500, *, patience: Tries = at_once
) -> Iterator[list[PendingContact]]:
    """The contacts whose workflow goes on, with all outputs so far, in order, in chunks.

    These are the contacts that are subscribed (or the run includes the others), are so still, and have failed at no
    step that stops the workflow. No transaction is open between two chunks.

    Args:
        database: The database.
        run: The run, of this execution.
        numbers: The contacts' numbers, as of `batch_range`.
        chunk: How many contacts a chunk has at most; fewer where they and their outputs are large.
        patience: How each chunk is read.
    """
    steps, size = patience(lambda: list_steps(database, run)), ChunkSize(chunk, FIRST_CHUNK)
    start = numbers.start
    while start < numbers.stop:
        these = range(start, min(start + size.rows, numbers.stop))
        found = patience(partial(_read, database, run, steps, these))
        size.note(len(these), text_in(found))
        if found:
            yield found
        start = these.stop


def _read(
    database: Engine, run: RunRecord, steps: Sequence[StepRecord], these: range
) -> list[PendingContact]:
    here = contact.c.number.between(these.start, these.stop - 1)
    contacts = select(contact.c.number, contact.c.data).where(eligible(run), here).order_by(contact.c.number)
    with reading(database) as connection:
        rows = connection.execute(contacts).all()
        numbers = [number for number, _ in rows]
        outputs, stopped = earlier_outcomes(connection, run.key, steps, numbers)
        stopped |= withdrawn_among(connection, run.key, numbers) if run.withdrawn else set()
    return [PendingContact(n, data, outputs.get(n, {})) for n, data in rows if n not in stopped]
