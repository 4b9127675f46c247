"""`leadpush runs`: how campaigns went, and what they stored."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from itertools import islice
from logging import getLogger
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cyclopts import App

from leadpush_prefect.cli.output import cut, print_json, print_table, say

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from leadpush_prefect.model.outcome import Outcome
    from leadpush_prefect.store.runs import RunRecord

__all__ = ["app"]

app = App(name="runs", help="Campaign runs: list them, or look at one.")

SHOWN_FAILURES = 20
SHOWN_ID = 18
"""Of a run's id: so much tells runs apart that began in the same millisecond."""


@app.default
def list_runs(*, workspace: str = "", limit: int = 50, json: bool = False) -> int:
    """List the latest runs.

    Parameters
    ----------
    workspace:
        The workspace whose database to read; by default the embedded one.
    limit:
        How many.
    json:
        Print JSON.
    """
    from leadpush_prefect.store.runs import list_runs as read

    records = read(_database(workspace), limit)
    if json:
        print_json([_public(record) for record in records])
    elif not records:
        say("There is no run yet.")
    else:
        rows = [
            (
                record.run_id[:SHOWN_ID],
                record.campaign,
                record.workspace,
                record.started_at[:19].replace("T", " "),
                f"{record.contacts:,}",
                record.state or record.status,
            )
            for record in records
        ]
        print_table(("id", "campaign", "workspace", "started (UTC)", "contacts", "state"), rows)
    return 0


@app.command
def show(run_id: str, *, contact: str = "", workspace: str = "", json: bool = False) -> int:
    """Show how a run went, step by step, with its first failures; or all that it has of one contact.

    Parameters
    ----------
    run_id:
        The run's id, or its beginning.
    contact:
        A contact's id: show its outputs and failures instead.
    workspace:
        The workspace whose database to read; by default the embedded one.
    json:
        Print JSON.
    """
    database = _database(workspace)
    record = _find(database, run_id)
    return _show_contact(database, record, contact, json) if contact else _show_run(database, record, json)


@app.command
def export(
    run_id: str,
    *,
    to: Path,
    attributes: bool = False,
    path: tuple[str, ...] = (),
    workspace: str = "",
    json: bool = False,
) -> int:
    """Write a run's contacts to a file, with their outputs and failures.

    Parameters
    ----------
    run_id:
        The run's id, or its beginning.
    to:
        The file; its ending says the format: .jsonl, .csv or .parquet.
    attributes:
        With the contacts' attributes.
    path:
        A path into an output, such as customer_profile.plan; may be given several times. By default whole outputs.
    workspace:
        The workspace whose database to read; by default the embedded one.
    json:
        Print JSON.
    """
    from leadpush_prefect.reports.export import export_run

    database = _database(workspace)
    count = export_run(database, _find(database, run_id), to, attributes=attributes, paths=path)
    if json:
        print_json({"file": str(to), "contacts": count})
    else:
        say(f"{count:,} contacts in {to}")
    return 0


@app.command
def delete(
    *run_ids: str,
    older_than_days: int = 0,
    unfinished: bool = False,
    yes: bool = False,
    workspace: str = "",
    json: bool = False,
) -> int:
    """Delete runs with their contacts, outputs and failures. Without --yes it only says which.

    Parameters
    ----------
    run_ids:
        The ids of the runs, or their beginnings.
    older_than_days:
        All runs that began before so many days.
    unfinished:
        Also those that have neither finished nor been stopped, and could still go on.
    yes:
        Delete them.
    workspace:
        The workspace whose database to read; by default the embedded one.
    json:
        Print JSON.
    """
    from leadpush_prefect.runs.lease import watch_holder
    from leadpush_prefect.store.deletion import delete_runs

    database = _database(workspace)
    records = _chosen(database, run_ids, older_than_days, unfinished)
    for record in records:
        if not _has_ended(record):
            watch_holder(database, record.run_id, getLogger("leadpush"))  # refuses one that works
    if yes:
        delete_runs(database, [record.key for record in records])
    if json:
        print_json({"deleted": yes, "runs": [record.run_id for record in records]})
        return 0
    for record in records:
        say(f"{record.run_id} {record.campaign}, {record.started_at[:10]}, {record.contacts:,} contacts")
    count = "1 run" if len(records) == 1 else f"{len(records)} runs"
    say(f"{count} {'deleted' if yes else 'would be deleted; --yes does it'}.")
    return 0


def _chosen(database: Engine, run_ids: tuple[str, ...], days: int, unfinished: bool) -> list[RunRecord]:
    from datetime import UTC, datetime, timedelta

    from leadpush_prefect.errors import LeadpushError
    from leadpush_prefect.store.runs import list_runs as read

    if days < 0 or bool(run_ids) == bool(days):
        raise LeadpushError("Say which runs: their ids, or --older-than-days with a number of days.")
    if run_ids:
        records = [_find(database, run_id) for run_id in run_ids]
        going = [record.run_id for record in records if not (unfinished or _has_ended(record))]
        if going:
            raise LeadpushError(f"Not ended: {', '.join(going)}. --unfinished deletes them all the same.")
        return records
    before = (datetime.now(UTC) - timedelta(days=days)).isoformat()
    records = [record for record in read(database, limit=None) if record.started_at < before]
    return [record for record in records if unfinished or _has_ended(record)]


def _has_ended(record: RunRecord) -> bool:
    return record.status in ("finished", "stopped")


def _find(database: Engine, run_id: str) -> RunRecord:
    from leadpush_prefect.errors import LeadpushError
    from leadpush_prefect.store.runs import find_run_by_prefix

    record = find_run_by_prefix(database, run_id)
    if record is None:
        raise LeadpushError(f"There is no run {run_id}. `leadpush runs` lists them.")
    return record


