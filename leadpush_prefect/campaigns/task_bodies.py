"""From a task's arguments to its step: is it a contact or a batch, which endpoint, and what is logged.

A module of its own, because Prefect's process and Dask runners pickle a task's function by value, with its
globals: the functions in `tasks` refer to nothing but this module, which has their options too.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from typing import Any
from uuid import uuid4

from prefect.runtime import flow_run, task_run

from leadpush_prefect.blocks import ApiEndpoint
from leadpush_prefect.blocks.loading import load_block
from leadpush_prefect.campaigns.batch import Batch
from leadpush_prefect.campaigns.batch_steps import Counts, fetch_batch, render_batch
from leadpush_prefect.campaigns.contact_steps import afetch_contact, fetch_contact, render_contact
from leadpush_prefect.campaigns.steps import Fetch, Message
from leadpush_prefect.endpoints.mock import Mock
from leadpush_prefect.errors import LeadpushError
from leadpush_prefect.model.config import HasConfig, WorkspaceConfig
from leadpush_prefect.model.context import CampaignContext
from leadpush_prefect.model.outcome import Status
from leadpush_prefect.model.step import Step, StepOptions
from leadpush_prefect.runs.log import run_logger
from leadpush_prefect.runs.open_runs import OpenRun, open_run
from leadpush_prefect.sending.dispatcher import dispatcher
from leadpush_prefect.system.recent import Recent
from leadpush_prefect.text.display import shortened
from leadpush_prefect.text.projection import keep_paths

__all__ = ["StepOptions", "afetch", "fetch", "load_ahead", "refuse_running_loop", "render", "run_name"]

Target = CampaignContext | Batch


def fetch(target: Target, endpoint: ApiEndpoint | str, options: StepOptions) -> Target:
    """The body of `fetch_api_data`."""
    if isinstance(target, CampaignContext):
        return fetch_contact(target, _fetch_for_contact(target, endpoint, options))
    run, asked = _fetch_for_batch(target, endpoint, options)
    _log_counts(target, asked.step, fetch_batch(run, target, asked, _owner()))
    return target


async def afetch(target: Target, endpoint: ApiEndpoint | str, options: StepOptions) -> Target:
    """The body of `afetch_api_data`: one contact on the caller's loop, a batch in a thread."""
    if isinstance(target, CampaignContext):
        return await afetch_contact(target, _fetch_for_contact(target, endpoint, options))
    run, asked = _fetch_for_batch(target, endpoint, options)
    owner = _owner()
    thread = asyncio.create_task(asyncio.to_thread(fetch_batch, run, target, asked, owner))
    try:
        counts = await asyncio.shield(thread)
    except asyncio.CancelledError:
        await _stop(thread, owner, run.tunables.stop_seconds)
        raise
    _log_counts(target, asked.step, counts)
    return target


async def _stop(thread: asyncio.Task[Counts], owner: str, seconds: float) -> None:
    """Have a thread wait for what is in flight, write what has come, and end."""
    while not thread.done():
        dispatcher().stop_group(owner, seconds)  # again, if the thread had not yet begun what can be stopped
        await asyncio.wait([thread], timeout=0.1)
    if not thread.cancelled():
        thread.exception()  # RunStopped, of which nobody wants to hear


def render(target: Target, template: Message, options: StepOptions) -> Any:
    """The body of `render_template`."""
    if not isinstance(target, CampaignContext):
        _refuse_other(target)
    step = options.step("render", detail=repr(template))
    if isinstance(target, CampaignContext):
        target.refuse_unsubscribed()
        return render_contact(target, template, step)
    if not step.output_key:
        raise ValueError("render_template needs an output_key for a batch: the messages are stored under it.")
    _log_counts(target, step, render_batch(_run_of(target), target, template, step, _owner()))
    return target


