"""A trial: one real request of an endpoint, for a person to look at."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from random import random
from typing import Any

from leadpush_prefect.calling import new_call
from leadpush_prefect.context import CampaignContext
from leadpush_prefect.errors import Reason
from leadpush_prefect.fetch import attempt
from leadpush_prefect.json_text import from_json
from leadpush_prefect.network.addresses import parse_networks
from leadpush_prefect.network.limits import RateLimit
from leadpush_prefect.network.retries import retry_delay
from leadpush_prefect.network.transport import AiohttpTransport
from leadpush_prefect.outcome import Outcome
from leadpush_prefect.prepared import PreparedEndpoint
from leadpush_prefect.wire import Answer, RenderedRequest, Transport

__all__ = ["Trial", "try_endpoint"]


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of one real request.

    Attributes:
        outcome: The output or the failure.
        request: The rendered request as text, secrets masked; empty if it could not be rendered.
        curl: The same as a cURL command.
        status: The HTTP status; None without an answer.
        seconds: How long the attempt took.
        bytes: The size of the answer, decompressed.
        retried: Whether a campaign would have tried again.
    """

    outcome: Outcome
    request: str
    curl: str
    status: int | None
    seconds: float
    bytes: int
    retried: bool

    @property
    def output(self) -> Any:
        """The answer's JSON; None if it failed."""
        return None if self.outcome.output is None else from_json(self.outcome.output)


def try_endpoint(target: PreparedEndpoint, context: CampaignContext) -> Trial:
    """Send one real request, without retries.

    Args:
        target: The endpoint.
        context: A sample contact, with sample outputs of earlier steps.
    """
    return asyncio.run(_try(target, context))


class _Recording:
    """A transport that keeps the answer."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        self.answer: Answer | None = None

    async def send(
        self, request: RenderedRequest, *, timeout_seconds: float, max_response_bytes: int
    ) -> Answer:
        self.answer = await self.transport.send(
            request, timeout_seconds=timeout_seconds, max_response_bytes=max_response_bytes
        )
        return self.answer


async def _try(target: PreparedEndpoint, context: CampaignContext) -> Trial:
    network = AiohttpTransport(parse_networks(target.workspace.allowed_networks))
    recording = _Recording(network)
    call = new_call(_without_retries(target), context)
    try:
        outcome = await attempt(call, recording, RateLimit(0).wait)
    finally:
        await network.close()
    assert isinstance(outcome, Outcome)  # there is no second attempt to wait for
    mask, request, answer = target.endpoint.mask, call.request, recording.answer
    return Trial(
        outcome=outcome,
        request=mask(request.as_text()) if request else "",
        curl=mask(request.as_curl()) if request else "",
        status=answer.status if answer else None,
        seconds=outcome.seconds,
        bytes=len(answer.body) if answer else 0,
        retried=_would_retry(target, outcome),
    )


def _without_retries(target: PreparedEndpoint) -> PreparedEndpoint:
    config = replace(target.endpoint.config, max_attempts=1)
    return replace(target, endpoint=replace(target.endpoint, config=config))


def _would_retry(target: PreparedEndpoint, outcome: Outcome) -> bool:
    failure, config = outcome.failure, target.endpoint.config
    if failure is None or config.max_attempts < 2 or not outcome.attempts:
        return False
    delay = retry_delay(
        method=config.method,
        reason=failure.reason,
        status=failure.http_status,
        sent=failure.reason not in (Reason.DNS_FAILED, Reason.CONNECT_FAILED),
        attempt=1,
        retry_after=None,
        now=datetime.now(UTC),
        random=random,
    )
    return delay is not None
