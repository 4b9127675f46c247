"""A trial: one real request of an endpoint, for a person to look at."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from leadpush_prefect.endpoints.attempt import attempt, new_call
from leadpush_prefect.endpoints.prepared import PreparedEndpoint
from leadpush_prefect.endpoints.retries import retry_delay
from leadpush_prefect.errors import Reason
from leadpush_prefect.model.context import CampaignContext
from leadpush_prefect.model.outcome import Failure, Outcome
from leadpush_prefect.network.addresses import parse_networks
from leadpush_prefect.network.rate_limit import RateLimit
from leadpush_prefect.network.timed_transport import Phase, PhaseTransport
from leadpush_prefect.network.wire import Answer, RenderedRequest, Transport
from leadpush_prefect.text.pretty_json import pretty_json

__all__ = ["Trial", "try_endpoint"]


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of one real request. Secrets are masked in all of it.

    Attributes:
        failure: Why there is no output; None if there is.
        request: The rendered request as text; empty if it could not be rendered.
        curl: The same as a cURL command.
        status: The HTTP status; None without an answer.
        seconds: How long the attempt took.
        bytes: The size of the answer, decompressed.
        output: The answer's JSON, indented; empty if it failed.
        phases: How long each phase of the request took, in seconds; those that did not begin are left out.
        failed_in: The phase in which it failed; None if it did not, or in none of them.
        retry_seconds: How long at most a campaign would have waited before it tried again; None if it would
            not have.
    """

    failure: Failure | None
    request: str
    curl: str
    status: int | None
    seconds: float
    bytes: int
    output: str
    phases: Mapping[Phase, float]
    failed_in: Phase | None
    retry_seconds: float | None

    @property
    def code(self) -> str:
        """`OK`, or the reason as it is shown and filtered, such as `http_status_404`."""
        return self.failure.code if self.failure else "OK"

    @property
    def remedy(self) -> str | None:
        """What to do; None if it did not fail."""
        return _REMEDIES.get(self.failure.reason, self.failure.reason.remedy) if self.failure else None

    @property
    def sentence(self) -> str:
        """What happened, in which field, and what to do."""
        if self.failure is None:
            return f"HTTP {self.status} with JSON in {self.seconds * 1000:,.1f} ms."
        where = f" (in {self.failure.field})" if self.failure.field else ""
        return f"{self.failure.message}{where} {self.remedy}"


_REMEDIES = {Reason.HTTP_STATUS: "Read the answer's beginning, and check the request and its secrets."}
"""Where what helps in a campaign is another thing than in a trial, which shows the answer."""


def try_endpoint(target: PreparedEndpoint, context: CampaignContext) -> Trial:
    """Send one real request, without retries.

    Args:
        target: The endpoint.
        context: A sample contact, with sample outputs of earlier steps.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(_try(target, context))
    with ThreadPoolExecutor(1) as beside:  # a notebook has a loop of its own, which cannot run another
        return beside.submit(asyncio.run, _try(target, context)).result()


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
    network = PhaseTransport(
        parse_networks(target.workspace.allowed_networks), reuse=target.endpoint.config.reuse_connections
    )
    recording = _Recording(network)
    call = new_call(_without_retries(target), context)
    try:
        outcome = await attempt(call, recording, RateLimit(0).wait)
    finally:
        await network.close()
    assert isinstance(outcome, Outcome)  # there is no second attempt to wait for
    mask, answer = target.endpoint.mask, recording.answer
    request = call.request.masked(mask) if call.request else None
    return Trial(
        failure=outcome.failure,
        request=request.as_text() if request else "",
        curl=request.as_curl() if request else "",
        status=answer.status if answer else None,
        seconds=outcome.seconds,
        bytes=len(answer.body) if answer else 0,
        output=pretty_json(outcome.output, mask) if outcome.output else "",
        phases=network.phases,
        failed_in=network.failed_in,
        retry_seconds=_retry_seconds(target, outcome, answer),
    )


def _without_retries(target: PreparedEndpoint) -> PreparedEndpoint:
    config = replace(target.endpoint.config, max_attempts=1)
    return replace(target, endpoint=replace(target.endpoint, config=config))


def _retry_seconds(target: PreparedEndpoint, outcome: Outcome, answer: Answer | None) -> float | None:
    failure, config = outcome.failure, target.endpoint.config
    if failure is None or config.max_attempts < 2 or not outcome.attempts:
        return None
    return retry_delay(
        method=config.method,
        reason=failure.reason,
        status=failure.http_status,
        sent=failure.reason not in (Reason.DNS_FAILED, Reason.CONNECT_FAILED),
        attempt=1,
        retry_after=answer.headers.get("retry-after") if answer else None,
        now=datetime.now(UTC),
        random=lambda: 1.0,  # the longest that the dice could give
    )
