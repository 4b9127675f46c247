"""A step for each contact of a batch: a stream from the database in chunks through the dispatcher, and back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

from leadpush_prefect.campaigns.batch import Batch
from leadpush_prefect.campaigns.outcome_writer import Counts, OutcomeWriter
from leadpush_prefect.campaigns.steps import (
    Fetch,
    Message,
    condition_of,
    decide,
    message_template,
    render_values,
)
from leadpush_prefect.campaigns.window import Window
from leadpush_prefect.endpoints.attempt import Call
from leadpush_prefect.endpoints.idempotency import idempotency_key, takes_key
from leadpush_prefect.errors import Reason, RunStopped
from leadpush_prefect.model.outcome import WITHDRAWN, Failure, Outcome, Status
from leadpush_prefect.model.step import Step
from leadpush_prefect.runs.events import EndpointHealth
from leadpush_prefect.runs.log import run_logger
from leadpush_prefect.runs.open_runs import OpenRun
from leadpush_prefect.sending.dispatcher import dispatcher
from leadpush_prefect.store.intents import Intents, adopt_intents
from leadpush_prefect.store.pending import FIRST_CHUNK, PendingContact, pending
from leadpush_prefect.store.runs import batch_range
from leadpush_prefect.store.steps import declare_step
from leadpush_prefect.store.stored_values import stored_contact, stored_json
from leadpush_prefect.templates import Condition, Template

__all__ = ["Counts", "fetch_batch", "render_batch"]


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
        self.is_keyed = takes_key(fetch.endpoint.endpoint.config)
        number = _begin(run, batch, fetch.step, owner, writes=fetch.writes, is_keyed=self.is_keyed)
        templates = [template.paths for template in fetch.endpoint.endpoint.templates]
        self.reads = _Reads(run, fetch.step, [*templates, self.condition.paths if self.condition else ()])
        # An earlier execution may have sent by POST what is a PUT now.
        may_be_left = fetch.writes or run.record.execution > 1
        left = _adopted(run, batch, fetch, number) if may_be_left else None
        self.intents = left if fetch.writes else None
        health = _health(run, batch, fetch.endpoint.name)
        self.writer = OutcomeWriter(run, fetch.step, number, health, self.intents)
        self.window = Window(run, fetch.endpoint.endpoint.config.max_concurrency, fetch.writes)
        self.portions = self.portions_of(_pending(run, batch, number))
        self.turns = run.turns(fetch.step.node)
        self.feed = dispatcher().feed(fetch.endpoint, groups=(batch.run_id, owner))
        self.writer.is_over = lambda: self.feed.ending

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
        return self.feed.outstanding + unwritten > self.window.full(self.writer.average)

    def portions_of(self, chunks: Iterable[list[PendingContact]]) -> Iterator[list[tuple[int, Call]]]:
        """Divide what is to be sent into what is handed over at once."""
        for chunk in chunks:
            calls = self.calls(chunk)
            while portion := list(islice(calls, self.window.portion(self.writer.average))):
                yield portion

    def send(self, portion: list[tuple[int, Call]]) -> None:
        """Give the dispatcher what is to be sent; of what must not be sent twice, the database knows before."""
        if self.fetch.writes:
            self.writer.write(more=[number for number, _ in portion])
            self.window.adapt(len(portion))
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
        enough = writer.rows_left()
        if self.fetch.writes:
            enough = min(enough, max(1, feed.outstanding - self.window.full(writer.average)))
        writer.add(feed.collect(enough, writer.seconds_left() if wait else 0))
        if writer.is_full() or not writer.seconds_left():
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
            self.writer.add([(number, _cut_off(call)) for number, call in cut])
        uncounted = unsent if is_unknown else [*cut, *unsent]
        requests = sum(call.attempt for _, call in uncounted)
        # Under a key, an earlier attempt or execution may have done it: that intent stays.
        earlier = self.intents.first if self.intents else {}
        never = [n for n, call in unsent if n not in earlier and (is_unknown or not call.attempt)]
        self.writer.write_last(unsent=never, other_requests=requests)


def _cut_off(call: Call) -> Outcome:
    failure = Failure(Reason.OUTCOME_UNKNOWN, "The run was stopped before the API had answered.")
    return Outcome(Status.FAILED, failure=failure, attempts=call.attempt, may_resend=False)


def _adopted(run: OpenRun, batch: Batch, fetch: Fetch, number: int) -> Intents:
    """The batch's intents; what an earlier execution has left of them is settled, or sent again under its key."""
    numbers = batch_range(run.record, batch.number)
    intents, unknown = run.patience(
        lambda: adopt_intents(run.database, run.record, number, batch.number, numbers, fetch.endpoint.digest)
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
    writer = OutcomeWriter(run, step, number)
    for chunk in _pending(run, batch, number):
        run.check_not_stopped()
        for contact in chunk:
            writer.add([(contact.number, _rendered(contact, reads, step, condition, message, is_text))])
            if writer.is_full():
                writer.write()
        writer.write()
    return writer.counts


def _pending(run: OpenRun, batch: Batch, step: int) -> Iterator[list[PendingContact]]:
    """The contacts of a batch that wait for a step."""
    most, numbers = run.tunables.chunk_size, batch_range(run.record, batch.number)
    return pending(run.database, run.record, step, numbers, most, first=FIRST_CHUNK, patience=run.patience)


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


def _begin(
    run: OpenRun, batch: Batch, step: Step, owner: str, *, writes: bool = False, is_keyed: bool = False
) -> int:
    return run.patience(
        lambda: declare_step(
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
            is_keyed=is_keyed,
        )
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
