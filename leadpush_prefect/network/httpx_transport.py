"""An adapter for whatever speaks httpx: a double in a test, an application in this process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import httpx

from leadpush_prefect.errors import Reason
from leadpush_prefect.network.body import read_excerpt, read_whole
from leadpush_prefect.network.failures import Row, failure_of
from leadpush_prefect.network.wire import RenderedRequest, Response, TransportFailed

__all__ = ["HttpxTransport"]


class HttpxTransport:
    """Sends requests over any httpx transport: a double in a test, an application in this process.

    No address is judged, and what the transport follows, resends or takes from the environment is its own
    affair.

    Args:
        transport: Such as `httpx.MockTransport` or `httpx.ASGITransport`. Closing it stays with its owner.

    >>> async def ask() -> Response:
    ...     double = httpx.MockTransport(lambda request: httpx.Response(200, json={"plan": "pro"}))
    ...     request = RenderedRequest("GET", "https://crm.example/customers/42", ())
    ...     return await HttpxTransport(double).send(request, timeout_seconds=1, max_response_bytes=1000)
    >>> asyncio.run(ask()).body
    b'{"plan":"pro"}'
    """

    def __init__(self, transport: httpx.AsyncBaseTransport) -> None:
        self._transport = transport

    async def send(
        self, request: RenderedRequest, *, timeout_seconds: float, max_response_bytes: int
    ) -> Response:
        """Send a request, and read its response within the limits, as `AiohttpTransport.send` does.

        Raises:
            TransportFailed: if there is no whole response.
        """
        deadline = asyncio.get_running_loop().time() + timeout_seconds
        try:
            async with asyncio.timeout_at(deadline):
                response = await self._transport.handle_async_request(request.to_httpx())
            try:
                return await _read_httpx(response, deadline, max_response_bytes)
            finally:
                await response.aclose()
        except _HTTPX_ERRORS as error:
            failure = failure_of(
                _HTTPX_TABLE, error, where=request.host, seconds=timeout_seconds, detail="", sent=True
            )
        raise failure


async def _read_httpx(response: httpx.Response, deadline: float, limit: int) -> Response:
    encoding = response.headers.get("Content-Encoding", "")
    is_cut = False
    if 200 <= response.status_code < 300:
        async with asyncio.timeout_at(deadline):
            length = response.headers.get("Content-Length")
            body = await read_whole(_pieces(response), encoding=encoding, length=length, limit=limit)
    else:
        excerpt, is_cut = bytearray(), True
        with suppress(TransportFailed, *_HTTPX_ERRORS):
            async with asyncio.timeout_at(deadline):
                is_cut = not await read_excerpt(_pieces(response), excerpt, encoding=encoding)
        body = bytes(excerpt)
    return Response(response.status_code, dict(response.headers.multi_items()), body, is_cut)


async def _pieces(response: httpx.Response) -> AsyncIterator[bytes]:
    # The stream and not `aiter_raw()`, which refuses a response made from a text, since httpx has read that
    # already.
    if not isinstance(response.stream, httpx.AsyncByteStream):
        raise TypeError(f"an asynchronous httpx transport answered with a {type(response.stream).__name__}")
    async for chunk in response.stream:
        yield chunk


_HTTPX_TABLE = (
    Row(
        httpx.ConnectTimeout,
        Reason.TIMEOUT,
        "There was no connection to {where} within {seconds:g} s.",
        unsent=True,
    ),
    Row(httpx.PoolTimeout, Reason.TIMEOUT, "There was no free connection to {where}.", unsent=True),
    Row(httpx.TimeoutException, Reason.TIMEOUT, "There was no whole response from {where} in time."),
    Row(TimeoutError, Reason.TIMEOUT, "There was no whole response from {where} within {seconds:g} s."),
    Row(httpx.ConnectError, Reason.CONNECT_FAILED, "No connection to {where} could be made.", unsent=True),
    Row(httpx.RemoteProtocolError, Reason.PROTOCOL_ERROR, "The response of {where} is not valid HTTP."),
    Row(httpx.DecodingError, Reason.PROTOCOL_ERROR, "The response of {where} cannot be decompressed."),
    Row(
        httpx.NetworkError,
        Reason.DISCONNECTED,
        "The connection to {where} ended before the response was complete.",
    ),
)

_HTTPX_ERRORS = tuple(row.error for row in _HTTPX_TABLE)
