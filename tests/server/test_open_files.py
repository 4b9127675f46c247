"""A process that has no file left: its requests wait for one, and all endpoints together stay below the limit."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator

import pytest

from leadpush_prefect import ApiEndpoint, CampaignContext, Workspace
from leadpush_prefect.endpoints import attempt as attempts
from leadpush_prefect.endpoints.attempt import Call, Retry, attempt, new_call
from leadpush_prefect.errors import Reason
from leadpush_prefect.model.outcome import Outcome, Status
from leadpush_prefect.network.addresses import parse_networks
from leadpush_prefect.network.aiohttp_transport import AiohttpTransport
from leadpush_prefect.network.rate_limit import RateLimit
from leadpush_prefect.network.wire import RenderedRequest, TransportFailed
from leadpush_prefect.sending.dispatcher import Dispatcher
from leadpush_prefect.sending.lane import Feed
from leadpush_prefect.sending.room import Room, shares
from tests.support.raw_server import RawServer, Request, each, respond

WORKSPACE = Workspace(allowed_networks=["127.0.0.0/8"])
NETWORKS = parse_networks(["127.0.0.0/8"])


@pytest.fixture
def own() -> Iterator[Dispatcher]:
    """A dispatcher of the test's own."""
    dispatcher = Dispatcher()
    yield dispatcher
    dispatcher.shut_down()


def call_of(endpoint: ApiEndpoint, number: int = 0) -> Call:
    context = CampaignContext(workspace=WORKSPACE, campaign="c", contact={"_id": str(number)})
    return new_call(endpoint.prepare(WORKSPACE), context)


async def test_one_socket_too_many() -> None:
    """It is nobody's failure, and the API has not seen anything."""
    with RawServer(respond()) as server:
        transport = AiohttpTransport(NETWORKS, highest_file=1)
        with pytest.raises(TransportFailed) as caught:
            await transport.send(
                RenderedRequest("GET", server.url, ()), timeout_seconds=60, max_response_bytes=100
            )
        await transport.close()
        assert not server.connections
    assert (caught.value.reason, caught.value.is_ours, caught.value.sent) == (
        Reason.CONNECT_FAILED,
        True,
        False,
    )
    assert caught.value.message.startswith("This process has no file left for a connection to 127.0.0.1:")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_no_file_at_all(host: str) -> None:
    """Neither for a socket nor for what resolves a name, which says that it does not know the name."""
    resource = pytest.importorskip("resource")
    transport = AiohttpTransport(NETWORKS)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, limits[1]))  # all that is open stays open
    try:
        with pytest.raises(TransportFailed) as caught:
            await transport.send(
                RenderedRequest("GET", f"http://{host}:9/", ()), timeout_seconds=60, max_response_bytes=100
            )
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert caught.value.is_ours, caught.value.message
    await transport.close()


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_the_attempt_does_not_count(method: str) -> None:
    """The same attempt is made when a file is free, also where there is but one."""
    full = AiohttpTransport(NETWORKS, highest_file=1)
    with RawServer(respond()) as server:
        call = call_of(ApiEndpoint(url=server.url, method=method, max_attempts=1))
        assert isinstance(await attempt(call, full, RateLimit(0).wait), Retry)
        assert call.attempt == 0
        await full.close()
        free = AiohttpTransport(NETWORKS)
        outcome = await attempt(call, free, RateLimit(0).wait)
        await free.close()
    assert isinstance(outcome, Outcome)
    assert (outcome.status, outcome.attempts) == (Status.FETCHED, 1)


async def test_it_does_not_wait_for_ever() -> None:
    """In the end it fails, and says what is wrong with this process."""
    full = AiohttpTransport(NETWORKS, highest_file=1)
    call = call_of(ApiEndpoint(url="http://127.0.0.1:9/", max_attempts=1))
    waited = 0.0
    while isinstance(result := await attempt(call, full, RateLimit(0).wait), Retry):
        waited += result.after_seconds
    await full.close()
    assert attempts.FILE_WAIT_SECONDS <= waited <= attempts.FILE_WAIT_SECONDS + 1
    assert result.failure is not None
    assert result.code == "connect_failed"
    assert "no file left" in result.failure.message


def test_lanes_share_the_room(own: Dispatcher) -> None:
    """Two endpoints that want 60 requests at once, where there is room for 10. The one that came first has all of it,
    and gives half of it away as its requests end."""
    own.room = Room(10)
    now: Counter[bytes] = Counter()
    most: Counter[bytes] = Counter()
    gate = asyncio.Event()

    async def answer(request: Request) -> bytes:
        which = request.target[:2]
        now[which] += 1
        most[which] = max(most[which], now[which])
        await gate.wait()
        now[which] -= 1
        return respond()

    with RawServer(each(answer)) as server:
        feeds = []
        for path in "ab":
            endpoint = ApiEndpoint(url=f"{server.url}/{path}/{{{{ contact._id }}}}", max_concurrency=60)
            feed = own.feed(endpoint.prepare(WORKSPACE))
            feed.put([(number, call_of(endpoint, number)) for number in range(100)])
            feeds.append(feed)
        server.wait_until(lambda: len(server.requests) >= 10)
        server.call(gate.set)
        for feed in feeds:
            assert fetched(own, feed) == 100
        assert len(server.requests) == 200
    assert most[b"/a"] == 10
    assert 1 <= most[b"/b"] <= 10, "no endpoint waits for another to be done"


def fetched(own: Dispatcher, feed: Feed) -> int:
    """How many of a feed are fetched, when all have come."""
    count = 0
    while feed.outstanding:
        count += sum(outcome.status is Status.FETCHED for _, outcome in feed.collect(feed.outstanding, 60))
    own.close(feed)
    return count


class Lane:
    def __init__(self, wanted: int) -> None:
        self.wanted = wanted
        self.limit = wanted

    def set_share(self, limit: int) -> None:
        self.limit = limit


def test_shares_come_and_go() -> None:
    """Who is at work shares with those who are."""
    room, big, small = Room(100), Lane(1000), Lane(30)
    room.enter(big)
    assert big.limit == 100
    room.enter(small)
    assert (big.limit, small.limit) == (70, 30)
    room.leave(small)
    assert big.limit == 100


@pytest.mark.parametrize("total", [1, 2, 7, 100, 1000])
@pytest.mark.parametrize("wanted", [[], [1], [5, 5, 5], [1000, 1, 64, 64, 300], [9] * 50])
def test_shares(total: int, wanted: list[int]) -> None:
    """Each has at least 1 and at most what it wants; together they have all that there is, and no more."""
    given = list(shares(total, wanted))
    assert all(1 <= share <= most for share, most in zip(given, wanted, strict=True))
    assert sum(given) <= max(total, len(wanted))
    assert sum(given) == min(sum(wanted), max(total, len(wanted)))
