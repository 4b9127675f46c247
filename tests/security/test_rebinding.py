"""Names whose addresses change, or of which some are blocked: the address that is judged is the one connected."""

from __future__ import annotations

import asyncio
import itertools
import ssl
from asyncio import StreamWriter
from pathlib import Path
from typing import Any

import pytest

from leadpush_prefect.errors import Reason
from leadpush_prefect.network import aiohttp_transport as transport_module
from leadpush_prefect.network.aiohttp_transport import AiohttpTransport
from leadpush_prefect.network.wire import RenderedRequest, TransportFailed
from tests.security.calling import ANSWERED, REFUSED, called, failure
from tests.security.wiretap import Wiretap
from tests.support.raw_server import CERTIFICATE, RawServer, Reader, in_turn, respond

pytestmark = pytest.mark.timeout(60)

PUBLIC, OTHER = "93.184.216.34", "93.184.216.35"
URL = "http://crm.example/x"
BLOCKED = "address_blocked"

AGAIN = respond(status=503, headers=[("Retry-After", "0")])
MOVED = respond(status=307, headers=[("Location", "/y")])


@pytest.fixture
def uncached(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each connection asks anew, as it does when seconds have passed."""
    monkeypatch.setattr(transport_module, "DNS_CACHE_SECONDS", 0)


# A name that changes


@pytest.mark.usefixtures("uncached")
@pytest.mark.parametrize("then", ["127.0.0.1", "::1", "10.0.0.1", "169.254.169.254", "::ffff:127.0.0.1"])
def test_second_call(wire: Wiretap, then: str) -> None:
    """A name that was public gains nothing by being another the second time."""
    wire.names["crm.example"] = [[PUBLIC], [then]]
    with RawServer() as server:
        wire.ports |= {PUBLIC: server.port, then: server.port}
        assert [ANSWERED, BLOCKED] == [
            called(wire, URL, reuse_connections=False).replace(PUBLIC, ANSWERED) for _ in range(2)
        ]
        assert 1 == server.connections
    assert ["crm.example"] * 2 == wire.asked


@pytest.mark.usefixtures("uncached")
def test_second_attempt(wire: Wiretap) -> None:
    """Nor when a request is sent again."""
    wire.names["crm.example"] = [[PUBLIC], ["127.0.0.1"]]
    with RawServer(AGAIN) as server:
        wire.ports |= {PUBLIC: server.port, "127.0.0.1": server.port}
        failed = failure(URL, max_attempts=3, reuse_connections=False)
    assert (Reason.ADDRESS_BLOCKED, None) == (failed.reason, failed.status)
    assert [PUBLIC] == wire.attempts


@pytest.mark.usefixtures("uncached")
def test_next_hop(wire: Wiretap) -> None:
    """Nor on the way of a redirect to the same host."""
    wire.names["crm.example"] = [[PUBLIC], ["127.0.0.1"]]
    with RawServer(in_turn(MOVED, respond())) as server:
        wire.ports |= {PUBLIC: server.port, "127.0.0.1": server.port}
        failed = failure(URL, follow_redirects=True, reuse_connections=False, max_attempts=1)
    assert Reason.ADDRESS_BLOCKED == failed.reason
    assert [PUBLIC] == wire.attempts


def test_between_asking_and_connecting(wire: Wiretap) -> None:
    """A name is asked for once for a connection, so that there is no second answer to it."""
    wire.names["crm.example"] = [[PUBLIC], ["127.0.0.1"]]
    with RawServer() as server:
        wire.ports |= {PUBLIC: server.port, "127.0.0.1": server.port}
        assert PUBLIC == called(wire, URL)
    assert ["crm.example"] == wire.asked


@pytest.mark.usefixtures("uncached")
def test_open_connection(wire: Wiretap) -> None:
    """A connection that is open is still to the address that was judged."""
    wire.names["crm.example"] = [[PUBLIC], ["127.0.0.1"]]
    with RawServer() as server:
        wire.ports |= {PUBLIC: server.port}
        assert [PUBLIC, ANSWERED] == [called(wire, URL), called(wire, URL)]
        assert 1 == server.connections


def test_connection_of_another_workspace(wire: Wiretap) -> None:
    """A connection that one workspace allows is not another's."""
    wire.names["crm.example"] = ["10.0.0.1"]
    with RawServer() as server:
        wire.ports["10.0.0.1"] = server.port
        assert "10.0.0.1" == called(wire, URL, {}, {"allowed_networks": ["10.0.0.0/8"]})
        assert BLOCKED == called(wire, URL)
        assert ANSWERED == called(wire, URL, {}, {"allowed_networks": ["10.0.0.0/8"]})  # it was still open
    assert 1 == server.connections


# A name with several addresses


@pytest.mark.parametrize(
    "addresses",
    [
        *itertools.permutations(["127.0.0.1", "10.0.0.1", PUBLIC]),
        ["::1", "fd00::1", "169.254.169.254", PUBLIC],
        [PUBLIC, "::1", "127.0.0.1", "::ffff:127.0.0.1"],
        ["::ffff:127.0.0.1", PUBLIC, "64:ff9b::7f00:1"],
    ],
)
def test_some_blocked(wire: Wiretap, addresses: list[str]) -> None:
    """Of a name's addresses none is connected but the public one."""
    wire.names["crm.example"] = list(addresses)
    with RawServer() as server:
        wire.ports |= dict.fromkeys(addresses, server.port)
        for _ in range(3):
            assert PUBLIC == called(wire, URL, reuse_connections=False)
    assert 3 == server.connections


@pytest.mark.parametrize("addresses", [[PUBLIC, "127.0.0.1"], ["127.0.0.1", PUBLIC, "::1", OTHER]])
def test_public_ones_fail(wire: Wiretap, addresses: list[str]) -> None:
    """If the public ones cannot be connected, a blocked one is not tried in their place."""
    wire.names["crm.example"] = addresses
    with RawServer() as server:
        wire.ports |= {"127.0.0.1": server.port, "::1": server.port}
        assert failure(URL, max_attempts=1).reason in (Reason.CONNECT_FAILED, Reason.ADDRESS_BLOCKED)
        assert 0 == server.connections
    assert {PUBLIC, OTHER} & set(addresses) == set(wire.attempts)


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["127.0.0.1", "::1"],
        ["10.0.0.1", "192.168.0.1", "172.16.0.1"],
        ["169.254.169.254", "fd00:ec2::254", "fe80::1%2", "::ffff:10.0.0.1", "2002:7f00:1::"],
    ],
)
def test_all_blocked(wire: Wiretap, addresses: list[str]) -> None:
    """A name of nothing but blocked addresses is not connected, and not tried again."""
    wire.names["crm.example"] = addresses
    failed = failure(URL, max_attempts=5)
    assert Reason.ADDRESS_BLOCKED == failed.reason
    assert [] == wire.attempts
    assert ["crm.example"] == wire.asked


