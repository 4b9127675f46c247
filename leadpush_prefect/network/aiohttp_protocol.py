"""What reads one connection: aiohttp's protocol, with bounds to what it takes.

aiohttp's own takes bytes that nobody has asked for as the response to the next request, lets a server send without
end what is no body (blank lines, chunk extensions), leaves the reader of a body waiting when the rest of it is
not valid HTTP, and takes a reset for the end of a body that ends with the connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.http import HttpProcessingError

__all__ = ["GuardedHandler", "TooMuchSent", "guard_connections"]


class TooMuchSent(Exception):
    """More has come than any response within the limit takes on the wire."""


class GuardedHandler(ResponseHandler):
    """Takes what is expected, and ends the connection when more comes: while it is idle, with the first byte
    (RFC 9112, section 9.3.1)."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self._expected = 0
        self._begun = True
        self.asked = False
        self.used = False
        self.refused = False

    def expect(self, size: int) -> None:
        """Take a response, of at most so many bytes on the wire."""
        self._expected = size
        self._begun = False
        self.asked = self.used = True
        # A parser of its own for each response: the last one may still hold a part of its trailers.
        self.set_response_params(read_until_eof=True, auto_decompress=False)

    def rest(self) -> bool:
        """Expect nothing any more; False if something has come after the response."""
        self._expected = 0
        self.asked = False
        try:
            # None unless the parser is in the middle of something.
            return self._parser is None or self._parser.feed_eof() is None
        except Exception:  # of what is the beginning of nothing valid
            return False

    def data_received(self, data: bytes) -> None:
        self._expected -= len(data)
        if self._expected < 0:
            self._refuse(TooMuchSent() if self.asked else HttpProcessingError(message="not asked"))
            return
        if not self._begun:
            self._begun = True
            if data[0] in b"RI":  # the parser reads RTSP and ICE too
                self._refuse(HttpProcessingError(message="protocol"))
                return
        ResponseHandler.data_received(self, data)  # for each response, and so without super()

    def resume_reading(self, resume_parser: bool = True) -> None:
        # aiohttp's own parses nothing and asks the transport to go on, after each chunk of a body that is read.
        if self._reading_paused:
            super().resume_reading(resume_parser)

    def connection_lost(self, exc: BaseException | None) -> None:
        if exc is not None and self._payload is not None:
            self._fail(self._payload, aiohttp.ClientPayloadError())
        super().connection_lost(exc)

    def set_exception(self, exc: BaseException, *cause: BaseException) -> None:
        super().set_exception(exc, *cause)
        if self._payload is not None:
            self._fail(self._payload, exc)

    def _fail(self, body: aiohttp.StreamReader, error: BaseException) -> None:
        if body.is_eof() or body.exception() is not None:
            return
        body.set_exception(error)
        # A reader whom the end of a chunk has woken just now finds no bytes, and waits again without a look at the error.
        self._loop.call_soon(body.set_exception, error)

    def _refuse(self, error: Exception) -> None:
        self.refused = True
        if self.transport is not None:
            self.transport.abort()
        self.set_exception(error)


def guard_connections(
    connector: aiohttp.TCPConnector, connected: Callable[[], None] | None = None
) -> aiohttp.TCPConnector:
    """Have a pool read its connections with `GuardedHandler`. There is no public hook for it.

    Args:
        connector: The pool.
        connected: Called when a connection's TCP is done, and its TLS not yet begun.
    """
    loop = connector._loop

    def handler() -> GuardedHandler:
        if connected is not None:
            connected()
        return GuardedHandler(loop)

    connector._factory = handler  # type: ignore[assignment]  # a partial, by its inferred type
    return connector
