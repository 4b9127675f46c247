"""What Prefect's automations and the event feed learn of campaigns: how one ended, and whether an endpoint fails.

| event | when |
|---|---|
| `leadpush.campaign.completed` | a run came to its end |
| `leadpush.campaign.failed` | a run was left before its end |
| `leadpush.endpoint.failing` | half of the last 50 calls failed by the API's fault; every 10 s at most while that lasts |
| `leadpush.endpoint.recovered` | it did fail, and of the last 50 calls less than a quarter do |

The flow run and its deployment are related resources of each, which Prefect adds by itself.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from time import monotonic
from typing import Any

from prefect.events import emit_event
from prefect.logging import get_logger

from leadpush_prefect.blocks import ApiEndpoint, Workspace
from leadpush_prefect.blocks.loading import load_block
from leadpush_prefect.endpoints.retries import RETRYABLE_STATUSES
from leadpush_prefect.errors import LeadpushError
from leadpush_prefect.model.outcome import Outcome
from leadpush_prefect.store.summary import RunSummary
from leadpush_prefect.system.aside import within
from leadpush_prefect.text.display import shortened

__all__ = ["EVENT_SECONDS", "EndpointHealth", "emit_campaign_event"]

LAST_CALLS = 50
FAILING_SHARE = 0.5
RECOVERED_SHARE = 0.25
AGAIN_SECONDS = 10.0

EVENT_SECONDS = 2.0
"""So long an event may hold up those who work: what it concerns may have to be asked of Prefect's server."""

# What a single contact may be to blame for, such as HTTP 404, is no sign of a failing API.
_STATUSES_OF_THE_API = RETRYABLE_STATUSES | {401, 403, 407}


@dataclass(slots=True)
class EndpointHealth:
    """Whether an endpoint answers, as seen by one run in one process.

    Attributes:
        endpoint: The endpoint's name.
        workspace: The name of the run's workspace.
        campaign: The campaign's name.
    """

    endpoint: str
    workspace: str
    campaign: str
    _calls: deque[str] = field(default_factory=lambda: deque(maxlen=LAST_CALLS))
    _failing: bool = False
    _again_at: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, outcomes: Iterable[Outcome]) -> None:
        """Take notice of what came of some calls, and emit an event where that changes something."""
        with self._lock:
            self._calls.extend(_fault(outcome) for outcome in outcomes if outcome.attempts)
            event = self._event()
            calls = list(self._calls)
        if event:
            try:
                within(EVENT_SECONDS, lambda: self._emit(event, calls))
            except Exception as error:  # such as that Prefect's server is away: the campaign goes on
                get_logger("leadpush").warning("%s was not said: %s.", event, type(error).__name__)

    def _emit(self, event: str, calls: Sequence[str]) -> None:
        faults = [code for code in calls if code]
        payload = {"campaign": self.campaign, "last_calls": len(calls), "failed_calls": len(faults)}
        most = max(set(faults), key=faults.count) if faults else ""
        emit_event(
            event,
            resource={
                "prefect.resource.id": f"leadpush.endpoint.{self.endpoint}",
                "prefect.resource.name": self.endpoint,
            },
            related=_related([self.endpoint], self.workspace),
            payload=payload | ({"reason": most} if most else {}),
        )

    def _event(self) -> str:
        share = sum(map(bool, self._calls)) / LAST_CALLS  # of too few calls nothing is said
        if share >= FAILING_SHARE and monotonic() >= self._again_at:  # also if it recovered in between
            self._failing, self._again_at = True, monotonic() + AGAIN_SECONDS
            return "leadpush.endpoint.failing"
        if self._failing and len(self._calls) == LAST_CALLS and share < RECOVERED_SHARE:
            self._failing = False
            return "leadpush.endpoint.recovered"
        return ""


def _fault(outcome: Outcome) -> str:
    """The code of a failure by the API's fault, or nothing."""
    failure = outcome.failure
    if failure is None:
        return ""
    status = failure.http_status or 0
    is_fault = failure.reason.of_the_api or status >= 500 or status in _STATUSES_OF_THE_API
    return failure.code if is_fault else ""


def emit_campaign_event(summary: RunSummary, state: str, *, ended: bool) -> None:
    """Say that a run came to its end, or was left before.

    Args:
        summary: What it did.
        state: The name of its final state, or of what it was left by.
        ended: Whether it came to its end.
    """
    counts: dict[str, Any] = {
        name: value for name, value in asdict(summary).items() if name not in ("steps", "workspace")
    }
    # Nodes and codes are read from the database, to which others may have written.
    counts["steps"] = [
        {
            "node": shortened(step.node),
            "fetched": step.fetched,
            "skipped": step.skipped,
            "failed": {shortened(code): count for code, count in step.failed.items()},
        }
        for step in summary.steps
    ]
    emit_event(
        f"leadpush.campaign.{'completed' if ended else 'failed'}",
        resource={
            "prefect.resource.id": f"leadpush.campaign.{summary.campaign}",
            "prefect.resource.name": summary.campaign,
        },
        related=_related({step.endpoint for step in summary.steps if step.endpoint}, summary.workspace),
        payload=counts | {"state": state},
    )


def _related(endpoints: Iterable[str], workspace: str) -> list[dict[str, str]]:
    """The saved Blocks, as the event's related resources."""
    related = [
        _resource(Workspace, workspace, "workspace"),
        *(_resource(ApiEndpoint, e, "endpoint") for e in endpoints),
    ]
    return [resource for resource in related if resource]


def _resource(kind: type[ApiEndpoint] | type[Workspace], name: str, role: str) -> dict[str, str]:
    try:
        block = load_block(kind, name, field=role)
    except LeadpushError:  # it is not saved
        return {}
    return {
        "prefect.resource.id": f"prefect.block-document.{block._block_document_id}",
        "prefect.resource.role": role,
        "prefect.resource.name": name,
    }
