"""What goes over the wire and what comes back, at a real socket, on both event loops (see conftest.py)."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import socket
import ssl
import struct
import time
from asyncio import StreamWriter
from base64 import b64decode
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp.abc import AbstractResolver, ResolveResult

from leadpush_prefect.errors import Reason
from leadpush_prefect.network import aiohttp_transport as transport_module
from leadpush_prefect.network.addresses import parse_networks
from leadpush_prefect.network.aiohttp_transport import AiohttpTransport
from leadpush_prefect.network.deadlines import LATE_SECONDS, READING_SECONDS, Deadlines
from leadpush_prefect.network.wire import RenderedRequest, Response, TransportFailed
from tests.support.raw_server import CERTIFICATE, Handler, RawServer, Reader, in_turn, mute, respond

pytestmark = [
    pytest.mark.asyncio,
    pytest.mark.timeout(60),
    # aiohttp's word on more than 1 MiB of bytes; it sends them all the same.
    pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning"),
]

LOOPBACK = parse_networks(["127.0.0.0/8", "::1/128"])
METHODS = ["GET", "PUT", "DELETE", "POST", "PATCH"]


@pytest_asyncio.fixture
async def transport() -> AsyncIterator[AiohttpTransport]:
    transport = AiohttpTransport(LOOPBACK)
    yield transport
    await transport.close()


class Names(AbstractResolver):
    """Resolves any name to these addresses: one list after the other, the last one from then on."""

    def __init__(self, *responses: list[str]) -> None:
        self.responses = list(responses)
        self.asked = 0

    async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[ResolveResult]:
        self.asked += 1
        addresses = self.responses.pop(0) if len(self.responses) > 1 else self.responses[0]
        return [
            ResolveResult(hostname=host, host=address, port=port, family=0, proto=0, flags=0)
            for address in addresses
        ]

    async def close(self) -> None:
        pass


class MuteNames(Names):
    async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[ResolveResult]:
        await asyncio.Event().wait()
        raise AssertionError


async def send(
    transport: AiohttpTransport,
    url: str,
    method: str = "GET",
    *,
    headers: tuple[tuple[str, str], ...] = (),
    body: bytes | None = None,
    timeout: float = 10,
    limit: int = 1_000_000,
) -> Response:
    request = RenderedRequest(method, url, headers, body)
    return await transport.send(request, timeout_seconds=timeout, max_response_bytes=limit)


async def failure(
    transport: AiohttpTransport, url: str, method: str = "GET", **options: Any
) -> TransportFailed:
    """The failure of a request, checked for what no message may hold."""
    url = f"{url}/hidden?email=lovelace" if url.count("/") == 2 else url
    with pytest.raises(TransportFailed) as caught:
        await send(transport, url, method, **options)
    failed = caught.value
    assert failed.message.endswith(".")
    for error in (failed, failed.__cause__, failed.__context__):
        assert "hidden" not in f"{error!s} {error!r}"
        assert "lovelace" not in f"{error!s} {error!r}"
    return failed


def says(data: bytes, *, then: Handler | None = None) -> Handler:
    """A handler that reads one request, says this, and then hangs up or goes on with another handler."""

    async def handle(reader: Reader, writer: StreamWriter) -> None:
        await reader.request()
        writer.write(data)
        await writer.drain()
        if then is not None:
            await then(reader, writer)

    return handle


async def reset(reader: Reader, writer: StreamWriter) -> None:
    """Go on with a reset, once the client has had what was said."""
    await asyncio.sleep(0.05)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def drip(reader: Reader, writer: StreamWriter) -> None:
    while True:
        writer.write(b"a")
        await writer.drain()
        await asyncio.sleep(0.01)


# What goes out


@pytest.mark.parametrize(
    "target",
    [
        "/",
        "/a%2Fb/%e2%82%ac/%E2%82%AC",
        "/x/../y/./z//",
        "/%2e%2e/%2E",
        "/a?",
        "/?",
        "/a??b=c?",
        "/a?b=%2B+%20&&c&=d&b=%",
        "/%zz/%",
        "/!$&'()*+,;=:@~-._/a;b=c",
        '/"<>[]\\^`{|}',
        "/http://other.example/",
        "//other.example/",
        "/a=b&c",
    ],
)
async def test_target(transport: AiohttpTransport, target: str) -> None:
    """The target goes out as it stands, byte for byte."""
    with RawServer() as server:
        await send(transport, server.url + target)
    assert [target.encode()] == [request.target for request in server.requests]


@pytest.mark.parametrize(("given", "target"), [("", b"/"), ("?a=b", b"/?a=b"), ("?", b"/?")])
async def test_target_without_path(transport: AiohttpTransport, given: str, target: bytes) -> None:
    """A URL without a path asks for `/` (RFC 9112, section 3.2.1)."""
    with RawServer() as server:
        await send(transport, server.url + given)
    assert target == server.requests[0].target


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/a\r\nX: y",
        "http://127.0.0.1/a\tb",
        "http://127.0.0.1/a b",
        "http://127.0.0.1/\x00",
        "http://127.0.0.1/\u00e9",
        "http://127.0.0.1/#fragment",
        "http://user:secret@127.0.0.1/",
        "http://good.example\\@127.0.0.1/",
        "http://good.example#@127.0.0.1/",
        "http://127.0.0.1:99999/",
        "http:///a",
        "ftp://127.0.0.1/",
        "file:///etc/passwd",
        "//127.0.0.1/",
        "",
    ],
)
async def test_url_that_cannot_be_sent(transport: AiohttpTransport, url: str) -> None:
    """A URL that would have to be changed is refused, and the error does not repeat it."""
    with pytest.raises(ValueError) as caught:
        await send(transport, url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("method", METHODS)
async def test_headers(transport: AiohttpTransport, method: str) -> None:
    """The headers are the request's, in order and case, with Host and Content-Length and nothing else."""
    headers = (
        ("x-B", "1"),
        ("Accept", "application/json"),
        ("X-a", " two  spaces"),
        ("x-b", "2"),
        ("X-B", "3"),
        ("X-Empty", ""),
        ("Cookie", 'a=b; c="d"'),
        ("Authorization", "Bearer x"),
    )
    with RawServer() as server:
        await send(transport, server.url, method, headers=headers, body=b"{}")
    request = server.requests[0]
    expected = [(name.encode(), value.strip().encode()) for name, value in headers]
    assert method.encode() == request.method
    assert expected == [pair for pair in request.headers if pair[0] not in (b"Host", b"Content-Length")]
    assert b"Host" == request.names[0]
    assert server.url.removeprefix("http://").encode() == request.header("host")
    assert b"2" == request.header("content-length")
    assert len(headers) + 2 == len(request.headers)


