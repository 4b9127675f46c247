"""A transport that times the phases of one request, for a test: campaigns use the plain one."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from enum import StrEnum
from ssl import SSLContext
from time import perf_counter

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.connector import AddrInfoType
from aiohttp.resolver import DefaultResolver

from leadpush_prefect.network.addresses import Network
from leadpush_prefect.network.aiohttp_protocol import GuardedHandler
from leadpush_prefect.network.aiohttp_transport import AiohttpTransport, Head
from leadpush_prefect.network.wire import RenderedRequest, Response, TransportFailed

__all__ = ["Phase", "PhaseTransport"]


class Phase(StrEnum):
    """What a request goes through, in this order."""

    RESOLVE = "resolve"  # the name's addresses; none for an IP address
    CONNECT = "connect"  # TCP, over all addresses that were tried
    TLS = "TLS"
    FIRST_BYTE = "first byte"  # from the request's last byte handed over to the response's head
    BODY = "body"


class PhaseTransport(AiohttpTransport):
    """Sends one request, and keeps how long each of its phases took.

    It must be made on the event loop that sends.

    Args:
        allowed_networks: Networks that may be connected although they are not public.
        reuse: Whether the connection could carry another request.
        resolver: Resolves names; the operating system if None.
        ssl_context: Which certificates to trust; those that the operating system trusts if None.

    Attributes:
        failed_in: The phase in which the request failed; None if it did not, or in none of them.

    Example:
        >>> import asyncio
        >>> async def ask() -> None:
        ...     transport = PhaseTransport()
        ...     request = RenderedRequest("GET", "http://127.0.0.1:8000/", ())
        ...     try:
        ...         await transport.send(request, timeout_seconds=1, max_response_bytes=1000)
        ...     except TransportFailed as failure:
        ...         print(failure.reason, transport.phases, transport.failed_in)
        ...     finally:
        ...         await transport.close()
        >>> asyncio.run(ask())  # the guard refuses the address before there is a connection
        address_blocked {} None
    """

    def __init__(
        self,
        allowed_networks: tuple[Network, ...] = (),
        *,
        reuse: bool = True,
        resolver: AbstractResolver | None = None,
        ssl_context: SSLContext | None = None,
    ) -> None:
        self._stopwatch = _Stopwatch()
        self._timed_resolver = _TimedResolver(resolver or DefaultResolver(), self._stopwatch)
        self._uses_tls = False
        self.failed_in: Phase | None = None
        super().__init__(
            allowed_networks, reuse=reuse, resolver=self._timed_resolver, ssl_context=ssl_context
        )

    @property
    def phases(self) -> Mapping[Phase, float]:
        """The seconds of each phase that has begun, in order."""
        seconds = self._stopwatch.seconds
        return {phase: seconds[phase] for phase in Phase if phase in seconds}

    async def send(
        self, request: RenderedRequest, *, timeout_seconds: float, max_response_bytes: int
    ) -> Response:
        self._uses_tls = request.url.startswith("https:")
        try:
            return await super().send(
                request, timeout_seconds=timeout_seconds, max_response_bytes=max_response_bytes
            )
        except TransportFailed:
            self.failed_in = self._stopwatch.phase
            raise
        finally:
            self._stopwatch.stop()

    async def close(self) -> None:
        await super().close()
        await self._timed_resolver.close()  # the pool closes only a resolver of its own

    def _connected(self) -> None:
        if self._uses_tls:
            self._stopwatch.begin(Phase.TLS)
        else:
            self._stopwatch.stop()

    def _guarded_socket(self, addr_info: AddrInfoType) -> socket.socket:
        made = super()._guarded_socket(addr_info)
        self._stopwatch.begin(Phase.CONNECT)
        return made

    async def _head(self, handler: GuardedHandler) -> Head:
        self._stopwatch.begin(Phase.FIRST_BYTE)
        response = await super()._head(handler)
        self._stopwatch.begin(Phase.BODY)
        return response


class _Stopwatch:
    """Adds up the seconds of phases, of which one runs at a time."""

    def __init__(self) -> None:
        self.seconds: dict[Phase, float] = {}
        self.phase: Phase | None = None
        self._begun = 0.0

    def begin(self, phase: Phase) -> None:
        """End the phase that runs, and begin another, or the same again."""
        self.stop()
        self.phase, self._begun = phase, perf_counter()

    def stop(self) -> None:
        """End the phase that runs, if any."""
        if self.phase is not None:
            taken = perf_counter() - self._begun
            self.seconds[self.phase] = self.seconds.get(self.phase, 0.0) + taken
        self.phase = None


class _TimedResolver(AbstractResolver):
    """Times another resolver. What fails stays the running phase."""

    def __init__(self, resolver: AbstractResolver, stopwatch: _Stopwatch) -> None:
        self._resolver = resolver
        self._stopwatch = stopwatch

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self._stopwatch.begin(Phase.RESOLVE)
        found = await self._resolver.resolve(host, port, family)
        self._stopwatch.stop()
        return found

    async def close(self) -> None:
        await self._resolver.close()
