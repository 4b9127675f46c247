"""The key under which an API does once what it is asked twice. Pure.

What a key is good for, and what an API answers under it: IETF draft-ietf-httpapi-idempotency-key-header.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import NamedTuple

from leadpush_prefect.model.config import EndpointConfig
from leadpush_prefect.model.effects import IDEMPOTENT_METHODS
from leadpush_prefect.network.wire import RenderedRequest

__all__ = [
    "CONFLICT",
    "KEY_LENGTH",
    "NOTHING_ANSWERED",
    "Answered",
    "answered_again",
    "idempotency_key",
    "takes_key",
    "with_key",
]

CONFLICT = 409
"""The API is still at work on the first request of this key."""

KEY_LENGTH = 32


class Answered(NamedTuple):
    """What an API has answered under a key.

    Attributes:
        is_conflict: Whether it was at work on it once already.
        last_error: A digest of the last response, if that was a 5xx.
    """

    is_conflict: bool = False
    last_error: bytes = b""


NOTHING_ANSWERED = Answered()


def idempotency_key(run_id: str, node: str, contact_id: str, again: int = 0) -> str:
    """The key of a contact's request: 32 hex digits, the same whenever the same is asked for.

    Args:
        run_id: The run's id; for one contact in a flow, the flow run's.
        node: The step's name.
        contact_id: The contact's id.
        again: How often it was asked for anew, in full knowledge that the API may have done it.

    >>> idempotency_key("run-1", "order", "42")
    '6d7afbb20eee8391a2ed8ce074bae131'
    >>> idempotency_key("run-1", "order", "42", again=1)
    'c1d8997eaa99eb391f1c4fbec485a721'
    """
    # As JSON, where one part ends is beyond doubt, whatever is in it.
    parts = json.dumps([run_id, node, contact_id, *([again] if again else [])], ensure_ascii=False)
    return hashlib.sha256(parts.encode("utf-8", "surrogatepass")).hexdigest()[:KEY_LENGTH]


def takes_key(endpoint: EndpointConfig) -> bool:
    """Whether an endpoint's requests carry a key."""
    return bool(endpoint.idempotency_header) and endpoint.method.upper() not in IDEMPOTENT_METHODS


def with_key(request: RenderedRequest, endpoint: EndpointConfig, key: str) -> RenderedRequest:
    """The request with its key, after all other headers; as it is without one.

    >>> order = RenderedRequest("POST", "https://crm.example/", (("Accept", "*/*"),))
    >>> crm = EndpointConfig(method="POST", idempotency_header="Idempotency-Key")
    >>> with_key(order, crm, "4f0c").headers
    (('Accept', '*/*'), ('Idempotency-Key', '4f0c'))
    """
    if not key or not takes_key(endpoint):
        return request
    return replace(request, headers=(*request.headers, (endpoint.idempotency_header, key)))


def answered_again(before: Answered, status: int, body: bytes) -> tuple[Answered, bool]:
    """What was answered by now, and whether it says that the next answer would be the same.

    An API that keeps keys gives its stored answer again, a 5xx too: two that are the same to the byte are one. A
    409 says that it is still at work on the first request; it is given the time for that but once.

    >>> first, is_replayed = answered_again(NOTHING_ANSWERED, 500, b"failed")
    >>> is_replayed, answered_again(first, 500, b"failed")[1], answered_again(first, 503, b"failed")[1]
    (False, True, False)
    """
    if status == CONFLICT:
        return Answered(is_conflict=True), before.is_conflict
    error = hashlib.sha256(b"%d %s" % (status, body)).digest() if status >= 500 else b""
    return Answered(before.is_conflict, error), bool(error) and error == before.last_error
