"""A step for each contact of a batch: a stream from the database in chunks through the dispatcher, and back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from time import monotonic
from typing import Any

from leadpush_prefect.campaigns.batch import Batch
from leadpush_prefect.campaigns.steps import (
    Fetch,
    Message,
    condition_of,
    decide,
    message_template,
    render_values,
)
from leadpush_prefect.endpoints.attempt import Call
from leadpush_prefect.endpoints.idempotency import idempotency_key, takes_key
from leadpush_prefect.errors import Reason, RunStopped
from leadpush_prefect.model.outcome import WITHDRAWN, Failure, Outcome, Status, resend_of
from leadpush_prefect.model.step import Step
from leadpush_prefect.model.tunables import Tunables
from leadpush_prefect.runs.events import EndpointHealth
from leadpush_prefect.runs.log import run_logger
from leadpush_prefect.runs.open_runs import OpenRun
from leadpush_prefect.sending.dispatcher import dispatcher
from leadpush_prefect.store.intents import Intents, adopt_intents, write_outcomes_and_intents
from leadpush_prefect.store.outcomes import write_outcomes
from leadpush_prefect.store.pending import PendingContact, pending
from leadpush_prefect.store.runs import batch_range
from leadpush_prefect.store.steps import declare_step
from leadpush_prefect.store.stored_values import stored_contact, stored_json
from leadpush_prefect.templates import Condition, Template

__all__ = ["Counts", "fetch_batch", "render_batch"]

Counts = dict[str, int]
"""How many contacts were fetched, skipped, or failed by code."""


def fetch_batch(run: OpenRun, batch: Batch, fetch: Fetch, owner: str) -> Counts:
    """Fetch for each contact of a batch that waits for it; gives how many were fetched, skipped, or failed by
    code.

    Args:
        run: The batch's run.
        batch: The batch.
        fetch: The step, with its endpoint.
        owner: The task run, or whoever else may take up the batch again.

    Raises:
        StepRefused: if the step is wrong for every contact.
        RunStopped: if the run was stopped; what had come is stored.
    """
    with run.at_work():
        return _BatchFetch(run, batch, fetch, owner).work()


class _BatchFetch:
    """A batch on its way through the dispatcher: contacts are read and sent, outcomes collected and written.

    All by one thread, while the dispatcher's is at work on what was sent.
    """

    def __init__(self, run: OpenRun, batch: Batch, fetch: Fetch, owner: str) -> None:
        self.run = run
        self.fetch = fetch
        self.condition = condition_of(fetch.step)
        number = _begin(run, batch, fetch.step, owner, writes=fetch.writes)
        templates = [template.paths for template in fetch.endpoint.endpoint.templates]
        self.reads = _Reads(run, fetch.step, [*templates, self.condition.paths if self.condition else ()])
        intents = _adopted(run, batch, fetch, number) if fetch.writes else None
        self.writer = _Writer(run, fetch.step, number, _health(run, batch, fetch.endpoint.name), intents)
        self.window = _Window(run.tunables, fetch.endpoint.endpoint.config.max_concurrency, fetch.writes)
        numbers = batch_range(run.record, batch.number)
        chunks = pending(run.database, run.record, number, numbers, run.tunables.chunk_size)
        self.portions = self.portions_of(chunks)
        self.is_keyed = takes_key(fetch.endpoint.endpoint.config)
        self.turns = run.turns(fetch.step.node)
        self.feed = dispatcher().feed(fetch.endpoint, groups=(batch.run_id, owner))

    def work(self) -> Counts:
        """Work through the batch, in turns with the node's other batches, and give the counts."""
        try:
            more = True
            while more:
                more = self.read()
                while self.feed.outstanding:  # what waits for its turn has nothing under way
                    self.collect()
                self.writer.write()  # and nothing unwritten
        finally:
            self.end()
        return self.writer.counts

    def read(self) -> bool:
        """Read and send for one turn, and say whether there may be more contacts when it is over."""
        with self.turns:
            self.run.check_not_stopped()
            for portion in self.portions:
                self.send(portion)
                self.collect(wait=False)
                while self.is_full() and not self.turns.is_over():
                    self.collect()
                if self.turns.is_over():
                    return True
        return False

    def is_full(self) -> bool:
        """Whether enough is handed over for now; of what is not to be sent twice, what is written does not count."""
        unwritten = 0 if self.fetch.writes else len(self.writer.rows)
        return self.feed.outstanding + unwritten > self.window.full

    def portions_of(self, chunks: Iterable[list[PendingContact]]) -> Iterator[list[tuple[int, Call]]]:
        """Divide what is to be sent into what is handed over at once."""
        for chunk in chunks:
            calls = self.calls(chunk)
            while portion := list(islice(calls, self.window.portion)):
                yield portion

    def send(self, portion: list[tuple[int, Call]]) -> None:
        """Give the dispatcher what is to be sent; of what must not be sent twice, the database knows before."""
        if self.fetch.writes:
            self.writer.write(more=[number for number, _ in portion])
            self.window.adapt()
        self.feed.put(portion)

    def calls(self, chunk: list[PendingContact]) -> Iterator[tuple[int, Call]]:
        """Give the contacts that need a request; the outcomes of the others are the writer's at once."""
        fetch, condition, simulate = self.fetch, self.condition, self.run.record.simulate
        for contact in chunk:
            if contact.is_withdrawn:
                self.writer.add([(contact.number, WITHDRAWN)])
                continue
            values = self.reads.values(contact)
            outcome = fetch.without_request(condition, values, simulate=simulate)
            if outcome is None:
                yield contact.number, Call(fetch.endpoint, values, key=self.key(values))
            else:
                self.writer.add([(contact.number, outcome)])

    def key(self, values: Mapping[str, Any]) -> str:
        """The idempotency key of a contact's request; empty where the endpoint asks for none."""
        if not self.is_keyed:
            return ""
        return idempotency_key(self.run.record.run_id, self.fetch.step.node, str(values["contact"]["_id"]))

    def collect(self, *, wait: bool = True) -> None:
        """Take what has come, and write it if it is a chunk, or the time has come."""
        writer, feed = self.writer, self.feed
        enough = self.run.tunables.chunk_size - len(writer.rows)
        if self.fetch.writes:
            enough = min(enough, max(1, feed.outstanding - self.window.full))
        writer.add(feed.collect(enough, writer.seconds_left() if wait else 0))
        if len(writer.rows) >= self.run.tunables.chunk_size or not writer.seconds_left():
            writer.write()
        self.run.check_not_stopped()
        if feed.ending:
            raise RunStopped(
                "The run was stopped; what had come is stored. Run it again with its id to go on."
            )

    def end(self) -> None:
        """Let what is in flight come, leave nothing under way, and write what has come."""
        try:
            if self.feed.outstanding and not self.feed.stopped:
                self.feed.drain(self.run.tunables.stop_seconds)
        finally:
            dispatcher().close(self.feed)
            self.writer.add(self.feed.collect(0, 0))
            self.write_unanswered()

    def write_unanswered(self) -> None:
        """Write what has come, and what became of those of which nothing will come."""
        cut, unsent = self.feed.cut, self.feed.unsent
        is_unknown = self.fetch.writes and not self.is_keyed
        if is_unknown:
            self.writer.add((number, _cut_off(call)) for number, call in cut)
        uncounted = unsent if is_unknown else [*cut, *unsent]
        requests = sum(call.attempt for _, call in uncounted)
        # Under a key, who waited for the next attempt may have been served by the last one: his intent stays.
        never = [number for number, call in unsent if is_unknown or not call.attempt]
        self.writer.write(unsent=never, other_requests=requests)


