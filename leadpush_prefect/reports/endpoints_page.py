"""The saved endpoints as Markdown: a table for each workspace, and what is too long for it below."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from leadpush_prefect.errors import Problem
from leadpush_prefect.reports.endpoints import EndpointRow, WorkspaceEndpoints
from leadpush_prefect.store.endpoint_stats import EndpointStats
from leadpush_prefect.text.markdown import cell, code, prose, table

__all__ = ["endpoints_page"]

_COLUMNS = ("endpoint", "timeout", "enabled", "problems", "last test", "failed calls")


def endpoints_page(
    groups: Sequence[WorkspaceEndpoints], stats: Mapping[str, EndpointStats], runs: int
) -> str:
    """Write the page.

    Args:
        groups: The endpoints by workspace.
        stats: How often each was called and failed, by its name.
        runs: Of how many runs of each workspace the calls were counted.
    """
    parts = ["# API endpoints", f"Failed calls: of each workspace's last {runs} runs."]
    for group in groups:
        rows = [_row(endpoint, stats.get(endpoint.name)) for endpoint in group.endpoints]
        parts += [f"## {cell(group.title)}", cell(group.limits)]
        parts += ["\n".join(map(_problem, group.problems))]
        parts += [table(_COLUMNS, rows) if rows else "No endpoint names it."]
        parts += ["\n".join(line for endpoint in group.endpoints for line in _details(endpoint))]
    if not groups:
        parts += ["No workspace and no endpoint is saved."]
    return "\n\n".join(part for part in parts if part)


def _row(endpoint: EndpointRow, stats: EndpointStats | None) -> list[str]:
    return [
        cell(endpoint.name),
        f"{endpoint.timeout_seconds:g} s",
        "yes" if endpoint.enabled else "no",
        f"{len(endpoint.problems)}" if endpoint.problems else "",
        cell(str(endpoint.last_test)) if endpoint.last_test else "never",
        f"{stats.failed:,} of {stats.calls:,}, {stats.failed / stats.calls:.1%}" if stats else "",
    ]


def _details(endpoint: EndpointRow) -> list[str]:
    """What is too long for a table: a page of Prefect's UI would lay a wide one over its side panel."""
    # As text, a page would make a link of the URL, and take the template in it for a part.
    request = code(f"{endpoint.method} {endpoint.url}")
    return [f"- **{cell(endpoint.name)}** {request}", *(f"  {_problem(each)}" for each in endpoint.problems)]


def _problem(problem: Problem) -> str:
    return f"- {problem.severity}: {prose(str(problem))}"
