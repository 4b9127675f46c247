"""What sends requests: aiohttp's pool and parser, guarded.

Connections, names, TLS and the reading of responses are aiohttp's. The request is ours to write, byte for byte,
and so is the deadline: `aiohttp.ClientSession` rebuilds both for each request, which costs as much as all the rest.

It answers with a `Response`, or raises `TransportFailed` with a `Reason`. Messages name the host and never the
path, the query or an exception's own text, since a URL may hold what a contact would not like to read in a log.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from ssl import SSLContext
from typing import NamedTuple

import aiohttp
from aiohttp.abc import AbstractResolver
from aiohttp.connector import AddrInfoType, Connection
from aiohttp.http import HttpProcessingError, HttpVersion10, HttpVersion11
from aiohttp.http_parser import RawResponseMessage
from aiohttp.streams import StreamReader
from yarl import URL

from leadpush_prefect.errors import Reason
from leadpush_prefect.network.addresses import Network, Verdict, judge
from leadpush_prefect.network.aiohttp_protocol import GuardedHandler, TooMuchSent, guard_connections
from leadpush_prefect.network.aiohttp_writer import Outbox, has_unread
from leadpush_prefect.network.body import WholeBody, bounded, read_excerpt
from leadpush_prefect.network.deadlines import Deadlines
from leadpush_prefect.network.failures import Row, failure_of
from leadpush_prefect.network.message import request_bytes
from leadpush_prefect.network.wire import RenderedRequest, Response, TransportFailed, split_url

__all__ = ["AiohttpTransport", "Head"]

Head = tuple[RawResponseMessage, StreamReader]
"""The head of a response, and what reads its body."""

KEEPALIVE_SECONDS = 4.0
"""Below the 5 s after which Node.js, Apache and uvicorn hang up: a POST that meets the end is lost."""

DNS_CACHE_SECONDS = 5

MAX_ORIGINS = 256

MAX_INTERIM_ANSWERS = 100
"""How many 1xx may come before the response: each costs more time than the bytes that it takes."""

WIRE_BYTES, WIRE_BYTES_PER_BYTE = 2**20, 8
"""What a response may take on the wire: so much for all that is no body, and so much for each byte that its body
may have. A chunk of one byte takes six."""

SWITCHING_PROTOCOLS = 101

_VERSIONS = (HttpVersion11, HttpVersion10)

_NO_TIMEOUT = aiohttp.ClientTimeout(total=None)  # the deadline is one for all


class AiohttpTransport:
    """Sends requests over aiohttp, to public addresses only.

    The guard sits where a socket is made, so it sees each address that is about to be connected: no spelling
    of a URL and no response of a name server gets around it. Nothing is followed, resent, remembered (cookies)
    or taken from the environment (proxies, `.netrc`).

    It belongs to the event loop of its first `send`. The number of connections is the caller's to bound, by
    how much it sends at once.

    Args:
        allowed_networks: Networks that may be connected although they are not public.
        reuse: Whether a connection carries more than one request.
        resolver: Resolves names; the operating system if None.
        ssl_context: Which certificates to trust; those that the operating system trusts if None.
        highest_file: A socket that gets a higher number is taken for one too many; 0 if none is.

    >>> import asyncio
    >>> async def ask() -> None:
    ...     transport = AiohttpTransport()
    ...     request = RenderedRequest("GET", "http://127.0.0.1:8000/", ())
    ...     try:
    ...         await transport.send(request, timeout_seconds=1, max_response_bytes=1000)
    ...     finally:
    ...         await transport.close()
    >>> try:
    ...     asyncio.run(ask())
    ... except TransportFailed as failure:
    ...     print(failure.message)
    127.0.0.1:8000 has the address 127.0.0.1 (loopback, RFC 1122), which allowed_networks does not allow.
    """

    def __init__(
        self,
        allowed_networks: Sequence[Network] = (),
        *,
        reuse: bool = True,
        resolver: AbstractResolver | None = None,
        ssl_context: SSLContext | None = None,
        highest_file: int = 0,
    ) -> None:
        self._allowed_networks = tuple(allowed_networks)
        self._reuse = reuse
        self._resolver = resolver
        self._ssl_context = ssl_context
        self._highest_file = highest_file
        self._opened: tuple[aiohttp.TCPConnector, Deadlines, Outbox] | None = None
        self._origins: dict[str, _Origin] = {}
        self._closed = False

    async def send(
        self, request: RenderedRequest, *, timeout_seconds: float, max_response_bytes: int
    ) -> Response:
        """Send a request, and read its response within the limits; cancelling it closes the socket.

        Args:
            request: What to send.
            timeout_seconds: From now to the last byte of the response.
            max_response_bytes: How large the body of a 2xx may be, decompressed. Of any other response, at most
                4,096 bytes are read, and as many as have come when the time is up or the connection ends.

        Raises:
            TransportFailed: if there is no whole response.
            ValueError: if the request cannot be sent as it stands: a URL with user, fragment, space or
                control characters, a header that would end its line, or one that is the connection's own
                (Host, Content-Length, Transfer-Encoding).
        """
        pool, deadlines, outbox = self._open()
        origin_text, target = split_url(request.url)
        origin = self._origin(origin_text)
        message = request_bytes(request, origin.host, target, close=not self._reuse)
        deadline = deadlines.now() + timeout_seconds
        size = WIRE_BYTES + WIRE_BYTES_PER_BYTE * max_response_bytes
        connection: Connection | None = None
        handler: GuardedHandler | None = None
        whole = is_cut = False
        try:
            with deadlines.until(deadline):
                while True:
                    connection, handler = await _connect(pool, origin)
                    outbox.put(connection, handler, message, size)
                    try:
                        head, body = await self._head(handler)
                        break
                    except _AIOHTTP_ERRORS:
                        if handler.asked or not handler.used:
                            raise
                    _give_back(connection, whole=False)  # it was no good any more when its turn came
                headers = _checked_headers(head)
                if 200 <= head.code < 300:
                    data = await _read_whole(headers, body, max_response_bytes)
            if not 200 <= head.code < 300:
                data, is_cut = await _read_excerpt(headers, body, deadlines.until(deadline))
            whole = body.is_eof() and head.code != SWITCHING_PROTOCOLS and _is_sent(connection)
            if head.chunked and head.version != HttpVersion11:
                whole = False  # HTTP/1.0 has no chunks: who sends them may be wrong about their end too
            return Response(head.code, headers, data, is_cut)
        except _AIOHTTP_ERRORS as error:
            sent = handler is not None and handler.asked  # a byte may have been
            failure = _aiohttp_failure(error, origin.url, timeout_seconds, sent=sent)
        finally:
            if connection is not None:
                _give_back(connection, whole)
        raise failure  # here, so that it carries no exception whose text holds the URL

    async def _head(self, handler: GuardedHandler) -> Head:
        """The response's head; its body is still to come."""
        for _ in range(MAX_INTERIM_ANSWERS + 1):
            head, body = await handler.read()
            if not 100 <= head.code < 200 or head.code == SWITCHING_PROTOCOLS:
                return head, body
        raise HttpProcessingError(message="too many interim responses")

    async def close(self) -> None:
        """Close all connections. Afterwards nothing can be sent."""
        self._closed = True
        if self._opened is not None:
            pool, deadlines, _ = self._opened
            deadlines.close()
            await pool.close()

    def _open(self) -> tuple[aiohttp.TCPConnector, Deadlines, Outbox]:
        if self._closed:
            raise RuntimeError("The transport is closed.")
        if self._opened is None:
            self._opened = self._connector(), Deadlines(), Outbox()
        return self._opened

    def _origin(self, text: str) -> _Origin:
        origin = self._origins.get(text)
        if origin is None:
            if len(self._origins) >= MAX_ORIGINS:
                self._origins.clear()
            origin = self._origins[text] = _origin(text)
        return origin

    def _connector(self) -> aiohttp.TCPConnector:
        connector = aiohttp.TCPConnector(
            limit=0,
            limit_per_host=0,
            force_close=not self._reuse,
            keepalive_timeout=KEEPALIVE_SECONDS if self._reuse else None,
            ttl_dns_cache=DNS_CACHE_SECONDS,
            resolver=self._resolver,
            ssl=self._ssl_context or True,
            socket_factory=self._guarded_socket,
        )
        return guard_connections(connector, self._connected)

    _connected: Callable[[], None] | None = None
    """Called for each connection between TCP and TLS."""

    def _guarded_socket(self, addr_info: AddrInfoType) -> socket.socket:
        family, kind, protocol, _, sockaddr = addr_info
        verdict = judge(str(sockaddr[0]), self._allowed_networks)
        if not verdict.allowed:
            raise _AddressBlocked(verdict)
        made = socket.socket(family=family, type=kind, proto=protocol)
        if 0 < self._highest_file < made.fileno():
            made.close()
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return made


