"""The contacts of a run whose workflow goes on, for a task of the user's own."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Engine, select

from leadpush_prefect.store.database import reading
from leadpush_prefect.store.outcomes import earlier_outcomes, eligible
from leadpush_prefect.store.pending import PendingContact
from leadpush_prefect.store.runs import RunRecord
from leadpush_prefect.store.schema import contact
from leadpush_prefect.store.steps import list_steps
from leadpush_prefect.store.withdrawals import withdrawn_among

__all__ = ["active"]


def active(
    database: Engine, run: RunRecord, numbers: range, chunk: int = 500
) -> Iterator[list[PendingContact]]:
    """The contacts whose workflow goes on, with all outputs so far, in order, in chunks.

    These are the contacts that are subscribed (or the run includes the others), are so still, and have failed at no
    step that stops the workflow. No transaction is open between two chunks.

    Args:
        database: The database.
        run: The run, of this execution.
        numbers: The contacts' numbers, as of `batch_range`.
        chunk: How many contacts a chunk has at most.
    """
    steps = list_steps(database, run)
    for start in range(numbers.start, numbers.stop, chunk):
        these = contact.c.number.between(start, min(start + chunk, numbers.stop) - 1)
        contacts = (
            select(contact.c.number, contact.c.data).where(eligible(run), these).order_by(contact.c.number)
        )
        with reading(database) as connection:
            rows = connection.execute(contacts).all()
            these_numbers = [number for number, _ in rows]
            outputs, stopped = earlier_outcomes(connection, run.key, steps, these_numbers)
            stopped |= withdrawn_among(connection, run.key, these_numbers) if run.withdrawn else set()
        if found := [PendingContact(n, data, outputs.get(n, {})) for n, data in rows if n not in stopped]:
            yield found
