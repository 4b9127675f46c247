"""Flows of a test in a word, and what Prefect's types do not say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.task_runners import ThreadPoolTaskRunner


def threads(count: int) -> Any:
    """A task runner of so many threads."""
    runner: Any = ThreadPoolTaskRunner(max_workers=count)
    return runner


def run_flow(body: Callable[..., Any], *arguments: Any, workers: int = 4, retries: int = 0) -> State[Any]:
    """The final state of a sync flow."""
    made: Any = flow(name="test", task_runner=threads(workers), retries=retries)(body)
    state: State[Any] = made(*arguments, return_state=True)
    return state
