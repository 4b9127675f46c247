"""Requests on their way out: those of one turn of the event loop are written together.

Each that is written by itself wakes an API that has nothing else to do, and waits for that: a quarter of all that
a request costs. Right before a request is written, its connection is looked at: what came before was asked for by
nobody, and is no response.
"""

from __future__ import annotations

import asyncio
import select

import aiohttp
from aiohttp.connector import Connection

from leadpush_prefect.network.aiohttp_protocol import GuardedHandler

try:
    import fcntl
    import termios
except ImportError:  # on Windows, where select takes a socket of any number
    fcntl = None  # type: ignore[assignment]

__all__ = ["Outbox", "has_unread"]


TOGETHER = 16
"""How many at most: the first one waits until the last one is rendered."""


class Outbox:
    """The requests of one event loop that are to be written with its next turn."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._waiting: list[tuple[Connection, GuardedHandler, bytes, int]] = []

    def put(self, connection: Connection, handler: GuardedHandler, message: bytes, size: int) -> None:
        """Have a request written, unless its connection is given back before.

        Args:
            connection: Where to.
            handler: The connection's. It is `asked` when the request is written, and fails before if the API has
                said something, or hung up.
            message: The request.
            size: How many bytes its response may have on the wire.
        """
        if not self._waiting:
            self._loop.call_soon(self._write)
        self._waiting.append((connection, handler, message, size))
        if len(self._waiting) >= TOGETHER:
            self._write()

    def _write(self) -> None:
        waiting, self._waiting = self._waiting, []
        for connection, handler, message, size in waiting:
            if connection.protocol is None:  # given back, since nobody waits any more
                continue
            transport = handler.transport
            if transport is None or transport.is_closing() or (handler.used and has_unread(connection)):
                handler.set_exception(aiohttp.ServerDisconnectedError())
                continue
            handler.expect(size)
            transport.write(message)


def has_unread(connection: Connection) -> bool:
    """Whether something has come that the event loop has not seen yet."""
    if connection.transport is None or connection.transport.is_closing():
        return True
    number = connection.transport.get_extra_info("socket").fileno()
    if fcntl is None:
        return bool(select.select([number], [], [], 0)[0])
    return fcntl.ioctl(number, termios.FIONREAD, _NOTHING) != _NOTHING


_NOTHING = bytes(4)
