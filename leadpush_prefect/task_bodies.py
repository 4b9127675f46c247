"""From a task's arguments to its step: is it a contact or a batch, which endpoint, and what is logged.

A module of its own, because Prefect's process and Dask runners pickle a task's function by value, with its globals: the
functions in `tasks` refer to nothing but this module.
"""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

from prefect.exceptions import MissingContextError
from prefect.logging import get_logger, get_run_logger
from prefect.runtime import flow_run, task_run

from leadpush_prefect.batch import Batch
from leadpush_prefect.batch_steps import Counts, fetch_batch, render_batch
from leadpush_prefect.blocks import ApiEndpoint
from leadpush_prefect.config import WorkspaceConfig
from leadpush_prefect.contact_steps import afetch_contact, fetch_contact, render_contact
from leadpush_prefect.context import CampaignContext
from leadpush_prefect.engine import engine
from leadpush_prefect.loading import load_block
from leadpush_prefect.open_runs import open_run
from leadpush_prefect.prepared import PreparedEndpoint
from leadpush_prefect.steps import Message, Step

__all__ = ["afetch", "fetch", "refuse_running_loop", "render", "run_name"]

Target = CampaignContext | Batch


def fetch(
    target: Target,
    endpoint: ApiEndpoint | str,
    output_key: str,
    node: str,
    when: str,
    on_failure: str,
    mock_response: Any,
    mock_status: int,
) -> Target:
    """The body of `fetch_api_data`."""
    prepared, step = _prepare(target, endpoint, output_key, node, when, on_failure)
    if mock_response is not None:
        _say_if_mock_is_ignored(target, step)
    if isinstance(target, CampaignContext):
        return fetch_contact(target, prepared, step, mock_response, mock_status)
    counts = fetch_batch(target, prepared, step, _owner(), mock_response, mock_status)
    _log_counts(target, step, counts)
    return target


async def afetch(
    target: Target,
    endpoint: ApiEndpoint | str,
    output_key: str,
    node: str,
    when: str,
    on_failure: str,
    mock_response: Any,
    mock_status: int,
) -> Target:
    """The body of `afetch_api_data`: one contact on the caller's loop, a batch in a thread."""
    prepared, step = _prepare(target, endpoint, output_key, node, when, on_failure)
    if mock_response is not None:
        _say_if_mock_is_ignored(target, step)
    if isinstance(target, CampaignContext):
        return await afetch_contact(target, prepared, step, mock_response, mock_status)
    owner = _owner()
    try:
        counts = await asyncio.to_thread(fetch_batch, target, prepared, step, owner, mock_response, mock_status)
    except asyncio.CancelledError:
        engine().stop_group(target.run_id)  # the thread sees it, writes what has come, and ends
        raise
    _log_counts(target, step, counts)
    return target


def render(target: Target, template: Message, output_key: str, node: str, when: str, on_failure: str) -> Any:
    """The body of `render_template`."""
    step = Step(node or output_key, output_key, "render", "", when, on_failure, repr(template))
    step.check()
    if isinstance(target, CampaignContext):
        return render_contact(target, template, step)
    if not output_key:
        raise ValueError("render_template needs an output_key for a batch: the messages are stored under it.")
    _refuse_other(target)
    _log_counts(target, step, render_batch(target, template, step, _owner()))
    return target


def _prepare(
    target: Target, endpoint: ApiEndpoint | str, output_key: str, node: str, when: str, on_failure: str
) -> tuple[PreparedEndpoint, Step]:
    block = load_block(ApiEndpoint, endpoint, field="endpoint") if isinstance(endpoint, str) else endpoint
    if not isinstance(block, ApiEndpoint):
        raise TypeError(f"endpoint is a {type(block).__name__}, and must be an ApiEndpoint or the name of one.")
    if not output_key:
        raise ValueError("output_key is empty. Later steps read the output as {{ workflow.OUTPUT_KEY }}.")
    step = Step(node or output_key, output_key, "fetch", block.name, when, on_failure)
    step.check()
    return block.prepare(_workspace(target)), step


def _workspace(target: Target) -> Any:
    if isinstance(target, CampaignContext):
        return target.workspace
    _refuse_other(target)
    workspace: WorkspaceConfig = open_run(target.run_id, target.workspace).workspace
    return workspace


def _refuse_other(target: object) -> None:
    if not isinstance(target, Batch):
        raise TypeError(f"The target is a {type(target).__name__}, and must be a CampaignContext or a Batch.")


def _owner() -> str:
    return str(task_run.get_id() or uuid4())


_said: set[tuple[str, str]] = set()


def _say_if_mock_is_ignored(target: Target, step: Step) -> None:
    simulate = (
        target.simulate
        if isinstance(target, CampaignContext)
        else open_run(target.run_id, target.workspace).record.simulate
    )
    told = (str(flow_run.get_id()), step.node)
    if not simulate and told not in _said:
        _said.add(told)
        _logger().warning("Step %s: mock_response is ignored, since the run is live (simulate=False).", step.node)


def _log_counts(batch: Batch, step: Step, counts: Counts) -> None:
    parts = ", ".join(f"{count:,} {code}" for code, count in sorted(counts.items())) or "nothing was left to do"
    _logger().info("Step %s, batch %s: %s.", step.node, batch.number, parts)


def _logger() -> Any:
    try:
        return get_run_logger()
    except MissingContextError:
        return get_logger("leadpush")


def run_name(parameters: dict[str, Any]) -> str:
    """A task run's name, such as `Fetch API Data customer_profile #12`: the node, and the batch or the contact's id."""
    target = parameters.get("target")
    node = parameters.get("node") or parameters.get("output_key") or ""
    task_name = "Render Template" if "template" in parameters else "Fetch API Data"
    which = f"#{target.number}" if isinstance(target, Batch) else getattr(target, "contact_id", "")
    return " ".join(part for part in (task_name, node, which) if part)


def refuse_running_loop(instead: str) -> None:
    """See that a sync task is not called where it would block an event loop.

    Raises:
        RuntimeError: naming what to call instead.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise RuntimeError(
        f"This task would block the running event loop. In an async flow or a notebook, call `{instead}`, "
        "or submit the task with .submit(...)."
    )