async def test_no_automatic_headers(transport: AiohttpTransport) -> None:
    """A request without headers gets but those of the connection."""
    with RawServer() as server:
        for method in METHODS:
            await send(transport, server.url, method)
            await send(transport, server.url, method, body=b"{}")
    assert {b"Host", b"Content-Length"} == {name for request in server.requests for name in request.names}


async def test_header_in_utf8(transport: AiohttpTransport) -> None:
    """A value that is not ASCII goes out as UTF-8."""
    with RawServer() as server:
        await send(transport, server.url, headers=(("X-Name", "Zoë €"),))
    assert "Zoë €".encode() == server.requests[0].header("X-Name")


@pytest.mark.parametrize("header", [("X", "a\r\nY: b"), ("X", "a\nb"), ("X", "a\0"), ("X\r\nY", "a")])
async def test_header_injection(transport: AiohttpTransport, header: tuple[str, str]) -> None:
    """A header that would end its line is never sent."""
    with RawServer() as server:
        with pytest.raises(ValueError):
            await send(transport, server.url, headers=(header,))
        await server.until(lambda: server.open_now == 0)
    assert [] == server.requests


@pytest.mark.parametrize("name", ["Content-Length", "content-length", "TRANSFER-ENCODING", "Host"])
async def test_own_headers(transport: AiohttpTransport, name: str) -> None:
    """What is the connection's to say, no request says."""
    with RawServer() as server:
        with pytest.raises(ValueError):
            await send(transport, server.url, "POST", headers=((name, "1"),), body=b"{}")
        await server.until(lambda: server.open_now == 0)
    assert [] == server.requests


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("body", [b"", b"{}", bytes(range(256)), b"a" * 1_000_000])
async def test_body(transport: AiohttpTransport, method: str, body: bytes) -> None:
    """The body goes out byte for byte."""
    with RawServer() as server:
        response = await send(transport, server.url, method, body=body, limit=10_000_000)
    assert body == server.requests[0].body == b64decode(json.loads(response.body)["body"])


