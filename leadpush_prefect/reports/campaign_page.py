"""A campaign's run as Markdown: what each step did, why contacts failed, and what to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from leadpush_prefect.reports.campaign import CampaignReport, FailureReport, StepReport
from leadpush_prefect.reports.picture import picture
from leadpush_prefect.reports.units import milliseconds_text
from leadpush_prefect.store.runs import RunRecord
from leadpush_prefect.text.display import shell_word
from leadpush_prefect.text.markdown import cell, code, link, prose, table

__all__ = ["Links", "campaign_page"]


@dataclass(frozen=True, slots=True)
class Links:
    """Where things are in Prefect's UI; what has no page there is missing.

    Attributes:
        endpoints: Of the Blocks, by name.
        runs: Of the flow runs, by the runs' ids.
    """

    endpoints: Mapping[str, str]
    runs: Mapping[str, str]


def campaign_page(report: CampaignReport, links: Links) -> str:
    """Write the page.

    Args:
        report: What it says.
        links: Into Prefect's UI.
    """
    parts = [*_beginning(report), picture(report), *_steps(report, links)]
    parts += _failures(report) if report.failures else []
    if report.earlier:
        parts += ["## Earlier runs", table(_RUN_COLUMNS, [_run_row(run, links) for run in report.earlier])]
    return "\n\n".join(parts)


def _beginning(report: CampaignReport) -> list[str]:
    run = report.run
    again = f", execution {run.execution}" if run.execution > 1 else ""
    return [
        f"# {cell(run.campaign)}: {cell(report.state)}",
        f"**{cell(report.headline)}**",
        f"Run {code(run.run_id)}{again}, workspace {cell(run.workspace or 'not saved')}, audience {cell(run.source)}, "
        f"begun {_time(run.started_at)}.",
        cell(f"C{report.consent[1:]}."),
    ]


def _steps(report: CampaignReport, links: Links) -> list[str]:
    parts = ["## Steps", table(_STEP_COLUMNS, [_step_row(step, links) for step in report.steps])]
    responses = [_responses(step) for step in report.steps if step.requests]
    return [*parts, "\n".join(responses)] if responses else parts


def _failures(report: CampaignReport) -> list[str]:
    run_id = shell_word(report.run.run_id)
    return [
        "## Failures",
        table(("failed", "reason", "step", "for example"), map(_failure_row, report.failures)),
        "What to do:",
        "\n".join(_remedies(report)),
        f"All of one contact: {code(f'leadpush runs show {run_id} --contact ID')}. All failures, in a "
        f"file: {code(f'leadpush runs export {run_id} --to run.csv')}.",
    ]


# One column more, and the page lays the table over its side panel.
_STEP_COLUMNS = ("step", "endpoint", "done", "skipped", "failed", "not reached", "requests")


def _step_row(step: StepReport, links: Links) -> list[str]:
    counts = step.done, step.skipped, step.failed, step.not_reached, step.requests
    return [
        cell(step.node),
        link(step.endpoint, links.endpoints.get(step.endpoint)) if step.endpoint else "",
        *(f"{count:,}" for count in counts),
    ]


def _responses(step: StepReport) -> str:
    latencies = (
        ("p50", step.p50_milliseconds),
        ("p95", step.p95_milliseconds),
        ("p99", step.p99_milliseconds),
    )
    times = [f"{name} {milliseconds_text(value)} ms" for name, value in latencies if value is not None]
    return f"- Responses of {cell(step.node)}: {', '.join(filter(None, [_size(step.bytes), step.no_body_text, *times]))}"


def _size(count: int) -> str:
    """
    >>> _size(512), _size(2_000_000)
    ('512 B', '2.0 MB')
    """
    if count < 10_000:
        return f"{count:,} B"
    return f"{count / 1e6:,.1f} MB" if count < 10e9 else f"{count / 1e9:,.1f} GB"


def _failure_row(failure: FailureReport) -> list[str]:
    example = failure.example
    shown = f"contact {example.contact_id}: {example.message}" if example else ""
    return [f"{failure.contacts:,}", f"`{failure.reason}`", cell(failure.node), cell(shown)]


def _remedies(report: CampaignReport) -> list[str]:
    """What to do about each reason; in a column of the table it would have no room."""
    by_remedy: dict[str, dict[str, None]] = {}
    for failure in report.failures:
        by_remedy.setdefault(failure.remedy, {})[f"`{failure.reason}`"] = None
    return [f"- {', '.join(reasons)}: {prose(remedy)}" for remedy, reasons in by_remedy.items()]


_RUN_COLUMNS = ("begun", "run", "contacts", "state")


def _run_row(run: RunRecord, links: Links) -> list[str]:
    where = link(run.run_id, links.runs.get(run.run_id))
    return [_time(run.started_at), where, f"{run.contacts:,}", cell(run.state or run.status)]


def _time(moment: str) -> str:
    return f"{moment[:16].replace('T', ' ')} UTC"
