"""Futures of tasks in threads of this process, which know how their task stands without asking Prefect's server.

Before a task runs, Prefect looks how those stand that it depends on (`_infer_parent_task_runs`), and asks its server: an
HTTP 500 or 401 there would fail the campaign.
"""

from __future__ import annotations

from concurrent.futures import Future
from copy import copy
from typing import Any

from prefect.client.schemas.objects import State
from prefect.futures import PrefectConcurrentFuture, PrefectFutureList
from prefect.states import Pending
from prefect.utilities.annotations import unmapped

__all__ = ["LocalFuture", "local"]


class LocalFuture(PrefectConcurrentFuture[Any]):
    """The future of a task in a thread."""

    @property
    def state(self) -> State[Any]:
        """How the task ended; Pending as long as it has not, whether it has begun or waits."""
        if self._final_state is None:
            self._final_state = _end(self.wrapped_future)
        return self._final_state or Pending()


def _end(task: Future[Any]) -> State[Any] | None:
    """The final state; None also of a task that Prefect could not run, whose error is raised to whoever waits."""
    if not task.done() or task.cancelled() or task.exception():
        return None
    result = task.result()
    return result if isinstance(result, State) else None


def local(value: Any) -> Any:
    """The same where it is no future; a local one for that of a task in a thread, also in a list or for all of a `map`.

    Dask's and other futures stay what they are: their tasks see states in their place.
    """
    if type(value) is PrefectConcurrentFuture:
        return LocalFuture(value.task_run_id, value.wrapped_future)
    if isinstance(value, PrefectFutureList):
        futures = copy(value)
        futures[:] = map(local, value)
        return futures
    if type(value) in (list, tuple):
        return type(value)(map(local, value))
    if isinstance(value, unmapped):
        return unmapped(local(value.unwrap()))
    return value
