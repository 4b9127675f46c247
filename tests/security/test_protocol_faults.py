"""Responses that are no HTTP, or HTTP that means two things: each has its reason, its end, and bounds."""

from __future__ import annotations

import asyncio
import threading
import tracemalloc
from asyncio import StreamWriter
from collections.abc import Iterator
from typing import NamedTuple

import pytest
from hypothesis import strategies as st

from leadpush_prefect import ApiEndpoint, CampaignContext, FetchFailed, Workspace
from leadpush_prefect.network.aiohttp_transport import MAX_INTERIM_ANSWERS, AiohttpTransport
from leadpush_prefect.network.wire import TransportFailed
from tests.security.adversary import (
    BODY,
    CHUNKED,
    HEAD,
    LOOPBACK,
    LOOPS,
    all_closed,
    ask,
    cancelled,
    endless,
    outcome,
    pieces,
    reset,
    response,
    run,
    say,
)
from tests.support.depth import catalogue, explored
from tests.support.raw_server import RawServer, Reader, mute

OK = frozenset({"ok"})
INVALID = frozenset({"protocol_error"})
TOO_LARGE = frozenset({"response_too_large"})
OK_OR_INVALID = OK | INVALID
"""What depends on whether the surplus comes with the response: that is believed, or nothing is."""


class Fault(NamedTuple):
    """A response, and how a request may end that gets it."""

    data: bytes
    expected: frozenset[str] = INVALID


def chunks(text: bytes, head: bytes = CHUNKED) -> bytes:
    return head + text


LAST = b"\r\n0\r\n\r\n"
IN_CHUNKS = b"8\r\n" + BODY + LAST


def length(text: bytes) -> bytes:
    """An answer with this as its header of length."""
    return HEAD + text + b"\r\n\r\n" + BODY


def coded(text: bytes, body: bytes = IN_CHUNKS) -> bytes:
    return HEAD + b"Transfer-Encoding: " + text + b"\r\n\r\n" + body


def line(text: bytes) -> bytes:
    """An answer with this as its status line."""
    return text + b"\r\nContent-Length: 8\r\n\r\n" + BODY


def header(text: bytes) -> bytes:
    return HEAD + text + b"\r\nContent-Length: 8\r\n\r\n" + BODY


