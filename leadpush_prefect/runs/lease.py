"""A process's hold on a run, so that two do not execute it at once, and one that crashed does not block it.

No two clocks are compared: whoever finds a run held watches whether the holder's heartbeat moves.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from time import monotonic, sleep
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from leadpush_prefect.store.database import trying_once
from leadpush_prefect.store.holder import Holder, busy, find_holder, move_heartbeat, release_run
from leadpush_prefect.system.process_identity import describe_process, has_ended, identify_process

__all__ = ["RunLease", "watch_holder"]

LOOK_SECONDS = 0.5


class RunLease:
    """The heartbeat of one execution, from before it begins until `release`.

    Args:
        database: The run's database.
        run_id: The run's id.
        beat_seconds: How often the heartbeat moves.
    """

    def __init__(self, database: Engine, run_id: str, beat_seconds: float) -> None:
        self.identity = identify_process()
        self._database = database
        self._run_id = run_id
        self._beat_seconds = beat_seconds
        self._released = threading.Event()
        threading.Thread(target=self._beat, name="leadpush-heartbeat", daemon=True).start()

    def release(self) -> None:
        """Leave the run to whoever wants it; once is enough."""
        if self._released.is_set():
            return
        self._released.set()
        # At worst the next execution finds a heartbeat that stands still.
        with suppress(SQLAlchemyError), trying_once():
            release_run(self._database, self._run_id, self.identity)

    def _beat(self) -> None:
        while not self._released.wait(self._beat_seconds):
            with suppress(SQLAlchemyError):  # the database may be away for a moment
                move_heartbeat(self._database, self._run_id, self.identity)


def watch_holder(database: Engine, run_id: str, watch_seconds: float, log: Any) -> Holder | None:
    """See that nobody alive executes a run.

    Args:
        database: The run's database.
        run_id: The run's id.
        watch_seconds: A holder whose heartbeat stands still for so long is taken for dead.
        log: A logger, to say why it takes a while.

    Returns:
        The holder that is dead, and so may be replaced; None if there is none.

    Raises:
        RunBusy: if somebody alive executes it.
    """
    first = holder = find_holder(database, run_id)
    if first is None or has_ended(first.identity):
        return first
    who = describe_process(first.identity)
    log.info("Run %s is held by %s: watching for %.0f s whether it is alive.", run_id, who, watch_seconds)
    deadline = monotonic() + watch_seconds
    while holder == first and not has_ended(first.identity) and monotonic() < deadline:
        sleep(LOOK_SECONDS)
        holder = find_holder(database, run_id)
    if holder is not None and holder != first:
        raise busy(run_id, holder)
    return holder