class _AddressBlocked(OSError):
    """The guard refuses an address.

    An OSError, so that the other addresses of the host are tried. If all fail, aiohappyeyeballs raises the
    first error as it is only if all have the same text: so this text must not name the address.
    """

    def __init__(self, verdict: Verdict) -> None:
        super().__init__("address blocked")
        self.verdict = verdict


class _Origin(NamedTuple):
    """Where to connect, and how the request names it."""

    url: URL
    host: str
    connects: aiohttp.ClientRequest  # of which the pool asks where to connect; it is never sent


def _origin(text: str) -> _Origin:
    url = URL(text)
    if not _is_name(str(url.raw_host)):
        message = f"{_where(url)} is not a host name: a label of it is empty, or longer than 63 characters."
        raise TransportFailed(Reason.DNS_FAILED, message, sent=False)
    return _Origin(url, url.host_port_subcomponent or "", aiohttp.ClientRequest("GET", url))


def _is_name(host: str) -> bool:
    """Whether a resolver would ask for it. It raises an error of its own kind if not."""
    try:
        host.encode("idna")
    except UnicodeError:
        return False
    return True


def _where(origin: URL) -> str:
    return f"{origin.host_subcomponent}:{origin.port}"


async def _connect(pool: aiohttp.TCPConnector, origin: _Origin) -> tuple[Connection, GuardedHandler]:
    """A connection of the pool, or a new one on which nothing has come."""
    connection = await pool.connect(origin.connects, [], _NO_TIMEOUT)
    handler = connection.protocol
    assert isinstance(handler, GuardedHandler)
    if not handler.used and (handler.refused or has_unread(connection)):
        try:
            await _let_read(handler)
        except BaseException:
            _give_back(connection, whole=False)
            raise
    return connection, handler


