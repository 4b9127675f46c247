"""Runs: one campaign over one audience, under an id that survives a second execution."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any, Literal

from sqlalchemy import Connection, Engine, Row, Select, select, update

from leadpush_prefect.errors import LeadpushError
from leadpush_prefect.model.consent_columns import NO_CONSENT_COLUMN, NONE_ON_PURPOSE
from leadpush_prefect.store.bulk_insert import insert_or_ignore
from leadpush_prefect.store.column_types import corrupt
from leadpush_prefect.store.contacts import delete_contacts
from leadpush_prefect.store.database import clock, reading, writing
from leadpush_prefect.store.holder import Holder, is_held_by, refuse_other_holder
from leadpush_prefect.store.locking import hold_execution
from leadpush_prefect.store.schema import run as runs
from leadpush_prefect.text.display import shortened

__all__ = [
    "RunRecord",
    "batch_range",
    "begin_run",
    "find_run",
    "find_run_by_prefix",
    "finish_run",
    "list_runs",
    "now",
]


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A run, as it was when it was read.

    Attributes:
        key: The integer that stands for the run in the other tables.
        run_id: The id that people see.
        campaign: The campaign's name.
        workspace: The workspace's name.
        status: `snapshotting`, `running`, `finished` or `stopped`.
        started_at: When the first execution began, ISO 8601 in UTC.
        finished_at: When the last execution ended; None while it works.
        state: The name of the final state; None while it works.
        simulate: Whether mocks stand for the APIs.
        include_unsubscribed: Whether contacts that are not subscribed are touched too.
        execution: 1 for the first, one more for each that follows.
        contacts: How many there are.
        unsubscribed: How many of them are not subscribed.
        invalid: How many malformed rows of the audience were left out.
        batches: How many there are; 0 until the snapshot of the audience is whole.
        batch_size: The contacts of a batch; the last may have fewer.
        source: A description of the audience.
        consent: Which columns of the audience said who may be asked; empty if an earlier version took the snapshot.
        consent_at: When they were last read, ISO 8601 in UTC; empty likewise.
        no_answer: How many of the unsubscribed gave no answer.
        withdrawn: How many were subscribed when the snapshot was taken, and are no longer.
    """

    key: int
    run_id: str
    campaign: str
    workspace: str
    status: Literal["snapshotting", "running", "finished", "stopped"]
    started_at: str
    finished_at: str | None
    state: str | None
    simulate: bool
    include_unsubscribed: bool
    execution: int
    contacts: int
    unsubscribed: int
    invalid: int
    batches: int
    batch_size: int
    source: str
    consent: str = ""
    consent_at: str = ""
    no_answer: int = 0
    withdrawn: int = 0

    @property
    def had_consent_column(self) -> bool:
        """Whether a column of the audience said who may be asked."""
        return self.consent not in ("", NO_CONSENT_COLUMN, NONE_ON_PURPOSE)

    @property
    def consent_read_at(self) -> datetime:
        """When its consent was last read; where an earlier version took the snapshot, when it began."""
        return datetime.fromisoformat(self.consent_at or self.started_at).astimezone(UTC)

    @property
    def reachable(self) -> int:
        """How many contacts the run may touch."""
        return self.contacts - (0 if self.include_unsubscribed else self.unsubscribed)


_COLUMNS = [runs.c["run" if field.name == "key" else field.name] for field in fields(RunRecord)]


def begin_run(
    database: Engine,
    *,
    run_id: str,
    campaign: str,
    workspace: str,
    simulate: bool,
    include_unsubscribed: bool,
    source: str,
    holder: str = "",
    dead: Holder | None = None,
) -> RunRecord:
    """Begin the first execution of a run, or the next one where the id is known.

    The next execution goes on with the contacts of the first. Where their snapshot is not whole, what there
    is of it is deleted, and the status is `snapshotting` again. A holder may ask again, since it cannot know what
    became of a commit whose answer was lost.

    Args:
        database: The database.
        run_id: The id that people see.
        campaign: The campaign's name.
        workspace: The workspace's name.
        simulate: Whether mocks stand for the APIs.
        include_unsubscribed: Whether contacts that are not subscribed are touched too.
        source: A description of the audience.
        holder: The identity of the process that takes the run; empty to leave it free.
        dead: A former holder that is known to be dead.

    Raises:
        LeadpushError: if the run began as another campaign, in another workspace, or with other settings.
        RunBusy: if somebody else executes it; nothing was changed.
    """
    asked = {
        "campaign": campaign,
        "workspace": workspace,
        "simulate": simulate,
        "include_unsubscribed": include_unsubscribed,
    }
    with writing(database) as connection:
        _insert_if_new(connection, {"run_id": run_id, "source": source, **asked})
        former = _one(connection, _select().where(runs.c.run_id == run_id).with_for_update())
        _refuse_another(former, asked)
        if is_held_by(connection, run_id, holder):
            run = former
        else:
            refuse_other_holder(connection, run_id, dead)
            run = _begin_execution(connection, former, source, holder)
    if not run.batches:
        delete_contacts(database, run.key, run.execution)
    return run


