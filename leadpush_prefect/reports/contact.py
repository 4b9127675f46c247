"""All that a run has of one contact, for whoever shows it; secrets masked."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace

from sqlalchemy import Engine

from leadpush_prefect.blocks import ApiEndpoint
from leadpush_prefect.blocks.loading import saved_documents
from leadpush_prefect.errors import LeadpushError
from leadpush_prefect.model.outcome import Failure, Outcome, Status
from leadpush_prefect.store.exports import contact_outcomes
from leadpush_prefect.store.runs import RunRecord
from leadpush_prefect.store.steps import list_steps
from leadpush_prefect.store.stored_values import stored_json
from leadpush_prefect.text.pretty_json import masked_json
from leadpush_prefect.text.redaction import Masker

__all__ = ["ContactReport", "ContactStep", "contact_report"]


@dataclass(frozen=True, slots=True)
class ContactStep:
    """What a step did for a contact.

    Attributes:
        node: The step's name.
        outcome: What it did.
    """

    node: str
    outcome: Outcome

    @property
    def word(self) -> str:
        """`done`, whether the output was fetched, rendered or stored; else `skipped` or `failed`."""
        return "done" if self.outcome.status is Status.FETCHED else self.outcome.status

    @property
    def why(self) -> str:
        """Why there is no output: the reason, and what happened; empty if there is one, or `when=` was not met."""
        failure = self.outcome.failure
        return f"{failure.code}: {failure.message}" if failure else (self.outcome.code or "")


@dataclass(frozen=True, slots=True)
class ContactReport:
    """A contact in a run.

    Attributes:
        contact_id: Its id.
        run: The run.
        steps: What each step that it has reached did, in order.
    """

    contact_id: str
    run: RunRecord
    steps: tuple[ContactStep, ...]


def contact_report(database: Engine, run: RunRecord, contact_id: str) -> ContactReport:
    """Read all that a run has of a contact.

    Args:
        database: Where the run is.
        run: The run.
        contact_id: The contact's id.

    Raises:
        LeadpushError: if it is not in the run.
    """
    outcomes = contact_outcomes(database, run, contact_id)
    if outcomes is None:
        raise LeadpushError(f"Contact {contact_id} is not in run {run.run_id}.")
    mask = _masker({step.endpoint for step in list_steps(database, run) if step.endpoint})
    steps = tuple(ContactStep(node, _masked(outcome, mask)) for node, outcome in outcomes)
    return ContactReport(contact_id, run, steps)


def _masker(names: Iterable[str]) -> Callable[[str], str]:
    """Masks the secrets of the run's endpoints: an API may have repeated one in an output, which is stored as received,
    and a later step may have sent it to another API."""
    names = set(names)
    documents = []
    with suppress(ValueError):  # Prefect has no API here, and so no Block
        documents = saved_documents(ApiEndpoint, secrets=True) if names else []
    endpoints = [ApiEndpoint.model_validate(found.data) for found in documents if found.name in names]
    return Masker(secret for endpoint in endpoints for secret in endpoint.config().secrets.values())


def _masked(outcome: Outcome, mask: Callable[[str], str]) -> Outcome:
    failure = outcome.failure and _masked_failure(outcome.failure, mask)
    if outcome.output is None:
        return replace(outcome, failure=failure)
    stored_json(outcome.output)  # says if it is none
    return replace(outcome, output=masked_json(outcome.output, mask), failure=failure)


def _masked_failure(failure: Failure, mask: Callable[[str], str]) -> Failure:
    return replace(failure, request=mask(failure.request), excerpt=mask(failure.excerpt))
