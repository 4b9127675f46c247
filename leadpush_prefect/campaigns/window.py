"""How many contacts of a batch are handed over to be sent, while outcomes of others are not written yet."""

from __future__ import annotations

from time import monotonic

from leadpush_prefect.runs.open_runs import OpenRun
from leadpush_prefect.store.chunk_size import AHEAD_BYTES, rows_within
from leadpush_prefect.store.pending import FIRST_CHUNK

__all__ = ["Window"]

AHEAD, AHEAD_OF_FAST, FAST_PER_SECOND = 64, 250, 1_000


class Window:
    """How many of a batch's contacts at a step may have no written outcome, and how many are handed over at once.

    After a crash what may be sent again is: `Tunables.unwritten` of them, and those in flight. Of a write nobody knows
    then what became of it: so few are ahead of those in flight, and more only where they are soon over. And fewer where
    answers are large, which wait in memory.

    Args:
        run: The run.
        max_concurrency: The endpoint's.
        writes: Whether the requests must not be sent twice.
    """

    def __init__(self, run: OpenRun, max_concurrency: int, writes: bool) -> None:
        self._run = run
        self._max_concurrency = max_concurrency
        self._writes = writes
        self._ahead = AHEAD if writes else run.tunables.unwritten
        self._since = monotonic()

    def most(self, average: float | None) -> int:
        """How many may be under way, or not yet written.

        Args:
            average: The size of an answer; None where it is not known yet: then few.
        """
        batches = max(1, self._run.batches_at_work)
        most = self._max_concurrency + self._ahead
        if average is None:
            return min(most, 2 * max(FIRST_CHUNK, -(-self._max_concurrency // batches)))
        return rows_within(most, average, AHEAD_BYTES / batches)

    def portion(self, average: float | None) -> int:
        """How many are handed over at once."""
        share = (
            self._ahead * 3 // 4 if self._writes else self._ahead // 2
        )  # few transactions, and never an idle lane
        return max(1, min(self._run.tunables.chunk_size, share, self.most(average) // 2))

    def full(self, average: float | None) -> int:
        """More than so many under way, and the next portion has to wait."""
        return self.most(average) - self.portion(average)

    def adapt(self, portion: int) -> None:
        """Of a write: another portion is handed over, since as many are done."""
        now = monotonic()
        is_fast = portion > FAST_PER_SECOND * (now - self._since)
        self._since = now
        self._ahead = AHEAD_OF_FAST if is_fast else AHEAD
