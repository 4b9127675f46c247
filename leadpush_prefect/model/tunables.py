"""What an operator may set, with its defaults: plain values, given as arguments to what uses them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["Tunables"]

BEATS_MISSED = 5
"""A holder is taken for dead when so many heartbeats in a row have not come."""


@dataclass(frozen=True, slots=True)
class Tunables:
    """The values of one process.

    Attributes:
        database: The file of the embedded database; None for the one in Prefect's home.
        flush_seconds: An outcome is written at the latest this long after it came.
        chunk_size: How many contacts of a batch are read, and outcomes written, at once.
        heartbeat_seconds: How often a run's process says that it is alive.
        freeze_gc: Whether full garbage collections leave out what was there before a run while one is open.
        database_wait_seconds: How long a run waits for a database that is away.
        stop_seconds: How long what is in flight may still be answered when a run is stopped.
        durable_intents: Whether SQLite has a write's intent on the disk before it is sent, so that not even a power cut
            makes it be sent twice.
    """

    database: Path | None = None
    flush_seconds: float = 1.0
    chunk_size: int = 250
    heartbeat_seconds: float = 2.0
    freeze_gc: bool = True
    database_wait_seconds: float = 120.0
    stop_seconds: float = 3.0
    durable_intents: bool = True

    @property
    def unwritten(self) -> int:
        """How many contacts of a batch, and those in flight, may be without a written outcome: so much is done again
        after a crash. The dispatcher has the next ones while the last ones are written."""
        return 2 * self.chunk_size

    @property
    def watch_seconds(self) -> float:
        """A holder whose heartbeat stands still for so long is taken for dead."""
        return BEATS_MISSED * self.heartbeat_seconds
