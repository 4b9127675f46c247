"""A real HTTP server on loopback. A test decides every byte that it says, and sees what it was told.

It runs in a thread with an event loop of its own, so that a blocked test, sync or async, does not block it.

    with RawServer(respond(b'{"plan": "pro"}')) as server:      # the same answer to each request
        ...                                                     # send something to server.url
    assert server.requests[0].target == b"/customers/42?full=1"

    async def slow(reader: Reader, writer: StreamWriter) -> None:    # or whatever a server may do
        request = await reader.request()                        # parsed, and recorded in server.requests
        writer.write(b"HTTP/1.1 200 OK\\r\\n")
        await mute(reader, writer)                              # until the client goes

    with RawServer(slow) as server: ...
    with RawServer(each(lambda request: respond(request.body))) as server: ...      # one function per request
    with RawServer() as server: ...                             # echo: answers with the request, as JSON
"""

from __future__ import annotations

import asyncio
import json
import ssl
import threading
from asyncio import StreamWriter
from base64 import b64encode
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

CERTIFICATE = Path(__file__).with_name("localhost.pem")
"""A self-signed certificate, with its key, for `localhost` and 127.0.0.1."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it came, in bytes."""

    method: bytes
    target: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes

    def header(self, name: str) -> bytes | None:
        """The value of the first header of this name, in any case; None if there is none."""
        wanted = name.lower().encode()
        return next((value for key, value in self.headers if key.lower() == wanted), None)

    @property
    def names(self) -> list[bytes]:
        """The names of the headers, in order."""
        return [name for name, _ in self.headers]


class Reader(asyncio.StreamReader):
    """What a handler reads from; `server` is the server that it handles for."""

    def __init__(self, server: RawServer) -> None:
        super().__init__(limit=2**20)
        self.server = server

    async def request(self) -> Request:
        """Read one request, and record it.

        Raises:
            asyncio.IncompleteReadError: if the client has gone.
        """
        head = (await self.readuntil(b"\r\n\r\n"))[:-4]
        first, *lines = head.split(b"\r\n")
        method, target, _ = first.split(b" ", 2)
        headers = tuple((name, value.strip()) for name, _, value in (line.partition(b":") for line in lines))
        length = next((int(value) for name, value in headers if name.lower() == b"content-length"), 0)
        request = Request(method, target, headers, await self.readexactly(length))
        self.server._record(request)
        return request


Handler = Callable[[Reader, StreamWriter], Coroutine[Any, Any, None]]


