"""Flows of a test in a word, and what Prefect's types do not say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.task_runners import ThreadPoolTaskRunner

from leadpush_prefect import Workspace


def threads(count: int) -> Any:
    """A task runner of so many threads."""
    runner: Any = ThreadPoolTaskRunner(max_workers=count)
    return runner


def on_database(workspace: Workspace, block: str) -> Workspace:
    """The workspace where no database is named, else one whose database that is."""
    if not block:
        return workspace
    other = Workspace(uuid="w-1", database=block, allowed_networks=["127.0.0.0/8"])
    other.save("acme-elsewhere", overwrite=True)
    return other


def run_flow(body: Callable[..., Any], *arguments: Any, workers: int = 4, retries: int = 0) -> State[Any]:
    """The final state of a sync flow."""
    made: Any = flow(name="test", task_runner=threads(workers), retries=retries)(body)
    state: State[Any] = made(*arguments, return_state=True)
    return state
