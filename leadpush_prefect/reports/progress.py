"""Where a run is, in a line of its log every few seconds: in Prefect's UI that is what shows while it works."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from leadpush_prefect.runs.open_runs import OpenRun
from leadpush_prefect.store.progress import count_outcomes
from leadpush_prefect.store.steps import list_steps, stops_before
from leadpush_prefect.store.trouble import trouble_of

__all__ = ["ProgressLog", "StepProgress", "progress_line"]

EVERY_SECONDS = 5.0
EVERY_SECONDS_ELSEWHERE = 30.0
"""Where the tasks run in other processes, and the database has to count."""

JOIN_SECONDS = 2.0
"""So long the end of a run waits for a count that is under way."""


@dataclass(frozen=True, slots=True)
class StepProgress:
    """Where a step is.

    Attributes:
        node: Its name.
        done: The contacts that it is done with.
        failed: How many of them have failed.
        due: How many there will be: those that the run may touch and no earlier step has stopped.
    """

    node: str
    done: int
    failed: int
    due: int

    def __str__(self) -> str:
        failed = f" ({self.failed:,} failed)" if self.failed else ""
        return f"{self.node} {self.done:,} of {self.due:,}{failed}"


def progress_line(steps: Sequence[StepProgress], per_second: float) -> str:
    """A run's progress, in words.

    Args:
        steps: Those that have begun.
        per_second: How many contacts were done lately, by all steps together.

    >>> steps = StepProgress("profile", 12_000, 40, 50_000), StepProgress("offer", 8_000, 0, 49_960)
    >>> progress_line(steps, 2_500)
    'profile 12,000 of 50,000 (40 failed), offer 8,000 of 49,960; 2,500 per second, about 0:32 left'
    """
    left = sum(max(0, step.due - step.done) for step in steps)
    time = f", about {_clock(round(left / per_second))} left" if per_second else ""
    return f"{', '.join(map(str, steps))}; {per_second:,.0f} per second{time}"


def _clock(seconds: int) -> str:
    """
    >>> _clock(32), _clock(3_725)
    ('0:32', '1:02:05')
    """
    hours, minutes = divmod(seconds // 60, 60)
    return f"{hours}:{minutes:02}:{seconds % 60:02}" if hours else f"{minutes}:{seconds % 60:02}"


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
        self._is_counted = False
        self._earlier: dict[str, int] = {}  # what earlier executions did, and this one does not do again
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._work, name="leadpush-progress", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End; once is enough."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(JOIN_SECONDS)  # so that no line comes after the last one of the run

    def _work(self) -> None:
        try:
            self._log_lines()
        except SQLAlchemyError as error:  # the run itself will say what is wrong with its database
            self._log.warning("No more progress is shown (%s).", type(error).__name__)

    def _log_lines(self) -> None:
        since, before = monotonic(), self._total(self._steps())
        while not self._stopped.wait(EVERY_SECONDS if self._is_here else EVERY_SECONDS_ELSEWHERE):
            try:
                self._look_back()
                steps, now = self._steps(), monotonic()
            except SQLAlchemyError as error:
                if trouble_of(error).is_away:  # which the run itself says
                    continue
                raise
            total = self._total(steps)
            if steps and not self._stopped.is_set():
                self._log.info("%s", progress_line(steps, max(0, total - before) / (now - since)))
            before, since = total, now

    def _look_back(self) -> None:
        """Count once what earlier executions did; not for a run that is over before the first line."""
        if self._is_here and self._run.record.execution > 1 and not self._is_counted:
            self._earlier = self._count_earlier()
            self._is_counted = True

    def _total(self, steps: Sequence[StepProgress]) -> int:
        """What this execution did; of tasks in other processes, all that was done."""
        return sum(step.done - self._earlier.get(step.node, 0) for step in steps)

    def _count_earlier(self) -> dict[str, int]:
        """What was done when this execution began, and is not done again: a failure that stops a contact is tried
        again, and a task of the flow's own stores again for everybody."""
        done, failed = count_outcomes(self._run.database, self._run.record)
        steps = {step.node: step for step in list_steps(self._run.database, self._run.record)}
        now, now_failed = self._run.counted()
        again = {
            node: failed[node] - now_failed[node] if step.on_failure == "stop" else 0
            for node, step in steps.items()
            if node in done and step.kind != "store"
        }
        return {node: max(0, done[node] - now[node] - count) for node, count in again.items()}

    def _steps(self) -> list[StepProgress]:
        """The steps that have begun, in their order."""
        if self._is_here:
            here, bad = self._run.counted()
            failed = dict(bad)
            done = {node: count + self._earlier.get(node, 0) for node, count in here.items()}
        else:
            done, failed = count_outcomes(self._run.database, self._run.record)
        steps = list_steps(self._run.database, self._run.record)
        nodes = {step.step: step.node for step in steps}
        found = []
        for step in steps:
            if step.node in done:
                stopped = sum(failed.get(nodes[n], 0) for n in stops_before(steps, step.step))
                due = max(self._run.record.reachable - stopped, done[step.node])
                found.append(StepProgress(step.node, done[step.node], failed.get(step.node, 0), due))
        return found
