"""The end of a feed at a real socket: what is in flight may still come, and what became of the rest is told."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from leadpush_prefect import ApiEndpoint, CampaignContext, Workspace
from leadpush_prefect.endpoints.attempt import new_call
from leadpush_prefect.model.outcome import Outcome, Status
from leadpush_prefect.sending.dispatcher import Dispatcher
from leadpush_prefect.sending.lane import Feed
from tests.support.raw_server import RawServer, Request, each, respond

WORKSPACE = Workspace(allowed_networks=["127.0.0.0/8"])
Outcomes = dict[int, Outcome]


@pytest.fixture
def own() -> Iterator[Dispatcher]:
    """A dispatcher of the test's own."""
    dispatcher = Dispatcher()
    yield dispatcher
    dispatcher.shut_down()


class Api:
    """Answers when it is told to."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.begun: Counter[bytes] = Counter()

    async def __call__(self, request: Request) -> bytes:
        self.begun[request.target] += 1
        await self.open.wait()
        return respond()


def fill(own: Dispatcher, server: RawServer, count: int, **fields: Any) -> Feed:
    """A feed with calls for contacts 0 to `count`."""
    given: dict[str, Any] = {"method": "POST", "body": "{}", "max_concurrency": 4, "timeout_seconds": 30}
    endpoint = ApiEndpoint(url=server.url + "/{{ contact._id }}", **(given | fields))
    feed = own.feed(endpoint.prepare(WORKSPACE), groups=["run"])
    for number in range(count):
        context = CampaignContext(workspace=WORKSPACE, campaign="c", contact={"_id": str(number)})
        feed.put([(number, new_call(endpoint.prepare(WORKSPACE), context))])
    return feed


def rest(own: Dispatcher, feed: Feed, count: int) -> tuple[Outcomes, set[int], set[int]]:
    """What came, what was cut and what was not sent, which is each contact once."""
    came = dict(feed.collect(0, 0))
    own.close(feed)
    cut, unsent = ([key for key, _ in keyed] for keyed in (feed.cut, feed.unsent))
    assert sorted([*came, *cut, *unsent]) == list(range(count))
    return came, set(cut), set(unsent)


def test_what_is_in_flight_may_come(own: Dispatcher) -> None:
    """The requests in flight are answered, however late, and no other one is sent."""
    api = Api()
    with RawServer(each(api)) as server:
        feed = fill(own, server, 100)
        server.wait_until(lambda: len(server.requests) == 4)
        own.stop_group("run", 60)
        own.run(lambda: None)
        assert feed.ending and not feed.stopped
        server.call(api.open.set)
        feed.drain(60)
        came, cut, unsent = rest(own, feed, 100)
        assert {outcome.status for outcome in came.values()} == {Status.FETCHED}
        assert (set(came), cut, unsent) == ({0, 1, 2, 3}, set(), set(range(4, 100)))
        assert len(server.requests) == 4


def test_what_does_not_come_is_cut(own: Dispatcher) -> None:
    """After the time, or as soon as somebody has no more patience; the attempts say that it was sent."""
    with RawServer(each(Api())) as server:
        feed = fill(own, server, 100)
        server.wait_until(lambda: len(server.requests) == 4)
        own.stop_group("run", 3600)
        feed.drain(0.1)
        own.stop_group("run", 3600)  # too late to mean anything
        assert rest(own, feed, 100) == ({}, {0, 1, 2, 3}, set(range(4, 100)))
        assert [call.attempt for _, call in feed.cut] == [1] * 4
        assert {call.attempt for _, call in feed.unsent} == {0}
        server.wait_until(lambda: server.open_now == 0)


def test_a_lane_goes_on_for_others(own: Dispatcher) -> None:
    """The workers of a feed that was cut work for the next one."""
    api = Api()
    with RawServer(each(api)) as server:
        first = fill(own, server, 4)
        server.wait_until(lambda: len(server.requests) == 4)
        second = fill(own, server, 20)
        first.drain(0)
        server.call(api.open.set)
        assert rest(own, first, 4)[1] == {0, 1, 2, 3}
        came: Outcomes = {}
        while second.outstanding:
            came |= dict(second.collect(20, 60))
        assert {outcome.status for outcome in came.values()} == {Status.FETCHED}


def test_what_waits_for_its_next_attempt_is_dropped(own: Dispatcher) -> None:
    """The API refused it, and will not be asked again by this execution."""
    refusal = respond(status=503, headers=[("Retry-After", "50")])
    with RawServer(refusal) as server:
        feed = fill(own, server, 4, method="GET", body="", max_attempts=5)
        server.wait_until(lambda: len(server.requests) == 4)
        feed.drain(60)
        assert rest(own, feed, 4) == ({}, set(), {0, 1, 2, 3})
        assert {call.attempt for _, call in feed.unsent} == {1}
        assert not feed.later


def test_what_waits_for_its_turn_is_dropped(own: Dispatcher) -> None:
    """A worker had it, but for `requests_per_second` it was not sent yet."""
    api = Api()
    with RawServer(each(api)) as server:
        feed = fill(own, server, 10, requests_per_second=0.001)
        server.wait_until(lambda: len(server.requests) == 1)
        own.stop_group("run", 60)
        server.call(api.open.set)
        feed.drain(60)
        came, cut, unsent = rest(own, feed, 10)
        assert (set(came), cut, len(unsent)) == ({0}, set(), 9)
        assert len(server.requests) == 1


def test_a_feed_without_calls(own: Dispatcher) -> None:
    """It is stopped at once, and takes no more."""
    with RawServer(respond()) as server:
        feed = fill(own, server, 0)
        feed.drain(3600)
        feed.drain(3600)
        context = CampaignContext(workspace=WORKSPACE, campaign="c", contact={"_id": "0"})
        target = ApiEndpoint(url=server.url).prepare(WORKSPACE)
        feed.put([(0, new_call(target, context))])
        own.run(lambda: None)
        assert rest(own, feed, 1) == ({}, set(), {0})
        assert not server.requests


def test_shut_down(own: Dispatcher) -> None:
    """The end of the process cuts what is in flight, and tells it too."""
    with RawServer(each(Api())) as server:
        feed = fill(own, server, 10)
        server.wait_until(lambda: len(server.requests) == 4)
        own.shut_down()
        assert feed.stopped
        assert ({key for key, _ in feed.cut}, len(feed.unsent)) == ({0, 1, 2, 3}, 6)
        assert len(server.requests) == 4
