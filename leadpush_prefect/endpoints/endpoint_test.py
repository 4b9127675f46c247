"""The test of an endpoint: one real request, for a person to look at."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from leadpush_prefect.endpoints.attempt import attempt, has_no_body, new_call
from leadpush_prefect.endpoints.idempotency import KEY_LENGTH, takes_key
from leadpush_prefect.endpoints.prepared import PreparedEndpoint
from leadpush_prefect.endpoints.retries import retry_delay
from leadpush_prefect.errors import Reason
from leadpush_prefect.model.context import CampaignContext
from leadpush_prefect.model.effects import Effect
from leadpush_prefect.model.outcome import Failure, Outcome
from leadpush_prefect.network.addresses import parse_networks
from leadpush_prefect.network.rate_limit import RateLimit
from leadpush_prefect.network.timed_transport import Phase, PhaseTransport
from leadpush_prefect.network.wire import RenderedRequest, Response, Transport
from leadpush_prefect.text.pretty_json import pretty_json

__all__ = ["OK", "EndpointTest", "run_endpoint_test"]

OK = "OK"
"""What stands for the reason where nothing failed."""

LENGTH_DIGITS = 18
"""No response is larger, and Python turns no more than 4,300 digits into a number."""


@dataclass(frozen=True, slots=True)
class EndpointTest:
    """What came of one real request. Secrets are masked in all of it.

    Attributes:
        failure: Why there is no output; None if there is.
        request: The rendered request as text; empty if it could not be rendered.
        curl: The same as a cURL command.
        status: The HTTP status; None without a response.
        seconds: How long the attempt took.
        bytes: The size of the response's body, decompressed; None if it is not known.
        bytes_read: How much of it was read: of what is no success, the beginning.
        output: The response's JSON, indented; empty if it failed.
        phases: How long each phase of the request took, in seconds; those that did not begin are left out.
        failed_in: The phase in which it failed; None if it did not, or in none of them.
        retry_seconds: How long at most a campaign would have waited before it tried again; None if it would
            not have.
        has_body: Whether the response says anything; what it did not need to is an output all the same, `{}`.
    """

    failure: Failure | None
    request: str
    curl: str
    status: int | None
    seconds: float
    bytes: int | None
    bytes_read: int
    output: str
    phases: Mapping[Phase, float]
    failed_in: Phase | None
    retry_seconds: float | None
    has_body: bool = True

    @property
    def code(self) -> str:
        """`OK`, or the reason as it is shown and filtered, such as `http_status_404`."""
        return self.failure.code if self.failure else OK

    @property
    def remedy(self) -> str | None:
        """What to do; None if it did not fail."""
        return _REMEDIES.get(self.failure.reason, self.failure.reason.remedy) if self.failure else None

    @property
    def sentence(self) -> str:
        """What happened, in which field, and what to do."""
        if self.failure is None:
            what = "with JSON" if self.has_body else "and no body"
            return f"HTTP {self.status} {what} in {self.seconds * 1000:,.1f} ms."
        where = f" (in {self.failure.field})" if self.failure.field else ""
        return f"{self.failure.message}{where} {self.remedy}"


_REMEDIES = {Reason.HTTP_STATUS: "Read the response's beginning, and check the request and its secrets."}
"""Where what helps in a campaign is another thing than in a test, which shows the response."""


def run_endpoint_test(endpoint: PreparedEndpoint, context: CampaignContext) -> EndpointTest:
    """Send one real request, without retries.

    Args:
        endpoint: The endpoint.
        context: A sample contact, with sample outputs of earlier steps.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(_test(endpoint, context))
    with ThreadPoolExecutor(1) as beside:  # a notebook has a loop of its own, which cannot run another
        return beside.submit(asyncio.run, _test(endpoint, context)).result()


class _Recording:
    """A transport that keeps the response."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        self.response: Response | None = None

    async def send(
        self, request: RenderedRequest, *, timeout_seconds: float, max_response_bytes: int
    ) -> Response:
        self.response = await self.transport.send(
            request, timeout_seconds=timeout_seconds, max_response_bytes=max_response_bytes
        )
        return self.response


async def _test(endpoint: PreparedEndpoint, context: CampaignContext) -> EndpointTest:
    networks = parse_networks(endpoint.workspace.allowed_networks)
    network = PhaseTransport(networks, reuse=endpoint.endpoint.config.reuse_connections)
    recording = _Recording(network)
    call = new_call(_without_retries(endpoint), context, key=_new_key(endpoint))
    try:
        outcome = await attempt(call, recording, RateLimit(0).wait)
    finally:
        await network.close()
    assert isinstance(outcome, Outcome)  # there is no second attempt to wait for
    mask, response = endpoint.endpoint.mask, recording.response
    request = call.request.masked(mask) if call.request else None
    return EndpointTest(
        failure=outcome.failure,
        request=request.as_text() if request else "",
        curl=request.as_curl() if request else "",
        status=response.status if response else None,
        seconds=outcome.seconds,
        bytes=_size(response) if response else None,
        bytes_read=len(response.body) if response else 0,
        output=pretty_json(outcome.output, mask) if outcome.output else "",
        phases=network.phases,
        failed_in=network.failed_in,
        retry_seconds=_retry_seconds(endpoint, outcome, response),
        has_body=response is None or not has_no_body(response),
    )


def _size(response: Response) -> int | None:
    """The size of the whole body: as it was read or, where the rest was left, as the API declares it."""
    if not response.is_cut:
        return len(response.body)
    length = response.headers.get("content-length", "")
    is_plain = response.headers.get("content-encoding", "").strip().lower() in ("", "identity")
    is_number = length.isascii() and length.isdecimal() and len(length) <= LENGTH_DIGITS
    return int(length) if is_plain and is_number else None


def _new_key(endpoint: PreparedEndpoint) -> str:
    """A key of each test's own: under that of an earlier one the API would answer from its memory."""
    return secrets.token_hex(KEY_LENGTH // 2) if takes_key(endpoint.endpoint.config) else ""


def _without_retries(endpoint: PreparedEndpoint) -> PreparedEndpoint:
    config = replace(endpoint.endpoint.config, max_attempts=1)
    return replace(endpoint, endpoint=replace(endpoint.endpoint, config=config))


def _retry_seconds(endpoint: PreparedEndpoint, outcome: Outcome, response: Response | None) -> float | None:
    failure, config = outcome.failure, endpoint.endpoint.config
    if failure is None or config.max_attempts < 2 or not outcome.attempts:
        return None
    return retry_delay(
        method=config.method,
        has_key=takes_key(config),
        reason=failure.reason,
        status=failure.http_status,
        effect=Effect.NONE if outcome.may_resend else Effect.UNKNOWN,
        attempt=1,
        retry_after=response.headers.get("retry-after") if response else None,
        now=datetime.now(UTC),
        random=lambda: 1.0,  # the longest that the dice could give
    )
