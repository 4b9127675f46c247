"""One call through the public face, and what became of it in one word."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from leadpush_prefect import ApiEndpoint, CampaignContext, FetchFailed, Workspace
from leadpush_prefect.errors import BlockInvalid, Reason
from leadpush_prefect.network.aiohttp_transport import AiohttpTransport
from leadpush_prefect.network.wire import RenderedRequest, TransportFailed
from tests.security.wiretap import Wiretap

__all__ = ["ANSWERED", "REFUSED", "called", "failure", "sent"]

REFUSED = "refused"
"""It is no URL that can be called: nothing is resolved, and nothing connected."""

ANSWERED = "answered"

_REFUSALS = (Reason.TEMPLATE_INVALID, Reason.TEMPLATE_MISSING, Reason.REDIRECT)


def _call(url: str, attributes: Mapping[str, Any], workspace: Mapping[str, Any], fields: Any) -> None:
    context = CampaignContext(
        workspace=Workspace(**workspace), campaign="welcome", contact={"_id": "7", "attributes": attributes}
    )
    ApiEndpoint(url=url, **({"max_attempts": 1, "timeout_seconds": 5} | fields)).call(context)


def called(
    wire: Wiretap,
    url: str,
    attributes: Mapping[str, Any] | None = None,
    workspace: Mapping[str, Any] | None = None,
    *,
    behind: int = 0,
    **fields: Any,
) -> str:
    """Call an endpoint: the addresses that were to be connected, else why there was none.

    Args:
        wire: What is behind the names.
        url: The endpoint's template.
        attributes: The contact's.
        workspace: The workspace's fields.
        behind: How many connections come before the one that is looked at, such as to who redirects.
        fields: The endpoint's other fields.
    """
    wire.attempts.clear()
    try:
        _call(url, attributes or {}, workspace or {}, fields)
        became = ANSWERED
    except BlockInvalid:
        became = REFUSED
    except FetchFailed as failed:
        became = REFUSED if failed.reason in _REFUSALS else failed.reason.value
    attempts = dict.fromkeys(wire.attempts[behind:])  # one that fails may be tried twice
    return " ".join(attempts) if attempts else became


def failure(
    url: str, attributes: Mapping[str, Any] | None = None, workspace: Any = None, **fields: Any
) -> FetchFailed:
    """The failure of a call."""
    try:
        _call(url, attributes or {}, workspace or {}, fields)
    except FetchFailed as failed:
        return failed
    raise AssertionError("It has not failed.")


def sent(wire: Wiretap, url: str) -> str:
    """Send a request by the transport alone, as `called` does: what templates refuse is not seen by it."""
    wire.attempts.clear()
    request = RenderedRequest("GET", url, ())

    async def send() -> None:
        transport = AiohttpTransport()
        try:
            await transport.send(request, timeout_seconds=5, max_response_bytes=1_000)
        finally:
            await transport.close()

    try:
        asyncio.run(send())
        became = ANSWERED
    except TransportFailed as failed:
        became = failed.reason.value
    except ValueError:
        became = REFUSED
    return " ".join(wire.attempts) if wire.attempts else became
