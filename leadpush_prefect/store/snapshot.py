"""The snapshot of an audience: its contacts as they were when the run began, whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import islice

from sqlalchemy import Engine, func, select, update
from sqlalchemy.exc import SQLAlchemyError

from leadpush_prefect.contact import ContactRow
from leadpush_prefect.errors import AudienceInvalid, RunBusy
from leadpush_prefect.store.contacts import delete_contacts, insert_contacts
from leadpush_prefect.store.database import reading, writing
from leadpush_prefect.store.locking import hold_execution
from leadpush_prefect.store.runs import RunRecord
from leadpush_prefect.store.schema import contact
from leadpush_prefect.store.schema import run as runs

__all__ = ["IN_PROCESSES", "IN_THREADS", "batches_for", "snapshot"]

PIECE = 1000
AUTOMATIC_BATCH_SIZE = 2000

IN_THREADS, IN_PROCESSES = 8, 24
"""How many batches at most, where nobody says how many. Each is a task run for every step, which costs Prefect's server
30 ms, and a flow run's graph of more than 100 of them shows nothing. Threads of one process share one engine and
gain nothing by more of them; processes do."""


def snapshot(
    engine: Engine,
    run: RunRecord,
    contacts: Iterable[ContactRow],
    *,
    batches: int = 0,
    most: int = IN_THREADS,
    invalid: Callable[[], int] = lambda: 0,
) -> RunRecord:
    """Write the contacts of a run, a thousand at a time, and divide them into batches.

    Until all are written the run has no contacts; an exception, also of the iterable, deletes what was
    written. Where the run has its snapshot from an earlier execution, the contacts are not read.

    Args:
        engine: The database.
        run: The run, as `begin_run` gave it.
        contacts: The audience, streamed.
        batches: How many; 0 for one per 2,000 contacts. Never more than there are contacts.
        most: How many at most, if `batches` is 0.
        invalid: Asked at the end how many rows of the audience were left out.

    Returns:
        The run with its numbers, `running`.

    Raises:
        AudienceInvalid: if two contacts have one id.
        RunBusy: if another execution of the run has begun.
    """
    if run.batches:
        return run
    try:
        total, unsubscribed = _write_all(engine, run, contacts)
        _refuse_namesakes(engine, run)
        return _make_it_count(engine, run, total, unsubscribed, batches_for(total, batches, most), invalid())
    except RunBusy:
        raise  # what is there belongs to the other execution
    except BaseException:
        with suppress(SQLAlchemyError, RunBusy):  # whatever is left, the next execution deletes
            delete_contacts(engine, run.key, run.execution)
        raise


def batches_for(contacts: int, batches: int = 0, most: int = IN_THREADS) -> tuple[int, int]:
    """How many batches, and the contacts of each.

    >>> batches_for(2_000), batches_for(2_001), batches_for(1_000_000), batches_for(10, 4)
    ((1, 2000), (2, 1001), (8, 125000), (4, 3))
    """
    if batches < 0:
        raise ValueError("batches must not be negative")
    wanted = batches or min(_ceil(contacts, AUTOMATIC_BATCH_SIZE), most)
    size = _ceil(contacts, max(wanted, 1))
    return (_ceil(contacts, size), size) if size else (1, 0)  # an empty audience has one empty batch


def _ceil(total: int, size: int) -> int:
    return -(-total // size)


def _write_all(engine: Engine, run: RunRecord, contacts: Iterable[ContactRow]) -> tuple[int, int]:
    total = unsubscribed = 0
    for piece in _pieces(contacts):
        _write_piece(engine, run, total, piece)
        total += len(piece)
        unsubscribed += sum(not row.subscribed for row in piece)
    return total, unsubscribed


def _pieces(contacts: Iterable[ContactRow]) -> Iterator[list[ContactRow]]:
    rows = iter(contacts)
    while piece := list(islice(rows, PIECE)):
        yield piece


def _write_piece(engine: Engine, run: RunRecord, first: int, piece: Sequence[ContactRow]) -> None:
    with writing(engine) as connection:
        hold_execution(connection, run.key, run.execution)
        insert_contacts(connection, run.key, first, piece)


def _refuse_namesakes(engine: Engine, run: RunRecord) -> None:
    ours = contact.c.run == run.key
    ids = select(contact.c.contact_id).where(ours).group_by(contact.c.contact_id)
    with reading(engine) as connection:
        twice = connection.scalar(ids.having(func.count() > 1).limit(1))
        if twice is not None:
            where = select(contact.c.place).where(ours, contact.c.contact_id == twice)
            first, second = connection.scalars(where.order_by(contact.c.number).limit(2))
            raise AudienceInvalid(f"Two contacts have the id {twice}: {first} and {second}.")


def _make_it_count(
    engine: Engine, run: RunRecord, contacts: int, unsubscribed: int, batches: tuple[int, int], invalid: int
) -> RunRecord:
    count, size = batches
    whole = replace(
        run,
        status="running",
        contacts=contacts,
        unsubscribed=unsubscribed,
        invalid=invalid,
        batches=count,
        batch_size=size,
    )
    names = "status", "contacts", "unsubscribed", "invalid", "batches", "batch_size"
    with writing(engine) as connection:
        hold_execution(connection, run.key, run.execution)
        values = {name: getattr(whole, name) for name in names}
        connection.execute(update(runs).where(runs.c.run == run.key).values(values))
    return whole
