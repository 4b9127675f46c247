"""A way to Prefect's server that a test closes for a while: all that is sent goes on as it came, or meets an error.

with PrefectProxy("http://127.0.0.1:4200/api") as proxy:
    proxy.leave("500")      # every request is answered so; or "401"; or "refused", as if nobody were there
    proxy.come_back()
"""

from __future__ import annotations

import asyncio
import re
import threading
from asyncio import StreamReader, StreamWriter
from collections.abc import Coroutine
from contextlib import suppress
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

T = TypeVar("T")

_FIRST_LINE = re.compile(rb"(?:GET|POST|PUT|PATCH|DELETE) \S+(?= HTTP/1\.1\r\n)")
_ANSWER = b"HTTP/1.1 %b Status\r\nContent-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"


class PrefectProxy:
    """In front of a Prefect server, on loopback, with a thread of its own.

    Args:
        api_url: The API's, which ends in `/api`.

    Attributes:
        url: The API's through this proxy, for `PREFECT_API_URL`.
        back: Set while the server can be reached.
        asked: The first lines of the requests, such as `GET /api/health`, in their order.
        turned_away: The same of those that met an error.
    """

    def __init__(self, api_url: str) -> None:
        parts = urlsplit(api_url)
        self._target = parts.hostname or "", parts.port or 80
        self._path = parts.path
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="prefect-proxy", daemon=True)
        self._server: asyncio.Server | None = None
        self._open: set[StreamWriter] = set()
        self._port = 0
        self._how = ""
        self.back = threading.Event()
        self.back.set()
        self.asked: list[str] = []
        self.turned_away: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}{self._path}"

    def leave(self, how: str, seconds: float = 0) -> None:
        """From now on nobody reaches the server; open connections are cut.

        Args:
            how: `500`, `401`, or `refused`.
            seconds: After how many it is back; 0 for not until `come_back`.
        """
        self._do(self._leave(how, seconds))

    def come_back(self) -> None:
        """All is well again."""
        self._do(self._come_back())

    def __enter__(self) -> Self:
        self._thread.start()
        self._do(self._listen())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._do(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def _do(self, what: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(what, self._loop).result(10)

    async def _leave(self, how: str, seconds: float) -> None:
        self.back.clear()
        self._how = how
        if how == "refused":
            await self._close()
        self._cut()
        if seconds:
            self._loop.call_later(seconds, lambda: self._loop.create_task(self._come_back()))

    async def _come_back(self) -> None:
        self._how = ""
        if self._server is None:
            await self._listen()
        self.back.set()

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._meet, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    def _cut(self) -> None:
        for writer in list(self._open):
            writer.transport.abort()

    async def _stop(self) -> None:
        await self._close()
        self._cut()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _meet(self, reader: StreamReader, writer: StreamWriter) -> None:
        self._open.add(writer)
        try:
            with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                if self._how:
                    await self._turn_away(reader, writer)
                else:
                    await self._pass_on(reader, writer)
        finally:
            self._open.discard(writer)
            writer.close()

    async def _turn_away(self, reader: StreamReader, writer: StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
        await reader.readexactly(int(length[1]) if length else 0)
        self.turned_away += _first_lines(head)
        writer.write(_ANSWER % self._how.encode())
        await writer.drain()

    async def _pass_on(self, reader: StreamReader, writer: StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_connection(*self._target)
        self._open.add(server_writer)
        try:
            back = asyncio.create_task(_copy(server_reader, writer))
            while data := await reader.read(65_536):
                self.asked += _first_lines(data)
                server_writer.write(data)
                await server_writer.drain()
            back.cancel()
        finally:
            self._open.discard(server_writer)
            server_writer.close()


async def _copy(reader: StreamReader, writer: StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()


def _first_lines(data: bytes) -> list[str]:
    return [line.decode() for line in _FIRST_LINE.findall(data)]
