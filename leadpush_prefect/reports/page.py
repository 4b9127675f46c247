"""A campaign's run as a page: what each step did, why contacts failed, and what to do. Ids, and no attributes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from leadpush_prefect.model.outcome import Failure
from leadpush_prefect.reports.rows import consent_text, headline, reason_of
from leadpush_prefect.store.runs import RunRecord
from leadpush_prefect.store.summary import RunSummary, StepSummary
from leadpush_prefect.text.display import shell_word
from leadpush_prefect.text.markdown import cell, code, link, prose, table

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
    run_id = shell_word(run.run_id)
    again = f", execution {run.execution}" if run.execution > 1 else ""
    parts = [
        f"# {cell(run.campaign)}: {cell(state)}",
        f"**{cell(headline(summary))}**",
        f"Run {code(run.run_id)}{again}, workspace {cell(run.workspace or 'not saved')}, audience {cell(run.source)}, "
        f"begun {_time(run.started_at)}.",
        cell(f"C{consent_text(run)[1:]}."),
        picture(run, summary),
        "## Steps",
        table(_STEP_COLUMNS, [_step_row(step, links) for step in summary.steps]),
    ]
    if called := [step for step in summary.steps if step.requests]:
        parts += ["\n".join(_answers(step) for step in called)]
    if any(step.failed for step in summary.steps):
        rows = [
            _failure_row(step.node, code, count, examples.get((step.node, code)))
            for step in summary.steps
            for code, count in step.failed.items()
        ]
        parts += [
            "## Failures",
            table(("failed", "reason", "step", "for example"), rows),
            "What to do:",
            "\n".join(_remedies(summary)),
            f"All of one contact: {code(f'leadpush runs show {run_id} --contact ID')}. All failures, in a "
            f"file: {code(f'leadpush runs export {run_id} --to run.csv')}.",
        ]
    if earlier:
        parts += ["## Earlier runs", table(_RUN_COLUMNS, [_run_row(record, links) for record in earlier])]
    return "\n\n".join(parts)


def picture(run: RunRecord, summary: RunSummary) -> str:
    """The steps as a Mermaid flow chart, with how many contacts went from each to the next."""
    # From top to bottom: a page is too narrow for more than two steps side by side.
    lines = ["flowchart TB", f'audience(["audience: {run.contacts:,}"])']
    if run.contacts > run.reachable:
        lines += [f'audience -->|"{run.contacts - run.reachable:,}"| unsubscribed(["not subscribed"])']
    before, left = "audience", run.reachable
    for number, step in enumerate(summary.steps):
        here, failed = f"step{number}", sum(step.failed.values())
        reached, stopped = step.fetched + step.skipped + failed, _stopped_at(number, summary)
        name = _label(step.node) + (f"<br/>{_label(step.endpoint)}" if step.endpoint else "")
        name += f"<br/>{failed - stopped:,} failed and went on" if failed > stopped else ""
        lines += [f'{here}["{name}"]', f'{before} -->|"{reached:,}"| {here}']
        if left > reached:
            lines += [f'{before} -->|"{left - reached:,}"| waiting(["not reached yet"])']
        if stopped:
            lines += [f'{here} -->|"{stopped:,}"| failed{number}(["failed"])']
        before, left = here, reached - stopped
    withdrawn = min(summary.withdrawn, left - summary.completed)
    if withdrawn > 0:
        lines += [f'{before} -->|"{withdrawn:,}"| withdrawn(["no longer subscribed"])']
    if left > summary.completed + withdrawn:
        lines += [f'{before} -->|"{left - summary.completed - withdrawn:,}"| waiting(["not reached yet"])']
    lines += [f'{before} -->|"{summary.completed:,}"| done(["to the end"])']
    return "```mermaid\n" + "\n".join(lines) + "\n```"


def _stopped_at(number: int, summary: RunSummary) -> int:
    """How many contacts a step has stopped: those that the steps after it do not reach, and those before it do."""
    step, after = summary.steps[number], summary.steps[number + 1 :]
    stopped = (after[0].not_reached if after else summary.stopped) - step.not_reached
    return min(max(stopped, 0), sum(step.failed.values()))


def _label(text: str) -> str:
    """Text in a node, where a quote would end it, and a backtick would begin Markdown."""
    return "".join(character if character.isalnum() or character in " -_." else "?" for character in text)


# One column more, and the page lays the table over its side panel.
_STEP_COLUMNS = ("step", "endpoint", "fetched", "skipped", "failed", "not reached", "requests")


def _step_row(step: StepSummary, links: Links) -> list[str]:
    counts = step.fetched, step.skipped, sum(step.failed.values()), step.not_reached, step.requests
    return [
        cell(step.node),
        link(step.endpoint, links.endpoints.get(step.endpoint)) if step.endpoint else "",
        *(f"{count:,}" for count in counts),
    ]


def _answers(step: StepSummary) -> str:
    latencies = ("p50", step.p50), ("p95", step.p95), ("p99", step.p99)
    times = [f"{name} {seconds * 1000:,.1f} ms" for name, seconds in latencies if seconds is not None]
    return f"- Answers of {cell(step.node)}: {', '.join([_size(step.bytes), *times])}"


def _size(count: int) -> str:
    """
    >>> _size(512), _size(2_000_000)
    ('512 B', '2.0 MB')
    """
    if count < 10_000:
        return f"{count:,} B"
    return f"{count / 1e6:,.1f} MB" if count < 10e9 else f"{count / 1e9:,.1f} GB"


def _failure_row(node: str, reason: str, count: int, example: Example | None) -> list[str]:
    shown = f"contact {example.contact_id}: {example.failure.message}" if example else ""
    return [f"{count:,}", f"`{reason}`", cell(node), cell(shown)]


def _remedies(summary: RunSummary) -> list[str]:
    """What to do about each reason; in a column of the table it would have no room."""
    by_remedy: dict[str, list[str]] = {}
    for reason in dict.fromkeys(reason for step in summary.steps for reason in step.failed):
        by_remedy.setdefault(reason_of(reason).remedy, []).append(f"`{reason}`")
    return [f"- {', '.join(reasons)}: {prose(remedy)}" for remedy, reasons in by_remedy.items()]


_RUN_COLUMNS = ("begun", "run", "contacts", "state")


def _run_row(run: RunRecord, links: Links) -> list[str]:
    where = link(run.run_id, links.runs.get(run.run_id))
    return [_time(run.started_at), where, f"{run.contacts:,}", cell(run.state or run.status)]


def _time(moment: str) -> str:
    return f"{moment[:16].replace('T', ' ')} UTC"
