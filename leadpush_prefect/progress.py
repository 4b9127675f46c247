"""Where a run is, in a line of its log every few seconds: in Prefect's UI that is what shows while it works."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from time import monotonic
from typing import Any

from leadpush_prefect.open_runs import OpenRun
from leadpush_prefect.store.progress import count_outcomes

__all__ = ["ProgressLog", "progress_line"]

EVERY_SECONDS = 5.0
EVERY_SECONDS_ELSEWHERE = 30.0
"""Where the tasks run in other processes, and the database has to count."""


def progress_line(
    contacts: int, done: Mapping[str, int], failed: Mapping[str, int], per_second: float
) -> str:
    """A run's progress, in words.

    Args:
        contacts: How many there are.
        done: How many each step is done with, by node.
        failed: How many of them have failed.
        per_second: How many were done lately, by all steps together.

    >>> progress_line(50_000, {"profile": 12_000, "offer": 8_000}, {"profile": 40}, 2_500)
    'profile 12,000 of 50,000 (40 failed), offer 8,000 of 50,000; 2,500 per second, about 0:32 left'
    """
    steps = [
        f"{node} {count:,} of {contacts:,}" + (f" ({failed[node]:,} failed)" if failed.get(node) else "")
        for node, count in done.items()
    ]
    left = sum(max(0, contacts - count) for count in done.values())
    seconds = round(left / per_second) if per_second else None
    time = f", about {seconds // 60}:{seconds % 60:02} left" if seconds is not None else ""
    return f"{', '.join(steps)}; {per_second:,.0f} per second{time}"


class ProgressLog:
    """Logs a run's progress from `start` to `stop`, in a thread of its own.

    Args:
        run: The run.
        log: Its logger.
        is_here: Whether its tasks run in this process.
    """

    def __init__(self, run: OpenRun, log: Any, *, is_here: bool) -> None:
        self._run = run
        self._log = log
        self._is_here = is_here
        self._earlier: dict[str, int] = {}  # done by earlier executions, which those that failed are not
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._work, name="leadpush-progress", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End; once is enough."""
        self._stopped.set()

    def _work(self) -> None:
        before, since = 0, monotonic()
        while not self._stopped.wait(EVERY_SECONDS if self._is_here else EVERY_SECONDS_ELSEWHERE):
            if self._is_here and self._run.record.execution > 1 and not self._earlier:
                before = self._count_earlier()
            done, failed = self._counts()
            total, now = sum(done.values()), monotonic()
            if done:
                rate = (total - before) / (now - since)
                self._log.info("%s", progress_line(self._run.record.contacts, done, failed, rate))
            before, since = total, now

    def _count_earlier(self) -> int:
        """Count what was done before this execution; a short one ends before that is asked."""
        done, failed = count_outcomes(self._run.database, self._run.record)
        now = self._run.done.copy()
        self._earlier = {node: max(0, count - failed[node] - now[node]) for node, count in done.items()}
        return sum(self._earlier.values())

    def _counts(self) -> tuple[dict[str, int], dict[str, int]]:
        if self._is_here:
            done = {node: count + self._earlier.get(node, 0) for node, count in self._run.done.copy().items()}
            return done, self._run.failed.copy()
        return count_outcomes(self._run.database, self._run.record)
