"""Responses that grow when they are decompressed: each is refused, in little memory."""

from __future__ import annotations

import gzip
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from itertools import repeat

import pytest

from leadpush_prefect.errors import Reason
from leadpush_prefect.network.body import WholeBody
from leadpush_prefect.network.wire import TransportFailed

MEGABYTE = bytes(2**20)
TEN_GIGABYTES = 10 * 2**10  # of them
LIMIT = 5_000_000
MEMORY = 20_000_000


def blocks(window_bits: int) -> Iterator[bytes]:
    """10 GB of zeros as one stream: a block that begins and ends at a byte, again and again."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, window_bits)
    yield compressor.compress(MEGABYTE) + compressor.flush(zlib.Z_FULL_FLUSH)
    yield from repeat(compressor.compress(MEGABYTE) + compressor.flush(zlib.Z_FULL_FLUSH), TEN_GIGABYTES)


def nested() -> Iterator[bytes]:
    yield from repeat(gzip.compress(gzip.compress(MEGABYTE)), TEN_GIGABYTES)


BOMBS: dict[str, tuple[str, Callable[[], Iterator[bytes]], Reason]] = {
    "gzip": ("gzip", lambda: blocks(31), Reason.RESPONSE_TOO_LARGE),
    "x-gzip": ("x-gzip", lambda: blocks(31), Reason.RESPONSE_TOO_LARGE),
    "zlib": ("deflate", lambda: blocks(15), Reason.RESPONSE_TOO_LARGE),
    "raw deflate": ("deflate", lambda: blocks(-15), Reason.RESPONSE_TOO_LARGE),
    "members": ("gzip", lambda: repeat(gzip.compress(MEGABYTE), TEN_GIGABYTES), Reason.RESPONSE_TOO_LARGE),
    "small members": ("gzip", lambda: repeat(gzip.compress(bytes(9_000)), 10**6), Reason.RESPONSE_TOO_LARGE),
    "empty members": ("gzip", lambda: repeat(gzip.compress(b""), 10**6), Reason.PROTOCOL_ERROR),
    **{
        encoding: (encoding, nested, Reason.RESPONSE_ENCODING_UNSUPPORTED)
        for encoding in ("gzip, gzip", "deflate, gzip", "gzip, identity", "br", "zstd", "compress", "x-own")
    },
}


@pytest.mark.parametrize("name", BOMBS)
@pytest.mark.parametrize("size", [1, 100])
def test_bomb(name: str, size: int) -> None:
    """A bomb is refused when the limit is passed, in whatever pieces it comes."""
    encoding, parts, reason = BOMBS[name]
    with pytest.raises(TransportFailed) as caught:
        body = WholeBody(encoding=encoding, length=None, limit=LIMIT)
        pending = []
        for part in parts():
            pending.append(part)
            if len(pending) == size:
                body.add(b"".join(pending))
                pending.clear()
    assert caught.value.reason is reason


PROGRAM = """
import asyncio, resource, sys
from leadpush_prefect.network.addresses import parse_networks
from leadpush_prefect.network.aiohttp_transport import AiohttpTransport
from leadpush_prefect.network.wire import RenderedRequest, TransportFailed
from tests.security.adversary import HEAD
from tests.security.test_bombs import BOMBS, LIMIT

async def main():
    parts, encoding = [], b"identity"

    async def serve(reader, writer):
        await reader.readuntil(b"\\r\\n\\r\\n")
        writer.write(HEAD + b"Content-Encoding: " + encoding + b"\\r\\n\\r\\n")
        try:
            for part in parts:
                writer.write(part)
                await writer.drain()
        except OSError:
            pass
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    transport = AiohttpTransport(parse_networks(["127.0.0.0/8"]))
    url = "http://127.0.0.1:%d/" % server.sockets[0].getsockname()[1]

    async def ask():
        request = RenderedRequest("GET", url, ())
        return await transport.send(request, timeout_seconds=30, max_response_bytes=LIMIT)

    await ask()
    name, make, reason = BOMBS[sys.argv[1]]
    encoding, parts = name.encode(), make()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        await ask()
    except TransportFailed as failed:
        assert failed.reason is reason, failed.reason
    else:
        raise AssertionError("a success")
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(grown * 1024)
    await transport.close()
    server.close()

asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no getrusage")
@pytest.mark.parametrize("name", ["gzip", "zlib", "members", "gzip, gzip", "br"])
def test_memory(name: str) -> None:
    """A process that is sent a bomb grows by less than 20 MB."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, name], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < MEMORY


@pytest.mark.parametrize("size", [2**18, 2**18 + 1, 2**19, 3 * 2**18 - 1, 2**18 + 258])
@pytest.mark.parametrize("window_bits", [31, 15, -15])
def test_whole_where_a_step_ends(size: int, window_bits: int) -> None:
    """A body is whole, also when it ends where a step of the decompressor does."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, window_bits)
    data = compressor.compress(bytes(size)) + compressor.flush()
    body = WholeBody(encoding="gzip" if window_bits == 31 else "deflate", length=None, limit=size)
    body.add(data)
    assert body.finish() == bytes(size)