async def _let_read(handler: GuardedHandler) -> None:
    """Let the event loop read what has come on a new connection: the TLS of a server says something too.

    Raises:
        aiohttp.http.HttpProcessingError: if it is a response in advance.
        aiohttp.ServerDisconnectedError: if it is the end.
    """
    for _ in range(3):  # uvloop reads after one turn, asyncio after two
        await asyncio.sleep(0)
    if handler.refused:
        raise HttpProcessingError(message="a response before the request")
    if not handler.is_connected():
        raise aiohttp.ServerDisconnectedError


def _checked_headers(head: RawResponseMessage) -> dict[str, str]:
    """The headers by lower-case name, the last of each, but of Content-Encoding all.

    Raises:
        aiohttp.http.HttpProcessingError: if the parser has taken what is no HTTP/1, or a body whose end is in
            doubt (RFC 9112, section 6.3), as a lenient one does.
    """
    headers = {name.lower(): value for name, value in head.headers.items()}
    if head.code < 100 or head.version not in _VERSIONS or "\0" in head.reason:
        raise HttpProcessingError(message="status line")
    if "transfer-encoding" in headers:
        codings = head.headers.getall("Transfer-Encoding")
        if len(codings) > 1 or codings[0].lower() != "chunked":
            raise HttpProcessingError(message="transfer coding")
    if "content-encoding" in headers:
        headers["content-encoding"] = ", ".join(head.headers.getall("Content-Encoding"))
    return headers


def _is_sent(connection: Connection) -> bool:
    """Whether the request is out: an API may answer before it has read all of it."""
    return connection.transport is not None and not connection.transport.get_write_buffer_size()


def _give_back(connection: Connection, whole: bool) -> None:
    """Let another request have the connection, if this one has read all that came, and all that it asked for."""
    handler = connection.protocol
    if whole and isinstance(handler, GuardedHandler) and handler.rest():
        connection.release()
        return
    if connection.transport is not None:
        connection.transport.abort()  # merely closed, it would first send what is still to be sent
    connection.close()


