"""A step for each contact of a batch: a stream from the database in pieces through the dispatcher, and back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from time import monotonic
from typing import Any

from leadpush_prefect.campaigns.batch import Batch
from leadpush_prefect.campaigns.steps import Message, condition_of, decide, message_template, render_values
from leadpush_prefect.endpoints.attempt import Call
from leadpush_prefect.endpoints.mock import Mock
from leadpush_prefect.endpoints.prepared import PreparedEndpoint
from leadpush_prefect.errors import RunStopped
from leadpush_prefect.model.outcome import WITHDRAWN, Outcome
from leadpush_prefect.model.step import Step
from leadpush_prefect.runs.events import EndpointHealth
from leadpush_prefect.runs.open_runs import OpenRun, open_run
from leadpush_prefect.sending.dispatcher import dispatcher
from leadpush_prefect.sending.lane import Feed
from leadpush_prefect.store.outcomes import write_outcomes
from leadpush_prefect.store.pending import PendingContact, pending
from leadpush_prefect.store.runs import batch_range
from leadpush_prefect.store.steps import declare_step
from leadpush_prefect.store.stored_values import stored_contact, stored_json
from leadpush_prefect.templates import Condition, Template

__all__ = ["Counts", "fetch_batch", "render_batch"]

PIECE = 250
"""How many contacts are read, and outcomes written, at once."""

UNWRITTEN = 2 * PIECE
"""How many contacts of a batch, and those in flight, may be without a written outcome: so much is done again
after a crash. The dispatcher has the next ones while the last ones are written."""

FLUSH_SECONDS = 1.0
"""An outcome is written at the latest this long after it came."""

Counts = dict[str, int]
"""How many contacts were fetched, skipped, or failed by code."""


def fetch_batch(batch: Batch, target: PreparedEndpoint, step: Step, owner: str, mock: Mock) -> Counts:
    """Fetch for each contact of a batch that waits for it; gives how many were fetched, skipped, or failed by
    code.

    Args:
        batch: The batch.
        target: The endpoint.
        step: The step.
        owner: The task run, or whoever else may take up the batch again.
        mock: The answers of a simulated run.

    Raises:
        StepRefused: if the step is wrong for every contact.
        RunStopped: if the run was stopped; what had come is stored.
    """
    run = open_run(batch.run_id, batch.workspace)
    with run.at_work():
        return _fetch_batch(run, batch, target, step, owner, mock)


def _fetch_batch(
    run: OpenRun, batch: Batch, target: PreparedEndpoint, step: Step, owner: str, mock: Mock
) -> Counts:
    condition = condition_of(step)
    number = _begin(run, batch, step, owner)
    reads = _Reads(
        run, step, (*(t.paths for t in target.endpoint.templates), condition.paths if condition else ())
    )
    writer = _Writer(run, step, number, _health(run, batch, target.name))
    feed = dispatcher().feed(target, groups=(batch.run_id, owner))
    ahead = UNWRITTEN - PIECE + target.endpoint.config.max_concurrency

    def without_request(values: Mapping[str, Any]) -> Outcome | None:
        decided = decide(step, condition, values)
        return mock.outcome(target, values) if decided is None and run.record.simulate else decided

    pieces = pending(run.database, run.record, number, batch_range(run.record, batch.number), PIECE)
    turns = run.turns(step.node)

    def feed_in_turn() -> bool:
        """Whether there may be more contacts when the turn is over."""
        with turns:
            run.check_not_stopped()
            for piece in pieces:
                feed.put(_calls(piece, target, reads, writer, without_request))
                _collect(run, feed, writer, wait=False)
                while feed.outstanding + len(writer.rows) > ahead and not turns.is_over():
                    _collect(run, feed, writer)
                if turns.is_over():
                    return True
        return False

    try:
        more = True
        while more:
            more = feed_in_turn()
            while feed.outstanding:  # what waits for its turn has nothing under way, and nothing unwritten
                _collect(run, feed, writer)
            writer.write()
    finally:
        if feed.outstanding and not feed.stopped:
            feed.stop()
        dispatcher().close(feed)
        writer.add(feed.collect(0, 0))
        writer.write()
    return writer.counts


def _health(run: OpenRun, batch: Batch, endpoint: str) -> EndpointHealth | None:
    """Whether a saved endpoint answers, for all batches of the run in this process."""
    if not endpoint or not run.report or not batch.report:
        return None
    return run.health.setdefault(endpoint, EndpointHealth(endpoint, run.workspace.name, run.record.campaign))


def _calls(
    piece: list[PendingContact],
    target: PreparedEndpoint,
    reads: _Reads,
    writer: _Writer,
    without_request: Callable[[Mapping[str, Any]], Outcome | None],
) -> Iterator[tuple[int, Call]]:
    """The contacts that need a request; the outcomes of the others are the writer's at once."""
    for contact in piece:
        if contact.is_withdrawn:
            writer.add([(contact.number, WITHDRAWN)])
            continue
        values = reads.values(contact)
        outcome = without_request(values)
        if outcome is None:
            yield contact.number, Call(target, values)
        else:
            writer.add([(contact.number, outcome)])


def _collect(run: OpenRun, feed: Feed, writer: _Writer, *, wait: bool = True) -> None:
    """Take what has come, and write it if it is a piece, or the time has come."""
    writer.add(feed.collect(PIECE - len(writer.rows), writer.seconds_left() if wait else 0))
    if len(writer.rows) >= PIECE or not writer.seconds_left():
        writer.write()
    run.check_not_stopped()
    if feed.stopped:
        raise RunStopped("The run was stopped; what had come is stored. Run it again with its id to go on.")


def render_batch(batch: Batch, template: Message, step: Step, owner: str) -> Counts:
    """Render a message for each contact of a batch that waits for it.

    Raises:
        StepRefused: if the step is wrong for every contact.
        RunStopped: if the run was stopped.
    """
    run = open_run(batch.run_id, batch.workspace)
    condition = condition_of(step)
    message, is_text = message_template(template, step)
    number = _begin(run, batch, step, owner)
    reads = _Reads(run, step, (message.paths, condition.paths if condition else ()))
    writer = _Writer(run, step, number)
    for piece in pending(run.database, run.record, number, batch_range(run.record, batch.number), PIECE):
        run.check_not_stopped()
        for contact in piece:
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


def _begin(run: OpenRun, batch: Batch, step: Step, owner: str) -> int:
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
    """Outcomes on their way to the database: written in pieces, and a second after the last ones at the
    latest."""

    def __init__(self, run: OpenRun, step: Step, number: int, health: EndpointHealth | None = None) -> None:
        self.run = run
        self.node = step.node
        self.number = number
        self.health = health
        self.rows: list[tuple[int, Outcome]] = []
        self.counts: Counts = {}
        self.due = monotonic() + FLUSH_SECONDS

    def add(self, rows: Iterable[tuple[int, Outcome]]) -> None:
        self.rows.extend(rows)

    def seconds_left(self) -> float:
        return max(0.0, self.due - monotonic())

    def write(self) -> None:
        record = self.run.record
        write_outcomes(self.run.database, record.key, self.number, self.rows, record.execution)
        for _, outcome in self.rows:
            code = outcome.code or str(outcome.status)
            self.counts[code] = self.counts.get(code, 0) + 1
        failed = sum(outcome.failure is not None for _, outcome in self.rows)
        self.run.count(self.node, len(self.rows), failed)
        if self.health is not None:
            self.health.note(outcome for _, outcome in self.rows)
        self.rows = []
        self.due = monotonic() + FLUSH_SECONDS
