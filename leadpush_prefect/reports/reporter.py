"""What a run shows of itself in Prefect while it works and when it ends: log lines, a report, events."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent import futures
from contextlib import contextmanager
from typing import Any

from prefect.context import FlowRunContext
from prefect.exceptions import TerminationSignal

from leadpush_prefect.reports.artifacts import report_run
from leadpush_prefect.reports.progress import ProgressLog
from leadpush_prefect.runs.events import EVENT_SECONDS, emit_campaign_event
from leadpush_prefect.runs.open_runs import OpenRun
from leadpush_prefect.runs.task_runner import works_in_threads
from leadpush_prefect.store.summary import RunSummary, summarize
from leadpush_prefect.system.aside import within
from leadpush_prefect.text.display import shell_word

__all__ = ["RunReporter"]

PATIENCE_SECONDS = 30.0
"""So long the end of a run waits for Prefect's server: without it, the flow's own state could not be told either."""

HASTE_SECONDS = 3.0
"""So long where the run was stopped, and its process is to end."""

# A signal's, in each of the ways in which a flow is left by it: Prefect's Cancel, Ctrl-C, and the end of a process.
_STOPS = (TerminationSignal, KeyboardInterrupt, asyncio.CancelledError, futures.CancelledError, SystemExit)


class RunReporter:
    """Of one execution. Nothing that goes wrong here keeps a campaign from its end.

    Args:
        run: The run.
        log: Its logger.
    """

    def __init__(self, run: OpenRun, log: Any) -> None:
        self._run = run
        self._log = log
        self._progress = ProgressLog(run, log, is_here=works_in_threads())

    def begin(self) -> None:
        """The run begins its work."""
        self._progress.start()

    def end(self) -> None:
        """The run is left."""
        self._progress.stop()

    def finished(self, summary: RunSummary, state: str) -> None:
        """The run has come to its end.

        Args:
            summary: What it did.
            state: The name of its final state.
        """
        self._progress.stop()
        self._tell(summary, state, ended=True)

    def stopped(self, kind: type[BaseException] | None) -> None:
        """The run was left before its end.

        Args:
            kind: Of the exception by which it was left; None where that was without one.
        """
        self._progress.stop()
        state = _left_by(kind)
        with self._whatever_happens("report was not written"):
            self._tell(summarize(self._run.database, self._run.record), state, ended=False)

    def _tell(self, summary: RunSummary, state: str, *, ended: bool) -> None:
        if FlowRunContext.get() is None:  # there is no page for it
            return
        # The event first: it only takes its place in a queue, which is sent while the report is written.
        with self._whatever_happens("event was not sent"):
            within(EVENT_SECONDS, lambda: emit_campaign_event(summary, state, ended=ended))
        with self._whatever_happens("report was not written"):
            seconds = PATIENCE_SECONDS if ended else HASTE_SECONDS
            report_run(self._run, summary, state, seconds=seconds)

    @contextmanager
    def _whatever_happens(self, what: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            self._log.warning(
                "The campaign's %s (%s): `leadpush runs show %s` says how it went.",
                what,
                type(error).__name__,
                shell_word(self._run.record.run_id),
            )


def _left_by(kind: type[BaseException] | None) -> str:
    """The name of the state of a run that was left.

    >>> _left_by(KeyboardInterrupt), _left_by(ZeroDivisionError), _left_by(None)
    ('Stopped', 'Stopped by ZeroDivisionError', 'Left without finish()')
    """
    if kind is None:
        return "Left without finish()"
    return "Stopped" if issubclass(kind, _STOPS) else f"Stopped by {kind.__name__}"
