"""Who was subscribed when a run's snapshot was taken, and is no longer: kept apart, so that the run's totals stay."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import islice

from sqlalchemy import (
    Column,
    Connection,
    Engine,
    MetaData,
    SmallInteger,
    Table,
    Text,
    delete,
    exists,
    func,
    insert,
    literal,
    select,
    update,
)
from sqlalchemy.exc import SQLAlchemyError

from leadpush_prefect.errors import AudienceInvalid
from leadpush_prefect.model.consent import Consent
from leadpush_prefect.model.consent_columns import ConsentColumns
from leadpush_prefect.model.contact import ContactRow
from leadpush_prefect.store.bulk_insert import insert_or_ignore, insert_or_lower
from leadpush_prefect.store.database import writing, writing_on
from leadpush_prefect.store.locking import hold_execution
from leadpush_prefect.store.patience import Tries, at_once
from leadpush_prefect.store.runs import RunRecord, now
from leadpush_prefect.store.schema import contact, withdrawal
from leadpush_prefect.store.schema import run as runs

__all__ = ["withdraw", "withdraw_unconfirmed", "withdrawn_among"]

CHUNK = 1000


def withdraw(database: Engine, run: RunRecord, numbers: Sequence[int], consent: str) -> RunRecord:
    """Note who of a run's contacts is not subscribed after all.

    Args:
        database: The database.
        run: The run, of this execution.
        numbers: The contacts' numbers.
        consent: Which columns said so.

    Raises:
        RunBusy: if another execution of the run has begun.
    """
    with writing(database) as connection:
        hold_execution(connection, run.key, run.execution)
        for at in range(0, len(numbers), CHUNK):
            rows = [{"run": run.key, "number": number} for number in numbers[at : at + CHUNK]]
            connection.execute(insert_or_ignore(connection, withdrawal), rows)
        return _noted(connection, run, consent=consent, consent_at=run.consent_at or run.started_at)


def withdraw_unconfirmed(
    database: Engine,
    run: RunRecord,
    rows: Iterable[ContactRow],
    columns: ConsentColumns,
    patience: Tries = at_once,
) -> RunRecord:
    """Note who of a run's contacts is gone from its audience or no longer subscribed there, in place of what was noted
    before. Nothing is changed until all of the audience is read.

    Args:
        database: The database.
        run: The run, of this execution.
        rows: The whole audience, read again.
        columns: Its consent columns, for what was found when the rows end.
        patience: How the run's own tables are written. What the audience says is the connection's own: where that is
            lost, so is the audience, which can be read once only.

    Raises:
        AudienceInvalid: if the audience has no rows any more, or no consent column where it had one.
        RunBusy: if another execution of the run has begun.
    """
    read_at = now()
    with database.connect() as connection:
        with connection.begin():
            _now.create(connection)
        try:
            read = _write_now(connection, rows)
            _refuse_another_audience(run, read, columns)
            return patience(lambda: _replace(connection, run, columns, read_at))
        finally:
            with suppress(SQLAlchemyError), connection.begin():  # it goes with its connection
                _now.drop(connection)


def _replace(connection: Connection, run: RunRecord, columns: ConsentColumns, read_at: str) -> RunRecord:
    """Note those whom the audience does not confirm, in place of those noted before."""
    with writing_on(connection):
        hold_execution(connection, run.key, run.execution)
        connection.execute(delete(withdrawal).where(withdrawal.c.run == run.key))
        least = SUBSCRIBED if columns.found else NO_COLUMN
        connection.execute(insert(withdrawal).from_select(["run", "number"], _unconfirmed(run, least)))
        return _noted(connection, run, consent=columns.describe(), consent_at=read_at)


def _refuse_another_audience(run: RunRecord, read: int, columns: ConsentColumns) -> None:
    otherwise = "refresh_consent=False goes on with what it said before."
    if run.contacts and not read:
        raise AudienceInvalid(
            f"The audience of run {run.run_id} has no rows any more: nobody would still be subscribed. Give it one that "
            f"can be read again; {otherwise}"
        )
    if run.had_consent_column and not (columns.found or columns.has_none):
        raise AudienceInvalid(
            f"The audience of run {run.run_id} has no consent column any more; it was {run.consent}. Give it back, or "
            f'say subscribed="*"; {otherwise}'
        )


def withdrawn_among(connection: Connection, key: int, numbers: Sequence[int]) -> set[int]:
    """Which of a run's neighbouring contacts are no longer subscribed; the numbers ascend."""
    if not numbers:
        return set()
    these = withdrawal.c.run == key, withdrawal.c.number.between(numbers[0], numbers[-1])
    return set(connection.scalars(select(withdrawal.c.number).where(*these)))


NO_ANSWER, NO_COLUMN, SUBSCRIBED = 0, 1, 2
_RANKS = {Consent.NO_COLUMN: NO_COLUMN, Consent.SUBSCRIBED: SUBSCRIBED}

# The connection's own, so that an audience of any size needs no memory here, and leaves nothing behind.
_now = Table(
    "leadpush_consent_now",
    MetaData(),
    Column("contact_id", Text, primary_key=True),
    Column("rank", SmallInteger, nullable=False),
    prefixes=["TEMPORARY"],
)


def _write_now(connection: Connection, rows: Iterable[ContactRow]) -> int:
    """Write what an audience says now; gives the number of its rows."""
    stream, read = iter(rows), 0
    statement = insert_or_lower(connection, _now, "rank")  # of two rows with one id the stricter counts
    while chunk := list(islice(stream, CHUNK)):
        found = [{"contact_id": row.contact_id, "rank": _RANKS.get(row.consent, NO_ANSWER)} for row in chunk]
        read += len(chunk)
        with connection.begin():
            connection.execute(statement, found)
    return read


def _unconfirmed(run: RunRecord, least: int):  # type: ignore[no-untyped-def]
    confirmed = exists().where(_now.c.contact_id == contact.c.contact_id, _now.c.rank >= least)
    ours = contact.c.run == run.key, contact.c.subscribed
    return select(literal(run.key), contact.c.number).where(*ours, ~confirmed)


def _noted(connection: Connection, run: RunRecord, *, consent: str, consent_at: str) -> RunRecord:
    ours = withdrawal.c.run == run.key
    count = connection.scalar(select(func.count()).select_from(withdrawal).where(ours)) or 0
    facts = {"consent": consent, "consent_at": consent_at, "withdrawn": count}
    connection.execute(update(runs).where(runs.c.run == run.key).values(facts))
    return replace(run, **facts)  # type: ignore[arg-type]