FAULTS = {
    # How long it is
    "two lengths, equal": Fault(length(b"Content-Length: 8\r\nContent-Length: 8")),
    "two lengths, different": Fault(length(b"Content-Length: 8\r\nContent-Length: 2")),
    "two lengths in one": Fault(length(b"Content-Length: 8, 8")),
    "length -8": Fault(length(b"Content-Length: -8")),
    "length +8": Fault(length(b"Content-Length: +8")),
    "length 0x8": Fault(length(b"Content-Length: 0x8")),
    "length 8.0": Fault(length(b"Content-Length: 8.0")),
    "length 1_0": Fault(length(b"Content-Length: 1_0")),
    "length 8 8": Fault(length(b"Content-Length: 8 8")),
    "length empty": Fault(length(b"Content-Length:")),
    "length of other digits": Fault(length("Content-Length: ８".encode())),
    "length past 64 bits": Fault(length(b"Content-Length: " + b"9" * 30)),
    "length of 4,000 digits": Fault(length(b"Content-Length: " + b"9" * 4000)),
    "length 2**64 - 1": Fault(length(b"Content-Length: 18446744073709551615"), TOO_LARGE),
    "length 2**63": Fault(length(b"Content-Length: 9223372036854775808"), TOO_LARGE),
    "length with NUL": Fault(length(b"Content-Length: 8\0")),
    "length folded on": Fault(length(b"Content-Length: 8\r\n 0")),
    "length with zeros": Fault(length(b"Content-Length: 0008"), OK),
    "length and chunked": Fault(length(b"Content-Length: 8\r\nTransfer-Encoding: chunked")),
    "chunked and length": Fault(length(b"Transfer-Encoding: chunked\r\nContent-Length: 8")),
    "longer by bytes": Fault(response() + b"xyz", OK_OR_INVALID),
    "longer by a control character": Fault(response() + b"\0", OK_OR_INVALID),
    "longer by lines": Fault(response() + b"\r\n\r\n", OK),
    "longer by a response": Fault(response() + response(b'{"poison": 1}'), OK),
    "longer by half a response": Fault(response() + HEAD + b"X: y\r\n", OK),
    "more after close": Fault(response(BODY, "Connection: close") + b"more", OK_OR_INVALID),
    # Transfer codings
    "coding unknown": Fault(coded(b"rot13", BODY)),
    "coding identity": Fault(coded(b"identity", BODY)),
    "coding empty": Fault(coded(b"", BODY)),
    "coding identity, with length": Fault(length(b"Transfer-Encoding: identity\r\nContent-Length: 8")),
    "coding gzip, chunked": Fault(coded(b"gzip, chunked")),
    "coding chunked, gzip": Fault(coded(b"chunked, gzip")),
    "coding chunked, chunked": Fault(coded(b"chunked, chunked")),
    "coding chunked, identity": Fault(coded(b"chunked, identity")),
    "coding twice": Fault(coded(b"chunked\r\nTransfer-Encoding: chunked")),
    "coding in two headers": Fault(coded(b"gzip\r\nTransfer-Encoding: chunked")),
    "coding xchunked": Fault(coded(b"xchunked")),
    "coding with VT": Fault(coded(b"\x0bchunked")),
    "coding with NUL": Fault(coded(b"chunked\0")),
    "coding in quotes": Fault(coded(b'"chunked"')),
    "coding with a parameter": Fault(coded(b"chunked;q=1")),
    "coding CHUNKED": Fault(coded(b"CHUNKED"), OK),
    "coding in HTTP/1.0": Fault(coded(b"chunked").replace(b"1.1", b"1.0"), OK),
    # Chunks
    "chunk -8": Fault(chunks(b"-8\r\n" + BODY + LAST)),
    "chunk +8": Fault(chunks(b"+8\r\n" + BODY + LAST)),
    "chunk 0x8": Fault(chunks(b"0x8\r\n" + BODY + LAST)),
    "chunk without size": Fault(chunks(b"\r\n" + BODY + LAST)),
    "chunk with extension only": Fault(chunks(b";a=b\r\n" + BODY + LAST)),
    "chunk after a space": Fault(chunks(b" 8\r\n" + BODY + LAST)),
    "chunk past 64 bits": Fault(chunks(b"1" + b"0" * 16 + b"\r\n" + BODY)),
    "chunk ends with LF": Fault(chunks(b"8\n" + BODY + b"\n0\n\n")),
    "chunk longer than told": Fault(chunks(b"8\r\n" + BODY + b"xx" + LAST)),
    "chunk shorter than told": Fault(chunks(b"a\r\n" + BODY + LAST)),
    "chunk without end of line": Fault(chunks(b"8\r\n" + BODY + b"0\r\n\r\n")),
    "chunk extension with LF": Fault(chunks(b"8;a\nb\r\n" + BODY + LAST)),
    "chunk extension with CR": Fault(chunks(b"8;a\rb\r\n" + BODY + LAST)),
    "chunk extension, quoted, with CR LF": Fault(chunks(b'8;a="b\r\nc"\r\n' + BODY + LAST)),
    "chunk extension": Fault(chunks(b'8;a=b;c="d"\r\n' + BODY + LAST), OK),
    "bad second chunk": Fault(chunks(b"8\r\n" + BODY + b"\r\nzz\r\n")),
    "trailer is a length": Fault(chunks(b"8\r\n" + BODY + b"\r\n0\r\nContent-Length: 1\r\n\r\n")),
    "trailer without colon": Fault(chunks(b"8\r\n" + BODY + b"\r\n0\r\nX\r\n\r\n")),
    "trailer with NUL": Fault(chunks(b"8\r\n" + BODY + b"\r\n0\r\nX: \0\r\n\r\n"), OK_OR_INVALID),
    "trailer": Fault(chunks(b"8\r\n" + BODY + b"\r\n0\r\nX: a\r\n\r\n"), OK),
    # Headers
    "header folded": Fault(header(b"X: a\r\n b"), OK),
    "header with CR": Fault(header(b"X: a\rb")),
    "header ends with CR": Fault(HEAD + b"X: a\rContent-Length: 8\r\n\r\n" + BODY),
    "header ends with CR CR LF": Fault(header(b"X: a\r")),
    "header ends with LF": Fault(HEAD + b"X: a\nContent-Length: 8\r\n\r\n" + BODY, OK),
    "all lines end with LF": Fault(response().replace(b"\r\n", b"\n"), OK),
    "header with NUL": Fault(header(b"X: a\0b")),
    "name with NUL": Fault(header(b"X\0: a")),
    "name empty": Fault(header(b": a")),
    "name with bracket": Fault(header(b"X(a): b")),
    "name with high byte": Fault(header(b"X\xff: b")),
    "name is 9,000 long": Fault(header(b"X" * 9000 + b": a")),
    "no colon": Fault(header(b"Xa")),
    "value is 9,000 long": Fault(header(b"X: " + b"a" * 9000)),
    "200 headers": Fault(header(b"\r\n".join(b"X%d: a" % number for number in range(200)))),
    "value with high bytes": Fault(header(b"X: \xff\xfe"), OK),
    # The protocol and its version
    "HTTP/0.9": Fault(BODY),
    "HTTP/0.9, a page": Fault(b"<html></html>"),
    "HTTP/0.9 in a status line": Fault(line(b"HTTP/0.9 200 OK")),
    "HTTP/1.2": Fault(line(b"HTTP/1.2 200 OK")),
    "HTTP/1.10": Fault(line(b"HTTP/1.10 200 OK")),
    "HTTP/1": Fault(line(b"HTTP/1 200 OK")),
    "HTTP/2.0": Fault(line(b"HTTP/2.0 200 OK")),
    "HTTP/2": Fault(line(b"HTTP/2 200 OK")),
    "HTTP/3.0": Fault(line(b"HTTP/3.0 200 OK")),
    "HTTP/11.1": Fault(line(b"HTTP/11.1 200 OK")),
    "HTTP/-1.1": Fault(line(b"HTTP/-1.1 200 OK")),
    "http/1.1": Fault(line(b"http/1.1 200 OK")),
    "ICY": Fault(line(b"ICY 200 OK")),
    "RTSP/1.0": Fault(line(b"RTSP/1.0 200 OK")),
    "ICE/1.0": Fault(line(b"ICE/1.0 200 OK")),
    "HTTP/2's preface": Fault(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    "HTTP/2's settings": Fault(b"\0\0\x12\x04\0\0\0\0\0\0\x03\0\0\0\x80"),
    "a request": Fault(b"GET / HTTP/1.1\r\nHost: h.example\r\n\r\n"),
    "TLS": Fault(b"\x15\x03\x01\0\x02\x02\x0a"),
    "SSH": Fault(b"SSH-2.0-OpenSSH_9.9\r\n"),
    "byte order mark": Fault(b"\xef\xbb\xbf" + response()),
    "NULs": Fault(b"\0" * 100),
    "lines before it": Fault(b"\r\n\r\n" + response(), OK),
    # The rest of the status line
    "no reason": Fault(line(b"HTTP/1.1 200"), OK),
    "empty reason": Fault(line(b"HTTP/1.1 200 "), OK),
    "reason with NUL": Fault(line(b"HTTP/1.1 200 O\0K")),
    "reason is 9,000 long": Fault(line(b"HTTP/1.1 200 " + b"a" * 9000)),
    "two spaces": Fault(line(b"HTTP/1.1  200 OK")),
    "a space before it": Fault(line(b" HTTP/1.1 200 OK")),
    "a tab": Fault(line(b"HTTP/1.1\t200 OK")),
    "no status": Fault(line(b"HTTP/1.1")),
    "no status, with a reason": Fault(line(b"HTTP/1.1 OK")),
    **{
        f"status {text}": Fault(line(b"HTTP/1.1 " + text.encode() + b" OK"))
        for text in "000 001 099 2 20 0200 2000 +200 -200 20x 2e2 0xc8 99999999999999999999".split()
    },
    "status 600": Fault(line(b"HTTP/1.1 600 OK"), frozenset({"600"})),
    "status 999": Fault(line(b"HTTP/1.1 999 OK"), frozenset({"999"})),
    # Statuses without a body, with one
    **{
        f"status {status}, with a body": Fault(
            line(b"HTTP/1.1 %d None" % status), INVALID | frozenset({str(status)})
        )
        for status in (204, 304)
    },
    "status 204, with chunks": Fault(
        CHUNKED.replace(b"200 OK", b"204 None") + IN_CHUNKS, INVALID | frozenset({"204"})
    ),
    "status 204, with a response": Fault(b"HTTP/1.1 204 None\r\n\r\n" + response(), frozenset({"204"})),
    "status 205, with a body": Fault(line(b"HTTP/1.1 205 Reset"), OK | frozenset({"205"})),
    # Answers before the response
    "status 100, with a body": Fault(line(b"HTTP/1.1 100 Continue")),
    "status 100, with a length": Fault(
        b"HTTP/1.1 100 Continue\r\nContent-Length: 50\r\n\r\n" + response(), OK
    ),
    "status 101, with a response": Fault(b"HTTP/1.1 101 Switch\r\n\r\n" + response(), frozenset({"101"})),
    "status 101, with bytes": Fault(
        b"HTTP/1.1 101 Switch\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n\0\0", frozenset({"101"})
    ),
    "100 of them": Fault(b"HTTP/1.1 103 Hints\r\n\r\n" * MAX_INTERIM_ANSWERS + response(), OK),
    "101 of them": Fault(b"HTTP/1.1 103 Hints\r\n\r\n" * (MAX_INTERIM_ANSWERS + 1) + response()),
    # Encodings
    **{
        f"encoding {encoding}": Fault(
            response(BODY, f"Content-Encoding: {encoding}"), frozenset({"response_encoding_unsupported"})
        )
        for encoding in (
            "br",
            "zstd",
            "compress",
            "gzip, gzip",
            "deflate, gzip",
            "gzip,",
            "rot13",
            "*",
            "\x01",
        )
    },
    "not gzip": Fault(response(BODY, "Content-Encoding: gzip")),
    "not deflate": Fault(response(b"\xff" * 8, "Content-Encoding: deflate")),
}

NAMES = list(FAULTS)

SAID = threading.Semaphore(0)
"""Released when a fault has been said: what comes later than the next request, nothing tells from its response."""


@pytest.fixture(scope="module", name="server")
def fault_server() -> Iterator[RawServer]:
    """Answers `/NUMBER/HOW/END` with the fault of this number, and `/` as it should."""

    async def handle(reader: Reader, writer: StreamWriter) -> None:
        while True:
            request = await reader.request()
            _, *parts = request.target.decode().split("/")
            if len(parts) != 3:
                writer.write(response())
                continue
            number, how, end = parts
            try:
                await say(writer, pieces(FAULTS[NAMES[int(number)]].data, how))
            finally:
                SAID.release()
            if end == "reset":
                await reset(writer)
            elif end == "stay":
                await asyncio.sleep(0.02)
                continue
            return

    with RawServer(handle) as server:
        yield server


@pytest.mark.parametrize("name", catalogue(NAMES))
@pytest.mark.parametrize("loop", LOOPS)
def test_fault(server: RawServer, loop: str, name: str) -> None:
    """Each ends as it must, in one piece or many, whatever follows; and the next request has its own answer."""

    async def main() -> None:
        transport = AiohttpTransport(LOOPBACK)
        hows = ["one", "two"] if len(FAULTS[name].data) > 1000 else ["one", "two", "bytes"]
        for how in hows:
            for end in ("stay", "close", "reset"):
                ended = await outcome(transport, f"{server.url}/{NAMES.index(name)}/{how}/{end}")
                assert await asyncio.to_thread(
                    SAID.acquire, timeout=5
                )  # first, or the next tests count one more
                assert ended in FAULTS[name].expected, (how, end)
                if ended not in ("ok", "600", "999", "205"):
                    await all_closed(server)
                # A connection that was left in order may be closed by the server at this moment.
                assert await outcome(transport, server.url + "/") in ("ok", "disconnected")
        await transport.close()
        await all_closed(server)

    run(loop, main)


@pytest.mark.parametrize(
    ("rest", "reason"),
    [(b"\r\nzz\r\n", "protocol_error"), (b"\r\n", "disconnected"), (b"\r\n8\r\n", "disconnected")],
)
@pytest.mark.parametrize("loop", LOOPS)
def test_chunk_ends_with_a_fault(loop: str, rest: bytes, reason: str) -> None:
    """The end of a chunk and a fault, or the connection's end, at once, while the body is read: it is seen, and no time
    runs out."""

    async def handle(reader: Reader, writer: StreamWriter) -> None:
        await reader.request()
        writer.write(CHUNKED + b"8\r\n" + BODY)
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.write(rest)
        if reason == "protocol_error":
            await mute(reader, writer)

    async def main() -> None:
        transport = AiohttpTransport(LOOPBACK)
        assert await outcome(transport, server.url + "/") == reason
        await transport.close()

    with RawServer(handle) as server:
        run(loop, main)


@pytest.mark.parametrize("name", catalogue(NAMES))
def test_fault_for_a_contact(server: RawServer, name: str) -> None:
    """A contact whose answer it is fails with the same code, or has what was answered."""
    # A connection of its own: the one before it, left in order, may be closed by the server at this moment.
    target = ApiEndpoint(
        url=f"{server.url}/{NAMES.index(name)}/two/close", max_attempts=1, reuse_connections=False
    )
    given = CampaignContext(
        workspace=Workspace(allowed_networks=["127.0.0.0/8"]), campaign="c", contact={"_id": "7"}
    )
    try:
        assert target.call(given) == {"a": 1}
        ended = {"ok"}
    except FetchFailed as failed:
        # A success without a body is none of a GET.
        ended = {"204", "205"} if failed.code == "response_empty" else {failed.code}
    expected = FAULTS[name].expected
    codes = {
        "redirect" if code == "304" else f"http_status_{code}" if code.isdigit() else code
        for code in expected
    }
    assert ended & (expected | codes)
    assert SAID.acquire(timeout=5)


# Cut short

CUT = {
    "length": response(),
    "chunked": CHUNKED + b"3\r\n{" + b'"a\r\n5\r\n": 1}' + LAST,
    "trailer": CHUNKED + b"8\r\n" + BODY + b"\r\n0\r\nX: abc\r\n\r\n",
    "until the end": HEAD + b"\r\n" + BODY,
}


@pytest.mark.parametrize("end", ["close", "reset"])
@pytest.mark.parametrize("kind", CUT)
@pytest.mark.parametrize("loop", LOOPS)
def test_cut(loop: str, kind: str, end: str) -> None:
    """Wherever a response is cut, by a close or a reset, it is no success; a whole one that is reset is none
    either if only the end of the connection tells where it ends."""
    data = CUT[kind]
    head = data.find(b"\r\n\r\n") + 4
    told = kind != "until the end"

    async def handle(reader: Reader, writer: StreamWriter) -> None:
        while True:
            place = int((await reader.request()).target[1:])
            writer.write(data[:place])
            await writer.drain()
            if end == "reset":
                await asyncio.sleep(0.002)
                await reset(writer)
            return

    async def main() -> None:
        transport = AiohttpTransport(LOOPBACK)
        places = range(len(data) + 1) if end == "close" else range(max(0, head - 4), len(data) + 1)
        results = await asyncio.gather(*(attempt(transport, f"{server.url}/{place}") for place in places))
        for place, result in zip(places, results, strict=True):
            whole = place == len(data) and (told or end == "close")
            if whole:
                assert result == BODY
            elif told or end == "reset" or place < head:
                assert result == "disconnected", place
            else:  # nothing tells that there should be more, so what says so is the JSON
                assert result == data[head:place]
        await transport.close()

    async def attempt(transport: AiohttpTransport, url: str) -> bytes | str:
        try:
            return (await ask(transport, url)).body
        except TransportFailed as failed:
            return failed.reason.value

    with RawServer(handle) as server:
        run(loop, main)


# Without end


class Flood(NamedTuple):
    """What a response begins with, what it goes on with, and how a request may end that gets it."""

    first: bytes
    unit: bytes
    expected: frozenset[str]


FLOODS = {
    "1xx": Flood(b"", b"HTTP/1.1 100 C\r\n\r\n", INVALID),
    "1xx with headers": Flood(b"", b"HTTP/1.1 103 E\r\nX: " + b"a" * 5000 + b"\r\n\r\n", INVALID),
    "answers": Flood(b"", response(), OK),
    "blank lines": Flood(b"", b"\r\n", TOO_LARGE),
    "LF": Flood(b"", b"\n", TOO_LARGE),
    "CR": Flood(b"", b"\r", TOO_LARGE | INVALID),
    "NULs": Flood(b"", b"\0", INVALID),
    "version": Flood(b"HTTP/1.", b"1", INVALID),
    "status": Flood(b"HTTP/1.1 ", b"2", INVALID),
    "reason": Flood(b"HTTP/1.1 200 ", b"a", INVALID),
    "headers": Flood(HEAD, b"X: a\r\n", INVALID),
    "headers of other names": Flood(HEAD, b"".join(b"X%d: a\r\n" % n for n in range(9000)), INVALID),
    "name": Flood(HEAD, b"a", INVALID),
    "value": Flood(HEAD + b"X: ", b"a", INVALID),
    "spaces before the value": Flood(HEAD + b"X:", b" ", TOO_LARGE | INVALID),
    "folded value": Flood(HEAD + b"X: a\r\n", b" b\r\n", INVALID),
    "folded empty value": Flood(HEAD + b"X: a\r\n", b" \r\n", INVALID),
    "zeros of a length": Flood(HEAD + b"Content-Length: ", b"0", INVALID),
    "zeros of a chunk's size": Flood(CHUNKED, b"0", TOO_LARGE),
    "digits of a chunk's size": Flood(CHUNKED, b"f", INVALID),
    "spaces after a chunk's size": Flood(CHUNKED + b"1", b" ", TOO_LARGE | INVALID),
    "chunk extension": Flood(CHUNKED + b"1;", b"a", TOO_LARGE),
    "chunk extension's value": Flood(CHUNKED + b"1;a=", b"a", TOO_LARGE),
    "chunk extension's quoted value": Flood(CHUNKED + b'1;a="', b"a", TOO_LARGE),
    "chunk extensions": Flood(CHUNKED, b"1;" + b"a" * 5000 + b"\r\n \r\n", TOO_LARGE),
    "chunks of one byte": Flood(CHUNKED, b"1\r\n \r\n", TOO_LARGE),
    "trailers": Flood(CHUNKED + b"0\r\n", b"X: a\r\n", INVALID),
    "trailer's value": Flood(CHUNKED + b"0\r\nX: ", b"a", INVALID),
    "body": Flood(HEAD + b"\r\n", b" ", TOO_LARGE),
    "body of a length": Flood(HEAD + b"Content-Length: 999999999999\r\n\r\n", b" ", TOO_LARGE),
    "body of an error": Flood(b"HTTP/1.1 500 No\r\n\r\n", b" ", frozenset({"500"})),
    "chunk extension of an error": Flood(
        CHUNKED.replace(b"200 OK", b"500 No") + b"1;", b"a", frozenset({"500"})
    ),
    "bytes after 204": Flood(b"HTTP/1.1 204 None\r\n\r\n", HEAD + b"\r\n", frozenset({"204"})),
    "bytes after 101": Flood(b"HTTP/1.1 101 Switch\r\n\r\n", b"a", frozenset({"101"})),
}


@pytest.mark.parametrize("name", FLOODS)
@pytest.mark.parametrize("loop", LOOPS)
def test_flood(loop: str, name: str) -> None:
    """What comes without end is ended long before the deadline, and held in little memory."""
    flood = FLOODS[name]

    async def main() -> None:
        transport = AiohttpTransport(LOOPBACK)
        tracemalloc.start()
        try:
            ended = await outcome(transport, server.url, timeout=30, limit=100_000)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert ended in flood.expected
        assert peak < 20_000_000
        await all_closed(server)
        await transport.close()

    with RawServer(endless(flood.first, flood.unit)) as server:
        run(loop, main)


@pytest.mark.parametrize("name", catalogue(FLOODS))
@pytest.mark.parametrize("loop", LOOPS)
def test_drip(loop: str, name: str) -> None:
    """The same, slowly: the one deadline ends it, whatever has come; so does who cancels it."""
    flood = FLOODS[name]
    unit = flood.unit[:6] if len(flood.unit) > 100 else flood.unit

    async def main() -> None:
        transport = AiohttpTransport(LOOPBACK)
        ended = await outcome(transport, server.url, timeout=0.05)
        assert ended == "timeout" or ended in flood.expected
        await all_closed(server)
        await cancelled(ask(transport, server.url), 0.03)
        await all_closed(server)
        await transport.close()

    with RawServer(endless(flood.first, unit, pause=0.01)) as server:
        run(loop, main)


@pytest.mark.parametrize("name", catalogue(NAMES))
def test_cancelled_in_the_middle(name: str) -> None:
    """A request that is cancelled, or late, in the middle of any of them leaves no socket and no task."""
    data = FAULTS[name].data

    async def handle(reader: Reader, writer: StreamWriter) -> None:
        await reader.request()
        writer.write(data[: len(data) * 2 // 3])
        await mute(reader, writer)

    async def main() -> None:
        transport = AiohttpTransport(LOOPBACK)
        await cancelled(ask(transport, server.url), 0.01)
        await all_closed(server)
        await outcome_or_cut(transport, server.url)
        await all_closed(server)
        await transport.close()

    async def outcome_or_cut(transport: AiohttpTransport, url: str) -> None:
        try:
            # Some are whole before their surplus begins; those close here, since something is left.
            await ask(transport, url, timeout=0.03)
        except TransportFailed:
            return
        await transport.close()

    with RawServer(handle) as server:
        run("asyncio", main)


# Anything at all


def mutated(data: bytes, changes: list[tuple[int, bytes]]) -> bytes:
    changed = bytearray(data)
    for place, text in changes:
        changed[place % len(changed) : place % len(changed) + 1] = text
    return bytes(changed)


@explored(
    examples=150,
    name=st.sampled_from(sorted(CUT)),
    changes=st.lists(
        st.tuples(
            st.integers(0, 200), st.sampled_from([b"", b"\r", b"\n", b"\0", b" ", b":", b"0", b"9", b"\xff"])
        ),
        min_size=1,
        max_size=4,
    ),
    how=st.sampled_from(["one", "two", "bytes"]),
)
def test_any_change(
    any_server: tuple[RawServer, list[bytes]], name: str, changes: list[tuple[int, bytes]], how: str
) -> None:
    """Whatever is changed in a response, a request ends with one of the known reasons, and closes."""
    server, told = any_server
    told[:] = list(pieces(mutated(CUT[name], changes), how))

    async def main() -> None:
        transport = AiohttpTransport(LOOPBACK)
        ended = ""
        try:
            await ask(transport, server.url, timeout=5)
        except TransportFailed as failed:
            ended = failed.reason.value
        assert ended in ("", "protocol_error", "disconnected", "response_too_large")
        await transport.close()
        await all_closed(server)

    run("asyncio", main)


@pytest.fixture(scope="module")
def any_server() -> Iterator[tuple[RawServer, list[bytes]]]:
    told: list[bytes] = []

    async def handle(reader: Reader, writer: StreamWriter) -> None:
        await reader.request()
        await say(writer, list(told))

    with RawServer(handle) as server:
        yield server, told
