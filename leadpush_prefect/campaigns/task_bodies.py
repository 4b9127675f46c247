"""From a task's arguments to its step: is it a contact or a batch, which endpoint, and what is logged.

A module of its own, because Prefect's process and Dask runners pickle a task's function by value, with its
globals: the functions in `tasks` refer to nothing but this module.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any
from uuid import uuid4

from prefect.exceptions import MissingContextError
from prefect.logging import get_logger, get_run_logger
from prefect.runtime import flow_run, task_run

from leadpush_prefect.blocks import ApiEndpoint
from leadpush_prefect.blocks.loading import load_block
from leadpush_prefect.campaigns.batch import Batch
from leadpush_prefect.campaigns.batch_steps import Counts, fetch_batch, render_batch
from leadpush_prefect.campaigns.contact_steps import afetch_contact, fetch_contact, render_contact
from leadpush_prefect.campaigns.steps import Message
from leadpush_prefect.endpoints.mock import Mock
from leadpush_prefect.endpoints.prepared import PreparedEndpoint
from leadpush_prefect.errors import LeadpushError
from leadpush_prefect.model.config import WorkspaceConfig
from leadpush_prefect.model.context import CampaignContext
from leadpush_prefect.model.step import Step
from leadpush_prefect.runs.open_runs import open_run
from leadpush_prefect.sending.dispatcher import dispatcher
from leadpush_prefect.text.display import shortened
from leadpush_prefect.text.projection import keep_paths

__all__ = ["afetch", "fetch", "load_ahead", "refuse_running_loop", "render", "run_name"]

Target = CampaignContext | Batch


def fetch(
    target: Target,
    endpoint: ApiEndpoint | str,
    output_key: str,
    node: str,
    when: str,
    on_failure: str,
    keep: Sequence[str],
    mock_response: Any,
    mock_status: int,
) -> Target:
    """The body of `fetch_api_data`."""
    _refuse_unsubscribed(target, endpoint)
    prepared, step = _prepare(target, endpoint, output_key, node, when, on_failure, keep)
    mock = _mock(target, step, mock_response, mock_status)
    if isinstance(target, CampaignContext):
        return fetch_contact(target, prepared, step, mock)
    _log_counts(target, step, fetch_batch(target, prepared, step, _owner(), mock))
    return target


async def afetch(
    target: Target,
    endpoint: ApiEndpoint | str,
    output_key: str,
    node: str,
    when: str,
    on_failure: str,
    keep: Sequence[str],
    mock_response: Any,
    mock_status: int,
) -> Target:
    """The body of `afetch_api_data`: one contact on the caller's loop, a batch in a thread."""
    _refuse_unsubscribed(target, endpoint)
    prepared, step = _prepare(target, endpoint, output_key, node, when, on_failure, keep)
    mock = _mock(target, step, mock_response, mock_status)
    if isinstance(target, CampaignContext):
        return await afetch_contact(target, prepared, step, mock)
    owner = _owner()
    thread = asyncio.create_task(asyncio.to_thread(fetch_batch, target, prepared, step, owner, mock))
    try:
        counts = await asyncio.shield(thread)
    except asyncio.CancelledError:
        await _stop(thread, owner)
        raise
    _log_counts(target, step, counts)
    return target


async def _stop(thread: asyncio.Task[Counts], owner: str) -> None:
    """Have a thread write what has come, and end."""
    while not thread.done():
        dispatcher().stop_group(owner)  # again, if the thread had not yet begun what can be stopped
        await asyncio.wait([thread], timeout=0.1)
    if not thread.cancelled():
        thread.exception()  # RunStopped, of which nobody wants to hear


