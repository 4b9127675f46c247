"""A run's contacts, written and deleted in chunks: transactions are short, however large the audience."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlalchemy import Connection, Engine, bindparam, delete, func, select, update

from leadpush_prefect.model.consent import Consent
from leadpush_prefect.model.contact import ContactRow
from leadpush_prefect.store.bulk_insert import insert_rows
from leadpush_prefect.store.database import reading, writing
from leadpush_prefect.store.locking import hold_execution
from leadpush_prefect.store.schema import contact
from leadpush_prefect.text.json_text import from_json, to_json

__all__ = ["contact_number", "delete_contacts", "deny_contacts", "insert_contacts", "iter_contacts"]

CHUNK = 1000
DELETE_CHUNK = 10_000
YES, NO_COLUMN = Consent.SUBSCRIBED, Consent.NO_COLUMN


def insert_contacts(
    connection: Connection, key: int, first: int, rows: Sequence[ContactRow], *, overwrite: bool = False
) -> None:
    """Write a run's contacts, numbered from `first`; over those that are there, if need be."""
    numbered = enumerate(rows, first)
    values = [
        (key, number, id, consent is YES or consent is NO_COLUMN, data, place)
        for number, (id, consent, data, place) in numbered
    ]
    insert_rows(connection, contact, values, overwrite=overwrite)


def deny_contacts(connection: Connection, key: int, numbers: range) -> None:
    """Have contacts of a run not be subscribed, in their column and in what templates read."""
    these = contact.c.run == key, contact.c.number >= numbers.start, contact.c.number < numbers.stop
    rows = connection.execute(select(contact.c.number, contact.c.data).where(*these)).all()
    denied = [
        {"number_": number, "data_": to_json({**from_json(data), "subscribed": False})}
        for number, data in rows
    ]
    this = contact.c.run == key, contact.c.number == bindparam("number_")
    connection.execute(update(contact).where(*this).values(subscribed=False, data=bindparam("data_")), denied)


def iter_contacts(database: Engine, run: int) -> Iterator[tuple[int, bool, str]]:
    """All contacts of a run in their order: number, whether it is subscribed, and its JSON."""
    last = -1
    these = select(contact.c.number, contact.c.subscribed, contact.c.data).where(contact.c.run == run)
    while True:
        statement = these.where(contact.c.number > last).order_by(contact.c.number).limit(CHUNK)
        with reading(database) as connection:
            rows = connection.execute(statement).all()
        if not rows:
            return
        yield from ((number, subscribed, data) for number, subscribed, data in rows)
        last = rows[-1].number


def delete_contacts(database: Engine, key: int, execution: int) -> None:
    """Delete all contacts of a run.

    Raises:
        RunBusy: if a later execution has begun, whose contacts these are.
    """
    with reading(database) as connection:
        last = connection.scalar(select(func.max(contact.c.number)).where(contact.c.run == key))
    for first in range(0, -1 if last is None else last + 1, DELETE_CHUNK):
        chunk = contact.c.number.between(first, first + DELETE_CHUNK - 1)
        with writing(database) as connection:
            hold_execution(connection, key, execution)
            connection.execute(delete(contact).where(contact.c.run == key, chunk))


def contact_number(database: Engine, key: int, contact_id: str) -> int | None:
    """The number of a contact in a run, or None."""
    this = contact.c.run == key, contact.c.contact_id == contact_id
    with reading(database) as connection:
        return connection.scalar(select(contact.c.number).where(*this))
