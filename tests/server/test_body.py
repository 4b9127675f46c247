"""How a body is read: decompressed, counted, and never held past the limit."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadpush_prefect.errors import Reason
from leadpush_prefect.network.body import EXCERPT_BYTES, MAX_GZIP_MEMBERS, read_excerpt, read_whole
from leadpush_prefect.network.wire import TransportFailed

pytestmark = pytest.mark.asyncio


async def pieces(data: bytes, size: int = 65_536) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


async def whole(data: bytes, encoding: str = "", *, size: int = 65_536, limit: int = 1_000_000) -> bytes:
    return await read_whole(pieces(data, size), encoding=encoding, length=None, limit=limit)


async def reason(data: bytes, encoding: str = "", *, limit: int = 1_000_000, size: int = 65_536) -> Reason:
    with pytest.raises(TransportFailed) as caught:
        await whole(data, encoding, limit=limit, size=size)
    assert caught.value.sent
    return caught.value.reason


def raw_deflate(data: bytes) -> bytes:
    return zlib.compress(data)[2:-4]


ENCODE: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    "identity": bytes,
    "gzip": gzip.compress,
    "X-GZip": gzip.compress,
    "deflate": zlib.compress,
    " DEFLATE ": zlib.compress,
}


@pytest.mark.parametrize("encoding", ENCODE)
@given(data=st.binary(max_size=2000), size=st.integers(1, 50))
async def test_round_trip(encoding: str, data: bytes, size: int) -> None:
    """A body is what was encoded, in whatever pieces it comes."""
    assert data == await whole(ENCODE[encoding](data), encoding, size=size)


@given(data=st.binary(max_size=500))
async def test_raw_deflate(data: bytes) -> None:
    """Deflate without the zlib header is taken too, since some servers send it."""
    assert b"{" + data == await whole(raw_deflate(b"{" + data), "deflate", size=7)


@given(members=st.lists(st.binary(max_size=100), min_size=1, max_size=5), size=st.integers(1, 60))
async def test_gzip_members(members: list[bytes], size: int) -> None:
    """A gzip stream of several members is all of them (RFC 1952)."""
    assert b"".join(members) == await whole(b"".join(map(gzip.compress, members)), "gzip", size=size)


async def test_padding() -> None:
    """What follows the last member and is none is dropped, as gzip does."""
    assert b"{}" == await whole(gzip.compress(b"{}") + bytes(100), "gzip")


@pytest.mark.parametrize(
    "encoding", ["br", "zstd", "gzip, br", "gzip, gzip", "gzip,identity", "none", "x" * 500]
)
async def test_encoding_unsupported(encoding: str) -> None:
    """Only gzip, deflate and none are decoded, and only one of them."""
    assert Reason.RESPONSE_ENCODING_UNSUPPORTED == await reason(b"{}", encoding)


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
async def test_cut_off(encoding: str) -> None:
    """A compressed body that ends too early is never taken for a whole one, wherever it is cut."""
    data = ENCODE[encoding](b'{"plan": "pro"}')
    for end in range(1, len(data)):
        assert Reason.DISCONNECTED == await reason(data[:end], encoding)


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
async def test_damaged(encoding: str) -> None:
    """Compressed data that are none are refused."""
    assert Reason.PROTOCOL_ERROR == await reason(b"\xff{}" * 50, encoding)


async def test_checksum() -> None:
    """A changed byte is noticed."""
    data = bytearray(gzip.compress(b'{"plan": "pro"}'))
    data[-6] ^= 1
    assert Reason.PROTOCOL_ERROR == await reason(bytes(data), "gzip")


@pytest.mark.parametrize("encoding", ENCODE)
@pytest.mark.parametrize("size", [1, 7, 65_536])
async def test_limit(encoding: str, size: int) -> None:
    """The limit counts decompressed bytes, and is itself allowed."""
    data = ENCODE[encoding](b"a" * 100)
    assert 100 == len(await whole(data, encoding, limit=100, size=size))
    assert Reason.RESPONSE_TOO_LARGE == await reason(data, encoding, limit=99, size=size)


async def test_stops_at_the_limit() -> None:
    """Nothing is read after the limit is passed."""
    asked = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal asked
        while True:
            asked += 1
            yield b"a" * 10

    with pytest.raises(TransportFailed):
        await read_whole(endless(), encoding="", length=None, limit=25)
    assert 3 == asked


@pytest.mark.parametrize(
    ("length", "asked"), [("26", False), ("9" * 5000, False), ("25", True), ("x", True), (None, True)]
)
async def test_length_over_the_limit(length: str | None, asked: bool) -> None:
    """A Content-Length over the limit is refused before a byte is read."""
    begun = False

    async def body() -> AsyncIterator[bytes]:
        nonlocal begun
        begun = True
        yield b"a" * 26

    with pytest.raises(TransportFailed) as caught:
        await read_whole(body(), encoding="", length=length, limit=25)
    assert Reason.RESPONSE_TOO_LARGE == caught.value.reason
    assert asked is begun


async def test_length_of_a_compressed_body() -> None:
    """The Content-Length of a compressed body is not its size, so it is not held against it."""
    data = gzip.compress(b"{}")
    assert b"{}" == await read_whole(pieces(data), encoding="gzip", length=str(len(data)), limit=2)


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
async def test_bomb(encoding: str) -> None:
    """A bomb of 100 MB is refused at the limit, and never in memory."""
    bomb = ENCODE[encoding](bytes(100_000_000))
    tracemalloc.start()
    try:
        assert Reason.RESPONSE_TOO_LARGE == await reason(bomb, encoding, limit=100_000)
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()


async def test_many_empty_members() -> None:
    """Members without content are bounded: each costs a copy of what follows."""
    assert Reason.PROTOCOL_ERROR == await reason(
        gzip.compress(b"") * (MAX_GZIP_MEMBERS + 2), "gzip", size=1_000_000
    )


@pytest.mark.parametrize("encoding", ["", "gzip", "deflate"])
@pytest.mark.parametrize("size", [1, 100, 65_536])
@pytest.mark.parametrize("length", [0, 10, EXCERPT_BYTES, EXCERPT_BYTES + 1, 100_000])
async def test_excerpt(encoding: str, size: int, length: int) -> None:
    """An excerpt is the beginning of the decompressed body, and knows whether that is all."""
    data = bytes(range(256)) * (length // 256 + 1)
    excerpt = bytearray()
    is_all = await read_excerpt(pieces(ENCODE[encoding](data[:length]), size), excerpt, encoding=encoding)
    assert (length <= EXCERPT_BYTES) == is_all
    assert data[: min(length, EXCERPT_BYTES)] == excerpt


async def test_excerpt_keeps_what_came() -> None:
    """What has come of an excerpt is kept when the rest fails."""

    async def broken() -> AsyncIterator[bytes]:
        yield b"no such "
        raise OSError

    excerpt = bytearray()
    with pytest.raises(OSError):
        await read_excerpt(broken(), excerpt, encoding="")
    assert b"no such " == excerpt
