"""What a simulated step does for a contact: everything but to send. No loop, no limits, no second attempt."""

from __future__ import annotations

import json
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from leadpush_prefect.endpoints.attempt import Call, Retry, attempt
from leadpush_prefect.endpoints.prepared import PreparedEndpoint
from leadpush_prefect.errors import Reason
from leadpush_prefect.model.outcome import Outcome
from leadpush_prefect.network.wire import RenderedRequest, Response, TransportFailed
from leadpush_prefect.text.json_text import to_json

__all__ = ["Mock"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Mock:
    """What stands for the responses of an API; it passes the checks of a response.

    Attributes:
        response: The body: an object or a list, or its text; None fails with `mock_missing`.
        status: The HTTP status.
    """

    response: Any
    status: int = 200

    def outcome(self, target: PreparedEndpoint, values: Mapping[str, Any]) -> Outcome:
        """The outcome for one contact, with no request to its name."""
        last = target.endpoint.config.max_attempts - 1
        result = _now(attempt(Call(target, values, last), self, _no_wait))
        if isinstance(result, Retry):
            raise RuntimeError("The last attempt is not repeated.")
        return replace(result, attempts=0, seconds=0.0)

    async def send(
        self, request: RenderedRequest, *, timeout_seconds: float, max_response_bytes: int
    ) -> Response:
        """Answer, as a transport would; nothing is sent."""
        if self.response is None:
            raise TransportFailed(Reason.MOCK_MISSING, Reason.MOCK_MISSING.sentence, sent=False)
        try:
            body = _body(self.response)
        except (TypeError, ValueError, RecursionError):
            message = "The mock_response is not JSON: give an object or a list, or its text."
            raise TransportFailed(Reason.RESPONSE_NOT_JSON, message, sent=False) from None
        if len(body) > max_response_bytes:
            raise TransportFailed(Reason.RESPONSE_TOO_LARGE, "The mock_response is too large.", sent=False)
        return Response(self.status, {}, body)


def _body(response: Any) -> bytes:
    if isinstance(response, str):
        return response.encode()
    json.dumps(response, default=str, allow_nan=False)  # raises for what `to_json` writes as null
    return to_json(response).encode()


async def _no_wait() -> None:
    return None


def _now(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that waits for nothing."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    raise RuntimeError("A mock has nothing to wait for.")
