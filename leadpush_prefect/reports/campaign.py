"""What a campaign's run has come to, for whoever shows it: a page, a terminal, a script. Ids, and no attributes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from leadpush_prefect.errors import Reason
from leadpush_prefect.model.outcome import Failure
from leadpush_prefect.reports.sentences import consent_text, headline
from leadpush_prefect.reports.units import milliseconds
from leadpush_prefect.store.runs import RunRecord
from leadpush_prefect.store.stored_values import stored_reason
from leadpush_prefect.store.summary import RunSummary, StepSummary

__all__ = [
    "CampaignReport",
    "ContactFailure",
    "FailureReport",
    "StepReport",
    "campaign_report",
    "contact_failures",
    "reason_of",
]


@dataclass(frozen=True, slots=True)
class StepReport:
    """What a step did.

    Attributes:
        node: Its name.
        endpoint: The endpoint's name; empty where there is none.
        done: Contacts with an output, whether it was fetched, rendered or stored.
        skipped: Contacts that did not meet the condition, or were no longer subscribed.
        failed: Contacts without an output.
        not_reached: Contacts that an earlier step stopped.
        requests: How many were sent, with all retries.
        bytes: The size of all responses, decompressed.
        p50_milliseconds: The median latency; None where nothing was sent. So p95 and p99.
        no_body: How many of those done had a response without a body.
    """

    node: str
    endpoint: str
    done: int
    skipped: int
    failed: int
    not_reached: int
    requests: int
    bytes: int
    p50_milliseconds: float | None
    p95_milliseconds: float | None
    p99_milliseconds: float | None
    no_body: int = 0

    @property
    def no_body_text(self) -> str:
        """How many responses had no body; empty if all had one."""
        return f"no body: {self.no_body:,}" if self.no_body else ""


@dataclass(frozen=True, slots=True)
class ContactFailure:
    """A contact that failed at a step.

    Attributes:
        contact_id: Its id.
        node: The step's name.
        reason: As it is shown and filtered, such as `http_status_404`.
        message: What happened.
    """

    contact_id: str
    node: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class FailureReport:
    """The contacts that failed at a step for one reason.

    Attributes:
        node: The step's name.
        reason: Such as `http_status_404`.
        contacts: How many there are.
        example: One of them, if it is known.
    """

    node: str
    reason: str
    contacts: int
    example: ContactFailure | None

    @property
    def remedy(self) -> str:
        """What to do."""
        return reason_of(self.reason).remedy


@dataclass(frozen=True, slots=True)
class CampaignReport:
    """A run.

    Attributes:
        run: The run.
        summary: What it did, as it was counted.
        state: The name of its final state, or how far it is.
        steps: What each step did, in order.
        failures: By step and reason, the most frequent of a step first.
        first_failures: The first contacts that failed.
        earlier: The campaign's runs before this one, the latest first.
    """

    run: RunRecord
    summary: RunSummary
    state: str
    steps: tuple[StepReport, ...]
    failures: tuple[FailureReport, ...]
    first_failures: tuple[ContactFailure, ...]
    earlier: tuple[RunRecord, ...]

    @property
    def headline(self) -> str:
        """What became of its contacts, in one line."""
        return headline(self.summary)

    @property
    def consent(self) -> str:
        """Who may be asked, and what says so."""
        return consent_text(self.run)


def campaign_report(
    run: RunRecord,
    summary: RunSummary,
    state: str = "",
    *,
    examples: Iterable[ContactFailure] = (),
    first_failures: Iterable[ContactFailure] = (),
    earlier: Iterable[RunRecord] = (),
) -> CampaignReport:
    """What a run has come to.

    Args:
        run: The run.
        summary: What it did.
        state: The name of its final state; by default the one that is stored, or how far it is.
        examples: One failure for each step and reason.
        first_failures: The first contacts that failed.
        earlier: The campaign's runs before this one, the latest first.
    """
    by_kind = {(example.node, example.reason): example for example in examples}
    return CampaignReport(
        run=run,
        summary=summary,
        state=state or run.state or run.status,
        steps=tuple(map(_step, summary.steps)),
        failures=tuple(
            FailureReport(step.node, code, count, by_kind.get((step.node, code)))
            for step in summary.steps
            for code, count in step.failed.items()
        ),
        first_failures=tuple(first_failures),
        earlier=tuple(earlier),
    )


def contact_failures(found: Iterable[tuple[str, str, Failure]]) -> Iterable[ContactFailure]:
    """Failures as they are shown.

    Args:
        found: Contact id, node and failure, as the store gives them.
    """
    return (
        ContactFailure(contact_id, node, failure.code, failure.message) for contact_id, node, failure in found
    )


def reason_of(code: str) -> Reason:
    """The reason of a code, such as `http_status` of `http_status_404`."""
    is_status = re.fullmatch(f"{Reason.HTTP_STATUS}_[0-9]+", code)
    return Reason.HTTP_STATUS if is_status else stored_reason(code)


def _step(step: StepSummary) -> StepReport:
    p50, p95, p99 = (
        None if seconds is None else milliseconds(seconds) for seconds in (step.p50, step.p95, step.p99)
    )
    return StepReport(
        node=step.node,
        endpoint=step.endpoint,
        done=step.fetched,
        skipped=step.skipped,
        failed=sum(step.failed.values()),
        not_reached=step.not_reached,
        requests=step.requests,
        bytes=step.bytes,
        p50_milliseconds=p50,
        p95_milliseconds=p95,
        p99_milliseconds=p99,
        no_body=step.no_body,
    )