def _database(workspace: str) -> Engine:
    from leadpush_prefect.blocks import Workspace
    from leadpush_prefect.blocks.loading import load_block
    from leadpush_prefect.blocks.workspace import workspace_config
    from leadpush_prefect.model.config import WorkspaceConfig
    from leadpush_prefect.runs.databases import database_of

    if not workspace:
        return database_of(WorkspaceConfig())
    return database_of(workspace_config(load_block(Workspace, workspace, field="workspace")))


def _public(record: RunRecord) -> dict[str, Any]:
    return {name: value for name, value in asdict(record).items() if name != "key"}


def _with_units(summary: dict[str, Any]) -> dict[str, Any]:
    units = {"p50": "p50_seconds", "p95": "p95_seconds", "p99": "p99_seconds"}
    steps = [{units.get(name, name): value for name, value in step.items()} for step in summary["steps"]]
    return summary | {"steps": steps}


def _show_run(database: Engine, record: RunRecord, json: bool) -> int:
    from leadpush_prefect.reports.rows import (
        FAILURE_COLUMNS,
        STEP_COLUMNS,
        consent_text,
        failure_rows,
        headline,
        step_row,
    )
    from leadpush_prefect.store.exports import iter_failures
    from leadpush_prefect.store.summary import summarize

    summary = summarize(database, record)
    failures = list(islice(iter_failures(database, record), SHOWN_FAILURES))
    if json:
        shown = [
            {"contact": who, "node": node, "code": why.code, "message": why.message}
            for who, node, why in failures
        ]
        print_json({"run": _public(record), "summary": _with_units(asdict(summary)), "first_failures": shown})
        return 0
    say((cut(record.campaign), "bold"), f" {record.run_id}: {cut(record.state or record.status)}", wrap=True)
    say(headline(summary), wrap=True)
    say(cut(consent_text(record)), wrap=True)
    print_table(STEP_COLUMNS, map(step_row, summary.steps))
    if failures:
        print_table(FAILURE_COLUMNS, failure_rows(summary))
        rows = [(who, node, why.code, why.message) for who, node, why in failures]
        print_table(
            ("contact", "step", "reason", "what happened"), rows, title=f"The first {len(rows)} failures"
        )
    return 0


def _print_part(title: str, text: str) -> None:
    if text:
        say((title, "italic"))
        say(cut(text), wrap=True)


def _mask(database: Engine, record: RunRecord) -> Callable[[str], str]:
    """Masks the secrets of the run's endpoints: an API may have repeated one in an output, which is stored as received,
    and a later step may have sent it to another API."""
    from leadpush_prefect.blocks import ApiEndpoint
    from leadpush_prefect.blocks.loading import saved_documents
    from leadpush_prefect.store.steps import list_steps
    from leadpush_prefect.text.redaction import Masker

    names = {step.endpoint for step in list_steps(database, record) if step.endpoint}
    documents = []
    with suppress(ValueError):  # Prefect has no API here, and so no Block
        documents = saved_documents(ApiEndpoint, secrets=True) if names else []
    endpoints = [ApiEndpoint.model_validate(found.data) for found in documents if found.name in names]
    return Masker(secret for endpoint in endpoints for secret in endpoint.config().secrets.values())


def _masked(outcome: Outcome, mask: Callable[[str], str]) -> Outcome:
    from dataclasses import replace

    from leadpush_prefect.store.stored_values import stored_json
    from leadpush_prefect.text.pretty_json import masked_json

    failure = outcome.failure and replace(
        outcome.failure, request=mask(outcome.failure.request), excerpt=mask(outcome.failure.excerpt)
    )
    output = None
    if outcome.output is not None:
        stored_json(outcome.output)  # says if it is none
        output = masked_json(outcome.output, mask)
    return replace(outcome, output=output, failure=failure)


def _show_contact(database: Engine, record: RunRecord, contact_id: str, json: bool) -> int:
    from leadpush_prefect.errors import LeadpushError
    from leadpush_prefect.store.exports import contact_outcomes
    from leadpush_prefect.store.stored_values import stored_json

    outcomes = contact_outcomes(database, record, contact_id)
    if outcomes is None:
        raise LeadpushError(f"Contact {contact_id} is not in run {record.run_id}.")
    mask = _mask(database, record)
    outcomes = [(node, _masked(outcome, mask)) for node, outcome in outcomes]
    if json:
        print_json(
            {
                node: {
                    "status": outcome.status,
                    "output": None if outcome.output is None else stored_json(outcome.output),
                    "reason": outcome.code,
                    "message": outcome.failure.message if outcome.failure else None,
                    "request": outcome.failure.request if outcome.failure else None,
                    "excerpt": outcome.failure.excerpt if outcome.failure else None,
                    "attempts": outcome.attempts,
                }
                for node, outcome in outcomes
            }
        )
        return 0
    say("Contact ", (contact_id, "bold"), f" in {cut(record.campaign)} {record.run_id}", wrap=True)
    for node, outcome in outcomes:
        why = f": {outcome.failure.code}: {outcome.failure.message}" if outcome.failure else ""
        why = why or (f": {outcome.skipped_for}" if outcome.skipped_for else "")
        say("\n", (cut(node), "bold"), f" {outcome.status}{cut(why)}", wrap=True)
        if outcome.failure:
            _print_part("Request, secrets masked", outcome.failure.request)
            _print_part("The answer's beginning", outcome.failure.excerpt)
        if outcome.output is not None:
            value = stored_json(outcome.output)
            say(cut(value if isinstance(value, str) else outcome.output), wrap=True)
    return 0
