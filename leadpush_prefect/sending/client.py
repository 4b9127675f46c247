"""One call for one contact, from a thread or from a coroutine."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from leadpush_prefect.endpoints.attempt import (
    Call,
    Retry,
    attempt,
    new_call,
    public_message,
    render,
    render_failure,
)
from leadpush_prefect.endpoints.prepared import PreparedEndpoint
from leadpush_prefect.model.context import CampaignContext
from leadpush_prefect.model.outcome import Failure, Outcome
from leadpush_prefect.network.httpx_transport import HttpxTransport
from leadpush_prefect.network.rate_limit import RateLimit
from leadpush_prefect.network.wire import RenderedRequest, Transport, TransportFailed
from leadpush_prefect.sending.dispatcher import dispatcher
from leadpush_prefect.templates import TemplateFailed
from leadpush_prefect.text.json_text import from_json

if TYPE_CHECKING:
    import httpx
__all__ = ["acall", "call", "fetch_one", "rendered_request"]

FOREVER = 86_400.0
"""Each attempt has its own deadline, so that the wait for the outcome needs none."""


def rendered_request(target: PreparedEndpoint, context: CampaignContext, key: str = "") -> RenderedRequest:
    """The request for one contact.

    Raises:
        FetchFailed: if a template cannot be rendered for this contact.
    """
    rendered = _rendered(target, context, key)
    if isinstance(
        rendered, Failure
    ):  # raised here, so that no exception comes along whose frames hold secrets
        raise _error(rendered, target, context)
    return rendered


def _rendered(target: PreparedEndpoint, context: CampaignContext, key: str) -> RenderedRequest | Failure:
    call = new_call(target, context, key=key)
    try:
        return render(call)
    except TemplateFailed as failed:
        return render_failure(failed)
    except TransportFailed as failed:
        return Failure(failed.reason, public_message(call, failed.message))


def _error(failure: Failure, target: PreparedEndpoint, context: CampaignContext) -> Exception:
    return failure.as_error(endpoint=target.name, contact_id=context.contact_id)


def fetch_one(
    target: PreparedEndpoint,
    context: CampaignContext,
    *,
    node: Mapping[str, str] | None = None,
    key: str = "",
    transport: Transport | None = None,
) -> Outcome:
    """Fetch for one contact on the dispatcher, and wait for the outcome.

    Raises:
        KeyboardInterrupt: and any other signal; the request is stopped first.
    """
    feed = dispatcher().feed(target, transport=transport)
    try:
        feed.put([(None, new_call(target, context, node, key=key))])
        [(_, outcome)] = feed.collect(1, FOREVER)
        return outcome
    finally:
        dispatcher().close(feed)


async def afetch_one(
    target: PreparedEndpoint,
    context: CampaignContext,
    *,
    node: Mapping[str, str] | None = None,
    key: str = "",
    transport: Transport | None = None,
) -> Outcome:
    """Fetch for one contact; cancelling it stops the request.

    With a transport it runs on the caller's own loop, to which such a transport may be bound.
    """
    if transport is None:
        return await _on_engine(target, new_call(target, context, node, key=key))
    current = new_call(target, context, node, key=key)
    rate = RateLimit(0)
    while isinstance(result := await attempt(current, transport, rate.wait), Retry):
        await asyncio.sleep(result.after_seconds)
    return result


async def _on_engine(target: PreparedEndpoint, call: Call) -> Outcome:
    feed = dispatcher().feed(target)
    try:
        return await feed.call(call)
    finally:
        dispatcher().close(feed)


def call(
    target: PreparedEndpoint,
    context: CampaignContext,
    transport: httpx.AsyncBaseTransport | None,
    key: str = "",
) -> Any:
    """The response's JSON for one contact.

    Raises:
        FetchFailed: with the reason, if there is none.
    """
    outcome = fetch_one(target, context, key=key, transport=_adapted(transport))
    return _value(outcome, target, context)


async def acall(
    target: PreparedEndpoint,
    context: CampaignContext,
    transport: httpx.AsyncBaseTransport | None,
    key: str = "",
) -> Any:
    """The response's JSON for one contact; the awaitable twin of `call`."""
    outcome = await afetch_one(target, context, key=key, transport=_adapted(transport))
    return _value(outcome, target, context)


def _adapted(transport: httpx.AsyncBaseTransport | None) -> Transport | None:
    return None if transport is None else HttpxTransport(transport)


def _value(outcome: Outcome, target: PreparedEndpoint, context: CampaignContext) -> Any:
    if outcome.failure is not None:
        raise _error(outcome.failure, target, context)
    return from_json(outcome.output or "")