def _cut_off(call: Call) -> Outcome:
    failure = Failure(Reason.OUTCOME_UNKNOWN, "The run was stopped before the API had answered.")
    return Outcome(Status.FAILED, failure=failure, attempts=call.attempt, may_resend=False)


class _Window:
    """How many contacts of a batch are handed over.

    After a crash what may be sent again is: `Tunables.unwritten` of them, and those in flight. Of a write nobody knows
    then what became of it: so few are ahead of those in flight, and more only where they are soon over.
    """

    def __init__(self, tunables: Tunables, max_concurrency: int, writes: bool) -> None:
        self._max_concurrency = max_concurrency
        self._since = monotonic()
        self.portion = tunables.chunk_size
        self.full = tunables.unwritten - tunables.chunk_size + max_concurrency
        if writes:
            self._set_ahead(AHEAD)

    def _set_ahead(self, ahead: int) -> None:
        self.portion = ahead // 2
        self.full = self._max_concurrency + ahead - self.portion

    def adapt(self) -> None:
        """Another portion is handed over, since as many are done."""
        now = monotonic()
        is_fast = self.portion > FAST_PER_SECOND * (now - self._since)
        self._since = now
        self._set_ahead(AHEAD_OF_FAST if is_fast else AHEAD)


AHEAD, AHEAD_OF_FAST, FAST_PER_SECOND = 64, 250, 1_000


def _adopted(run: OpenRun, batch: Batch, fetch: Fetch, number: int) -> Intents:
    """The batch's intents; what an earlier execution has left of them is settled, or sent again under its key."""
    numbers = batch_range(run.record, batch.number)
    intents, unknown = adopt_intents(
        run.database, run.record, number, batch.number, numbers, fetch.endpoint.digest
    )
    for sentence, count in unknown.items():
        run_logger().warning(
            "Step %s, batch %s: %s of %s contacts. %s It is not sent again by itself.",
            fetch.step.node, batch.number, Reason.OUTCOME_UNKNOWN, f"{count:,}", sentence,
        )  # fmt: skip
    return intents


