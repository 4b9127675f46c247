"""What sends requests: aiohttp, guarded.

It answers with an `Answer`, or raises `TransportFailed` with a `Reason`. Messages name the host and never the
path, the query or an exception's own text, since a URL may hold what a contact would not like to read in a log.
"""

from __future__ import annotations

import asyncio
import math
import re
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from functools import lru_cache
from ssl import SSLContext

import aiohttp
from aiohttp.abc import AbstractResolver
from aiohttp.client_middlewares import ClientHandlerType
from aiohttp.connector import AddrInfoType, Connection
from aiohttp.http import HttpProcessingError
from multidict import CIMultiDict
from yarl import URL

from leadpush_prefect.errors import Reason
from leadpush_prefect.network.addresses import Network, Verdict, judge
from leadpush_prefect.network.body import read_excerpt, read_whole
from leadpush_prefect.network.failures import Row, failure_of
from leadpush_prefect.wire import Answer, RenderedRequest, TransportFailed

__all__ = ["AiohttpTransport"]

KEEPALIVE_SECONDS = 4.0
"""Below the 5 s after which Node.js, Apache and uvicorn hang up: a POST that meets the end is lost."""

DNS_CACHE_SECONDS = 5

# What aiohttp would say on its own.
_AUTOMATIC_HEADERS = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")

# The connection's own. A second or a wrong length smuggles another request (RFC 9112, section 11.2).
_OWN_HEADERS = frozenset({"content-length", "host", "transfer-encoding"})


