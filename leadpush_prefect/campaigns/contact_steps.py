"""A step for one contact: an event-triggered campaign, a test, a notebook."""

from __future__ import annotations

from typing import Any

from leadpush_prefect.blocks.one_contact import flow_key, warn_of_repeats
from leadpush_prefect.blocks.workspace import workspace_config
from leadpush_prefect.campaigns.steps import (
    Fetch,
    Message,
    condition_of,
    decide,
    message_template,
    render_values,
)
from leadpush_prefect.model.context import CampaignContext, workspace_values
from leadpush_prefect.model.outcome import Outcome
from leadpush_prefect.model.step import Step
from leadpush_prefect.sending.client import afetch_one, fetch_one
from leadpush_prefect.text.json_text import from_json

__all__ = ["afetch_contact", "fetch_contact", "render_contact"]


def fetch_contact(context: CampaignContext, fetch: Fetch) -> CampaignContext:
    """Fetch for one contact: its context with the output, or as it was where the condition was not met.

    Raises:
        FetchFailed: if there is no output and the step stops at a failure.
        BlockInvalid: if the endpoint asks for an idempotency key, and there is no flow run to make it of.
        StepRefused: if the step is wrong, or the contact has been through one of its name.
    """
    step = fetch.step
    after = context.after(step.node)
    outcome = _without_request(after, fetch) or fetch_one(
        fetch.endpoint, after, node=step.values(), key=_key(after, fetch)
    )
    return _with_outcome(after, step, outcome)


async def afetch_contact(context: CampaignContext, fetch: Fetch) -> CampaignContext:
    """The awaitable twin of `fetch_contact`; cancelling it stops the request."""
    step = fetch.step
    after = context.after(step.node)
    outcome = _without_request(after, fetch) or await afetch_one(
        fetch.endpoint, after, node=step.values(), key=_key(after, fetch)
    )
    return _with_outcome(after, step, outcome)


def _without_request(context: CampaignContext, fetch: Fetch) -> Outcome | None:
    values = context.values(workspace_values(fetch.endpoint.workspace), fetch.step.values())
    return fetch.without_request(condition_of(fetch.step), values, simulate=context.simulate)


def _key(context: CampaignContext, fetch: Fetch) -> str:
    """The key of the request that is about to be sent."""
    warn_of_repeats(fetch.endpoint, fetch.step.node)
    return flow_key(fetch.endpoint, context, fetch.step.node)


def _with_outcome(context: CampaignContext, step: Step, outcome: Outcome) -> CampaignContext:
    if outcome.failure is not None and step.on_failure == "stop":
        raise outcome.failure.as_error(endpoint=step.endpoint, contact_id=context.contact_id)
    if outcome.output is None:
        return context
    return context.with_output(step.output_key, from_json(outcome.output))


def render_contact(context: CampaignContext, template: Message, step: Step) -> Any:
    """The message for one contact: text, or an object or list; None where it was skipped or failed and goes
    on.

    Raises:
        FetchFailed: if it cannot be rendered and the step stops at a failure.
        StepRefused: if the template can never be rendered.
    """
    message, is_text = message_template(template, step)
    values = context.values(workspace_values(workspace_config(context.workspace)), step.values())
    outcome = decide(step, condition_of(step), values) or render_values(message, is_text, values)
    if outcome.failure is not None and step.on_failure == "stop":
        raise outcome.failure.as_error(endpoint="", contact_id=context.contact_id)
    return None if outcome.output is None else from_json(outcome.output)
