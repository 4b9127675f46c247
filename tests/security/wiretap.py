"""What the process was asked to connect to: each attempt is recorded, and made only where a test says so.

Nothing is sent to the internet, and no name server is asked. An address reaches a `RawServer` of the test if the
test says so; any other refuses the connection, as a machine that is up and has no such port would.
"""

from __future__ import annotations

import errno
import os
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from leadpush_prefect.sending import dispatcher as dispatcher_module
from leadpush_prefect.sending.dispatcher import Dispatcher

__all__ = ["Wiretap", "tapped"]


class Wiretap:
    """What is to be found behind names and addresses, and what was asked for.

    Attributes:
        names: The addresses of each name: one list, or one after the other for each time that it is asked, the
            last one from then on.
        others: The addresses of any other name; none: there is no other.
        ports: Behind which address is which port of 127.0.0.1.
        attempts: The addresses to which a connection was asked for, in order.
        asked: The names that were asked for, in order.
        threads: Whose connections are looked at: the test's and the engine's. Prefect's threads talk to its server
            meanwhile, whatever the test does.
    """

    def __init__(self, engine: Dispatcher) -> None:
        self.names: dict[str, Sequence[str] | Sequence[Sequence[str]]] = {}
        self.others: list[str] = []
        self.ports: dict[str, int] = {}
        self.attempts: list[str] = []
        self.asked: list[str] = []
        self.threads = {threading.get_ident(), engine._thread.ident}

    def addresses(self, host: str) -> list[str]:
        """What the operating system's resolver would say: as `inet_aton` reads it, else by its name."""
        try:
            return [socket.inet_ntoa(socket.inet_aton(host))]
        except OSError:
            pass
        times = self.asked.count(host)
        self.asked.append(host)
        known = self.names.get(host.lower().removesuffix("."), self.others)
        if known and not isinstance(known[0], str):
            known = known[min(times, len(known) - 1)]
        if not known:
            raise OSError(None, "Name or service not known")
        return [str(address) for address in known]

    def connect(self, sock: socket.socket, address: Any) -> None:
        """Instead of `socket.connect`."""
        if threading.get_ident() not in self.threads or sock.family not in (socket.AF_INET, socket.AF_INET6):
            return _connect(sock, address)
        wanted = _usual(address[0])
        self.attempts.append(wanted)
        port = self.ports.get(wanted)
        if port is None:
            raise ConnectionRefusedError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))
        return _connect(sock, ("127.0.0.1", port))


_connect = socket.socket.connect


def _usual(address: str) -> str:
    """An address as the system writes it; each event loop has its own way."""
    if ":" not in address:
        return address
    return socket.inet_ntop(socket.AF_INET6, socket.inet_pton(socket.AF_INET6, address.partition("%")[0]))


class _Resolver(AbstractResolver):
    def __init__(self, wire: Wiretap) -> None:
        self.wire = wire

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [
            ResolveResult(hostname=host, host=address, port=port, family=0, proto=0, flags=0)
            for address in self.wire.addresses(host)
        ]

    async def close(self) -> None:
        pass


@contextmanager
def tapped() -> Iterator[Wiretap]:
    """Tap this process, with a dispatcher of its own: neither names nor connections are left from another test."""
    own = Dispatcher()
    wire = Wiretap(own)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", lambda sock, address: wire.connect(sock, address))
        patch.setattr("aiohttp.connector.DefaultResolver", lambda **_: _Resolver(wire))
        patch.setattr(dispatcher_module, "_dispatcher", own)
        patch.setattr(dispatcher_module, "_pid", os.getpid())
        try:
            yield wire
        finally:
            own.shut_down()
