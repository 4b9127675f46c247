"""A Batch: the handle on a slice of a run's contacts that tasks give to each other."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Any

from sqlalchemy import select

from leadpush_prefect.errors import Reason, StepRefused
from leadpush_prefect.model.context import CampaignContext, check_identifier
from leadpush_prefect.model.outcome import WITHDRAWN, Outcome, Status
from leadpush_prefect.runs.open_runs import OpenRun, open_run
from leadpush_prefect.store.active import active
from leadpush_prefect.store.contacts import contact_number
from leadpush_prefect.store.database import reading
from leadpush_prefect.store.outcomes import write_outcomes
from leadpush_prefect.store.pending import PendingContact, pending
from leadpush_prefect.store.runs import batch_range
from leadpush_prefect.store.schema import claim
from leadpush_prefect.store.steps import claim_batch, declare_step, list_steps
from leadpush_prefect.store.stored_values import stored_contact, stored_json
from leadpush_prefect.store.summary import unreached
from leadpush_prefect.text.json_text import NestedTooDeeply, check_json, to_json

__all__ = ["Batch"]

WRITE_PIECE = 500
WRITE_SECONDS = 1.0


@dataclass(frozen=True)
class Batch:
    """A handle on a slice of a run's contacts. It holds no contact, so that it is small to send to another
    process.

    Attributes:
        run_id: The run's id.
        number: The batch's number, from 0.
        size: How many contacts it has.
        workspace: The name of the run's workspace, by which another process finds the database.
        report: Whether the run shows in Prefect how it goes, which another process learns from here.

    Example:
        In a task of your own:
        ```python
        @task
        def score(batch: Batch) -> Batch:
            for context in batch.contexts():
                batch.store(context, "score", {"points": len(context.workflow["orders"])})
            return batch
        ```
    """

    run_id: str
    number: int
    size: int
    workspace: str = ""
    report: bool = True

    def contexts(self) -> Iterator[CampaignContext]:
        """The contacts whose workflow goes on, with their outputs so far: subscribed, and stopped by no
        failure.

        They are streamed, in order. What `store` is given meanwhile is written in pieces, at the latest when
        the next contact is asked for a second after the last piece, and all of it when the iteration ends, in
        whatever way. A contact for which nothing was stored in the end counts as skipped.

        Raises:
            RunStopped: if the run was stopped.
        """
        run = open_run(self.run_id, self.workspace)
        stores, read = _Stores(self, run), 0
        try:
            for piece in active(run.database, run.record, batch_range(run.record, self.number)):
                for contact in piece:
                    stores.write_if_due()
                    run.check_not_stopped()
                    read += 1
                    yield _context(run, contact, stores)
        finally:
            stores.close()
        stores.count_skipped(read)
        claim_batch(run.database, run.record, READ_TO_THE_END, self.number, "")

    def store(self, context: CampaignContext, output_key: str, value: Any) -> None:
        """Store an output for one contact, for later steps to read.

        Args:
            context: The contact, as `contexts` gave it.
            output_key: An identifier of its own. Storing again under it, in a retry, replaces the value.
            value: Anything that JSON can hold.

        Raises:
            StepRefused: `output_key_taken`, if another step stores under this key, or this contact was given
                twice.
            TypeError: if the value has no JSON form.
            ValueError: if the key is no identifier, or the contact is not in the batch.
        """
        check_identifier("output_key", output_key)
        outcome = Outcome(Status.FETCHED, _stored(value))
        run = open_run(self.run_id, self.workspace)
        origin = context.origin if isinstance(context.origin, _Origin) else None
        number = _number_of(run, context, origin)
        if number is None or number not in batch_range(run.record, self.number):
            raise ValueError(
                f"Contact {context.contact_id} is not in batch {self.number} of run {self.run_id}."
            )
        stores = origin.stores if origin else None
        if stores is None or stores.batch != self or not stores.add(output_key, number, outcome):
            _write(run, output_key, {number: outcome})


READ_TO_THE_END = -1
"""Of `claim`: in place of a step's number, that a task of the user's own has read all contexts of a batch."""


def _stored(value: Any) -> str:
    text = to_json(value)
    try:
        check_json(text.encode())
    except NestedTooDeeply as error:
        raise TypeError(f"The value is {error}, and could not be exported.") from None
    return text


def skip_unstored(run: OpenRun) -> None:
    """Note as skipped the contacts that a task of the user's own has read and stored nothing for."""
    record, database = run.record, run.database
    stores = {step.node: step.step for step in list_steps(database, record) if step.kind == "store"}
    if not stores:
        return
    read = _read_batches(run)
    for node, batch, _ in unreached(database, record):
        if node in stores and batch in read:
            for piece in pending(database, record, stores[node], batch_range(record, batch), WRITE_PIECE):
                skipped = [
                    (contact.number, WITHDRAWN if contact.is_withdrawn else Outcome(Status.SKIPPED))
                    for contact in piece
                ]
                write_outcomes(database, record.key, stores[node], skipped, record.execution)


