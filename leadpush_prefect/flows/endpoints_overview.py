"""The flow "API endpoints": all endpoints on one page, with their problems, last tests and failures."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from prefect import State, flow, get_run_logger
from prefect.artifacts import create_markdown_artifact
from prefect.states import Completed
from sqlalchemy.exc import SQLAlchemyError

from leadpush_prefect.blocks import ApiEndpoint, Workspace
from leadpush_prefect.errors import LeadpushError, Problem
from leadpush_prefect.reports.endpoints import Group, endpoints_by_workspace
from leadpush_prefect.reports.last_tests import LastTest, last_tests
from leadpush_prefect.runs.databases import database_of
from leadpush_prefect.store.endpoint_stats import EndpointStats, endpoint_stats
from leadpush_prefect.text.markdown import cell, prose, table

__all__ = ["list_api_endpoints"]

KEY = "api-endpoints"
COLUMNS = ("endpoint", "timeout", "enabled", "problems", "last test", "failed calls")


@flow(name="API endpoints", flow_run_name="all endpoints", persist_result=False)
def list_api_endpoints(runs: int = 10) -> State[Any]:
    """List the endpoints by workspace: limits, problems, the last test, and how many calls failed.

    Args:
        runs: Of how many runs of each workspace, the latest first, the calls are counted.
    """
    groups = endpoints_by_workspace()
    endpoints = [endpoint for group in groups for endpoint in group.endpoints]
    tests = last_tests(endpoint.name for endpoint in endpoints)
    stats = _stats((group.workspace for group in groups if group.workspace), runs)
    # On a running loop, as in a notebook, it would give a coroutine; this way it writes in either world.
    create_markdown_artifact(  # type: ignore[call-arg]
        _page(groups, tests, stats, runs), key=KEY, description=_headline(endpoints), _sync=True
    )
    return Completed(message=_headline(endpoints))


def _stats(workspaces: Iterable[Workspace], runs: int) -> Mapping[str, EndpointStats]:
    log = get_run_logger()
    total: defaultdict[str, EndpointStats] = defaultdict(EndpointStats)
    for workspace in workspaces:
        try:
            found = endpoint_stats(database_of(workspace.config()), workspace.name, runs=runs)
        except (LeadpushError, SQLAlchemyError, OSError) as error:
            why = str(error) if isinstance(error, LeadpushError) else type(error).__name__
            log.warning("Calls of workspace %s are not counted: %s", workspace.name, why)
            continue
        for name, stats in found.items():
            total[name] += stats
    return total


def _headline(endpoints: Sequence[ApiEndpoint]) -> str:
    return "1 endpoint" if len(endpoints) == 1 else f"{len(endpoints):,} endpoints"


def _page(
    groups: Sequence[Group], tests: Mapping[str, LastTest], stats: Mapping[str, EndpointStats], runs: int
) -> str:
    parts = ["# API endpoints", f"Failed calls: of each workspace's last {runs} runs."]
    for group in groups:
        found = [(each, each.problems(group.workspace)) for each in group.endpoints]
        rows = [
            _row(each, len(problems), tests.get(each.name), stats.get(each.name)) for each, problems in found
        ]
        parts += [f"## {cell(group.title)}", cell(group.limits)]
        parts += ["\n".join(map(_problem, group.workspace.problems()))] if group.workspace else []
        parts += [table(COLUMNS, rows) if rows else "No endpoint names it."]
        parts += ["\n".join(line for each, problems in found for line in _details(each, problems))]
    if not groups:
        parts += ["No workspace and no endpoint is saved."]
    return "\n\n".join(part for part in parts if part)


def _row(
    endpoint: ApiEndpoint, problems: int, test: LastTest | None, stats: EndpointStats | None
) -> list[str]:
    return [
        cell(endpoint.name),
        f"{endpoint.timeout_seconds:g} s",
        "yes" if endpoint.enabled else "no",
        f"{problems}" if problems else "",
        cell(str(test)) if test else "never",
        f"{stats.failed:,} of {stats.calls:,}, {stats.failed / stats.calls:.1%}" if stats else "",
    ]


def _details(endpoint: ApiEndpoint, problems: Iterable[Problem]) -> list[str]:
    """What is too long for a table: a page of Prefect's UI would lay a wide one over its side panel."""
    request = code(f"{endpoint.method.upper()} {endpoint.url}")
    return [f"- **{cell(endpoint.name)}** {request}", *(f"  {_problem(each)}" for each in problems)]


def _problem(problem: Problem) -> str:
    return f"- {problem.severity}: {prose(str(problem))}"


def code(text: str) -> str:
    """Code in a line. As text, a page would make a link of a URL, and take the template in it for a part.

    >>> code("GET https://api.example.com/{{ a }}"), code("a `b`")
    ('` GET https://api.example.com/{{ a }} `', '`` a `b` ``')
    """
    ticks = "`" * (1 + max((len(run) for run in re.findall("`+", text)), default=0))
    return f"{ticks} {' '.join(text.split())} {ticks}"
