"""A campaign's run as a page: what each step did, why contacts failed, and what to do. Ids, and no attributes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from leadpush_prefect.markdown import cell, link, table
from leadpush_prefect.outcome import Failure
from leadpush_prefect.reporting import headline, reason_of
from leadpush_prefect.store.runs import RunRecord
from leadpush_prefect.store.summary import RunSummary, StepSummary

__all__ = ["Example", "Links", "report"]


@dataclass(frozen=True, slots=True)
class Example:
    """A contact that failed for some reason.

    Attributes:
        contact_id: Its id.
        failure: Why.
    """

    contact_id: str
    failure: Failure


@dataclass(frozen=True, slots=True)
class Links:
    """Where things are in Prefect's UI; what has no page there is missing.

    Attributes:
        endpoints: Of the Blocks, by name.
        runs: Of the flow runs, by the runs' ids.
    """

    endpoints: Mapping[str, str]
    runs: Mapping[str, str]


def report(
    run: RunRecord,
    summary: RunSummary,
    state: str,
    examples: Mapping[tuple[str, str], Example],
    earlier: Sequence[RunRecord],
    links: Links,
) -> str:
    """The page, in Markdown.

    Args:
        run: The run.
        summary: What it did.
        state: The name of its final state.
        examples: By node and code.
        earlier: The campaign's runs before this one, the latest first.
        links: Into Prefect's UI.
    """
    again = f", execution {run.execution}" if run.execution > 1 else ""
    parts = [
        f"# {cell(run.campaign)}: {cell(state)}",
        f"**{cell(headline(summary))}**",
        f"Run `{run.run_id}`{again}, workspace {cell(run.workspace or 'not saved')}, audience {cell(run.source)}, "
        f"begun {_time(run.started_at)}.",
        picture(summary),
        "## Steps",
        table(_STEP_COLUMNS, [_step_row(step, links) for step in summary.steps]),
    ]
    if any(step.failed for step in summary.steps):
        rows = [
            _failure_row(step.node, code, count, examples.get((step.node, code)))
            for step in summary.steps
            for code, count in step.failed.items()
        ]
        parts += [
            "## Failures",
            table(("failed", "reason", "step", "for example", "what to do"), rows),
            f"All of one contact: `leadpush runs show {run.run_id} --contact ID`. All failures, in a file: "
            f"`leadpush runs export {run.run_id} --to run.csv`.",
        ]
    if earlier:
        parts += ["## Earlier runs", table(_RUN_COLUMNS, [_run_row(record, links) for record in earlier])]
    return "\n\n".join(parts)


def picture(summary: RunSummary) -> str:
    """The steps as a Mermaid flow chart, with how many contacts went from each to the next."""
    reaching = summary.contacts - summary.unsubscribed
    lines = ["flowchart LR", f'audience(["audience: {summary.contacts:,}"])']
    if summary.unsubscribed:
        lines += [f'audience -->|"{summary.unsubscribed:,}"| unsubscribed(["not subscribed"])']
    before = "audience"
    for number, step in enumerate(summary.steps):
        here, failed = f"step{number}", sum(step.failed.values())
        reached = step.fetched + step.skipped + failed
        name = _label(step.node) + (f"<br/>{_label(step.endpoint)}" if step.endpoint else "")
        lines += [f'{here}["{name}"]', f'{before} -->|"{reached if number else reaching:,}"| {here}']
        if failed:
            lines += [f'{here} -->|"{failed:,}"| failed{number}(["failed"])']
        before = here
    lines += [f'{before} -->|"{summary.completed:,}"| done(["to the end"])']
    return "```mermaid\n" + "\n".join(lines) + "\n```"


def _label(text: str) -> str:
    """Text in a node, where a quote would end it, and a backtick would begin Markdown."""
    return "".join(character if character.isalnum() or character in " -_." else "?" for character in text)


_STEP_COLUMNS = (
    "step", "endpoint", "fetched", "skipped", "failed", "not reached", "requests", "answers", "p50", "p95", "p99",
)  # fmt: skip


def _step_row(step: StepSummary, links: Links) -> list[str]:
    counts = step.fetched, step.skipped, sum(step.failed.values()), step.not_reached, step.requests
    latencies = step.p50, step.p95, step.p99
    return [
        cell(step.node),
        link(step.endpoint, links.endpoints.get(step.endpoint)) if step.endpoint else "",
        *(f"{count:,}" for count in counts),
        _size(step.bytes),
        *("" if seconds is None else f"{seconds * 1000:,.1f} ms" for seconds in latencies),
    ]


def _size(count: int) -> str:
    """
    >>> _size(512), _size(2_000_000)
    ('512 B', '2.0 MB')
    """
    if count < 10_000:
        return f"{count:,} B"
    return f"{count / 1e6:,.1f} MB" if count < 10e9 else f"{count / 1e9:,.1f} GB"


def _failure_row(node: str, code: str, count: int, example: Example | None) -> list[str]:
    shown = f"contact {example.contact_id}: {example.failure.message}" if example else ""
    return [f"{count:,}", f"`{code}`", cell(node), cell(shown), cell(reason_of(code).remedy)]


_RUN_COLUMNS = ("begun", "run", "contacts", "state")


def _run_row(run: RunRecord, links: Links) -> list[str]:
    where = link(run.run_id, links.runs.get(run.run_id))
    return [_time(run.started_at), where, f"{run.contacts:,}", cell(run.state or run.status)]


def _time(moment: str) -> str:
    return f"{moment[:16].replace('T', ' ')} UTC"
