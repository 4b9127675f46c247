"""How a run went, as rows for a table: the same for the terminal and for a page."""

from __future__ import annotations

import re

from leadpush_prefect.errors import Reason
from leadpush_prefect.store.runs import RunRecord
from leadpush_prefect.store.stored_values import stored_reason
from leadpush_prefect.store.summary import RunSummary, StepSummary

__all__ = [
    "FAILURE_COLUMNS",
    "STEP_COLUMNS",
    "consent_text",
    "failure_rows",
    "headline",
    "reason_of",
    "step_row",
    "unsubscribed_text",
]

STEP_COLUMNS = ("step", "fetched", "skipped", "failed", "requests", "p50 ms", "p95 ms", "p99 ms")
FAILURE_COLUMNS = ("failed", "reason", "step", "what to do")


def headline(summary: RunSummary) -> str:
    """A run in one line.

    >>> headline(RunSummary("r", "welcome", "acme", False, 1000, 1, 0, 994, 5, ()))
    '1,000 contacts: 994 to the end, 5 stopped by a failure, 1 not subscribed'
    """
    parts = [f"{summary.completed:,} to the end", f"{summary.stopped:,} stopped by a failure"]
    if summary.unsubscribed:
        parts.append(unsubscribed_text(summary))
    if summary.withdrawn:
        parts.append(f"{summary.withdrawn:,} no longer subscribed")
    if summary.invalid:
        parts.append(f"{summary.invalid:,} malformed rows left out")
    simulated = "simulated: " if summary.simulate else ""
    contacts = "1 contact" if summary.contacts == 1 else f"{summary.contacts:,} contacts"
    return f"{simulated}{contacts}: " + ", ".join(parts)


def unsubscribed_text(run: RunRecord | RunSummary, word: str = "not subscribed") -> str:
    """How many are not subscribed, and how many of them gave no answer."""
    silent = f" (no answer: {run.no_answer:,})" if run.no_answer else ""
    return f"{run.unsubscribed:,} {word}{silent}"


def consent_text(run: RunRecord) -> str:
    """Who may be asked, what says so, and at a later execution since when that is known.

    For example `consent as of 29 Nov 09:00 UTC: column Subscribed, 60 not subscribed (no answer: 12)`.
    """
    if run.include_unsubscribed:
        return "consent: everybody takes part, subscribed or not (include_unsubscribed=True)"
    parts = [run.consent or "not known, an earlier version of leadpush-prefect read the audience"]
    parts += [unsubscribed_text(run)] if run.unsubscribed else []
    parts += [f"{run.withdrawn:,} no longer subscribed"] if run.withdrawn else []
    read_at = run.consent_read_at
    since = f" as of {read_at.day} {read_at:%b %H:%M} UTC" if run.execution > 1 else ""
    return f"consent{since}: {', '.join(parts)}"


def step_row(step: StepSummary) -> tuple[str, ...]:
    """A step's cells, in the order of `STEP_COLUMNS`."""
    counts = step.fetched, step.skipped, sum(step.failed.values()), step.requests
    latencies = step.p50, step.p95, step.p99
    return (step.node, *(f"{count:,}" for count in counts), *map(_milliseconds, latencies))


def failure_rows(summary: RunSummary) -> list[tuple[str, ...]]:
    """The failures by step and reason, in the order of `FAILURE_COLUMNS`."""
    return [
        (f"{count:,}", code, step.node, reason_of(code).remedy)
        for step in summary.steps
        for code, count in step.failed.items()
    ]


def reason_of(code: str) -> Reason:
    """The reason of a code, such as `http_status` of `http_status_404`."""
    is_status = re.fullmatch(f"{Reason.HTTP_STATUS}_[0-9]+", code)
    return Reason.HTTP_STATUS if is_status else stored_reason(code)


def _milliseconds(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds * 1000:,.1f}"