def _read_batches(run: OpenRun) -> set[int]:
    key, execution = run.record.key, run.record.execution
    ours = claim.c.run == key, claim.c.step == READ_TO_THE_END, claim.c.execution == execution
    with reading(run.database) as connection:
        return set(connection.scalars(select(claim.c.batch).where(*ours)))


def _number_of(run: OpenRun, context: CampaignContext, origin: _Origin | None) -> int | None:
    """The number of a context's contact in the run; the context may be of another one."""
    if origin is not None and context.campaign["run_id"] == run.record.run_id:
        return origin.number
    return contact_number(run.database, run.record.key, context.contact_id)


def _context(run: OpenRun, contact: PendingContact, stores: _Stores) -> CampaignContext:
    return CampaignContext.of_run(
        workspace=run.workspace,
        campaign=run.campaign_values(),
        contact=stored_contact(contact.data),
        workflow={key: stored_json(text) for key, text in contact.outputs.items()},
        simulate=run.record.simulate,
        origin=_Origin(contact.number, stores),
        include_unsubscribed=run.record.include_unsubscribed,
    )


@dataclass(frozen=True, slots=True)
class _Origin:
    """Where a context came from: the contact's number, and where its outputs gather in this process."""

    number: int
    stores: _Stores | None

    def __reduce__(self) -> tuple[type[_Origin], tuple[int, None]]:
        return _Origin, (self.number, None)


class _Stores:
    """What `store` was given during one iteration of `contexts`, so that it is written in pieces."""

    def __init__(self, batch: Batch, run: OpenRun) -> None:
        self.batch = batch
        self.run = run
        self.rows: dict[str, dict[int, Outcome]] = {}
        self.seen: dict[str, set[int]] = {}
        self.closed = False
        self.due = monotonic() + WRITE_SECONDS
        self.lock = threading.RLock()  # a task may work on its contexts in threads

    def add(self, output_key: str, number: int, outcome: Outcome) -> bool:
        """Take an output, unless the iteration has ended."""
        with self.lock:
            if self.closed:
                return False
            if number in self.seen.setdefault(output_key, set()):
                raise StepRefused(
                    Reason.OUTPUT_KEY_TAKEN,
                    f"The contact already has an output `{output_key}`. {Reason.OUTPUT_KEY_TAKEN.remedy}",
                )
            self.rows.setdefault(output_key, {})[number] = outcome
            self.seen[output_key].add(number)
            if len(self.rows[output_key]) >= WRITE_PIECE:
                self.write()
            return True

    def write_if_due(self) -> None:
        if monotonic() >= self.due:
            self.write()

    def write(self) -> None:
        with self.lock:
            for output_key, rows in self.rows.items():
                _write(self.run, output_key, rows)
            self.rows = {}
            self.due = monotonic() + WRITE_SECONDS

    def count_skipped(self, read: int) -> None:
        """All were read; those for whom nothing was stored are done with too."""
        for output_key, numbers in self.seen.items():
            self.run.count(output_key, read - len(numbers))

    def close(self) -> None:
        with self.lock:
            self.closed = True
            self.write()


def _write(run: OpenRun, output_key: str, rows: Mapping[int, Outcome]) -> None:
    step = declare_step(
        run.database,
        run.record,
        node=output_key,
        output_key=output_key,
        kind="store",
        endpoint="",
        condition="",
        on_failure="stop",
        definition=f"store {output_key}",
    )
    write_outcomes(run.database, run.record.key, step, list(rows.items()), run.record.execution)
    run.count(output_key, len(rows))