def find_run(database: Engine, run_id: str) -> RunRecord | None:
    """The run of an id, or None."""
    with reading(database) as connection:
        row = connection.execute(_select().where(runs.c.run_id == run_id)).one_or_none()
    return _record(row) if row else None


def find_run_by_prefix(database: Engine, prefix: str) -> RunRecord | None:
    """The run whose id is, or alone begins with, `prefix`; or None.

    Raises:
        LeadpushError: if several begin with it.
    """
    with reading(database) as connection:
        begins = runs.c.run_id.startswith(prefix, autoescape=True)
        rows = connection.execute(_select().where(begins).order_by(runs.c.run.desc()).limit(10)).all()
    found = [_record(row) for row in rows]
    whole = find_run(database, prefix)
    if whole or not found:
        return whole
    if len(found) > 1:
        raise LeadpushError(f"Several runs begin with {prefix}: {', '.join(run.run_id for run in found)}.")
    return found[0]


def list_runs(
    database: Engine, limit: int | None = 50, *, before: RunRecord | None = None
) -> list[RunRecord]:
    """The runs, the latest first.

    Args:
        database: The database.
        limit: How many; None for all.
        before: Those of this run's campaign that began before it.
    """
    statement = _select().order_by(runs.c.run.desc()).limit(limit)
    if before is not None:
        statement = statement.where(runs.c.campaign == before.campaign, runs.c.run < before.key)
    with reading(database) as connection:
        return [_record(row) for row in connection.execute(statement)]


def finish_run(
    database: Engine,
    key: int,
    status: Literal["finished", "stopped"],
    state: str,
    execution: int | None = None,
) -> None:
    """Note how an execution ended.

    Args:
        database: The database.
        key: The run's key.
        status: Whether it came to its end.
        state: The name of its final state.
        execution: The execution that ended; None for any.

    Raises:
        RunBusy: if a later execution has begun.
    """
    with writing(database) as connection:
        if execution is not None:
            hold_execution(connection, key, execution)
        ended = {"status": status, "state": state, "finished_at": now()}
        connection.execute(update(runs).where(runs.c.run == key).values(ended))


def batch_range(run: RunRecord, number: int) -> range:
    """The numbers of a batch's contacts.

    Args:
        run: The run.
        number: The batch's number, from 0.

    Raises:
        ValueError: if the run has no such batch.
    """
    if not 0 <= number < run.batches:
        raise ValueError(f"Run {run.run_id} has {run.batches} batches, and none of number {number}.")
    first = number * run.batch_size
    return range(first, min(first + run.batch_size, run.contacts))


def _insert_if_new(connection: Connection, values: dict[str, object]) -> None:
    numbers = dict.fromkeys(("execution", "contacts", "unsubscribed", "invalid", "batches", "batch_size"), 0)
    row = {"status": "snapshotting", "started_at": now(), **numbers, **values}
    connection.execute(insert_or_ignore(connection, runs).values(row))


def _refuse_another(former: RunRecord, asked: dict[str, object]) -> None:
    for name, value in asked.items():
        if getattr(former, name) != value:
            raise LeadpushError(
                f"Run {former.run_id} began with {name} {getattr(former, name)!r} and cannot go on with "
                f"{value!r}. Use a run id of its own."
            )


def _begin_execution(connection: Connection, former: RunRecord, source: str, holder: str) -> RunRecord:
    values: dict[str, object] = {"execution": former.execution + 1, "finished_at": None, "state": None}
    values |= {"holder": holder, "heartbeat": 0, "heartbeat_at": clock(connection)}
    values |= {"status": "running"} if former.batches else {"status": "snapshotting", "source": source}
    this = runs.c.run == former.key
    connection.execute(update(runs).where(this).values(values))
    return _one(connection, _select().where(this))


def _select() -> Select[*tuple[Any, ...]]:
    return select(*_COLUMNS)


def _one(connection: Connection, statement: Select[*tuple[Any, ...]]) -> RunRecord:
    return _record(connection.execute(statement).one())


def _record(row: Row[*tuple[Any, ...]]) -> RunRecord:
    record = RunRecord(*row)
    counts = [record.contacts, record.unsubscribed, record.invalid, record.batches, record.batch_size]
    counts += [record.no_answer, record.withdrawn]
    if not all(0 <= count < 2**31 for count in counts):
        raise corrupt(f"a run with counts that cannot be ({shortened(record.run_id)})")
    return record


def now() -> str:
    """The time, as it is stored: ISO 8601 in UTC."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