class AiohttpTransport:
    """Sends requests over aiohttp, to public addresses only.

    The guard sits where a socket is made, so it sees each address that is about to be connected: no spelling
    of a URL and no answer of a name server gets around it. Nothing is followed, resent, remembered (cookies)
    or taken from the environment (proxies, `.netrc`).

    It belongs to the event loop of its first `send`. The number of connections is the caller's to bound, by
    how much it sends at once.

    Args:
        allowed_networks: Networks that may be connected although they are not public.
        resolver: Resolves names; the operating system if None.
        ssl_context: Which certificates to trust; those that the operating system trusts if None.

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
        resolver: AbstractResolver | None = None,
        ssl_context: SSLContext | None = None,
    ) -> None:
        self._allowed_networks = tuple(allowed_networks)
        self._resolver = resolver
        self._ssl_context = ssl_context
        self._session: aiohttp.ClientSession | None = None
        self._closed = False

    async def send(
        self, request: RenderedRequest, *, timeout_seconds: float, max_response_bytes: int
    ) -> Answer:
        """Send a request, and read its answer within the limits; cancelling it closes the socket.

        Args:
            request: What to send.
            timeout_seconds: From now to the last byte of the answer.
            max_response_bytes: How large the body of a 2xx may be, decompressed. Of any other answer, at most
                4,096 bytes are read, and as many as have come when the time is up or the connection ends.

        Raises:
            TransportFailed: if there is no whole answer.
            ValueError: if the request cannot be sent as it stands: a URL with user, fragment, space or
                control characters, or a header that is the connection's own (Host, Content-Length,
                Transfer-Encoding).
        """
        session = self._session or self._open()
        origin, target = _split(request.url)
        hop = _Hop(request.headers)
        try:
            try:
                response = await session.request(
                    request.method,
                    origin.with_path(target, encoded=True),
                    data=request.body,
                    timeout=_deadline(timeout_seconds),
                    allow_redirects=False,
                    middlewares=(hop,),
                )
            except BaseException:
                hop.abort()
                raise
            return await _read(response, hop, max_response_bytes)
        except _AIOHTTP_ERRORS as error:
            failure = _aiohttp_failure(error, origin, timeout_seconds, sent=hop.began)
        raise failure  # here, so that it carries no exception whose text holds the URL

    async def close(self) -> None:
        """Close all connections. Afterwards nothing can be sent."""
        self._closed = True
        if self._session is not None:
            await self._session.close()

    def _open(self) -> aiohttp.ClientSession:
        if self._closed:
            raise RuntimeError("The transport is closed.")
        self._session = aiohttp.ClientSession(
            connector=self._connector(),
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=_AUTOMATIC_HEADERS,
            request_class=_Request,
            auto_decompress=False,
            trust_env=False,
        )
        # Otherwise aiohttp sends an idempotent request again by itself when a reused connection ends. That is
        # a second request that nobody has counted. There is no public switch; a test counts at the server.
        self._session._retry_connection = False
        return self._session

    def _connector(self) -> aiohttp.TCPConnector:
        return aiohttp.TCPConnector(
            limit=0,
            limit_per_host=0,
            keepalive_timeout=KEEPALIVE_SECONDS,
            ttl_dns_cache=DNS_CACHE_SECONDS,
            resolver=self._resolver,
            ssl=self._ssl_context or True,
            socket_factory=self._guarded_socket,
        )

    def _guarded_socket(self, addr_info: AddrInfoType) -> socket.socket:
        family, kind, protocol, _, sockaddr = addr_info
        verdict = judge(str(sockaddr[0]), self._allowed_networks)
        if not verdict.allowed:
            raise _AddressBlocked(verdict)
        return socket.socket(family=family, type=kind, proto=protocol)


class _AddressBlocked(OSError):
    """The guard refuses an address.

    An OSError, so that the other addresses of the host are tried. If all fail, aiohappyeyeballs raises the
    first error as it is only if all have the same text: so this text must not name the address.
    """

    def __init__(self, verdict: Verdict) -> None:
        super().__init__("address blocked")
        self.verdict = verdict


class _Request(aiohttp.ClientRequest):
    """Remembers the connection on which it was sent."""

    wire: asyncio.Transport | None = None

    async def send(self, conn: Connection) -> aiohttp.ClientResponse:
        self.wire = conn.transport
        return await super().send(conn)


class _Hop:
    """A middleware for one request. It costs 2 us; aiohttp's tracing, which would tell as much, costs 20.

    It sets the headers itself, since `ClientSession` keeps but one of two names that differ only in case.
    """

    __slots__ = ("_headers", "_request")

    def __init__(self, headers: tuple[tuple[str, str], ...]) -> None:
        self._headers = headers
        self._request: aiohttp.ClientRequest | None = None

    async def __call__(
        self, request: aiohttp.ClientRequest, handler: ClientHandlerType
    ) -> aiohttp.ClientResponse:
        self._request = request
        if self._headers:
            _add_headers(request.headers, self._headers)
        return await handler(request)

    @property
    def began(self) -> bool:
        """Whether a byte may have been sent: there was a connection to send it on."""
        return self._wire is not None

    def abort(self) -> None:
        """Drop the connection with what is still to be sent: merely closed, it would first send that."""
        if self._wire is not None:
            self._wire.abort()

    @property
    def _wire(self) -> asyncio.Transport | None:
        return self._request.wire if isinstance(self._request, _Request) else None


def _add_headers(headers: CIMultiDict[str], given: tuple[tuple[str, str], ...]) -> None:
    if not _OWN_HEADERS.isdisjoint(_folded_names(tuple([name for name, _ in given]))):
        raise ValueError("Host, Content-Length and Transfer-Encoding are the connection's to set.")
    headers.extend(given)


@lru_cache(maxsize=256)  # an endpoint's headers have the same names for each contact
def _folded_names(names: tuple[str, ...]) -> frozenset[str]:
    return frozenset(name.lower() for name in names)


# The target is visible ASCII without the `#` of a fragment: nothing that ends a line or is still to be
# encoded.
_URL = re.compile(
    r"(https?://(?:\[[0-9A-Fa-f:.]+(?:%[0-9A-Za-z._~-]+)?\]|[0-9A-Za-z._-]+)(?::[0-9]{1,5})?)((?:[/?][!\"$-~]*)?)",
    re.IGNORECASE,
)


def _split(url: str) -> tuple[URL, str]:
    """The URL's origin, and what stands after it, to the letter.

    yarl drops CR, LF, TAB and a bare `?` when it parses a URL, and takes 20 us. So it parses only the origin,
    and the whole target, query and all, is later handed to it as a path, which it keeps as it is.
    """
    parts = _URL.fullmatch(url)
    if parts is None:
        raise ValueError(
            "The URL is not as it goes over the wire: http(s)://host[:port][/path][?query] in ASCII."
        )
    return _origin(parts[1]), parts[2]


@lru_cache(maxsize=256)
def _origin(text: str) -> URL:
    origin = URL(text)
    if not _is_name(str(origin.host)):
        message = (
            f"{_where(origin)} is not a host name: a label of it is empty, or longer than 63 characters."
        )
        raise TransportFailed(Reason.DNS_FAILED, message, sent=False)
    return origin


def _is_name(host: str) -> bool:
    """Whether a resolver would ask for it. It raises an error of its own kind if not."""
    try:
        host.encode("idna")
    except UnicodeError:
        return False
    return True


def _where(origin: URL) -> str:
    return f"{origin.host_subcomponent}:{origin.port}"


@lru_cache(maxsize=256)
def _deadline(seconds: float) -> aiohttp.ClientTimeout:
    # 0 would be no deadline at all, and one of 5 s or more would be rounded up to a whole second.
    return aiohttp.ClientTimeout(total=max(seconds, 0.001), ceil_threshold=math.inf)


async def _read(response: aiohttp.ClientResponse, hop: _Hop, limit: int) -> Answer:
    headers = response.headers
    encoding = ", ".join(headers.getall("Content-Encoding", ()))
    pieces = response.content.iter_any()
    try:
        if 200 <= response.status < 300:
            length = headers.get("Content-Length")
            body = await read_whole(pieces, encoding=encoding, length=length, limit=limit)
        else:
            body = await _read_excerpt(pieces, encoding)
    finally:
        # An answer that was read to its end has given its connection back: it may be another request's by
        # now.
        if not response.closed:
            response.close()
            hop.abort()
    return Answer(response.status, {name.lower(): value for name, value in headers.items()}, body)


async def _read_excerpt(pieces: AsyncIterator[bytes], encoding: str) -> bytes:
    excerpt = bytearray()
    with suppress(TransportFailed, *_AIOHTTP_ERRORS):  # the status says more than a body that does not come
        await read_excerpt(pieces, excerpt, encoding=encoding)
    return bytes(excerpt)


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
        "{where} is not an IPv4 address in the usual spelling.",
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
    Row(TimeoutError, Reason.TIMEOUT, "There was no whole answer from {where} within {seconds:g} s."),
    Row(aiohttp.ClientResponseError, Reason.PROTOCOL_ERROR, "The answer of {where} is not valid HTTP."),
    Row(HttpProcessingError, Reason.PROTOCOL_ERROR, "The answer of {where} is not valid HTTP."),
    Row(
        aiohttp.ClientPayloadError,
        Reason.DISCONNECTED,
        "The connection to {where} ended before the answer was complete.",
    ),
    Row(
        aiohttp.ClientConnectionError,
        Reason.DISCONNECTED,
        "The connection to {where} ended before the answer.",
    ),
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
