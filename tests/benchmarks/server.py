"""A loopback API that does as little as it can: it answers each GET with one JSON object, and counts."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import Iterator
from typing import cast

import uvloop

BODY = (
    b'{"customer_id":"c-000123","plan":"pro","loyalty":{"points":1204,"tier":"gold"},"tags":["a","b","c"],'
    b'"renews_at":"2027-03-14","company":"Example Ltd","city":"Berlin","open_tickets":0}'
)
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"


class Api(asyncio.Protocol):
    """One connection."""

    hits = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.WriteTransport, transport)
        self.rest = b""

    def data_received(self, data: bytes) -> None:
        *requests, self.rest = (self.rest + data).split(b"\r\n\r\n")
        for request in requests:
            if request.startswith(b"GET /_hits"):
                self.answer(b'{"hits":%d}' % Api.hits)
                Api.hits = 0
            else:
                Api.hits += 1
                self.answer(BODY)

    def answer(self, body: bytes) -> None:
        self.transport.write(HEAD % len(body) + body)


async def serve() -> None:
    server = await asyncio.get_running_loop().create_server(Api, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    sys.stdout.write(f"http://127.0.0.1:{port}\n")
    sys.stdout.flush()
    await server.serve_forever()


@contextlib.contextmanager
def running() -> Iterator[str]:
    """The server in a process of its own; gives its URL."""
    with subprocess.Popen([sys.executable, "-m", __name__], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        uvloop.run(serve())
