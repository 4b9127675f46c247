"""Who executes a run now: a name in the run's row, and a counter that its holder moves while it lives."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple

from sqlalchemy import Connection, Engine, select, update

from leadpush_prefect.errors import RunBusy
from leadpush_prefect.store.database import clock, reading, writing
from leadpush_prefect.store.schema import run as runs
from leadpush_prefect.system.process_identity import describe_process, has_ended

__all__ = [
    "Holder",
    "busy",
    "find_holder",
    "is_held_by",
    "move_heartbeat",
    "refuse_other_holder",
    "release_run",
    "silent_since",
]


class Holder(NamedTuple):
    """Who executes a run.

    Attributes:
        identity: Of its process; another one for each execution.
        heartbeat: How often it has moved the counter.
    """

    identity: str
    heartbeat: int


def find_holder(database: Engine, run_id: str) -> Holder | None:
    """Who executes a run; None if nobody does, or there is no such run."""
    with reading(database) as connection:
        return _find(connection, run_id)


def move_heartbeat(database: Engine, run_id: str, identity: str) -> None:
    """Show that the holder lives. Nothing happens if another one has taken over."""
    with writing(database) as connection:
        beat = update(runs).where(runs.c.run_id == run_id, runs.c.holder == identity)
        connection.execute(beat.values(heartbeat=runs.c.heartbeat + 1, heartbeat_at=clock(connection)))


def silent_since(database: Engine, run_id: str, seconds: float) -> datetime | None:
    """Since when nothing was heard of a run that has not ended; None where its holder lives, or nobody can say.

    Args:
        database: The database.
        run_id: The run's id.
        seconds: A heartbeat that is older says nothing any more.
    """
    with reading(database) as connection:
        beat = select(runs.c.holder, runs.c.heartbeat_at).where(
            runs.c.run_id == run_id, runs.c.status.in_(("snapshotting", "running"))
        )
        row, now = connection.execute(beat).first(), clock(connection)
    if row is None or not row.heartbeat_at:  # an earlier version did not write when it was
        return None
    is_silent = not row.holder or has_ended(row.holder) or now - row.heartbeat_at > seconds
    return datetime.fromtimestamp(row.heartbeat_at, UTC) if is_silent else None


def release_run(database: Engine, run_id: str, identity: str) -> None:
    """Leave a run to whoever wants it. Nothing happens if another one has taken over."""
    with writing(database) as connection:
        mine = update(runs).where(runs.c.run_id == run_id, runs.c.holder == identity)
        connection.execute(mine.values(holder=""))


def is_held_by(connection: Connection, run_id: str, identity: str) -> bool:
    """Whether somebody has the run already: the answer to its commit may have been lost."""
    holder = _find(connection, run_id)
    return holder is not None and holder.identity == identity


def refuse_other_holder(connection: Connection, run_id: str, dead: Holder | None) -> None:
    """See that nobody executes a run but one that is dead.

    Raises:
        RunBusy: if somebody does, or the dead one has shown a sign of life.
    """
    holder = _find(connection, run_id)
    if holder is not None and holder != dead:
        raise busy(run_id, holder)


def busy(run_id: str, holder: Holder) -> RunBusy:
    """What to say to a second execution."""
    return RunBusy(
        f"Run {run_id} is being executed by {describe_process(holder.identity)}. Nothing was changed. Wait "
        "until it ends, or cancel it; if this was to be a run of its own, give it a run_id of its own."
    )


def _find(connection: Connection, run_id: str) -> Holder | None:
    row = connection.execute(select(runs.c.holder, runs.c.heartbeat).where(runs.c.run_id == run_id)).first()
    return Holder(*row) if row and row.holder else None
