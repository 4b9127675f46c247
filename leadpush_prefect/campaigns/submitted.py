"""What a flow has submitted: waited for, and if it did not complete, said why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from prefect.client.schemas.objects import State
from prefect.futures import PrefectDistributedFuture, PrefectFuture
from prefect.results import ResultRecord  # type: ignore[attr-defined]

from leadpush_prefect.blocks.patience import patiently
from leadpush_prefect.campaigns.batch import Batch
from leadpush_prefect.campaigns.signals import wait_for
from leadpush_prefect.errors import LeadpushError

__all__ = ["Submitted", "and_more"]

OF_THE_FLOW = "a task of the flow"


@dataclass(frozen=True, slots=True)
class _Task:
    """What is known of a task.

    Attributes:
        what: What it is, for a message.
        batch: The number of its batch, where that is known.
        is_ours: Whether it is of this package, whose errors hold nothing of people.
    """

    what: str
    batch: int | None
    is_ours: bool

    def __str__(self) -> str:
        return self.what if self.batch is None else f"{self.what}, batch {self.batch}"


class Submitted:
    """The tasks that a run waits for."""

    def __init__(self) -> None:
        self._futures: list[PrefectFuture[Any]] = []
        self._tasks: dict[UUID, _Task] = {}

    def add(
        self,
        what: str,
        future: PrefectFuture[Any],
        *,
        batch: Batch | PrefectFuture[Any] | None = None,
        is_ours: bool = False,
    ) -> None:
        """Wait for a task; and for the one that gives its batch, since that is what to say if it fails."""
        number = batch.number if isinstance(batch, Batch) else None
        if isinstance(batch, PrefectFuture):
            if batch.task_run_id not in self._tasks:
                self.add(OF_THE_FLOW, batch)
            number = self._tasks[batch.task_run_id].batch
        self._futures.append(future)
        self._tasks[future.task_run_id] = _Task(what, number, is_ours)

    def add_unknown(self, future: PrefectFuture[Any]) -> None:
        """Wait for a task of the flow, if it was not added before."""
        if future.task_run_id not in self._tasks:
            self.add(OF_THE_FLOW, future)

    def wait(self) -> str:
        """Wait for all of them; gives what did not complete and why, or nothing."""
        waited = 0
        while waited < len(self._futures):  # a task of the flow's may submit more
            _wait(self._futures[waited])
            waited += 1
        bad = [future for future in self._futures if not _state(future).is_completed()]
        if not bad:
            return ""
        bad.sort(key=lambda future: _state(future).is_pending())  # last those that only waited for another
        shown = " | ".join(self._complaint(future) for future in bad[:5])
        return f"{len(bad)} of {waited} tasks did not complete: {shown}{and_more(len(bad) - 5)}."

    def _complaint(self, future: PrefectFuture[Any]) -> str:
        state, task = _state(future), self._tasks[future.task_run_id]
        return f"{task}: {state.name}: {_why(state, task).rstrip('.')}"


def _wait(future: PrefectFuture[Any]) -> None:
    if isinstance(future, PrefectDistributedFuture):  # of its end only Prefect's server knows
        patiently(lambda: wait_for(future), "the end of a task was not read")
    else:
        wait_for(future)


def _state(future: PrefectFuture[Any]) -> State[Any]:
    return patiently(lambda: future.state, "the state of a task was not read")


def _why(state: State[Any], task: _Task) -> str:
    """A state's message; of an exception that a task of the flow's own raised only its class, for its text may tell
    anything."""
    message = state.message or ""
    if task.is_ours or not (state.is_failed() or state.is_crashed()):
        return message
    if not isinstance(state.data, (ResultRecord, BaseException)):
        return "its task run in Prefect says why"  # Prefect's server knows an exception by its text alone
    result = state.data.result if isinstance(state.data, ResultRecord) else state.data
    is_foreign = isinstance(result, BaseException) and not isinstance(result, LeadpushError)
    return type(result).__name__ if is_foreign else message


def and_more(count: int) -> str:
    """Say that so many more were left out."""
    return f" (and {count} more)" if count > 0 else ""
