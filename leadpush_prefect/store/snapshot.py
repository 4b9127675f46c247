"""The snapshot of an audience: its contacts as they were when the run began, whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import count as count_up
from itertools import islice

from sqlalchemy import Engine, func, select, update
from sqlalchemy.exc import SQLAlchemyError

from leadpush_prefect.errors import AudienceInvalid, RunBusy, StoreFailed
from leadpush_prefect.model.consent import Consent
from leadpush_prefect.model.consent_columns import NO_CONSENT_COLUMN, ConsentColumns
from leadpush_prefect.model.contact import ContactRow
from leadpush_prefect.store.contacts import delete_contacts, deny_contacts, insert_contacts
from leadpush_prefect.store.database import reading, writing
from leadpush_prefect.store.locking import hold_execution
from leadpush_prefect.store.patience import Tries, at_once
from leadpush_prefect.store.runs import RunRecord, now
from leadpush_prefect.store.schema import contact
from leadpush_prefect.store.schema import run as runs

__all__ = ["IN_PROCESSES", "IN_THREADS", "batches_for", "snapshot"]

CHUNK = 1000
AUTOMATIC_BATCH_SIZE = 2000

IN_THREADS, IN_PROCESSES = 8, 24
"""How many batches at most, where nobody says how many. Each is a task run for every step, which costs Prefect's server
30 ms, and a flow run's graph of more than 100 of them shows nothing. Threads of one process share one database and
gain nothing by more of them; processes do."""


def snapshot(
    database: Engine,
    run: RunRecord,
    contacts: Iterable[ContactRow],
    *,
    batches: int = 0,
    most: int = IN_THREADS,
    invalid: Callable[[], int] = lambda: 0,
    consent: ConsentColumns | None = None,
    patience: Tries = at_once,
) -> RunRecord:
    """Write the contacts of a run, a thousand at a time, and divide them into batches.

    Until all are written the run has no contacts; an exception, also of the iterable, deletes what was
    written. Where the run has its snapshot from an earlier execution, the contacts are not read.

    Args:
        database: The database.
        run: The run, as `begin_run` gave it.
        contacts: The audience, streamed.
        batches: How many; 0 for one per 2,000 contacts. Never more than there are contacts.
        most: How many at most, if `batches` is 0.
        invalid: Asked at the end how many rows of the audience were left out.
        consent: Tells at the end which columns said who may be asked.
        patience: How each transaction is done.

    Returns:
        The run with its numbers, `running`.

    Raises:
        AudienceInvalid: if two contacts have one id.
        RunBusy: if another execution of the run has begun.
    """
    if run.batches:
        return run
    try:
        read_at = now()
        counted = _write_all(database, run, contacts, patience)
        if consent and consent.found:
            _correct(database, run, counted, patience)
        patience(lambda: _refuse_namesakes(database, run))
        count, size = batches_for(counted.contacts, batches, most)
        whole = replace(
            run,
            status="running",
            contacts=counted.contacts,
            unsubscribed=counted.unsubscribed,
            no_answer=counted.no_answer,
            invalid=invalid(),
            batches=count,
            batch_size=size,
            consent=consent.describe() if consent else NO_CONSENT_COLUMN,
            consent_at=read_at,
        )
        patience(lambda: _make_it_count(database, whole))
        return whole
    except RunBusy:
        raise  # what is there belongs to the other execution
    except BaseException:
        with suppress(SQLAlchemyError, StoreFailed, RunBusy):  # whatever is left, the next execution deletes
            delete_contacts(database, run.key, run.execution)
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


@dataclass(slots=True)
class _Counted:
    """How many contacts there are, and what they say of consent."""

    contacts: int = 0
    unsubscribed: int = 0
    no_answer: int = 0
    first_without_column: int = 0  # so many at the beginning: no row had a consent column yet


def _write_all(database: Engine, run: RunRecord, contacts: Iterable[ContactRow], patience: Tries) -> _Counted:
    counted = _Counted()
    for chunk in _chunks(contacts):
        patience(partial(_write_chunk, database, run, counted.contacts, chunk, count_up()))
        said = [row.consent for row in chunk]
        silent = said.count(Consent.NO_ANSWER)
        counted.contacts += len(chunk)
        counted.unsubscribed += silent + said.count(Consent.NOT_SUBSCRIBED)
        counted.no_answer += silent
        counted.first_without_column += said.count(Consent.NO_COLUMN)
    return counted


def _correct(database: Engine, run: RunRecord, counted: _Counted, patience: Tries) -> None:
    """Some rows had a consent column: those before them, which had none, gave no answer."""
    silent = counted.first_without_column
    for first in range(0, silent, CHUNK):
        patience(partial(_deny, database, run, range(first, min(first + CHUNK, silent))))
    counted.unsubscribed += silent
    counted.no_answer += silent


def _deny(database: Engine, run: RunRecord, numbers: range) -> None:
    with writing(database) as connection:
        hold_execution(connection, run.key, run.execution)
        deny_contacts(connection, run.key, numbers)


def _chunks(contacts: Iterable[ContactRow]) -> Iterator[list[ContactRow]]:
    rows = iter(contacts)
    while chunk := list(islice(rows, CHUNK)):
        yield chunk


def _write_chunk(
    database: Engine, run: RunRecord, first: int, chunk: Sequence[ContactRow], tries: Iterator[int]
) -> None:
    is_again = next(tries) > 0  # and the first time may have done it after all
    with writing(database) as connection:
        hold_execution(connection, run.key, run.execution)
        insert_contacts(connection, run.key, first, chunk, overwrite=is_again)


def _refuse_namesakes(database: Engine, run: RunRecord) -> None:
    ours = contact.c.run == run.key
    ids = select(contact.c.contact_id).where(ours).group_by(contact.c.contact_id)
    with reading(database) as connection:
        twice = connection.scalar(ids.having(func.count() > 1).limit(1))
        if twice is not None:
            where = select(contact.c.place).where(ours, contact.c.contact_id == twice)
            first, second = connection.scalars(where.order_by(contact.c.number).limit(2))
            raise AudienceInvalid(f"Two contacts have the id {twice}: {first} and {second}.")


def _make_it_count(database: Engine, whole: RunRecord) -> None:
    names = (
        "status",
        "contacts",
        "unsubscribed",
        "no_answer",
        "invalid",
        "batches",
        "batch_size",
        "consent",
        "consent_at",
    )
    with writing(database) as connection:
        hold_execution(connection, whole.key, whole.execution)
        values = {name: getattr(whole, name) for name in names}
        connection.execute(update(runs).where(runs.c.run == whole.key).values(values))
