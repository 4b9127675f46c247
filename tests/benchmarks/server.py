"""A loopback API that does as little as it can: it answers each GET with one JSON object, and counts.

It runs in a process of its own, and can wait before each response, as an API far away does.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import Iterator
from typing import cast

BODY = (
    b'{"customer_id":"c-000123","plan":"pro","loyalty":{"points":1204,"tier":"gold"},"tags":["a","b","c"],'
    b'"renews_at":"2027-03-14","company":"Example Ltd","city":"Berlin","open_tickets":0}'
)
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
ANSWER = HEAD % len(BODY) + BODY
END = b"\r\n\r\n"


class Api(asyncio.Protocol):
    """One connection."""

    hits = 0
    delay_seconds = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.WriteTransport, transport)
        self.rest = b""

    def data_received(self, data: bytes) -> None:
        requests, end, self.rest = (self.rest + data).rpartition(END)
        if not end:
            return
        if requests.startswith(b"GET /_hits"):
            body = b'{"hits":%d}' % Api.hits
            Api.hits = 0
            self.response(HEAD % len(body) + body)
            return
        count = requests.count(END) + 1
        Api.hits += count
        if Api.delay_seconds:
            asyncio.get_running_loop().call_later(Api.delay_seconds, self.response, ANSWER * count)
        else:
            self.response(ANSWER * count)

    def response(self, data: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.write(data)


async def serve() -> None:
    server = await asyncio.get_running_loop().create_server(Api, "127.0.0.1", 0, backlog=4096)
    port = server.sockets[0].getsockname()[1]
    sys.stdout.write(f"http://127.0.0.1:{port}\n")
    sys.stdout.flush()
    await server.serve_forever()


@contextlib.contextmanager
def running(delay_seconds: float = 0) -> Iterator[str]:
    """The server in a process of its own; gives its URL."""
    command = [sys.executable, "-m", __name__, str(delay_seconds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


if __name__ == "__main__":
    import uvloop

    Api.delay_seconds = float(sys.argv[1])
    with contextlib.suppress(KeyboardInterrupt):
        uvloop.run(serve())
