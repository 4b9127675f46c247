"""For tests of campaigns: an API that is a function."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from leadpush_prefect.network.httpx_transport import HttpxTransport
from leadpush_prefect.sending.dispatcher import override_transport

if TYPE_CHECKING:
    import httpx

__all__ = ["use_transport"]


@contextmanager
def use_transport(transport: httpx.AsyncBaseTransport) -> Iterator[None]:
    """Let all requests of this process go through a transport instead of the network.

    The address guard cannot hold for it; the workspace's `allowed_hosts` does.

    Args:
        transport: Such as `httpx.MockTransport` or `httpx.ASGITransport`.

    Example:
        >>> import httpx
        >>> from leadpush_prefect import ApiEndpoint, CampaignContext, Workspace
        >>> context = CampaignContext(workspace=Workspace(), campaign="welcome", contact={"id": 1})
        >>> with use_transport(httpx.MockTransport(lambda request: httpx.Response(200, json=[1, 2]))):
        ...     ApiEndpoint(url="https://api.example.com/").call(context)
        [1, 2]
    """
    former = override_transport(HttpxTransport(transport))
    try:
        yield
    finally:
        override_transport(former)
