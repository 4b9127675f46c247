"""What the demo does once Prefect's home is chosen: API, Blocks, audience, campaign, comparison."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, cast

import httpx

from leadpush_prefect.blocks import Audience
from leadpush_prefect.cli.demo.api import API_KEY
from leadpush_prefect.cli.demo.comparison import differences
from leadpush_prefect.cli.demo.contacts import audience, write_csv
from leadpush_prefect.cli.demo.progress import progress_bars
from leadpush_prefect.cli.demo.renewal_reminder import renewal_reminder
from leadpush_prefect.cli.output import stdout
from leadpush_prefect.definitions.apply import apply_definitions
from leadpush_prefect.definitions.read import read_definitions
from leadpush_prefect.model.config import WorkspaceConfig
from leadpush_prefect.reports.campaign import CampaignReport, campaign_report
from leadpush_prefect.reports.json_documents import summary_json
from leadpush_prefect.reports.units import milliseconds
from leadpush_prefect.runs.databases import database_of
from leadpush_prefect.store.exports import iter_failures, iter_outputs
from leadpush_prefect.store.runs import RunRecord, find_run
from leadpush_prefect.store.summary import RunSummary
from leadpush_prefect.text.json_text import from_json

__all__ = ["DemoResult", "run_demo"]

FOLDER = Path(__file__).parent
COMMITTED_CONTACTS = 1000
"""So many are in audience.csv."""


@dataclass(frozen=True, slots=True)
class DemoResult:
    """What a demo did.

    Attributes:
        report: Of the run.
        seconds: From the flow's start to its end, Prefect's own work included.
        messages: By contact id.
        differences: What is not as it must be.
    """

    report: CampaignReport
    seconds: float
    messages: dict[str, str]
    differences: list[str]

    @property
    def contacts_per_second(self) -> float:
        """Of the whole flow."""
        return self.report.run.contacts / self.seconds

    def as_json(self) -> dict[str, Any]:
        """For scripts."""
        return {
            "summary": summary_json(self.report.summary),
            "milliseconds": milliseconds(self.seconds),
            "contacts_per_second": round(self.contacts_per_second, 1),
            "differences": self.differences,
        }


def run_demo(home: Path, contacts: int, run_id: str, *, quiet: bool) -> DemoResult:
    """Run the demo.

    Args:
        home: The demo's PREFECT_HOME.
        contacts: How many.
        run_id: The run's id.
        quiet: Whether to print nothing.
    """
    with _api() as url:
        if not quiet:
            _say_where(home, url)
        apply_definitions(read_definitions(FOLDER / "blocks", _environment(url)))
        people = Audience.from_file(_audience(home, contacts))
        started = perf_counter()
        with progress_bars(run_id, contacts, quiet):
            summary = cast(RunSummary, renewal_reminder(people, run_id=run_id))
        seconds = perf_counter() - started
        counted = httpx.get(f"{url}/_count").json()
    record, failed, messages = _stored(summary.run_id)
    report = campaign_report(record, summary)
    return DemoResult(report, seconds, messages, differences(contacts, summary, failed, messages, counted))


@contextmanager
def _api() -> Iterator[str]:
    command = [sys.executable, "-m", "leadpush_prefect.cli.demo.api", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def _environment(url: str) -> dict[str, str]:
    """What the Blocks' files refer to."""
    return {
        **os.environ,
        "LEADPUSH_DEMO_API": url,
        "LEADPUSH_DEMO_KEY": API_KEY,
        "LEADPUSH_DEMO_AUDIENCE": str(FOLDER / "audience.csv"),
    }


def _say_where(home: Path, url: str) -> None:
    outputs = home / "leadpush" / "outputs.db"
    stdout.print(f"Prefect's home, profile and database: {home}", highlight=False, soft_wrap=True)
    stdout.print(f"Contacts and outputs: {outputs}", highlight=False, soft_wrap=True)
    stdout.print(f"A small API: {url}", highlight=False)
    stdout.print("Starting Prefect's temporary server, and saving the Blocks ...")


def _audience(home: Path, contacts: int) -> Path:
    if contacts == COMMITTED_CONTACTS:
        return FOLDER / "audience.csv"
    path = home / f"audience-{contacts}.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        write_csv(audience(contacts), file)
    return path


def _stored(run_id: str) -> tuple[RunRecord, dict[str, str], dict[str, str]]:
    """What the store holds of a run: its record, and reasons and messages by contact id."""
    database = database_of(WorkspaceConfig())
    record = find_run(database, run_id)
    assert record is not None
    failed = {contact_id: why.code for contact_id, _, why in iter_failures(database, record)}
    messages = {
        contact_id: from_json(outputs["message"])
        for contact_id, outputs in iter_outputs(database, record, ["message"])
    }
    return record, failed, messages