async def _read_whole(headers: Mapping[str, str], body: StreamReader, limit: int) -> bytes:
    encoding, length = headers.get("content-encoding", ""), headers.get("content-length")
    if (
        not encoding and body.is_eof() and body.exception() is None
    ):  # it has come with the head, as small ones do
        return bounded(body.read_nowait(), length=length, limit=limit)
    whole = WholeBody(encoding=encoding, length=length, limit=limit)
    async for chunk in body.iter_any():
        whole.add(chunk)
    return whole.finish()


async def _read_excerpt(
    headers: Mapping[str, str], body: StreamReader, until: AbstractContextManager[None]
) -> tuple[bytes, bool]:
    """The beginning of a body, and whether more was to come."""
    excerpt, encoding, is_cut = bytearray(), headers.get("content-encoding", ""), True
    # The status says more than a body that does not come.
    with suppress(TransportFailed, *_AIOHTTP_ERRORS), until:
        is_cut = not await read_excerpt(body.iter_any(), excerpt, encoding=encoding)
    return bytes(excerpt), is_cut


# The first row that fits counts, so the most specific stand first.
_AIOHTTP_TABLE = (
    Row(
        _AddressBlocked,
        Reason.ADDRESS_BLOCKED,
        "{where} has the address {detail}, which allowed_networks does not allow.",
        unsent=True,
    ),
    Row(
        aiohttp.InvalidURL,  # aiohttp refuses such spellings before there is a sockaddr
        Reason.ADDRESS_BLOCKED,
        "{where} is not an IPv4 address in the usual spelling: four numbers up to 255 with dots between.",
        unsent=True,
    ),
    Row(
        aiohttp.ClientConnectorDNSError,
        Reason.DNS_FAILED,
        "The name of {where} cannot be resolved{detail}.",
        unsent=True,
    ),
    Row(
        aiohttp.ClientConnectorCertificateError,
        Reason.TLS_FAILED,
        "The certificate of {where} is not accepted{detail}.",
        unsent=True,
    ),
    Row(
        aiohttp.ClientSSLError,
        Reason.TLS_FAILED,
        "The TLS handshake with {where} failed{detail}.",
        unsent=True,
    ),
    Row(
        aiohttp.ClientConnectorError,
        Reason.CONNECT_FAILED,
        "No connection to {where} could be made{detail}.",
        unsent=True,
    ),
    Row(TimeoutError, Reason.TIMEOUT, "There was no whole response from {where} within {seconds:g} s."),
    Row(aiohttp.ClientResponseError, Reason.PROTOCOL_ERROR, "The response of {where} is not valid HTTP."),
    Row(HttpProcessingError, Reason.PROTOCOL_ERROR, "The response of {where} is not valid HTTP."),
    Row(
        TooMuchSent,
        Reason.RESPONSE_TOO_LARGE,
        "What {where} sends is far larger than a response may be.",
    ),
    Row(
        aiohttp.ClientPayloadError,
        Reason.DISCONNECTED,
        "The connection to {where} ended before the response was complete.",
    ),
    Row(
        aiohttp.ClientConnectionError,
        Reason.DISCONNECTED,
        "The connection to {where} ended before the response.",
    ),
    Row(OSError, Reason.DISCONNECTED, "The connection to {where} ended before the response."),
)

_AIOHTTP_ERRORS = tuple(row.error for row in _AIOHTTP_TABLE)


def _aiohttp_failure(error: Exception, origin: URL, seconds: float, *, sent: bool) -> TransportFailed:
    cause = getattr(error, "os_error", None)
    if isinstance(cause, _AddressBlocked):
        error = cause
    return failure_of(
        _AIOHTTP_TABLE, error, where=_where(origin), seconds=seconds, detail=_detail(error), sent=sent
    )


def _detail(error: Exception) -> str:
    """What the system or the TLS library says, where that holds nothing but host and address."""
    match error:
        case _AddressBlocked():
            return f"{error.verdict.address} ({error.verdict.label})"
        case aiohttp.ClientConnectorCertificateError():
            text = getattr(error.certificate_error, "verify_message", "")
        case aiohttp.ClientSSLError():
            text = getattr(error.os_error, "reason", "")
        case aiohttp.ClientConnectorError():
            text = error.os_error.strerror
        case _:
            return ""
    return f": {text}" if text else ""