def render(target: Target, template: Message, output_key: str, node: str, when: str, on_failure: str) -> Any:
    """The body of `render_template`."""
    if not isinstance(target, CampaignContext):
        _refuse_other(target)
    step = Step(node or output_key, output_key, "render", "", when, on_failure, repr(template))
    step.check()
    if isinstance(target, CampaignContext):
        target.refuse_unsubscribed()
        return render_contact(target, template, step)
    if not output_key:
        raise ValueError("render_template needs an output_key for a batch: the messages are stored under it.")
    _log_counts(target, step, render_batch(target, template, step, _owner()))
    return target


def _refuse_unsubscribed(target: Target, endpoint: ApiEndpoint | str) -> None:
    """See that one contact may be asked, before anything is looked up for it; of a batch, the store knows."""
    if isinstance(target, CampaignContext):
        target.refuse_unsubscribed(endpoint if isinstance(endpoint, str) else getattr(endpoint, "name", ""))


def load_ahead(endpoint: object) -> None:
    """Have an endpoint loaded for when its task runs; what is wrong with it is the task's to say."""
    if isinstance(endpoint, str) and flow_run.get_id():
        with suppress(LeadpushError):
            load_block(ApiEndpoint, endpoint, field="endpoint")


def _prepare(
    target: Target,
    endpoint: ApiEndpoint | str,
    output_key: str,
    node: str,
    when: str,
    on_failure: str,
    keep: Sequence[str],
) -> tuple[PreparedEndpoint, Step]:
    block = load_block(ApiEndpoint, endpoint, field="endpoint") if isinstance(endpoint, str) else endpoint
    if not isinstance(block, ApiEndpoint):
        raise TypeError(
            f"endpoint is a {type(block).__name__}, and must be an ApiEndpoint or the name of one."
        )
    if not output_key:
        raise ValueError("output_key is empty. Later steps read the output as {{ workflow.OUTPUT_KEY }}.")
    paths = keep_paths(keep)
    detail = f"keep {paths}" if paths else ""
    step = Step(node or output_key, output_key, "fetch", block.name, when, on_failure, detail)
    step.check()
    return replace(block.prepare(_workspace(target)), keep=paths), step


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


def _mock(target: Target, step: Step, response: Any, status: int) -> Mock:
    """The step's mock; in a live run one line of the log says that it is ignored.

    Raises:
        ValueError: if the status is no HTTP status.
    """
    if type(status) is not int or not 100 <= status <= 599:
        raise ValueError(f"mock_status is {status!r}, and must be an HTTP status, such as 200 or 404.")
    if response is not None and _is_first_of_live_run(target, step.node):
        _logger().warning(
            "Step %s: mock_response is ignored, since the run is live (simulate=False).", step.node
        )
    return Mock(response, status)


_said: OrderedDict[tuple[str, str], None] = OrderedDict()


def _is_first_of_live_run(target: Target, node: str) -> bool:
    if isinstance(target, Batch):
        run = open_run(target.run_id, target.workspace)
        return not run.record.simulate and run.say_once(f"mock {node}")
    told = str(flow_run.get_id() or uuid4()), node
    if target.simulate or told in _said:
        return False
    _said[told] = None
    while len(_said) > 256:
        _said.popitem(last=False)
    return True


def _log_counts(batch: Batch, step: Step, counts: Counts) -> None:
    parts = (
        ", ".join(f"{count:,} {code}" for code, count in sorted(counts.items())) or "nothing was left to do"
    )
    _logger().info("Step %s, batch %s: %s.", step.node, batch.number, parts)


def _logger() -> Any:
    try:
        return get_run_logger()
    except MissingContextError:
        return get_logger("leadpush")


def run_name(parameters: dict[str, Any]) -> str:
    """A task run's name, such as `Fetch API Data customer_profile #12`: the node, and the batch or the
    contact's id."""
    target = parameters.get("target")
    node = parameters.get("node") or parameters.get("output_key") or ""
    task_name = "Render Template" if "template" in parameters else "Fetch API Data"
    which = f"#{target.number}" if isinstance(target, Batch) else getattr(target, "contact_id", "")
    return shortened(" ".join(part for part in (task_name, node, which) if part))


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
