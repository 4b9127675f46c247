"""A run as a picture: where its contacts went, in Mermaid."""

from __future__ import annotations

from leadpush_prefect.reports.campaign import CampaignReport, StepReport

__all__ = ["picture"]


def picture(report: CampaignReport) -> str:
    """Draw the steps as a flow chart, with how many contacts went from each to the next."""
    run, summary = report.run, report.summary
    # From top to bottom: a page is too narrow for more than two steps side by side.
    lines = ["flowchart TB", f'audience(["audience: {run.contacts:,}"])']
    lines += _arrow("audience", run.contacts - run.reachable, 'unsubscribed(["not subscribed"])')
    before, left = "audience", run.reachable
    for number, step in enumerate(report.steps):
        here, reached = f"step{number}", step.done + step.skipped + step.failed
        stopped = _stopped_at(number, report)
        lines += [f'{here}["{_name(step, step.failed - stopped)}"]', f'{before} -->|"{reached:,}"| {here}']
        lines += _arrow(before, left - reached, _WAITING)
        lines += _arrow(here, stopped, f'failed{number}(["failed"])')
        before, left = here, reached - stopped
    withdrawn = max(0, min(summary.withdrawn, left - summary.completed))
    lines += _arrow(before, withdrawn, 'withdrawn(["no longer subscribed"])')
    lines += _arrow(before, left - summary.completed - withdrawn, _WAITING)
    lines += [f'{before} -->|"{summary.completed:,}"| done(["to the end"])']
    return "```mermaid\n" + "\n".join(lines) + "\n```"


_WAITING = 'waiting(["not reached yet"])'


def _arrow(before: str, contacts: int, after: str) -> list[str]:
    """An arrow for the contacts, if there are any."""
    return [f'{before} -->|"{contacts:,}"| {after}'] if contacts > 0 else []


def _name(step: StepReport, went_on: int) -> str:
    endpoint = f"<br/>{_label(step.endpoint)}" if step.endpoint else ""
    failed = f"<br/>{went_on:,} failed and went on" if went_on > 0 else ""
    no_body = f"<br/>{step.no_body_text}" if step.no_body else ""
    return f"{_label(step.node)}{endpoint}{failed}{no_body}"


def _stopped_at(number: int, report: CampaignReport) -> int:
    """How many contacts a step has stopped: those that the steps after it do not reach, and those before it do."""
    step, after = report.steps[number], report.steps[number + 1 :]
    stopped = (after[0].not_reached if after else report.summary.stopped) - step.not_reached
    return min(max(stopped, 0), step.failed)


def _label(text: str) -> str:
    """Text in a node, where a quote would end it, and a backtick would begin Markdown."""
    return "".join(character if character.isalnum() or character in " -_." else "?" for character in text)