def load_ahead(endpoint: object) -> None:
    """Have an endpoint loaded for when its task runs; what is wrong with it is the task's to say."""
    if isinstance(endpoint, str) and flow_run.get_id():
        with suppress(LeadpushError):
            load_block(ApiEndpoint, endpoint, field="endpoint")


def _fetch_for_contact(context: CampaignContext, endpoint: ApiEndpoint | str, options: StepOptions) -> Fetch:
    """What the options ask for; that the contact may be asked is seen before anything is looked up for it."""
    context.refuse_unsubscribed(endpoint if isinstance(endpoint, str) else getattr(endpoint, "name", ""))
    block, step = _block_and_step(endpoint, options)
    fetch = _prepared(block, step, options, context.workspace)
    if options.mock_response is not None and not context.simulate and _is_first_of_flow_run(step.node):
        _say_mock_is_ignored(step)
    return fetch


def _fetch_for_batch(
    batch: Batch, endpoint: ApiEndpoint | str, options: StepOptions
) -> tuple[OpenRun, Fetch]:
    """What the options ask for, with the batch's run; who of it may be asked, the store knows."""
    block, step = _block_and_step(endpoint, options)
    _refuse_other(batch)
    run = _run_of(batch)
    fetch = _prepared(block, step, options, run.workspace)
    if options.mock_response is not None and not run.record.simulate and run.say_once(f"mock {step.node}"):
        _say_mock_is_ignored(step)
    return run, fetch


def _block_and_step(endpoint: ApiEndpoint | str, options: StepOptions) -> tuple[ApiEndpoint, Step]:
    block = load_block(ApiEndpoint, endpoint, field="endpoint") if isinstance(endpoint, str) else endpoint
    if not isinstance(block, ApiEndpoint):
        raise TypeError(
            f"endpoint is a {type(block).__name__}, and must be an ApiEndpoint or the name of one."
        )
    if not options.output_key:
        raise ValueError("output_key is empty. Later steps read the output as {{ workflow.OUTPUT_KEY }}.")
    paths = keep_paths(options.keep)
    return block, options.step("fetch", block.name, f"keep {paths}" if paths else "")


def _prepared(
    block: ApiEndpoint, step: Step, options: StepOptions, workspace: HasConfig | WorkspaceConfig | str
) -> Fetch:
    """The step with its endpoint, checked and compiled, and its mock.

    Raises:
        ValueError: if the mock's status is no HTTP status.
    """
    endpoint = replace(block.prepare(workspace), keep=keep_paths(options.keep))
    status = options.mock_status
    if type(status) is not int or not 100 <= status <= 599:
        raise ValueError(f"mock_status is {status!r}, and must be an HTTP status, such as 200 or 404.")
    return Fetch(step, endpoint, Mock(options.mock_response, status))


def _run_of(batch: Batch) -> OpenRun:
    return open_run(batch.run_id, batch.workspace)


def _refuse_other(target: object) -> None:
    if not isinstance(target, Batch):
        raise TypeError(f"The target is a {type(target).__name__}, and must be a CampaignContext or a Batch.")


def _owner() -> str:
    return str(task_run.get_id() or uuid4())


_said = Recent[tuple[str, str], None](256)


def _is_first_of_flow_run(node: str) -> bool:
    """Whether nothing was said yet of a node in this flow run, whose contacts come one by one."""
    told = str(flow_run.get_id() or uuid4()), node
    if told in _said:
        return False
    _said[told] = None
    return True


def _say_mock_is_ignored(step: Step) -> None:
    run_logger().warning(
        "Step %s: mock_response is ignored, since the run is live (simulate=False).", step.node
    )


def _log_counts(batch: Batch, step: Step, counts: Counts) -> None:
    words = {str(Status.FETCHED): "done"}  # a message is not fetched
    parts = [f"{count:,} {words.get(code, code)}" for code, count in sorted(counts.items())]
    shown = ", ".join(parts) or "nothing was left to do"
    run_logger().info("Step %s, batch %s: %s.", step.node, batch.number, shown)


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
