"""Whether the run is still this execution's."""

from __future__ import annotations

from sqlalchemy import Connection, bindparam, select

from leadpush_prefect.errors import RunBusy
from leadpush_prefect.store.schema import run as runs

__all__ = ["hold_execution"]


def hold_execution(connection: Connection, key: int, execution: int, *, shared: bool = False) -> None:
    """Keep any other execution of the run from beginning until the transaction ends.

    A transaction of SQLite holds the whole database by itself. PostgreSQL locks the run's row, in a way that
    lets its heartbeat through while writers share it.

    Args:
        connection: In a transaction that writes.
        key: The run's key.
        execution: The execution that wants to write.
        shared: Whether others of the same execution may write at the same time.

    Raises:
        RunBusy: if a later execution has begun.
    """
    found = connection.execute(_RUN[shared], {"key": key}).one()
    if found.execution != execution:
        raise RunBusy(f"Run {found.run_id} was started again: this execution no longer writes to it.")


_run = select(runs.c.run_id, runs.c.execution).where(runs.c.run == bindparam("key"))
_RUN = {shared: _run.with_for_update(read=shared, key_share=True) for shared in (False, True)}