def respond(
    body: bytes = b"{}",
    *,
    status: int = 200,
    headers: Sequence[tuple[str, str]] = (("Content-Type", "application/json"),),
    length: int | None = None,
) -> bytes:
    """The bytes of a response; `length` tells a Content-Length that is not the body's, -1 none at all."""
    lines = [f"HTTP/1.1 {status} Status", *(f"{name}: {value}" for name, value in headers)]
    if length != -1:
        lines.append(f"Content-Length: {len(body) if length is None else length}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def each(response: Callable[[Request], bytes | Awaitable[bytes | None] | None]) -> Handler:
    """A handler that responses each request by a function, which may be async; None hangs up."""

    async def handle(reader: Reader, writer: StreamWriter) -> None:
        while True:
            answered = response(await reader.request())
            text = await answered if isinstance(answered, Awaitable) else answered
            if text is None:
                return
            writer.write(text)
            await writer.drain()

    return handle


def in_turn(*responses: bytes | None) -> Handler:
    """A handler that gives these answers in turn, over all connections; the last one from then on."""
    left = list(responses)
    return each(lambda _: left.pop(0) if len(left) > 1 else left[0])


async def mute(reader: Reader, writer: StreamWriter) -> None:
    """A handler that says nothing, until the client goes."""
    await asyncio.Event().wait()


def text(data: bytes) -> str:
    """Bytes as text for JSON: UTF-8 where they are that, else Latin-1."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")


def echo_answer(request: Request) -> bytes:
    """The request as JSON: `method`, `target`, `headers` (pairs), `body` (base64)."""
    echoed = {
        "method": text(request.method),
        "target": text(request.target),
        "headers": [[text(name), text(value)] for name, value in request.headers],
        "body": b64encode(request.body).decode(),
    }
    return respond(json.dumps(echoed).encode())


echo: Handler = each(echo_answer)


class RawServer:
    """A server on 127.0.0.1, as a context manager. All that it tells may be read from any thread.

    Args:
        handler: Called for each connection, which ends when it returns, and cancelled when the client goes.
            Or the bytes with which each request is answered. Or None: echo.
        tls: Whether it speaks TLS, with the self-signed `CERTIFICATE`.

    Attributes:
        url: `http://127.0.0.1:PORT`, without a slash at the end.
        port: The port.
        requests: The requests recorded so far, in order.
        connections: How many connections there have been.
        open_now: How many are open.
        most_open: How many have been open at once.

    Leaving the context raises the first error of a handler, if it is not about the connection.
    """

    def __init__(self, handler: Handler | bytes | None = None, *, tls: bool = False) -> None:
        if isinstance(handler, bytes):
            canned = handler
            handler = each(lambda _: canned)
        self._handler = handler or echo
        self._tls = tls
        self._changed = threading.Condition()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="raw-server", daemon=True)
        self._open: set[asyncio.Transport] = set()
        self._errors: list[BaseException] = []
        self._requests: list[Request] = []
        self.port = 0
        self.connections = 0
        self.open_now = 0
        self.most_open = 0

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def requests(self) -> list[Request]:
        with self._changed:
            return list(self._requests)

    def wait_until(self, condition: Callable[[], bool], timeout: float = 5.0) -> None:
        """Block until a condition over what the server tells is true.

        In an async test, which must go on meanwhile: `await server.until(...)`.

        Raises:
            TimeoutError: if it is not true in time.
        """
        with self._changed:
            if not self._changed.wait_for(condition, timeout):
                raise TimeoutError(
                    f"after {timeout} s: {len(self._requests)} requests, {self.connections} connections, "
                    f"{self.open_now} open"
                )

    async def until(self, condition: Callable[[], bool], timeout: float = 5.0) -> None:
        """The awaitable twin of `wait_until`."""
        await asyncio.to_thread(self.wait_until, condition, timeout)

    def call(self, function: Callable[[], object]) -> None:
        """Call a function on the server's loop, such as the `set` of an event for which a handler waits."""
        self._loop.call_soon_threadsafe(function)

    def __enter__(self) -> Self:
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()
        if self._errors and error is None:
            raise self._errors[0]

    async def _start(self) -> asyncio.Server:
        context = None
        if self._tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(CERTIFICATE)
        server = await self._loop.create_server(lambda: _Connection(self), "127.0.0.1", 0, ssl=context)
        self.port = server.sockets[0].getsockname()[1]
        return server

    async def _stop(self) -> None:
        # asyncio's server, closed while it accepts a connection, leaks that: so let it in first.
        for listener in self._server.sockets:
            self._loop.remove_reader(listener.fileno())
        await _turns(3)
        self._server.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for transport in list(self._open):
            transport.abort()
        await _turns(3)

    def _record(self, request: Request) -> None:
        with self._changed:
            self._requests.append(request)
            self._changed.notify_all()

    def _count(self, change: int) -> None:
        with self._changed:
            self.connections += max(change, 0)
            self.open_now += change
            self.most_open = max(self.most_open, self.open_now)
            self._changed.notify_all()

    async def _handle(self, reader: Reader, writer: StreamWriter) -> None:
        try:
            await self._handler(reader, writer)
        except (OSError, asyncio.IncompleteReadError):  # the client has gone
            pass
        except Exception as error:  # raised where the test can see it
            self._errors.append(error)
        finally:
            writer.close()


async def _turns(count: int) -> None:
    """Let the loop call what is due."""
    for _ in range(count):
        await asyncio.sleep(0)


class _Connection(asyncio.StreamReaderProtocol):
    """Counts, and ends the handler when the client goes, even if the handler does not read."""

    def __init__(self, server: RawServer) -> None:
        self._raw_server = server
        self._task: asyncio.Task[None] | None = None
        super().__init__(Reader(server), self._begin)

    async def _begin(self, reader: asyncio.StreamReader, writer: StreamWriter) -> None:
        assert isinstance(reader, Reader)
        self._task = asyncio.current_task()
        with suppress(asyncio.CancelledError):  # a cancelled task would be reported by asyncio as an error
            await self._raw_server._handle(reader, writer)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._wire = transport
        self._raw_server._open.add(transport)
        self._raw_server._count(+1)
        super().connection_made(transport)

    def eof_received(self) -> bool:
        super().eof_received()
        return False  # no client of ours half-closes, so this is its end

    def connection_lost(self, exc: Exception | None) -> None:
        self._raw_server._open.discard(self._wire)
        self._raw_server._count(-1)
        super().connection_lost(exc)
        if self._task is not None:
            self._task.cancel()