async def test_environment(
    transport: AiohttpTransport, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Proxies and passwords of the environment are not taken."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login ada password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    with RawServer() as server:
        await send(transport, server.url)
    assert [b"Host"] == server.requests[0].names


async def test_cookies(transport: AiohttpTransport) -> None:
    """A cookie of one contact's answer is not sent for the next."""
    with RawServer(respond(headers=[("Set-Cookie", "session=ada")])) as server:
        await send(transport, server.url)
        await send(transport, server.url)
    assert [[b"Host"], [b"Host"]] == [request.names for request in server.requests]


# What comes back


async def test_answer(transport: AiohttpTransport) -> None:
    """A response has status, headers by lower-case name (the last of each) and the whole body."""
    headers = [("Content-Type", "application/json"), ("X-A", "1"), ("x-a", "2")]
    with RawServer(respond(b'{"plan": "pro"}', status=201, headers=headers)) as server:
        response = await send(transport, server.url)
    expected = {"content-type": "application/json", "x-a": "2", "content-length": "15"}
    assert Response(201, expected, b'{"plan": "pro"}') == response


HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"

WHOLE = {
    "length": respond(b'{"a": 1}'),
    "chunked": CHUNKED + b'3\r\n{"a\r\n5\r\n": 1}\r\n0\r\nX-Trailer: a\r\n\r\n',
    "until the end": respond(b'{"a": 1}', length=-1),
    "HTTP/1.0": b'HTTP/1.0 200 OK\r\n\r\n{"a": 1}',
    "gzip": respond(gzip.compress(b'{"a": 1}'), headers=[("Content-Encoding", "gzip")]),
    "after 1xx": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n" + respond(b'{"a": 1}'),
}


@pytest.mark.parametrize("data", WHOLE.values(), ids=WHOLE.keys())
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_whole_body(transport: AiohttpTransport, data: bytes, method: str) -> None:
    """A body is read to its end, whatever tells where that is."""
    with RawServer(says(data)) as server:
        response = await send(transport, server.url, method, body=b"{}")
    assert b'{"a": 1}' == response.body


@pytest.mark.parametrize("status", [204, 205, 304])
async def test_no_body(transport: AiohttpTransport, status: int) -> None:
    """A status without a body has none."""
    with RawServer(f"HTTP/1.1 {status} None\r\nContent-Length: 0\r\n\r\n".encode()) as server:
        assert (status, b"") == ((response := await send(transport, server.url)).status, response.body)


PROTOCOL_ERRORS = {
    "no HTTP": b"hello, world\r\n\r\n",
    "HTTP/2": b"\x00\x00\x12\x04\x00\x00\x00\x00\x00",
    "two lengths": HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "bad length": HEAD + b"Content-Length: x\r\n\r\n{}",
    "length and chunked": HEAD
    + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "long header": HEAD + b"X: " + b"a" * 10_000 + b"\r\nContent-Length: 2\r\n\r\n{}",
    "many headers": HEAD + b"X: a\r\n" * 20_000 + b"Content-Length: 2\r\n\r\n{}",
    "bad chunk": CHUNKED + b"2\r\n{}\r\nzz\r\n",
}


@pytest.mark.parametrize("data", PROTOCOL_ERRORS.values(), ids=PROTOCOL_ERRORS.keys())
async def test_protocol_error(transport: AiohttpTransport, data: bytes) -> None:
    """What is not valid HTTP is told as that, and its connection closed."""
    with RawServer(says(data, then=mute)) as server:
        assert Reason.PROTOCOL_ERROR == (await failure(transport, server.url)).reason
        await server.until(lambda: server.open_now == 0)


DISCONNECTED = {
    "nothing": b"",
    "half a head": HEAD + b"Content-Le",
    "after 1xx": b"HTTP/1.1 100 Continue\r\n\r\n",
    "short": respond(b"{}", length=10),
    "chunk cut": CHUNKED + b"9\r\n{}",
    "no last chunk": CHUNKED + b"2\r\n{}\r\n",
    "gzip cut": respond(gzip.compress(b"{}")[:-1], headers=[("Content-Encoding", "gzip")]),
}


@pytest.mark.parametrize("data", DISCONNECTED.values(), ids=DISCONNECTED.keys())
@pytest.mark.parametrize("then", [None, reset], ids=["closed", "reset"])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_disconnected(
    transport: AiohttpTransport, data: bytes, then: Handler | None, method: str
) -> None:
    """A response that ends too early is never taken for a whole one."""
    with RawServer(says(data, then=then)) as server:
        failed = await failure(transport, server.url, method)
    assert Reason.DISCONNECTED == failed.reason
    assert failed.sent


async def test_damaged(transport: AiohttpTransport) -> None:
    """A body that is not what its encoding says is told as such."""
    with RawServer(respond(b"{}", headers=[("Content-Encoding", "gzip")])) as server:
        assert Reason.PROTOCOL_ERROR == (await failure(transport, server.url)).reason


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, br"])
async def test_encoding_unsupported(transport: AiohttpTransport, encoding: str) -> None:
    """An encoding that was not asked for is refused."""
    with RawServer(respond(headers=[("Content-Encoding", encoding)])) as server:
        failed = await failure(transport, server.url)
    assert Reason.RESPONSE_ENCODING_UNSUPPORTED == failed.reason


async def test_encoding_in_two_headers(transport: AiohttpTransport) -> None:
    """An encoding in two headers is two encodings."""
    with RawServer(respond(headers=[("Content-Encoding", "gzip"), ("Content-Encoding", "gzip")])) as server:
        failed = await failure(transport, server.url)
    assert Reason.RESPONSE_ENCODING_UNSUPPORTED == failed.reason


async def endless(reader: Reader, writer: StreamWriter) -> None:
    while True:
        writer.write(b"10000\r\n" + b"a" * 65_536 + b"\r\n")
        await writer.drain()


TOO_LARGE: dict[str, Handler] = {
    "length told": says(HEAD + b"Content-Length: 1000001\r\n\r\n", then=mute),
    "endless": says(CHUNKED, then=endless),
    "bomb": says(
        respond(gzip.compress(bytes(20_000_000)), headers=[("Content-Encoding", "gzip")], length=10**9),
        then=mute,
    ),
}


@pytest.mark.parametrize("handler", TOO_LARGE.values(), ids=TOO_LARGE.keys())
async def test_too_large(transport: AiohttpTransport, handler: Handler) -> None:
    """A body over the limit is refused, and its connection closed instead of drained."""
    with RawServer(handler) as server:
        assert Reason.RESPONSE_TOO_LARGE == (await failure(transport, server.url)).reason
        await server.until(lambda: server.open_now == 0)


async def test_limit_itself(transport: AiohttpTransport) -> None:
    """A body of just the limit is read."""
    with RawServer(respond(b"a" * 1000)) as server:
        assert 1000 == len((await send(transport, server.url, limit=1000)).body)
        assert Reason.RESPONSE_TOO_LARGE == (await failure(transport, server.url, limit=999)).reason


# Responses that are no success


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirect(transport: AiohttpTransport, status: int) -> None:
    """A redirect is a response, and is not followed."""
    with RawServer(respond(b"", status=status, headers=[("Location", "/elsewhere")])) as server:
        response = await send(transport, server.url, "POST", body=b"{}")
    assert (status, "/elsewhere") == (response.status, response.headers["location"])
    assert 1 == len(server.requests)


async def test_error_body(transport: AiohttpTransport) -> None:
    """A short error body is read whole, past any limit, and its connection used again."""
    with RawServer(respond(b"no such customer", status=404)) as server:
        for _ in range(2):
            response = await send(transport, server.url, limit=1)
            assert (b"no such customer", False) == (response.body, response.is_cut)
    assert 1 == server.connections


async def test_error_body_bounded(transport: AiohttpTransport) -> None:
    """Of a long error body 4,096 bytes are read, and its connection closed."""
    error = CHUNKED.replace(b"200 OK", b"500 Oops")
    with RawServer(says(error, then=endless)) as server:
        response = await send(transport, server.url)
        assert (500, b"a" * 4096, True) == (response.status, response.body, response.is_cut)
        await server.until(lambda: server.open_now == 0)


@pytest.mark.parametrize("then", [None, reset, mute], ids=["closed", "reset", "mute"])
async def test_error_body_that_does_not_come(transport: AiohttpTransport, then: Handler | None) -> None:
    """A status is told even if its body breaks off or never comes, with what has come of it."""
    with RawServer(says(respond(b"oops", status=503, length=100), then=then)) as server:
        response = await send(transport, server.url, timeout=0.2)
        await server.until(lambda: server.open_now == 0)
    assert (503, b"oops") == (response.status, response.body)


@pytest.mark.parametrize("encoding", ["br", "gzip"])
async def test_error_body_that_cannot_be_decoded(transport: AiohttpTransport, encoding: str) -> None:
    """A status is told even if its body cannot be read."""
    with RawServer(respond(b"oops", status=500, headers=[("Content-Encoding", encoding)])) as server:
        response = await send(transport, server.url)
    assert (500, b"") == (response.status, response.body)


async def test_switching_protocols(transport: AiohttpTransport) -> None:
    """A 101 is a response like another, and leaves no connection behind."""
    head = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"
    with RawServer(says(head, then=mute)) as server:
        assert 101 == (await send(transport, server.url)).status
        await server.until(lambda: server.open_now == 0)


# Deadlines


DEADLINES: dict[str, Handler] = {
    "no response": says(b"", then=mute),
    "dripped head": says(HEAD + b"X: ", then=drip),
    "dripped body": says(respond(b"", length=1_000_000), then=drip),
    "mute body": says(respond(b"{", length=2), then=mute),
    "request not read": mute,
}


@pytest.mark.parametrize("handler", DEADLINES.values(), ids=DEADLINES.keys())
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_deadline(transport: AiohttpTransport, handler: Handler, method: str) -> None:
    """One deadline covers all from the request to the last byte, and closes the socket."""
    body = None if method == "GET" else b"a" * (20_000_000 if handler is mute else 10)
    with RawServer(handler) as server:
        began = time.monotonic()
        failed = await failure(transport, server.url, method, body=body, timeout=0.2)
        assert time.monotonic() - began > 0.15
        if not (handler is mute and body):  # a server that does not read does not see the end
            await server.until(lambda: server.open_now == 0)
    assert Reason.TIMEOUT == failed.reason
    assert "0.2 s" in failed.message
    assert failed.sent


async def test_endless_1xx(transport: AiohttpTransport) -> None:
    """Endless interim responses end at the deadline."""

    async def interim(reader: Reader, writer: StreamWriter) -> None:
        while True:
            writer.write(b"HTTP/1.1 103 Early Hints\r\n\r\n")
            await writer.drain()
            await asyncio.sleep(0.005)

    with RawServer(says(b"", then=interim)) as server:
        assert Reason.TIMEOUT == (await failure(transport, server.url, timeout=0.2)).reason


@contextlib.contextmanager
def full_backlog() -> Iterator[str]:
    """The URL of a port where a connection is never made: its queue is full, so Linux drops what knocks."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):
            knocking = stack.enter_context(socket.socket())
            knocking.setblocking(False)
            knocking.connect_ex(listener.getsockname())
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.mark.parametrize("method", METHODS)
async def test_deadline_while_connecting(transport: AiohttpTransport, method: str) -> None:
    """A deadline that passes before there is a connection tells that nothing was sent."""
    with full_backlog() as url:
        failed = await failure(transport, url, method, body=b"{}", timeout=0.2)
    assert (Reason.TIMEOUT, False) == (failed.reason, failed.sent)


@pytest.mark.parametrize("method", METHODS)
async def test_deadline_in_tls(transport: AiohttpTransport, method: str) -> None:
    """The same in a TLS handshake that is not answered."""
    with RawServer(mute) as server:
        url = server.url.replace("http:", "https:")
        failed = await failure(transport, url, method, body=b"{}", timeout=0.2)
        await server.until(lambda: server.open_now == 0)
    assert (Reason.TIMEOUT, False) == (failed.reason, failed.sent)


async def test_deadline_while_resolving() -> None:
    """The same while the name is looked up."""
    transport = AiohttpTransport(resolver=MuteNames())
    failed = await failure(transport, "http://slow.example", "POST", body=b"{}", timeout=0.2)
    await transport.close()
    assert (Reason.TIMEOUT, False) == (failed.reason, failed.sent)


@pytest.mark.parametrize("seconds", [0, -1])
async def test_no_time_left(transport: AiohttpTransport, seconds: float) -> None:
    """No time is no time, and not no deadline."""
    with RawServer(mute) as server:
        assert Reason.TIMEOUT == (await failure(transport, server.url, timeout=seconds)).reason


# No connection


async def test_connect_failed(transport: AiohttpTransport) -> None:
    """A refused connection is told, with the system's reason."""
    with RawServer() as server:
        pass
    failed = await failure(transport, server.url, "POST", body=b"{}")
    assert (Reason.CONNECT_FAILED, False) == (failed.reason, failed.sent)
    assert f"127.0.0.1:{server.port}" in failed.message


@pytest.mark.parametrize("host", ["nowhere.invalid", "a..b", "a" * 64 + ".example", "..."])
async def test_dns_failed(transport: AiohttpTransport, host: str) -> None:
    """A name without an address is told, also if it cannot be a name."""
    failed = await failure(transport, f"http://{host}", "POST")
    assert (Reason.DNS_FAILED, False) == (failed.reason, failed.sent)
    assert host in failed.message


async def test_certificate(transport: AiohttpTransport) -> None:
    """A certificate that nobody vouches for is refused."""
    with RawServer(tls=True) as server:
        failed = await failure(transport, server.url, "POST")
    assert (Reason.TLS_FAILED, False) == (failed.reason, failed.sent)
    assert "self-signed" in failed.message
    assert [] == server.requests


async def test_no_tls(transport: AiohttpTransport) -> None:
    """A server that speaks no TLS is told as that."""

    async def plain(reader: Reader, writer: StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()

    with RawServer(plain) as server:
        failed = await failure(transport, server.url.replace("http:", "https:"))
    assert (Reason.TLS_FAILED, False) == (failed.reason, failed.sent)


async def test_tls() -> None:
    """A certificate that is trusted is accepted, and its connection used again."""
    trusting = AiohttpTransport(LOOPBACK, ssl_context=ssl.create_default_context(cafile=str(CERTIFICATE)))
    with RawServer(tls=True) as server:
        for _ in range(2):
            assert 200 == (await send(trusting, server.url)).status
        await trusting.close()
    assert 1 == server.connections


# Addresses


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.0.0.1.",
        "127.1",
        "2130706433",
        "017700000001",
        "0177.0.0.1",
        "0x7f.0.0.1",
        "0x7f000001",
        "0",
        "0.0.0.0",
        "localhost",
        "LocalHost",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::127.0.0.1]",
        "[2002:7f00:1::]",
        "[fe80::1%lo]",
        "169.254.169.254",
        "[fd00:ec2::254]",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_blocked(host: str, method: str) -> None:
    """However an address is spelt, it is not reached unless it is public."""
    with RawServer() as server:
        transport = AiohttpTransport()
        failed = await failure(transport, f"http://{host}:{server.port}", method)
        await transport.close()
    assert (Reason.ADDRESS_BLOCKED, False) == (failed.reason, failed.sent)
    assert 0 == server.connections


async def test_blocked_message() -> None:
    """A blocked address is named, with what kind it is and the setting that would allow it."""
    transport = AiohttpTransport(resolver=Names(["10.1.2.3"]))
    failed = await failure(transport, "http://crm.example")
    await transport.close()
    message = (
        "crm.example:80 has the address 10.1.2.3 (private, RFC 1918), which allowed_networks does not allow."
    )
    assert message == failed.message


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["127.0.0.1", "10.0.0.1"],
        ["127.0.0.1", "::1"],  # the last two are tried together, and their errors made one
        ["127.0.0.1", "::1", "10.0.0.1", "fd00::1", "169.254.169.254"],
        ["::ffff:127.0.0.1", "127.0.0.1", "192.168.0.1"],
        ["0x7f.1", "localhost"],  # a resolver that answers with names
    ],
)
async def test_blocked_by_name(addresses: list[str]) -> None:
    """A name is blocked if all its addresses are, however many they are."""
    with RawServer() as server:
        transport = AiohttpTransport(resolver=Names(addresses))
        failed = await failure(transport, f"http://crm.example:{server.port}")
        await transport.close()
    assert Reason.ADDRESS_BLOCKED == failed.reason
    assert 0 == server.connections


