"""What commands print with `--json`, each fact under one name and in one unit; docs/json.md lists the keys."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from leadpush_prefect.errors import Problem
from leadpush_prefect.reports.units import milliseconds
from leadpush_prefect.store.stored_values import stored_json
from leadpush_prefect.text.json_text import from_json

if TYPE_CHECKING:
    from leadpush_prefect.blocks import Workspace
    from leadpush_prefect.model.outcome import Outcome
    from leadpush_prefect.reports.campaign import CampaignReport
    from leadpush_prefect.reports.contact import ContactReport
    from leadpush_prefect.reports.endpoint_test import EndpointTestReport
    from leadpush_prefect.reports.endpoints import EndpointRow, WorkspaceEndpoints
    from leadpush_prefect.reports.last_tests import LastTest
    from leadpush_prefect.store.runs import RunRecord
    from leadpush_prefect.store.summary import RunSummary, StepSummary

__all__ = [
    "campaign_json",
    "contact_json",
    "endpoint_test_json",
    "endpoints_json",
    "problems_json",
    "run_json",
    "summary_json",
]


def run_json(run: RunRecord) -> dict[str, Any]:
    """`leadpush runs`, of each run."""
    return {name: value for name, value in asdict(run).items() if name != "key"}


def summary_json(summary: RunSummary) -> dict[str, Any]:
    """What a run did: the names of `RunSummary`, and latencies in milliseconds."""
    return asdict(summary) | {"steps": [_step(step) for step in summary.steps]}


def campaign_json(report: CampaignReport) -> dict[str, Any]:
    """`leadpush runs show`."""
    return {
        "run": run_json(report.run),
        "summary": summary_json(report.summary),
        "first_failures": [asdict(failure) for failure in report.first_failures],
    }


def contact_json(report: ContactReport) -> dict[str, Any]:
    """`leadpush runs show --contact`, by the step's name."""
    return {step.node: _outcome(step.outcome) for step in report.steps}


def _step(step: StepSummary) -> dict[str, Any]:
    latencies = {"p50": step.p50, "p95": step.p95, "p99": step.p99}
    counts = {name: value for name, value in asdict(step).items() if name not in latencies}
    return counts | {
        f"{name}_milliseconds": None if seconds is None else milliseconds(seconds)
        for name, seconds in latencies.items()
    }


def _outcome(outcome: Outcome) -> dict[str, Any]:
    failure = outcome.failure
    return {
        "status": outcome.status,
        "output": None if outcome.output is None else stored_json(outcome.output),
        "reason": outcome.code,
        "message": failure.message if failure else None,
        "request": failure.request if failure else None,
        "excerpt": failure.excerpt if failure else None,
        "attempts": outcome.attempts,
    }


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