def _health(run: OpenRun, batch: Batch, endpoint: str) -> EndpointHealth | None:
    """Whether a saved endpoint answers, for all batches of the run in this process."""
    if not endpoint or not run.report or not batch.report:
        return None
    return run.health.setdefault(endpoint, EndpointHealth(endpoint, run.workspace.name, run.record.campaign))


def render_batch(run: OpenRun, batch: Batch, template: Message, step: Step, owner: str) -> Counts:
    """Render a message for each contact of a batch that waits for it.

    Raises:
        StepRefused: if the step is wrong for every contact.
        RunStopped: if the run was stopped.
    """
    condition = condition_of(step)
    message, is_text = message_template(template, step)
    number = _begin(run, batch, step, owner)
    reads = _Reads(run, step, (message.paths, condition.paths if condition else ()))
    writer = _Writer(run, step, number)
    numbers = batch_range(run.record, batch.number)
    for chunk in pending(run.database, run.record, number, numbers, run.tunables.chunk_size):
        run.check_not_stopped()
        for contact in chunk:
            writer.add([(contact.number, _rendered(contact, reads, step, condition, message, is_text))])
        writer.write()
    return writer.counts


def _rendered(
    contact: PendingContact,
    reads: _Reads,
    step: Step,
    condition: Condition | None,
    message: Template,
    is_text: bool,
) -> Outcome:
    if contact.is_withdrawn:
        return WITHDRAWN
    values = reads.values(contact)
    return decide(step, condition, values) or render_values(message, is_text, values)


def _begin(run: OpenRun, batch: Batch, step: Step, owner: str, *, writes: bool = False) -> int:
    return declare_step(
        run.database,
        run.record,
        node=step.node,
        output_key=step.output_key,
        kind=step.kind,
        endpoint=step.endpoint,
        condition=step.when,
        on_failure="continue" if step.on_failure == "continue" else "stop",
        definition=step.definition(),
        batch=batch.number,
        owner=owner,
        writes=writes,
    )


class _Reads:
    """From a stored contact to what templates read; only outputs that some template reads are parsed."""

    def __init__(self, run: OpenRun, step: Step, paths: Iterable[Iterable[tuple[str | int, ...]]]) -> None:
        read = {path[:2] for some in paths for path in some if path[0] == "workflow"}
        self.wanted = None if ("workflow",) in read else {str(path[1]) for path in read}
        self.shared = {
            "workspace": run.workspace_values(),
            "campaign": run.campaign_values(),
            "node": step.values(),
        }

    def values(self, contact: PendingContact) -> dict[str, Any]:
        wanted = self.wanted
        workflow = {
            key: stored_json(text) if wanted is None or key in wanted else None
            for key, text in contact.outputs.items()
        }
        return {**self.shared, "contact": stored_contact(contact.data), "workflow": workflow}


class _Writer:
    """Outcomes on their way to the database: written in chunks, and a second after the last ones at the
    latest."""

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
        self.counts: Counts = {}
        self.due = monotonic() + self.run.tunables.flush_seconds

    def add(self, rows: Iterable[tuple[int, Outcome]]) -> None:
        self.rows.extend(rows)

    def seconds_left(self) -> float:
        return max(0.0, self.due - monotonic())

    def write(self, more: Sequence[int] = (), *, unsent: Sequence[int] = (), other_requests: int = 0) -> None:
        """Write what has come, and whose requests are handed over next, or were not sent after all."""
        self.store(more, unsent, other_requests)
        for _, outcome in self.rows:
            code = outcome.code or str(outcome.status)
            self.counts[code] = self.counts.get(code, 0) + 1
        failed = sum(outcome.failure is not None for _, outcome in self.rows)
        self.run.count(self.node, len(self.rows), failed)
        if self.health is not None:
            self.health.note(outcome for _, outcome in self.rows)
        self.rows = []
        self.due = monotonic() + self.run.tunables.flush_seconds

    def store(self, more: Sequence[int], unsent: Sequence[int], other_requests: int) -> None:
        database, record = self.run.database, self.run.record
        if self.intents is None:
            write_outcomes(
                database, record.key, self.number, self.rows, record.execution,
                resend=self.resend, other_requests=other_requests,
            )  # fmt: skip
        elif self.rows or more or unsent or other_requests:
            write_outcomes_and_intents(
                database, record, self.intents, self.rows, more, unsent=unsent, resend=self.resend,
                durable=self.run.tunables.durable_intents, other_requests=other_requests,
            )  # fmt: skip