@pytest.mark.parametrize(
    "addresses", [["127.0.0.2", "127.0.0.1"], ["127.0.0.1", "127.0.0.2"], ["::1", "127.0.0.1"]]
)
async def test_allowed_among_blocked(addresses: list[str]) -> None:
    """Of a name's addresses, only the allowed are connected."""
    with RawServer() as server:
        transport = AiohttpTransport(parse_networks(["127.0.0.1"]), resolver=Names(addresses))
        for _ in range(3):
            assert 200 == (await send(transport, f"http://crm.example:{server.port}")).status
        await transport.close()
    assert {f"crm.example:{server.port}".encode()} == {request.header("host") for request in server.requests}


async def test_rebinding(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that is allowed and then turns to another address is judged anew at each connection."""
    monkeypatch.setattr(transport_module, "DNS_CACHE_SECONDS", 0)
    names = Names(["127.0.0.1"], ["127.0.0.2"])
    with RawServer(respond(headers=[("Connection", "close")])) as server:
        transport = AiohttpTransport(parse_networks(["127.0.0.1"]), resolver=names)
        assert 200 == (await send(transport, f"http://crm.example:{server.port}")).status
        failed = await failure(transport, f"http://crm.example:{server.port}")
        await transport.close()
    assert Reason.ADDRESS_BLOCKED == failed.reason
    assert 2 == names.asked


async def test_names_are_cached() -> None:
    """A name is not looked up for each contact."""
    names = Names(["127.0.0.1"])
    with RawServer(says(respond(headers=[("Connection", "close")]))) as server:
        transport = AiohttpTransport(LOOPBACK, resolver=names)
        for _ in range(5):
            await send(transport, f"http://crm.example:{server.port}")
        await transport.close()
    assert (5, 1) == (server.connections, names.asked)


# Connections


async def test_reuse(transport: AiohttpTransport) -> None:
    """Connections are used again: as many as requests at once, and no more."""
    with RawServer() as server:
        for _ in range(3):
            await asyncio.gather(*(send(transport, server.url, METHODS[number % 5]) for number in range(8)))
    assert (24, 8, 8) == (len(server.requests), server.connections, server.most_open)


@pytest.mark.parametrize("method", METHODS)
async def test_no_resend(transport: AiohttpTransport, method: str) -> None:
    """A request whose reused connection ends is not sent again behind the caller's back."""
    with RawServer(in_turn(respond(), None, respond())) as server:
        await send(transport, server.url, method, body=b"{}")
        failed = await failure(transport, server.url, method, body=b"{}")
        assert (Reason.DISCONNECTED, True) == (failed.reason, failed.sent)
        assert 2 == len(server.requests)

        await send(transport, server.url, method)
    assert 3 == len(server.requests)


async def test_answer_before_the_request_is_read(transport: AiohttpTransport) -> None:
    """A server that responses before it has read the request leaves no half-sent connection to the next."""

    async def hasty(reader: Reader, writer: StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(respond(status=413))
        await mute(reader, writer)

    with RawServer(hasty) as server:
        for _ in range(2):
            assert 413 == (await send(transport, server.url, "POST", body=b"a" * 20_000_000)).status
        assert 2 == server.connections


async def test_closed(transport: AiohttpTransport) -> None:
    """A closed transport has no connections, and sends nothing."""
    with RawServer() as server:
        await send(transport, server.url)
        await transport.close()
        await transport.close()
        await server.until(lambda: server.open_now == 0)
        with pytest.raises(RuntimeError, match="closed"):
            await send(transport, server.url)
    with pytest.raises(RuntimeError, match="closed"):
        unused = AiohttpTransport()
        await unused.close()
        await send(unused, server.url)


# Cancelling


CANCELLED: dict[str, Handler] = {
    "no response": says(b"", then=mute),
    "in the head": says(HEAD, then=mute),
    "in the body": says(respond(b"{", length=2), then=mute),
    "in an error's body": says(respond(b"{", length=2, status=500), then=mute),
}


@pytest.mark.parametrize("handler", CANCELLED.values(), ids=CANCELLED.keys())
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_cancel(transport: AiohttpTransport, handler: Handler, method: str) -> None:
    """Cancelling closes the socket at once."""
    with RawServer(handler) as server:
        sending = asyncio.create_task(send(transport, server.url, method, body=b"{}"))
        await server.until(lambda: len(server.requests) == 1)
        await asyncio.sleep(0.05)  # into the phase; nothing depends on getting there
        sending.cancel()
        await asyncio.wait([sending])
        await server.until(lambda: server.open_now == 0)
    assert sending.cancelled()


async def test_cancel_in_tls(transport: AiohttpTransport) -> None:
    """Also in a TLS handshake."""
    with RawServer(mute) as server:
        sending = asyncio.create_task(send(transport, server.url.replace("http:", "https:")))
        await server.until(lambda: server.open_now == 1)
        sending.cancel()
        await asyncio.wait([sending])
        await server.until(lambda: server.open_now == 0)
    assert sending.cancelled()


async def test_cancel_while_sending(transport: AiohttpTransport) -> None:
    """What has not been sent when it is cancelled, is never sent."""
    arrived = 0
    ended = asyncio.Event()
    go_on = asyncio.Event()  # of the server's loop, and set there

    async def slow(reader: Reader, writer: StreamWriter) -> None:
        nonlocal arrived
        await reader.readuntil(b"\r\n\r\n")
        await go_on.wait()
        try:
            while piece := await reader.read(65_536):
                arrived += len(piece)
        finally:
            loop.call_soon_threadsafe(ended.set)

    loop = asyncio.get_running_loop()
    with RawServer(slow) as server:
        sending = asyncio.create_task(send(transport, server.url, "POST", body=b"a" * 50_000_000))
        await server.until(lambda: server.open_now == 1)
        await asyncio.sleep(0.05)
        sending.cancel()
        await asyncio.wait([sending])
        server.call(go_on.set)
        await asyncio.wait_for(ended.wait(), 10)
    assert arrived < 50_000_000


@pytest.mark.parametrize("split", [True, False], ids=["two pieces", "one piece"])
async def test_cancel_at_any_moment(transport: AiohttpTransport, split: bool) -> None:
    """Whenever a request is cancelled, the next one has its own connection and its own answer."""

    async def pieces(reader: Reader, writer: StreamWriter) -> None:
        while True:
            response = respond(json.dumps([(await reader.request()).target.decode()]).encode())
            writer.write(response[:-1] if split else response)
            if split:
                await writer.drain()
                writer.write(response[-1:])

    with RawServer(pieces) as server:
        for turns in range(40):
            cancelled = asyncio.create_task(send(transport, f"{server.url}/cancelled"))
            for _ in range(turns):
                await asyncio.sleep(0.0001 if turns % 2 else 0)
            cancelled.cancel()
            await asyncio.wait([cancelled])
            response = await send(transport, f"{server.url}/{turns}")
            assert json.loads(response.body) == [f"/{turns}"]


# Deadlines


async def test_deadlines_of_many() -> None:
    """Each ends when it is due, whatever is due before or after it, and none that was left in time."""
    deadlines = Deadlines()
    ended: list[int] = []

    async def wait(number: int, due: float, seconds: float) -> None:
        try:
            with deadlines.until(deadlines.now() + due):
                await asyncio.sleep(seconds)
        except TimeoutError:
            ended.append(number)

    numbers = [30, 5, 40, 20, 10]
    late = (wait(number, number / 100, 60) for number in numbers)
    in_time = (wait(number, 30 + number, 0.001) for number in (1, 2, 3))
    await asyncio.gather(*late, *in_time)
    assert ended == sorted(numbers)


async def test_deadline_and_cancel() -> None:
    """Who cancels a task is heard, also when its time is up at the same moment."""
    deadlines = Deadlines()

    async def wait() -> None:
        with deadlines.until(deadlines.now() - 1):
            loop.call_soon(task.cancel)
            await asyncio.sleep(60)

    loop = asyncio.get_running_loop()
    task = asyncio.create_task(wait())
    await asyncio.wait([task])
    assert task.cancelled()


async def test_deadline_is_past() -> None:
    """A block that does not wait ends as it would; one that waits does not."""
    deadlines = Deadlines()
    with deadlines.until(deadlines.now() - 1):
        pass
    with pytest.raises(TimeoutError), deadlines.until(deadlines.now() - 1):
        await asyncio.sleep(60)
    current = asyncio.current_task()
    assert current is not None
    assert current.cancelling() == 0


async def test_a_stopped_process_reads_before_it_judges() -> None:
    """Where nothing ran for longer than a task had, what has come meanwhile counts; what has not come is late."""
    deadlines = Deadlines()
    loop = asyncio.get_running_loop()
    ours, theirs = socket.socketpair()
    ours.setblocking(False)

    async def read(seconds: float) -> bytes:
        with deadlines.until(deadlines.now() + seconds):
            return await loop.sock_recv(ours, 10)

    reading = asyncio.create_task(read(0.1))
    await asyncio.sleep(0)
    theirs.send(b"it came")
    time.sleep(0.1 + LATE_SECONDS + 0.1)  # as a process that is stopped does
    assert await reading == b"it came"
    reading = asyncio.create_task(read(0.1))
    await asyncio.sleep(0)
    time.sleep(0.1 + LATE_SECONDS + 0.1)
    with pytest.raises(TimeoutError):
        await reading
    ours.close()
    theirs.close()


async def test_a_deadline_is_put_off_once() -> None:
    """A loop that is held up again and again judges all the same."""
    deadlines = Deadlines()
    loop = asyncio.get_running_loop()
    held_up: list[float] = []

    def hold_up() -> None:
        if not judged.is_set():
            time.sleep(LATE_SECONDS + READING_SECONDS + 0.1)
            held_up.append(loop.time())
            loop.call_soon(hold_up)

    judged = asyncio.Event()
    with pytest.raises(TimeoutError), deadlines.until(deadlines.now() + 0.1):
        loop.call_soon(hold_up)
        await judged.wait()
    judged.set()
    assert len(held_up) >= 2
