"""A run's contacts, written and deleted in pieces: transactions are short, however large the audience."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, Engine, delete, func, select

from leadpush_prefect.contact import ContactRow
from leadpush_prefect.store.database import insert_rows, reading, writing
from leadpush_prefect.store.locking import hold_execution
from leadpush_prefect.store.schema import contact

__all__ = ["contact_number", "delete_contacts", "insert_contacts"]

DELETE_PIECE = 10_000


def insert_contacts(connection: Connection, key: int, first: int, rows: Sequence[ContactRow]) -> None:
    """Write a run's contacts, numbered from `first`."""
    numbered = enumerate(rows, first)
    values = [
        (key, number, id, subscribed, data, place) for number, (id, subscribed, data, place) in numbered
    ]
    insert_rows(connection, contact, values)


def delete_contacts(engine: Engine, key: int, execution: int) -> None:
    """Delete all contacts of a run.

    Raises:
        RunBusy: if a later execution has begun, whose contacts these are.
    """
    with reading(engine) as connection:
        last = connection.scalar(select(func.max(contact.c.number)).where(contact.c.run == key))
    for first in range(0, -1 if last is None else last + 1, DELETE_PIECE):
        piece = contact.c.number.between(first, first + DELETE_PIECE - 1)
        with writing(engine) as connection:
            hold_execution(connection, key, execution)
            connection.execute(delete(contact).where(contact.c.run == key, piece))


def contact_number(engine: Engine, key: int, contact_id: str) -> int | None:
    """The number of a contact in a run, or None."""
    this = contact.c.run == key, contact.c.contact_id == contact_id
    with reading(engine) as connection:
        return connection.scalar(select(contact.c.number).where(*this))
