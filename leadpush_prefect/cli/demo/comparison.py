"""Whether a run of the demo is what it must be: failures, messages, and the API's own count of requests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from leadpush_prefect.cli.demo.contacts import audience
from leadpush_prefect.cli.demo.make_expected import expected
from leadpush_prefect.store.summary import RunSummary

__all__ = ["difference", "differences"]

COMMITTED = Path(__file__).with_name("expected.json")
ROUTES = {"profile": "customer_profile", "offers": "offer"}
"""The step that asks each route of the API."""


def differences(
    contacts: int,
    summary: RunSummary,
    failed: dict[str, str],
    messages: dict[str, str],
    counted: dict[str, Any],
) -> list[str]:
    """Say what is not as it must be, a sentence each.

    Args:
        contacts: How many the demo was asked for.
        summary: Of the run.
        failed: The reason by contact id, as stored.
        messages: By contact id, as stored.
        counted: What the API counted, by route and status.
    """
    wanted = _expected(contacts)
    pairs = {
        "contacts": (wanted["contacts"], summary.contacts),
        "unsubscribed": (wanted["unsubscribed"], summary.unsubscribed),
        "failures": (wanted["failed"], failed),
        "messages": (wanted["messages"], messages),
        **_steps(wanted, summary),
        **_requests(wanted, summary, counted),
    }
    return [f"{what}: {difference(*pair)}" for what, pair in pairs.items() if pair[0] != pair[1]]


def _expected(contacts: int) -> dict[str, Any]:
    committed: dict[str, Any] = json.loads(COMMITTED.read_text("utf-8"))
    return committed if contacts == committed["contacts"] else expected(audience(contacts))


def _steps(wanted: dict[str, Any], summary: RunSummary) -> dict[str, tuple[Any, Any]]:
    return {
        step.node: (
            wanted["steps"][step.node],
            {name: getattr(step, name) for name in wanted["steps"][step.node]},
        )
        for step in summary.steps
    }


def _requests(
    wanted: dict[str, Any], summary: RunSummary, counted: dict[str, Any]
) -> dict[str, tuple[Any, Any]]:
    pairs = {}
    for route, node in ROUTES.items():
        sent = next((step.requests for step in summary.steps if step.node == node), 0)
        pairs[f"requests of {route}"] = (wanted["requests"][route], sent)
        pairs[f"requests that the API counted at {route}"] = (sent, sum(counted[route].values()))
    return pairs


def difference(expected: Any, found: Any) -> str:
    """Say what differs; of two mappings, the first entries that do."""
    if isinstance(expected, dict) and isinstance(found, dict):
        keys = [key for key in {**expected, **found} if expected.get(key) != found.get(key)]
        shown = ", ".join(f"{key} is {found.get(key)!r}, not {expected.get(key)!r}" for key in keys[:3])
        return f"{len(keys)} differ: {shown}"
    return f"{found!r}, not {expected!r}"