# What is said


def test_blocked_message(wire: Wiretap) -> None:
    """The failure names the host, the address and what it is, and the setting that would allow it."""
    wire.names["crm.example"] = ["10.1.2.3"]
    message = str(failure(URL, max_attempts=1))
    for part in ("address_blocked", "crm.example:80", "10.1.2.3", "private, RFC 1918", "allowed_networks"):
        assert part in message


def test_spelling_message(wire: Wiretap) -> None:
    """An address in another spelling is named as it is written, with how to write it."""
    message = str(failure("http://127.1:8080/", max_attempts=1))
    assert "127.1:8080 is not an IPv4 address in the usual spelling: four numbers" in message


def test_not_allowed_message(wire: Wiretap) -> None:
    """A host that is not allowed is named, with the setting that would allow it."""
    message = str(failure(URL, {}, {"allowed_hosts": ["*.other.example"]}, max_attempts=1))
    for part in ("host_not_allowed", "crm.example", "allowed_hosts"):
        assert part in message
    assert [] == wire.asked


# Both settings


HOSTS, NETWORKS = ["crm.example", "*.own.example", "10.1.0.7"], ["10.1.0.0/16", "fd12::/16"]


@pytest.mark.parametrize(
    ("url", "addresses", "became"),
    [
        ("http://crm.example/", [PUBLIC], PUBLIC),
        ("http://crm.example/", ["10.1.0.1"], "10.1.0.1"),
        ("http://crm.example/", ["::ffff:10.1.0.1"], "::ffff:10.1.0.1"),
        ("http://api.own.example/", ["fd12::1"], "fd12::1"),
        ("http://crm.example/", ["10.2.0.1"], BLOCKED),
        ("http://crm.example/", ["127.0.0.1", "10.1.0.1", "10.2.0.1"], "10.1.0.1"),
        ("http://api.own.example/", ["127.0.0.1"], BLOCKED),
        ("http://api.own.example/", ["169.254.169.254", "fd13::1"], BLOCKED),
        ("http://own.example/", ["10.1.0.1"], "host_not_allowed"),
        ("http://other.example/", ["10.1.0.1"], "host_not_allowed"),
        ("http://other.example/", [PUBLIC], "host_not_allowed"),
        ("http://10.1.0.7/", [], "10.1.0.7"),
        ("http://10.1.0.8/", [], "host_not_allowed"),
        ("http://[::ffff:10.1.0.7]/", [], "host_not_allowed"),
        ("http://10.1.7/", [], "host_not_allowed"),
        ("http://0xa.1.0.7/", [], "host_not_allowed"),
        ("http://user@crm.example/", [PUBLIC], REFUSED),
    ],
)
def test_both_settings(wire: Wiretap, url: str, addresses: list[str], became: str) -> None:
    """Neither setting makes up for the other: the host must be named, and its address public or the own."""
    for name in ("crm.example", "api.own.example", "own.example", "other.example"):
        wire.names[name] = addresses
    workspace = {"allowed_hosts": HOSTS, "allowed_networks": NETWORKS}
    assert became == called(wire, url, {}, workspace).replace("connect_failed", became)


