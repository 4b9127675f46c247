"""What is said of a run in sentences: the same in the log, on a page and in a terminal."""

from __future__ import annotations

from leadpush_prefect.store.runs import RunRecord
from leadpush_prefect.store.summary import RunSummary

__all__ = ["consent_text", "headline", "unsubscribed_text"]


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
