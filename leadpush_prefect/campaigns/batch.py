"""A Batch: the handle on a slice of a run's contacts that tasks give to each other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from leadpush_prefect.campaigns.outputs import (
    READ_TO_THE_END,
    Origin,
    Stores,
    number_of,
    output_text,
    write_outputs,
)
from leadpush_prefect.model.context import CampaignContext
from leadpush_prefect.model.names import check_identifier
from leadpush_prefect.model.outcome import Outcome, Status
from leadpush_prefect.runs.open_runs import OpenRun, open_run
from leadpush_prefect.store.active import active
from leadpush_prefect.store.pending import PendingContact
from leadpush_prefect.store.runs import batch_range
from leadpush_prefect.store.steps import claim_batch
from leadpush_prefect.store.stored_values import stored_contact, stored_json

__all__ = ["Batch"]


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

    __module__ = "leadpush_prefect"  # for what is pickled: so the file may move

    run_id: str
    number: int
    size: int
    workspace: str = ""
    report: bool = True

    def contexts(self) -> Iterator[CampaignContext]:
        """The contacts whose workflow goes on, with their outputs so far: subscribed, and stopped by no
        failure.

        They are streamed, in order. What `store` is given meanwhile is written in chunks, at the latest when
        the next contact is asked for a second after the last chunk, and all of it when the iteration ends, in
        whatever way. A contact for which nothing was stored in the end counts as skipped.

        Raises:
            RunStopped: if the run was stopped.
        """
        run = open_run(self.run_id, self.workspace)
        stores, read = Stores(self.number, run), 0
        try:
            numbers = batch_range(run.record, self.number)
            for chunk in active(run.database, run.record, numbers, patience=run.patience):
                for contact in chunk:
                    stores.write_if_due()
                    run.check_not_stopped()
                    read += 1
                    yield _context(run, contact, stores)
        finally:
            stores.close()
        stores.count_skipped(read)
        run.patience(lambda: claim_batch(run.database, run.record, READ_TO_THE_END, self.number, ""))

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
        outcome = Outcome(Status.FETCHED, output_text(value))
        run = open_run(self.run_id, self.workspace)
        origin = context.origin if isinstance(context.origin, Origin) else None
        number = number_of(run, context, origin)
        if number is None or number not in batch_range(run.record, self.number):
            raise ValueError(
                f"Contact {context.contact_id} is not in batch {self.number} of run {self.run_id}."
            )
        stores = origin.stores if origin else None
        if stores is None or stores.batch != self.number or not stores.add(output_key, number, outcome):
            write_outputs(run, output_key, {number: outcome})


def _context(run: OpenRun, contact: PendingContact, stores: Stores) -> CampaignContext:
    return CampaignContext.of_run(
        workspace=run.workspace,
        campaign=run.campaign_values(),
        contact=stored_contact(contact.data),
        workflow={key: stored_json(text) for key, text in contact.outputs.items()},
        simulate=run.record.simulate,
        origin=Origin(contact.number, stores),
        include_unsubscribed=run.record.include_unsubscribed,
    )
