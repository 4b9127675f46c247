"""`leadpush runs`: how campaigns went, and what they stored."""

from __future__ import annotations

from itertools import islice
from logging import getLogger
from pathlib import Path
from typing import TYPE_CHECKING

from cyclopts import App

from leadpush_prefect.cli.output import cut, print_json, print_table, say

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from leadpush_prefect.reports.contact import ContactStep
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
    from leadpush_prefect.reports.json_documents import run_json
    from leadpush_prefect.reports.run_state import run_state
    from leadpush_prefect.store.runs import list_runs as read

    database = _database(workspace)
    records = read(database, limit)
    if json:
        print_json([run_json(record) for record in records])
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
                run_state(database, record),
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
    from leadpush_prefect.settings import read_tunables
    from leadpush_prefect.store.deletion import delete_runs

    database, watch_seconds = _database(workspace), read_tunables().watch_seconds
    records = _chosen(database, run_ids, older_than_days, unfinished)
    for record in records:
        if not _has_ended(record):
            watch_holder(
                database, record.run_id, watch_seconds, getLogger("leadpush")
            )  # refuses one that works
    if yes:
        delete_runs(database, [record.key for record in records])
    if json:
        print_json({"deleted": yes, "run_ids": [record.run_id for record in records]})
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


def _show_run(database: Engine, record: RunRecord, json: bool) -> int:
    from leadpush_prefect.cli.run_tables import print_failures, print_first_failures, print_steps
    from leadpush_prefect.reports.campaign import campaign_report, contact_failures
    from leadpush_prefect.reports.json_documents import campaign_json
    from leadpush_prefect.reports.run_state import run_state
    from leadpush_prefect.store.exports import iter_failures
    from leadpush_prefect.store.summary import summarize

    first = islice(contact_failures(iter_failures(database, record)), SHOWN_FAILURES)
    state = run_state(database, record)
    report = campaign_report(record, summarize(database, record), state, first_failures=first)
    if json:
        print_json(campaign_json(report))
        return 0
    say((cut(record.campaign), "bold"), f" {record.run_id}: {cut(report.state)}", wrap=True)
    say(report.headline, wrap=True)
    say(cut(report.consent), wrap=True)
    print_steps(report)
    if report.first_failures:
        print_failures(report)
        print_first_failures(report)
    return 0


def _show_contact(database: Engine, record: RunRecord, contact_id: str, json: bool) -> int:
    from leadpush_prefect.reports.contact import contact_report
    from leadpush_prefect.reports.json_documents import contact_json

    report = contact_report(database, record, contact_id)
    if json:
        print_json(contact_json(report))
        return 0
    say("Contact ", (contact_id, "bold"), f" in {cut(record.campaign)} {record.run_id}", wrap=True)
    for step in report.steps:
        _print_step(step)
    return 0


def _print_step(step: ContactStep) -> None:
    from leadpush_prefect.store.stored_values import stored_json

    outcome = step.outcome
    why = f": {step.why}" if step.why else ""
    say("\n", (cut(step.node), "bold"), f" {step.word}{cut(why)}", wrap=True)
    if outcome.failure:
        _print_part("Request, secrets masked", outcome.failure.request)
        _print_part("The response's beginning", outcome.failure.excerpt)
    if outcome.output is not None:
        value = stored_json(outcome.output)
        say(cut(value if isinstance(value, str) else outcome.output), wrap=True)


def _print_part(title: str, text: str) -> None:
    if text:
        say((title, "italic"))
        say(cut(text), wrap=True)