@pytest.mark.parametrize(
    ("location", "became"),
    [
        ("http://api.own.example/", "10.1.0.1"),
        ("http://inner.own.example/", BLOCKED),
        ("//inner.own.example/", BLOCKED),
        ("http://own.example/", "host_not_allowed"),
        ("http://other.example/", "host_not_allowed"),
        ("http://crm.example.other.example/", "host_not_allowed"),
        ("http://10.1.0.8/", "host_not_allowed"),
        ("http://127.0.0.1/", "host_not_allowed"),
        ("http://crm.example@other.example/", REFUSED),
    ],
)
def test_both_settings_on_the_way(wire: Wiretap, location: str, became: str) -> None:
    """Both settings hold for each hop."""
    wire.names |= {
        "crm.example": [PUBLIC],
        "api.own.example": ["10.1.0.1"],
        "inner.own.example": ["127.0.0.1"],
        "other.example": [OTHER],
        "own.example": [OTHER],
        "crm.example.other.example": [OTHER],
    }
    workspace = {"allowed_hosts": HOSTS, "allowed_networks": NETWORKS}
    with RawServer(respond(status=302, headers=[("Location", location)])) as server:
        wire.ports[PUBLIC] = server.port
        assert became == called(wire, URL, {}, workspace, behind=1, follow_redirects=True)


# The environment


async def hang_up(reader: Reader, writer: StreamWriter) -> None:
    """Who speaks no TLS, and was connected all the same."""
    await reader.read(1)


PROXIES = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "WS_PROXY", "FTP_PROXY"]


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_proxies(wire: Wiretap, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, scheme: str) -> None:
    """No proxy of the environment is asked: it would connect what is judged here to be blocked."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine crm.example login ada password secret\ndefault login ada password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    wire.names |= {"crm.example": [PUBLIC], "inner.example": ["10.0.0.1"], "proxy.example": [OTHER]}
    with RawServer(None if scheme == "http" else hang_up) as server, RawServer() as proxy:
        wire.ports |= {PUBLIC: server.port, OTHER: proxy.port}
        for name in PROXIES:
            monkeypatch.setenv(name, "http://proxy.example:3128")
            monkeypatch.setenv(name.lower(), "http://proxy.example:3128")
        for no_proxy in ("", "other.example", "*"):
            monkeypatch.setenv("NO_PROXY", no_proxy)
            monkeypatch.setenv("no_proxy", no_proxy)
            assert PUBLIC == called(wire, f"{scheme}://crm.example/", reuse_connections=False)
            assert BLOCKED == called(wire, f"{scheme}://inner.example/")
            assert BLOCKED == called(wire, f"{scheme}://127.0.0.1/")
        assert 0 == proxy.connections
        assert [None] * len(server.requests) == [r.header("authorization") for r in server.requests]
    assert "proxy.example" not in wire.asked


# TLS


def secure(wire: Wiretap, url: str, server: RawServer) -> int | Reason:
    """Send by a transport that trusts the server's certificate, which is for `localhost` and 127.0.0.1."""
    wire.ports[PUBLIC] = server.port
    trusting = ssl.create_default_context(cafile=str(CERTIFICATE))

    async def send() -> int | Reason:
        transport = AiohttpTransport(ssl_context=trusting)
        limits: dict[str, Any] = {"timeout_seconds": 5, "max_response_bytes": 1000}
        try:
            return (await transport.send(RenderedRequest("GET", url, ()), **limits)).status
        except TransportFailed as failed:
            return failed.reason
        finally:
            await transport.close()

    return asyncio.run(send())


@pytest.mark.parametrize(
    ("host", "became"),
    [
        ("localhost", 200),
        ("LOCALHOST", 200),
        ("crm.example", Reason.TLS_FAILED),
        ("localhost.crm.example", Reason.TLS_FAILED),
        (PUBLIC, Reason.TLS_FAILED),
    ],
)
def test_certificate(wire: Wiretap, host: str, became: int | Reason) -> None:
    """The certificate is for the name that was asked for, wherever that leads; else not a byte is sent."""
    wire.names |= {name: [PUBLIC] for name in ("localhost", "crm.example", "localhost.crm.example")}
    with RawServer(tls=True) as server:
        assert became == secure(wire, f"https://{host}/x", server)
        assert (1 if became == 200 else 0) == len(server.requests)
    assert [PUBLIC] == wire.attempts
