"""The tables of a run in a terminal."""

from __future__ import annotations

from leadpush_prefect.cli.output import print_table, say
from leadpush_prefect.reports.campaign import CampaignReport, StepReport
from leadpush_prefect.reports.units import milliseconds_text

__all__ = ["print_failures", "print_first_failures", "print_steps"]

STEP_COLUMNS = ("step", "done", "skipped", "failed", "requests", "p50 ms", "p95 ms", "p99 ms")


def print_steps(report: CampaignReport, *, title: str = "") -> None:
    """Print what each step did."""
    print_table(STEP_COLUMNS, map(_step_row, report.steps), title=title)
    for step in report.steps:
        if step.no_body:
            say(f"{step.node}: {step.no_body_text}")


def print_failures(report: CampaignReport) -> None:
    """Print the failures by step and reason, with what to do."""
    rows = [(f"{found.contacts:,}", found.reason, found.node, found.remedy) for found in report.failures]
    print_table(("failed", "reason", "step", "what to do"), rows)


def print_first_failures(report: CampaignReport) -> None:
    """Print the first contacts that failed."""
    rows = [(found.contact_id, found.node, found.reason, found.message) for found in report.first_failures]
    title = f"The first {len(rows)} failures"
    print_table(("contact", "step", "reason", "what happened"), rows, title=title)


def _step_row(step: StepReport) -> tuple[str, ...]:
    counts = step.done, step.skipped, step.failed, step.requests
    latencies = step.p50_milliseconds, step.p95_milliseconds, step.p99_milliseconds
    return (step.node, *(f"{count:,}" for count in counts), *map(milliseconds_text, latencies))
