"""Outcomes on their way to the database: written in chunks, and a second after the last ones at the latest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import monotonic

from leadpush_prefect.errors import StoreFailed
from leadpush_prefect.model.outcome import Outcome, resend_of
from leadpush_prefect.model.step import Step
from leadpush_prefect.runs.events import EndpointHealth
from leadpush_prefect.runs.open_runs import OpenRun
from leadpush_prefect.store.chunk_size import CHUNK_BYTES, rows_within
from leadpush_prefect.store.intents import Intents, write_outcomes_and_intents
from leadpush_prefect.store.outcomes import write_outcomes
from leadpush_prefect.store.patience import never

__all__ = ["Counts", "OutcomeWriter"]

Counts = dict[str, int]
"""How many contacts were fetched, skipped, or failed by code."""


class OutcomeWriter:
    """What a step did with the contacts of a batch, until it is written.

    Args:
        run: The run.
        step: The step.
        number: The step's number.
        health: Whether its endpoint answers, where that is watched.
        intents: The batch's intents, where its requests must not be sent twice.

    Attributes:
        rows: The contacts' numbers and outcomes that are not written yet.
        average: The size of an answer, as far as it is known.
        counts: What was written.
        is_over: Whether the batch was stopped, so that a database that is away is not waited for.
    """

    def __init__(
        self,
        run: OpenRun,
        step: Step,
        number: int,
        health: EndpointHealth | None = None,
        intents: Intents | None = None,
    ) -> None:
        self.run = run
        self.node = step.node
        self.number = number
        self.resend = resend_of(step.on_failure)
        self.health = health
        self.intents = intents
        self.rows: list[tuple[int, Outcome]] = []
        self.size = 0  # of their outputs
        self.average: float | None = None
        self.counts: Counts = {}
        self.due = monotonic() + self.run.tunables.flush_seconds
        self.is_over: Callable[[], bool] = never

    def add(self, rows: Sequence[tuple[int, Outcome]]) -> None:
        """Take outcomes."""
        self.rows.extend(rows)
        sizes = [len(outcome.output or "") for _, outcome in rows if outcome.attempts or outcome.output]
        if sizes:
            self.size += sum(sizes)
            mean, former = sum(sizes) / len(sizes), self.average or 0.0
            self.average = max(mean, former * 0.75 + mean * 0.25)  # it rises at once, and sinks slowly

    def is_full(self) -> bool:
        """Whether there is enough to be written."""
        return len(self.rows) >= self.run.tunables.chunk_size or self.size >= CHUNK_BYTES

    def rows_left(self) -> int:
        """How many more make it worth writing; the first answer is waited for alone, to know how large it is."""
        if self.average is None:
            return 1
        return rows_within(self.run.tunables.chunk_size, self.average) - len(self.rows)

    def seconds_left(self) -> float:
        """How long what has come may still wait."""
        return max(0.0, self.due - monotonic())

    def write_last(self, *, unsent: Sequence[int] = (), other_requests: int = 0) -> None:
        """Write what has come, of a batch that ends.

        Raises:
            StoreFailed: with how much of it is lost.
        """
        try:
            self.write(unsent=unsent, other_requests=other_requests, is_end=True)
            return
        except StoreFailed as failed:
            said = str(failed)
        answers = sum(outcome.attempts > 0 for _, outcome in self.rows)
        if not answers:
            raise StoreFailed(said)
        lost = "1 answer that had arrived is" if answers == 1 else f"{answers:,} answers that had arrived are"
        raise StoreFailed(f"{said} {lost} lost: reads will be asked again, writes are unknown.")

    def write(
        self,
        more: Sequence[int] = (),
        *,
        unsent: Sequence[int] = (),
        other_requests: int = 0,
        is_end: bool = False,
    ) -> None:
        """Write what has come, and whose requests are handed over next, or were not sent after all."""
        self.run.patience(lambda: self._store(more, unsent, other_requests, is_end), self.is_over)
        for _, outcome in self.rows:
            code = outcome.code or str(outcome.status)
            self.counts[code] = self.counts.get(code, 0) + 1
        failed = sum(outcome.failure is not None for _, outcome in self.rows)
        self.run.count(self.node, len(self.rows), failed)
        if self.health is not None:
            self.health.note(outcome for _, outcome in self.rows)
        self.rows, self.size = [], 0
        self.due = monotonic() + self.run.tunables.flush_seconds

    def _store(self, more: Sequence[int], unsent: Sequence[int], other_requests: int, is_end: bool) -> None:
        database, record = self.run.database, self.run.record
        if self.intents is None:
            write_outcomes(
                database, record.key, self.number, self.rows, record.execution,
                resend=self.resend, other_requests=other_requests,
            )  # fmt: skip
        elif self.rows or more or unsent or other_requests:
            write_outcomes_and_intents(
                database, record, self.intents, self.rows, more, unsent=unsent, resend=self.resend,
                durable=self.run.tunables.durable_intents, is_end=is_end, other_requests=other_requests,
            )  # fmt: skip
