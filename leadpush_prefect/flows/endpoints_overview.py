"""The flow "API endpoints": all endpoints on one page, with their problems, last tests and failures."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from prefect import State, flow, get_run_logger
from prefect.artifacts import create_markdown_artifact
from prefect.states import Completed
from sqlalchemy.exc import SQLAlchemyError

from leadpush_prefect.blocks import Workspace
from leadpush_prefect.errors import LeadpushError
from leadpush_prefect.reports.endpoints import endpoints_by_workspace
from leadpush_prefect.reports.endpoints_page import endpoints_page
from leadpush_prefect.runs.databases import database_of
from leadpush_prefect.store.endpoint_stats import EndpointStats, endpoint_stats

__all__ = ["list_api_endpoints"]

KEY = "api-endpoints"


@flow(name="API endpoints", flow_run_name="all endpoints", persist_result=False)
def list_api_endpoints(runs: int = 10) -> State[Any]:
    """List the endpoints by workspace: limits, problems, the last test, and how many calls failed.

    Args:
        runs: Of how many runs of each workspace, the latest first, the calls are counted.
    """
    groups = endpoints_by_workspace()
    headline = _headline(sum(len(group.endpoints) for group in groups))
    stats = _stats((group.workspace for group in groups if group.workspace), runs)
    # On a running loop, as in a notebook, it would give a coroutine; this way it writes in either world.
    create_markdown_artifact(  # type: ignore[call-arg]
        endpoints_page(groups, stats, runs), key=KEY, description=headline, _sync=True
    )
    return Completed(message=headline)


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


def _headline(endpoints: int) -> str:
    return "1 endpoint" if endpoints == 1 else f"{endpoints:,} endpoints"
