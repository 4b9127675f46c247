"""Bytes that nobody has asked for are no contact's answer: before a request, after a response, in between."""

from __future__ import annotations

import asyncio
import json
import ssl
import threading
import time
from asyncio import StreamWriter

import pytest

from leadpush_prefect import ApiEndpoint, Workspace
from leadpush_prefect.model.context import CampaignContext
from leadpush_prefect.network.aiohttp_transport import AiohttpTransport
from tests.security.adversary import HEAD, LOOPBACK, LOOPS, all_closed, ask, outcome, response, run
from tests.support.raw_server import CERTIFICATE, Handler, RawServer, Reader, mute

POISON = response(b'{"poison": 1}')

UNASKED = {
    "a response": (POISON, b""),
    "two answers": (POISON * 2, b""),
    "half a head": (HEAD + b"X: a\r\n", b'Content-Length: 13\r\n\r\n{"poison": 1}'),
    "the first letter": (POISON[:1], POISON[1:]),
    "half a body": (POISON[:-5], POISON[-5:]),
    "an interim response": (b"HTTP/1.1 100 Continue\r\n\r\n", b""),
    "a response in chunks": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", b""),
    "an error": (response(b"", status="408 Request Timeout"), b""),
}
"""What comes unasked, and what would follow it if there were a next request on the connection."""


def own(target: bytes) -> bytes:
    return response(json.dumps({"own": target.decode()}).encode())


def after_each(unasked: bytes, rest: bytes, when: str, said: threading.Semaphore) -> Handler:
    """Answer each request with what it asks for, and say something unasked: with the response, or later."""

    async def handle(reader: Reader, writer: StreamWriter) -> None:
        begun = False
        while True:
            request = await reader.request()
            if begun:  # the client has used the connection again: so it gets the rest
                writer.write(rest)
                begun = False
            asked = own(request.target)
            if when == "with it":
                writer.write(asked + unasked)
            else:
                writer.write(asked)
                await asyncio.sleep(0.01)
                writer.write(unasked)
            said.release()
            begun = True

    return handle


@pytest.mark.parametrize("busy", [False, True], ids=["seen", "unseen"])
@pytest.mark.parametrize("when", ["with it", "later"])
@pytest.mark.parametrize("name", UNASKED)
@pytest.mark.parametrize("loop", LOOPS)
def test_unasked(loop: str, name: str, when: str, busy: bool) -> None:
    """Whatever comes, and whether or not the loop has seen it before the next request, closes the
    connection."""

    said = threading.Semaphore(0)

    async def main() -> None:
        transport = AiohttpTransport(LOOPBACK)
        for number in range(3):
            got = await ask(transport, f"{server.url}/{number}")
            assert json.loads(got.body) == {"own": f"/{number}"}
            # Later than the next request, nothing tells it from that one's answer.
            if busy:
                assert said.acquire(timeout=5)
            else:
                assert await asyncio.to_thread(said.acquire, timeout=5)
                await all_closed(server)
        await transport.close()
        await all_closed(server)
        assert server.connections == 3

    with RawServer(after_each(*UNASKED[name], when, said)) as server:
        run(loop, main)


@pytest.mark.parametrize("loop", LOOPS)
def test_answer_in_advance(loop: str) -> None:
    """A response that comes before the request is none."""

    async def hasty(reader: Reader, writer: StreamWriter) -> None:
        writer.write(POISON)
        await mute(reader, writer)

    async def main() -> None:
        transport = AiohttpTransport(LOOPBACK)
        for _ in range(5):
            task = asyncio.create_task(outcome(transport, server.url))
            for _ in range(3):  # the server speaks while the loop is busy
                await asyncio.sleep(0)
                time.sleep(0.02)
            assert await task == "protocol_error"
            await all_closed(server)
        await transport.close()

    with RawServer(hasty) as server:
        run(loop, main)


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS"])
@pytest.mark.parametrize("loop", LOOPS)
def test_no_reuse(loop: str, tls: bool) -> None:
    """Without reuse each request has a connection of its own, and says so."""

    async def main() -> None:
        context = ssl.create_default_context(cafile=str(CERTIFICATE))
        transport = AiohttpTransport(LOOPBACK, reuse=False, ssl_context=context)
        for number in range(4):
            got = await ask(transport, f"{server.url}/{number}")
            assert json.loads(got.body) == {"own": f"/{number}"}
        await transport.close()
        await all_closed(server)
        assert server.connections == 4
        assert [request.header("Connection") for request in server.requests] == [b"close"] * 4

    with RawServer(after_each(POISON, b"", "later", threading.Semaphore(0)), tls=tls) as server:
        run(loop, main)


@pytest.mark.parametrize("reuse", [True, False])
async def test_many_contacts(reuse: bool) -> None:
    """Of 64 contacts at once, each has its own answer, however many others the server says with it."""

    async def poisoned(reader: Reader, writer: StreamWriter) -> None:
        turn = 0
        unasked = list(UNASKED.values())
        while True:
            request = await reader.request()
            said, _ = unasked[turn % len(unasked)]
            turn += 1
            writer.write(own(request.target) + said)

    async def call(number: int) -> None:
        given = CampaignContext(
            workspace=Workspace(allowed_networks=["127.0.0.0/8"]), campaign="c", contact={"_id": str(number)}
        )
        assert await target.acall(given) == {"own": f"/{number}"}

    with RawServer(poisoned) as server:
        target = ApiEndpoint(
            url=server.url + "/{{ contact._id }}",
            max_concurrency=64,
            max_attempts=1,
            reuse_connections=reuse,
        )
        await asyncio.gather(*(call(number) for number in range(256)))
        closing = [request.header("Connection") for request in server.requests]
    assert closing == [None if reuse else b"close"] * 256


async def _answer_and_hang_up(reader: Reader, writer: StreamWriter) -> None:
    writer.write(own((await reader.request()).target))


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_hung_up_unseen(method: str) -> None:
    """Not even a POST is lost to an API that hangs up while the loop is busy: on uvloop, the end is seen before it is
    written."""

    async def main() -> None:
        transport = AiohttpTransport(LOOPBACK)
        for number in range(3):
            got = await ask(transport, f"{server.url}/{number}", method=method)
            assert json.loads(got.body) == {"own": f"/{number}"}
            time.sleep(0.05)
        await transport.close()
        assert server.connections == 3

    with RawServer(_answer_and_hang_up) as server:
        run("uvloop", main)
