"""A campaign's run in Prefect's UI: a report under the campaign's key, and a table of the contacts that failed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from hashlib import sha256
from itertools import islice
from typing import Any
from uuid import UUID

from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.utilities.urls import url_for

from leadpush_prefect.blocks import ApiEndpoint
from leadpush_prefect.blocks.loading import load_block
from leadpush_prefect.blocks.patience import patiently
from leadpush_prefect.errors import LeadpushError
from leadpush_prefect.reports.campaign import ContactFailure, campaign_report, contact_failures
from leadpush_prefect.reports.campaign_page import Links, campaign_page
from leadpush_prefect.reports.run_state import run_state
from leadpush_prefect.runs.open_runs import OpenRun
from leadpush_prefect.store.examples import first_failures
from leadpush_prefect.store.exports import iter_failures
from leadpush_prefect.store.runs import RunRecord, list_runs
from leadpush_prefect.store.summary import RunSummary
from leadpush_prefect.system.aside import within
from leadpush_prefect.text.display import shell_word, visible
from leadpush_prefect.text.markdown import cell, code

__all__ = ["report_key", "report_run"]

MAX_FAILURES = 1_000
"""So many rows the table shows; the rest is exported."""

EARLIER_RUNS = 10
KEY_LENGTH = 100


def report_key(campaign: str, what: str = "report") -> str:
    """The key of a campaign's artifacts, which is the address of their history.

    A name of which letters are lost gets a digest, so that no two campaigns are one.

    >>> report_key("Renewal Reminder (EU)"), report_key("Größe")
    ('campaign-renewal-reminder-eu-report', 'campaign-gr-e-aedc3f80-report')
    """
    words = re.sub(r"[^a-z0-9]+", "-", campaign.lower()).strip("-")
    if not words or not campaign.isascii() or len(words) > KEY_LENGTH:
        digest = sha256(campaign.encode(errors="replace")).hexdigest()[:8]
        words = f"{words[:KEY_LENGTH]}-{digest}".strip("-")
    return f"campaign-{words}-{what}"


def report_run(run: OpenRun, summary: RunSummary, state: str, *, seconds: float) -> None:
    """Write the report of a run, from within its flow.

    Args:
        run: The run.
        summary: What it did.
        state: The name of its final state.
        seconds: For how long to ask Prefect's server if it is away.

    Raises:
        PrefectAway: if it is away for longer.
        TimeoutError: likewise, where it does not answer at all.
    """
    record, database = run.record, run.database
    earlier = [
        replace(each, state=run_state(database, each))
        for each in list_runs(database, EARLIER_RUNS, before=record)
    ]
    any_failed = any(step.failed for step in summary.steps)
    report = campaign_report(
        record, summary, state, examples=_examples(run) if any_failed else (), earlier=earlier
    )
    page = campaign_page(report, within(seconds, lambda: _links(summary, earlier)))
    key, description = report_key(record.campaign), cell(f"{record.campaign}: {report.state}")
    _asking(lambda: _markdown(page, key, description), seconds)
    if any_failed or record.execution > 1:  # over the table of an earlier execution
        rows, description = _table(run, any_failed)
        key = report_key(record.campaign, "failures")
        _asking(lambda: _create_table(rows, key, description), seconds)


def _asking(create: Callable[[], object], seconds: float) -> None:
    """Create an artifact; Prefect's client asks a server that is away for minutes, if it is let."""
    within(seconds, lambda: patiently(create, "the report is not written", seconds=seconds))


def _examples(run: OpenRun) -> Iterable[ContactFailure]:
    found = first_failures(run.database, run.record)
    return contact_failures((who, node, failure) for (node, _), (who, failure) in found.items())


def _markdown(page: str, key: str, description: str) -> None:
    # On a running loop, in an async flow, it would give a coroutine; this way it writes in either world.
    create_markdown_artifact(page, key=key, description=description, _sync=True)  # type: ignore[call-arg]


def _table(run: OpenRun, any_failed: bool) -> tuple[list[dict[str, Any]], str]:
    failures = iter_failures(run.database, run.record) if any_failed else ()  # each outcome is looked at
    found = list(islice(contact_failures(failures), MAX_FAILURES + 1))
    rows = [
        {
            "contact": visible(failure.contact_id),
            "step": visible(failure.node),
            "reason": failure.reason,
            "what happened": visible(failure.message),
        }
        for failure in found[:MAX_FAILURES]
    ]
    export = f"{code(f'leadpush runs export {shell_word(run.record.run_id)} --to run.csv')} has all contacts"
    shown = f"The first {MAX_FAILURES:,} failures" if len(found) > MAX_FAILURES else "All failures"
    return rows, f"{shown}; {export}."


def _create_table(rows: list[dict[str, Any]], key: str, description: str) -> None:
    create_table_artifact(rows, key=key, description=description, _sync=True)  # type: ignore[call-arg]


def _links(summary: RunSummary, earlier: list[RunRecord]) -> Links:
    endpoints = {step.endpoint for step in summary.steps if step.endpoint}
    return Links(
        {name: url for name in endpoints if (url := _endpoint_url(name))},
        {record.run_id: url for record in earlier if (url := _flow_run_url(record.run_id))},
    )


def _endpoint_url(name: str) -> str | None:
    try:
        return url_for(load_block(ApiEndpoint, name, field="endpoint"))
    except LeadpushError:  # it is not saved, or no longer
        return None


def _flow_run_url(run_id: str) -> str | None:
    try:
        return url_for("flow-run", UUID(run_id))
    except ValueError:  # an id of the flow's own
        return None
