"""Runs, contacts and outcomes in a word each, and what processes of their own do in tests."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, make_url

from leadpush_prefect.errors import Reason
from leadpush_prefect.model.consent import Consent
from leadpush_prefect.model.contact import ContactRow
from leadpush_prefect.model.outcome import Failure, Outcome, Status
from leadpush_prefect.store.database import open_database
from leadpush_prefect.store.outcomes import write_outcomes
from leadpush_prefect.store.pending import pending
from leadpush_prefect.store.runs import RunRecord, begin_run
from leadpush_prefect.store.snapshot import snapshot
from leadpush_prefect.store.steps import declare_step

FETCHED = Outcome(Status.FETCHED, '{"plan":"pro"}', None, 0.25, 1, 14)
SKIPPED = Outcome(Status.SKIPPED)
FAILED = Outcome(
    Status.FAILED, None, Failure(Reason.HTTP_STATUS, "The API answered 404.", http_status=404), 0.5, 2, 9
)


def row(number: int, *, subscribed: bool = True, contact_id: str = "") -> ContactRow:
    name = contact_id or f"c{number}"
    consent = Consent.SUBSCRIBED if subscribed else Consent.NOT_SUBSCRIBED
    return ContactRow(name, consent, f'{{"_id":"{name}"}}', f"line {number + 2}")


def begin(database: Engine, run_id: str = "r1", **changes: Any) -> RunRecord:
    facts: dict[str, Any] = {
        "campaign": "renewal",
        "workspace": "acme",
        "simulate": False,
        "include_unsubscribed": False,
        "source": "contacts.csv",
    }
    return begin_run(database, run_id=run_id, **facts | changes)


def started(database: Engine, contacts: int = 10, batches: int = 0, **changes: Any) -> RunRecord:
    """A run with its snapshot; or its next execution."""
    return snapshot(database, begin(database, **changes), map(row, range(contacts)), batches=batches)


def declare(database: Engine, run: RunRecord, node: str, **changes: Any) -> int:
    facts: dict[str, Any] = {
        "output_key": node,
        "kind": "fetch",
        "endpoint": "crm",
        "condition": "",
        "on_failure": "stop",
        "definition": "1",
    }
    return declare_step(database, run, node=node, **facts | changes)


def waiting(database: Engine, run: RunRecord, step: int, piece: int = 500) -> list[int]:
    """The numbers of the contacts that wait for a step."""
    pieces = pending(database, run, step, range(run.contacts), piece)
    return [contact.number for contact in itertools.chain.from_iterable(pieces)]


def load_released(url: str, version: str) -> None:
    """Fill an empty database with what a released version of this package has left there."""
    address = make_url(url)
    script = Path(__file__).parents[1] / "store" / "released" / f"{version}.{address.get_backend_name()}.sql"
    if address.get_backend_name() == "sqlite":
        Path(address.database or "").parent.mkdir()
    engine = create_engine(address)
    connection = engine.raw_connection()
    cursor = connection.cursor()
    getattr(cursor, "executescript", cursor.execute)(script.read_text("utf-8"))
    connection.commit()
    connection.close()
    engine.dispose()


def imported_to_open(url: str) -> bool:
    """In a process of its own: whether Alembic was imported to open a database."""
    open_database(url)
    return "alembic" in sys.modules


def open_late(url: str) -> int:
    """In a process of its own: how many runs the store has."""
    from leadpush_prefect.store.runs import list_runs

    return len(list_runs(open_database(url)))


def write_a_quarter(url: str, quarter: int) -> int:
    """In a process of its own: work off every fourth piece of a run, reading and writing in turns."""
    engine = open_database(url)
    run = begin_and_find(engine)
    step = declare(engine, run, "a")
    for first in range(quarter * 25, 4_000, 100):
        for piece in pending(engine, run, step, range(first, first + 25), 10):
            write_outcomes(engine, run.key, step, [(contact.number, FETCHED) for contact in piece])
    return step


def begin_and_find(engine: Engine) -> RunRecord:
    from leadpush_prefect.store.runs import find_run

    run = find_run(engine, "r1")
    assert run
    return run


def snapshot_for_ever(url: str) -> None:
    """In a process of its own, to be killed: an audience that does not end."""
    engine = open_database(url)

    def contacts() -> Iterator[ContactRow]:
        for number in itertools.count():
            if number == 5_000:
                print("5000", flush=True)
            yield row(number)

    snapshot(engine, begin(engine), contacts())
