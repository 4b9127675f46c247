"""The phases of one request, over real sockets: which there are, and in which it failed."""

from __future__ import annotations

import asyncio
import socket
import ssl
from asyncio import StreamWriter
from collections.abc import AsyncIterator

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from leadpush_prefect.errors import Reason
from leadpush_prefect.network.addresses import parse_networks
from leadpush_prefect.network.timed_transport import Phase, PhaseTransport
from leadpush_prefect.network.wire import RenderedRequest, Response, TransportFailed
from tests.support.raw_server import CERTIFICATE, Handler, RawServer, Reader, mute, respond

LOOPBACK = tuple(parse_networks(["127.0.0.0/8"]))


class Names(AbstractResolver):
    """Each name is this machine, but `unknown`, which is none, and `slow`, which never comes."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        if host == "unknown":
            raise OSError(None, "no such name")
        if host == "slow":
            await asyncio.Event().wait()
        return [
            ResolveResult(hostname=host, host="127.0.0.1", port=port, family=socket.AF_INET, proto=0, flags=0)
        ]

    async def close(self) -> None:
        pass


@pytest.fixture
async def transport() -> AsyncIterator[PhaseTransport]:
    trusted = ssl.create_default_context(cafile=str(CERTIFICATE))
    transport = PhaseTransport(LOOPBACK, resolver=Names(), ssl_context=trusted)
    yield transport
    await transport.close()


async def send(transport: PhaseTransport, url: str, *, timeout_seconds: float = 0.5) -> Response:
    request = RenderedRequest("GET", url, ())
    return await transport.send(request, timeout_seconds=timeout_seconds, max_response_bytes=100)


async def cut_off(reader: Reader, writer: StreamWriter) -> None:
    await reader.request()
    writer.write(respond(b"{}", length=10))


async def no_end(reader: Reader, writer: StreamWriter) -> None:
    await cut_off(reader, writer)
    await mute(reader, writer)


@pytest.mark.parametrize(
    ("address", "phases"),
    [
        ("http://127.0.0.1", ["connect", "first byte", "body"]),
        ("http://name.example", ["resolve", "connect", "first byte", "body"]),
        ("https://127.0.0.1", ["connect", "TLS", "first byte", "body"]),
        ("https://localhost", ["resolve", "connect", "TLS", "first byte", "body"]),
    ],
)
async def test_phases(transport: PhaseTransport, address: str, phases: list[str]) -> None:
    """Each phase that happened has its time, in order; an address needs no resolve, and http no TLS."""
    with RawServer(respond(b"{}"), tls=address.startswith("https")) as server:
        response = await send(transport, f"{address}:{server.port}/", timeout_seconds=30)
    assert b"{}" == response.body
    assert phases == list(transport.phases)
    assert all(seconds > 0 for seconds in transport.phases.values())
    assert transport.failed_in is None


@pytest.mark.parametrize(
    ("url", "reason", "failed_in"),
    [
        ("http://unknown:{port}/", Reason.DNS_FAILED, Phase.RESOLVE),
        ("http://slow:{port}/", Reason.TIMEOUT, Phase.RESOLVE),
        ("http://127.0.0.1:1/", Reason.CONNECT_FAILED, Phase.CONNECT),
        ("https://127.0.0.1:{port}/", Reason.TIMEOUT, Phase.TLS),
        ("http://127.0.0.1:{port}/", Reason.TIMEOUT, Phase.FIRST_BYTE),
        ("http://10.0.0.1:{port}/", Reason.ADDRESS_BLOCKED, None),
    ],
)
async def test_failed_in(
    transport: PhaseTransport, url: str, reason: Reason, failed_in: Phase | None
) -> None:
    """A request that failed tells the phase in which it did, as the last that began."""
    with RawServer(mute) as server, pytest.raises(TransportFailed) as failed:
        await send(transport, url.format(port=server.port))
    assert (reason, failed_in) == (failed.value.reason, transport.failed_in)
    assert failed_in == next(reversed(list(transport.phases)), None)


@pytest.mark.parametrize(("handler", "reason"), [(cut_off, Reason.DISCONNECTED), (no_end, Reason.TIMEOUT)])
async def test_failed_in_body(transport: PhaseTransport, handler: Handler, reason: Reason) -> None:
    """A body that does not come whole fails in the body, and the response's head has its time."""
    with RawServer(handler) as server, pytest.raises(TransportFailed) as failed:
        await send(transport, server.url)
    assert (reason, Phase.BODY) == (failed.value.reason, transport.failed_in)
    assert ["connect", "first byte", "body"] == list(transport.phases)


async def test_tls_refused(transport: PhaseTransport) -> None:
    """A certificate for another name fails in TLS."""
    with RawServer(respond(b"{}"), tls=True) as server, pytest.raises(TransportFailed) as failed:
        await send(transport, f"https://other.example:{server.port}/")
    assert (Reason.TLS_FAILED, Phase.TLS) == (failed.value.reason, transport.failed_in)
