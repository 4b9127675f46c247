"""A Batch: the handle on a slice of a run's contacts that tasks give to each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine

from leadpush_prefect.context import CampaignContext, check_identifier
from leadpush_prefect.errors import Reason, StepRefused
from leadpush_prefect.json_text import from_json, to_json
from leadpush_prefect.open_runs import OpenRun, open_run
from leadpush_prefect.outcome import Outcome, Status
from leadpush_prefect.store.active import active
from leadpush_prefect.store.contacts import contact_number
from leadpush_prefect.store.outcomes import PendingContact, write_outcomes
from leadpush_prefect.store.runs import RunRecord, batch_range
from leadpush_prefect.store.steps import declare_step

__all__ = ["Batch"]

WRITE_PIECE = 500


@dataclass(frozen=True)
class Batch:
    """A handle on a slice of a run's contacts. It holds no contact, so that it is small to send to another process.

    Attributes:
        run_id: The run's id.
        number: The batch's number, from 0.
        size: How many contacts it has.
        workspace: The name of the run's workspace, by which another process finds the database.

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

    def contexts(self) -> Iterator[CampaignContext]:
        """The contacts whose workflow goes on, with their outputs so far: subscribed, and stopped by no failure.

        They are streamed, in order. What `store` is given meanwhile is written in pieces, and all of it when the
        iteration ends.

        Raises:
            RunStopped: if the run was stopped.
        """
        run = open_run(self.run_id, self.workspace)
        stores = _stores[self] = _Stores(run)
        try:
            for piece in active(run.database, run.record, batch_range(run.record, self.number)):
                run.check_not_stopped()
                for contact in piece:
                    yield _context(run, contact)
        finally:
            del _stores[self]
            stores.write_all()

    def store(self, context: CampaignContext, output_key: str, value: Any) -> None:
        """Store an output for one contact, for later steps to read.

        Args:
            context: The contact, as `contexts` gave it.
            output_key: An identifier of its own. Storing again under it, in a retry, replaces the value.
            value: Anything that JSON can hold.

        Raises:
            StepRefused: `output_key_taken`, if another step stores under this key, or this contact was given twice.
            TypeError: if the value has no JSON form.
            ValueError: if the key is no identifier, or the contact is not in the batch.
        """
        check_identifier("output_key", output_key)
        outcome = Outcome(Status.FETCHED, to_json(value))
        run = open_run(self.run_id, self.workspace)
        number = number_of(run.database, run.record, context)
        if number is None or number not in batch_range(run.record, self.number):
            raise ValueError(f"Contact {context.contact_id} is not in batch {self.number} of run {self.run_id}.")
        stores = _stores.get(self)
        if stores is not None:
            stores.add(output_key, number, outcome)
        else:
            _write(run, output_key, {number: outcome})


def number_of(database: Engine, record: RunRecord, context: CampaignContext) -> int | None:
    """The number of a context's contact in its run."""
    return context.number if context.number is not None else contact_number(database, record.key, context.contact_id)


def _context(run: OpenRun, contact: PendingContact) -> CampaignContext:
    return CampaignContext.of_run(
        workspace=run.workspace,
        campaign=run.campaign_values(),
        contact=from_json(contact.data),
        workflow={key: from_json(text) for key, text in contact.outputs.items()},
        simulate=run.record.simulate,
        number=contact.number,
    )


class _Stores:
    """What `store` was given while `contexts` is read, so that it is written in pieces."""

    def __init__(self, run: OpenRun) -> None:
        self.run = run
        self.rows: dict[str, dict[int, Outcome]] = {}

    def add(self, output_key: str, number: int, outcome: Outcome) -> None:
        rows = self.rows.setdefault(output_key, {})
        if number in rows:
            raise StepRefused(
                Reason.OUTPUT_KEY_TAKEN,
                f"The contact already has an output `{output_key}`. {Reason.OUTPUT_KEY_TAKEN.remedy}",
            )
        rows[number] = outcome
        if len(rows) >= WRITE_PIECE:
            _write(self.run, output_key, self.rows.pop(output_key))

    def write_all(self) -> None:
        for output_key, rows in self.rows.items():
            _write(self.run, output_key, rows)


# By batch, while its contexts are read. Batches are equal by what they stand for, so that a copy of one is the same.
_stores: dict[Batch, _Stores] = {}


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
    write_outcomes(run.database, run.record.key, step, list(rows.items()))
    run.done[output_key] += len(rows)
