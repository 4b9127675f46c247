"""Any httpx transport can stand in for the network, under the same limits."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest

from leadpush_prefect.errors import Reason
from leadpush_prefect.network.httpx_transport import HttpxTransport
from leadpush_prefect.network.wire import RenderedRequest, Response, TransportFailed

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(60)]

REQUEST = RenderedRequest("POST", "https://crm.example/private?email=ada", (("X-A", "1"),), b"{}")


async def send(
    handler: Callable[[httpx.Request], Any], *, timeout: float = 10, limit: int = 1_000_000
) -> Response:
    transport = HttpxTransport(httpx.MockTransport(handler))
    return await transport.send(REQUEST, timeout_seconds=timeout, max_response_bytes=limit)


async def failure(handler: Callable[[httpx.Request], Any], **options: Any) -> TransportFailed:
    with pytest.raises(TransportFailed) as caught:
        await send(handler, **options)
    assert "private" not in caught.value.message
    assert caught.value.__context__ is None
    return caught.value


class Stream(httpx.AsyncByteStream):
    """A body that is not read before it is asked for, and then does what a function does."""

    def __init__(self, pieces: Callable[[], AsyncIterator[bytes]]) -> None:
        self._pieces = pieces
        self.closed = False

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._pieces()

    async def aclose(self) -> None:
        self.closed = True


async def endless() -> AsyncIterator[bytes]:
    while True:
        yield b"a" * 1000


async def stuck() -> AsyncIterator[bytes]:
    yield b"oops"
    await asyncio.Event().wait()


async def broken() -> AsyncIterator[bytes]:
    yield b"oops"
    raise httpx.ReadError("https://crm.example/private")


async def test_request() -> None:
    """The transport gets the request as it is."""
    seen: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200)

    await send(handler)
    (request,) = seen
    assert ("POST", str(REQUEST.url), b"{}") == (request.method, str(request.url), request.content)
    assert "1" == request.headers["x-a"]


async def test_answer() -> None:
    """A response has status, headers by lower-case name (the last of each) and body."""
    headers = [("X-A", "1"), ("x-a", "2")]
    response = await send(lambda _: httpx.Response(201, headers=headers, content=b"{}"))
    assert Response(201, {"x-a": "2", "content-length": "2"}, b"{}") == response


@pytest.mark.parametrize("encoding", ["gzip", "GZip"])
async def test_gzip(encoding: str) -> None:
    """A compressed body is decompressed, once."""
    headers = {"Content-Encoding": encoding}
    response = await send(lambda _: httpx.Response(200, headers=headers, content=gzip.compress(b"{}")))
    assert b"{}" == response.body


async def test_limit() -> None:
    """The limit holds, and the response is closed."""
    stream = Stream(endless)
    failed = await failure(lambda _: httpx.Response(200, stream=stream), limit=10_000)
    assert Reason.RESPONSE_TOO_LARGE == failed.reason
    assert stream.closed


async def test_bomb() -> None:
    """It counts decompressed bytes."""

    async def bomb() -> AsyncIterator[bytes]:
        yield gzip.compress(bytes(20_000_000))

    response = httpx.Response(200, headers={"Content-Encoding": "gzip"}, stream=Stream(bomb))
    assert Reason.RESPONSE_TOO_LARGE == (await failure(lambda _: response)).reason


async def test_encoding_unsupported() -> None:
    """The encodings are the network's."""
    response = httpx.Response(200, headers={"Content-Encoding": "compress"}, content=b"{}")
    assert Reason.RESPONSE_ENCODING_UNSUPPORTED == (await failure(lambda _: response)).reason


async def test_cut_off_gzip() -> None:
    """A compressed body that ends too early is noticed."""

    async def cut() -> AsyncIterator[bytes]:
        yield gzip.compress(b"{}")[:-1]

    response = httpx.Response(200, headers={"Content-Encoding": "gzip"}, stream=Stream(cut))
    assert Reason.DISCONNECTED == (await failure(lambda _: response)).reason


@pytest.mark.parametrize("pieces", [stuck, broken])
async def test_error_body(pieces: Callable[[], AsyncIterator[bytes]]) -> None:
    """A status is told even if its body breaks off or never comes."""
    stream = Stream(pieces)
    response = await send(lambda _: httpx.Response(503, stream=stream), timeout=0.1)
    assert (503, b"oops") == (response.status, response.body)
    assert stream.closed


async def test_error_body_bounded() -> None:
    """Of an error body 4,096 bytes are read; whether that is all is said."""
    response = await send(lambda _: httpx.Response(500, stream=Stream(endless)))
    assert (4096, True) == (len(response.body), response.is_cut)
    assert not (await send(lambda _: httpx.Response(500, text="Oops"))).is_cut


async def test_redirect() -> None:
    """A redirect is a response."""
    response = await send(lambda _: httpx.Response(302, headers={"Location": "/elsewhere"}))
    assert (302, "/elsewhere") == (response.status, response.headers["location"])


async def test_deadline() -> None:
    """The deadline holds while the transport works, and while the body comes."""

    async def mute(_: httpx.Request) -> httpx.Response:
        await asyncio.Event().wait()
        raise AssertionError

    assert Reason.TIMEOUT == (await failure(mute, timeout=0.1)).reason
    stream = Stream(stuck)
    assert Reason.TIMEOUT == (await failure(lambda _: httpx.Response(200, stream=stream), timeout=0.1)).reason
    assert stream.closed


@pytest.mark.parametrize(
    ("error", "reason", "sent"),
    [
        (httpx.ConnectTimeout, Reason.TIMEOUT, False),
        (httpx.PoolTimeout, Reason.TIMEOUT, False),
        (httpx.ReadTimeout, Reason.TIMEOUT, True),
        (httpx.WriteTimeout, Reason.TIMEOUT, True),
        (httpx.ConnectError, Reason.CONNECT_FAILED, False),
        (httpx.ReadError, Reason.DISCONNECTED, True),
        (httpx.WriteError, Reason.DISCONNECTED, True),
        (httpx.RemoteProtocolError, Reason.PROTOCOL_ERROR, True),
    ],
)
async def test_errors(error: type[httpx.TransportError], reason: Reason, sent: bool) -> None:
    """httpx's errors have the network's reasons."""

    def handler(request: httpx.Request) -> httpx.Response:
        raise error("at https://crm.example/private", request=request)

    failed = await failure(handler)
    assert (reason, sent) == (failed.reason, failed.sent)
    assert "crm.example" in failed.message


async def test_unforeseen() -> None:
    """An error of the double itself is not hidden."""

    def handler(request: httpx.Request) -> httpx.Response:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await send(handler)


async def test_cancel() -> None:
    """Cancelling stops the transport."""
    began, stopped = asyncio.Event(), asyncio.Event()

    async def mute(_: httpx.Request) -> httpx.Response:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()
        raise AssertionError

    sending = asyncio.create_task(send(mute))
    await began.wait()
    sending.cancel()
    await asyncio.wait([sending])
    assert sending.cancelled()
    assert stopped.is_set()


async def test_asgi() -> None:
    """An application in this process can be called."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": scope["raw_path"]})

    transport = HttpxTransport(httpx.ASGITransport(app))
    request = RenderedRequest("GET", "http://app.example/a%2Fb", ())
    response = await transport.send(request, timeout_seconds=30, max_response_bytes=100)
    assert b"/a%2Fb" == response.body
