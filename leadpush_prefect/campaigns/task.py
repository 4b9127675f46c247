"""A Prefect task whose futures the flow's `CampaignRun` waits for, since nothing in Prefect does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import copy
from typing import Any, Self

from prefect import Task
from prefect.cache_policies import NO_CACHE
from prefect.futures import PrefectFuture

from leadpush_prefect.campaigns.batch import Batch
from leadpush_prefect.campaigns.local_futures import local
from leadpush_prefect.campaigns.run import current_run
from leadpush_prefect.campaigns.task_bodies import load_ahead, refuse_running_loop, run_name

__all__ = ["CampaignTask", "campaign_task"]


class CampaignTask(Task[..., Any]):
    """What `fetch_api_data` and its like are: called, submitted and mapped as any Prefect task.

    Attributes:
        instead: What to call on a running event loop; empty where that does no harm.
        calls_endpoint: Whether its second argument is an endpoint.
    """

    def __init__(
        self, function: Callable[..., Any], *, instead: str, calls_endpoint: bool, **options: Any
    ) -> None:
        super().__init__(function, **options)
        self.instead = instead
        self.calls_endpoint = calls_endpoint

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self.instead:
            refuse_running_loop(self.instead)
        return super().__call__(*args, **kwargs)

    def submit(self, *args: Any, **kwargs: Any) -> Any:
        # Before the tasks keep Prefect's server busy; a later step's while an earlier one works.
        if self.calls_endpoint:
            load_ahead(args[1] if len(args) > 1 else kwargs.get("endpoint"))
        submitted = local(super().submit(*map(local, args), **_local_values(kwargs)))
        target = args[0] if args else kwargs.get("target")
        _report(submitted, self.name, target, kwargs)
        return submitted

    def map(self, *args: Any, **kwargs: Any) -> Any:
        submitted = local(super().map(*map(local, args), **_local_values(kwargs)))
        targets = args[0] if args else kwargs.get("target")
        futures = submitted if isinstance(submitted, list) else []
        for number, future in enumerate(futures):
            target = targets[number] if isinstance(targets, (list, tuple)) else targets
            _report(future, self.name, target, kwargs)
        return submitted

    def with_options(self, *args: Any, **kwargs: Any) -> Self:
        """A copy with other options; Prefect's own makes a plain Task, of which the copy takes all it has."""
        other = copy(self)
        vars(other).update(vars(super().with_options(*args, **kwargs)))
        return other


def _local_values(arguments: Mapping[str, Any]) -> dict[str, Any]:
    return {name: local(value) for name, value in arguments.items()}


def _report(future: Any, name: str, target: Any, arguments: Mapping[str, Any]) -> None:
    run = current_run()
    if run is None or not isinstance(future, PrefectFuture):
        return  # it was submitted with return_state=True, which waits
    node = arguments.get("node") or arguments.get("output_key") or name
    run.add_step(node, future, batch=target if isinstance(target, (Batch, PrefectFuture)) else None)


def campaign_task(
    name: str, *, instead: str = "", calls_endpoint: bool = False
) -> Callable[[Callable[..., Any]], Any]:
    """Make a task of a function.

    Contacts and outputs are in the store, not in Prefect's results: with persistence on, its cache would
    swallow a step, and write people's data to disk.
    """

    def decorate(function: Callable[..., Any]) -> CampaignTask:
        return CampaignTask(
            function,
            instead=instead,
            calls_endpoint=calls_endpoint,
            name=name,
            task_run_name=run_name,  # Prefect looks for the parameter itself
            persist_result=False,
            cache_policy=NO_CACHE,
        )

    return decorate
