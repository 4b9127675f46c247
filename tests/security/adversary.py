"""What the tests of hostile answers share: a way to ask, on either event loop, and what must be so afterwards."""

from __future__ import annotations

import asyncio
import socket
import struct
from asyncio import StreamWriter
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any

import uvloop

from leadpush_prefect.network.addresses import parse_networks
from leadpush_prefect.network.aiohttp_transport import AiohttpTransport
from leadpush_prefect.network.wire import RenderedRequest, Response, TransportFailed
from tests.support.raw_server import Handler, RawServer, Reader

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}

LOOPBACK = parse_networks(["127.0.0.0/8"])

HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
BODY = b'{"a": 1}'


def response(body: bytes = BODY, *headers: str, status: str = "200 OK") -> bytes:
    """A whole response, with its Content-Length."""
    lines = [f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode() + body


def run(loop: str, main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a coroutine on one of the loops; no task may be left when it ends."""

    async def checked() -> None:
        await main()
        for _ in range(3):  # what is cancelled needs a turn to end
            await asyncio.sleep(0)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        runner.run(checked())


async def ask(
    transport: AiohttpTransport, url: str, *, timeout: float = 10, limit: int = 2**20, method: str = "GET"
) -> Response:
    body = None if method == "GET" else b"{}"
    request = RenderedRequest(method, url, (), body)
    return await transport.send(request, timeout_seconds=timeout, max_response_bytes=limit)


async def outcome(transport: AiohttpTransport, url: str, **options: Any) -> str:
    """How a request ends: "ok" if it is answered with 200 and `BODY`, else its status or its reason code."""
    try:
        got = await ask(transport, url, **options)
    except TransportFailed as failed:
        return failed.reason.value
    if got.status == 200:
        assert got.body == BODY
        return "ok"
    return str(got.status)


async def all_closed(server: RawServer) -> None:
    await server.until(lambda: server.open_now == 0)


def pieces(data: bytes, how: str) -> Iterable[bytes]:
    """Bytes as one piece, byte for byte, or cut a little after the head, if there is one."""
    if how == "bytes":
        return [data[place : place + 1] for place in range(len(data))]
    cut = data.find(b"\r\n\r\n") + 6
    return [data] if how == "one" or not 6 <= cut < len(data) else [data[:cut], data[cut:]]


async def say(writer: StreamWriter, parts: Iterable[bytes]) -> None:
    """Say each part in a segment of its own, as far as that is in a server's power."""
    for part in parts:
        writer.write(part)
        await writer.drain()
        await asyncio.sleep(0.0002)


async def reset(writer: StreamWriter) -> None:
    """End with a reset, once the client has had what was said."""
    await asyncio.sleep(0.02)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def endless(first: bytes, unit: bytes, pause: float = 0.0) -> Handler:
    """A handler that reads one request, and responses it without end."""
    block = unit if pause else unit * max(1, 65_536 // len(unit))

    async def handle(reader: Reader, writer: StreamWriter) -> None:
        await reader.request()
        writer.write(first)
        while True:
            writer.write(block)
            await writer.drain()
            await asyncio.sleep(pause)

    return handle


async def cancelled(sending: Awaitable[Any], after: float) -> None:
    """Cancel a request while it is under way."""
    task = asyncio.ensure_future(sending)
    await asyncio.sleep(after)
    task.cancel()
    await asyncio.wait([task])
