"""What Prefect shows of a flow run, read back from its API."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State
from prefect.events import emit_event


def ask(method: str, path: str, body: Any = None) -> Any:
    """What Prefect's API answers."""
    with get_client(sync_client=True) as client:
        call: Any = client.request
        return call(method, path, json=body).json()


def flow_run_id(state: State[Any]) -> UUID:
    """Of the flow run that ended in a state."""
    assert state.state_details.flow_run_id
    return state.state_details.flow_run_id


def artifacts(run: UUID) -> dict[str, Any]:
    """A flow run's artifacts by key, the newest of each."""
    found = ask(
        "POST", "/artifacts/filter", {"flow_runs": {"id": {"any_": [str(run)]}}, "sort": "CREATED_DESC"}
    )
    newest: dict[str, Any] = {}
    for artifact in found:
        newest.setdefault(artifact["key"], artifact)
    return newest


def versions(key: str) -> list[Any]:
    """All artifacts of a key, the newest first."""
    return list(
        ask("POST", "/artifacts/filter", {"artifacts": {"key": {"any_": [key]}}, "sort": "CREATED_DESC"})
    )


def events(run: UUID, name: str = "leadpush.") -> list[Any]:
    """A flow run's events of ours that have arrived, the oldest first."""
    these = {"related": {"id": [f"prefect.flow-run.{run}"]}, "event": {"prefix": [name]}, "order": "ASC"}
    return list(ask("POST", "/events/filter", {"filter": these, "limit": 50})["events"])


def flush_events() -> None:
    """Have the server write down the events that it has: it does so by twenties, or every five seconds."""
    for _ in range(20):
        emit_event("tests.flush", {"prefect.resource.id": "tests.flush"})
