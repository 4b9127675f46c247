"""What commands print with `--json`, each fact under one name and in one unit; docs/json.md lists the keys."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from leadpush_prefect.errors import Problem
from leadpush_prefect.reports.units import milliseconds
from leadpush_prefect.text.json_text import from_json

if TYPE_CHECKING:
    from leadpush_prefect.blocks import Workspace
    from leadpush_prefect.reports.endpoint_test import EndpointTestReport
    from leadpush_prefect.reports.endpoints import EndpointRow, WorkspaceEndpoints
    from leadpush_prefect.reports.last_tests import LastTest

__all__ = [
    "endpoint_test_json",
    "endpoints_json",
    "problems_json",
]


def endpoint_test_json(report: EndpointTestReport) -> dict[str, Any]:
    """`leadpush endpoints test`."""
    test, failure, retry = report.test, report.test.failure, report.test.retry_seconds
    return {
        "ok": failure is None,
        "http_status": test.status,
        "milliseconds": milliseconds(test.seconds),
        "phases_milliseconds": {phase.phase: phase.milliseconds for phase in report.phases},
        "failed_in": test.failed_in,
        "bytes": test.bytes,
        "bytes_read": test.bytes_read,
        "request": test.request,
        "curl": test.curl,
        "output": from_json(test.output) if test.output else None,
        "reason": failure.code if failure else None,
        "message": failure.message if failure else None,
        "field": failure.field if failure else None,
        "remedy": test.remedy,
        "excerpt": failure.excerpt if failure else None,
        "campaign_would_retry": retry is not None,
        "retry_milliseconds_at_most": None if retry is None else milliseconds(retry),
    }


def endpoints_json(groups: Iterable[WorkspaceEndpoints]) -> list[dict[str, Any]]:
    """`leadpush endpoints`."""
    return [
        {
            "workspace": group.name,
            "limits": _limits(group.workspace) if group.workspace else {},
            "problems": problems_json(group.problems),
            "endpoints": [_endpoint(endpoint) for endpoint in group.endpoints],
        }
        for group in groups
    ]


def _limits(workspace: Workspace) -> dict[str, Any]:
    return {
        "max_timeout_seconds": workspace.max_timeout_seconds,
        "max_response_bytes": workspace.max_response_bytes,
        "allowed_hosts": workspace.allowed_hosts,
        "allowed_networks": workspace.allowed_networks,
    }


def _endpoint(endpoint: EndpointRow) -> dict[str, Any]:
    return {
        "name": endpoint.name,
        "method": endpoint.method,
        "url": endpoint.url,
        "timeout_seconds": endpoint.timeout_seconds,
        "enabled": endpoint.enabled,
        "problems": problems_json(endpoint.problems),
        "last_test": _last_test(endpoint.last_test) if endpoint.last_test else None,
    }


def _last_test(test: LastTest) -> dict[str, Any]:
    return {"at": test.at, "ok": test.reason is None, "reason": test.reason}


def problems_json(problems: Iterable[Problem]) -> list[dict[str, Any]]:
    """Whatever is wrong with a Block, in any command."""
    return [asdict(problem) for problem in problems]
