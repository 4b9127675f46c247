"""An endpoint's way through the dispatcher: its limits, its workers, its feeds."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Hashable, Iterable
from concurrent.futures import Future
from time import monotonic
from typing import Any, Protocol

from leadpush_prefect.endpoints.attempt import Call, Retry, attempt
from leadpush_prefect.endpoints.prepared import PreparedEndpoint
from leadpush_prefect.errors import Reason
from leadpush_prefect.model.outcome import Failure, Outcome, Status
from leadpush_prefect.network.rate_limit import RateLimit
from leadpush_prefect.network.wire import Transport
from leadpush_prefect.sending.room import Room

__all__ = ["Feed", "Lane"]

Keyed = tuple[Any, Call]
"""A call, with the key by which its batch knows it."""


class LoopThread(Protocol):
    """The thread on whose event loop lanes live."""

    loop: asyncio.AbstractEventLoop

    room: Room
    """What all lanes together may have under way."""

    def call_soon(self, callback: Callable[..., None], *arguments: Any) -> None:
        """Have the thread call something."""

    def run(self, callback: Callable[..., None], *arguments: Any) -> None:
        """Have the thread call something, and wait until it has."""

    def transport(self, target: PreparedEndpoint) -> Transport:
        """What sends an endpoint's requests."""


class Feed:
    """The calls of one batch at one endpoint, on their way through a lane.

    A feed is filled and emptied by one thread; the loop thread works in between.

    Args:
        lane: The endpoint's lane.
        transport: What sends these calls instead of the network: a mock, or a test's double.
        groups: By which it is stopped together with others, such as a run's id.

    Attributes:
        outstanding: How many calls have no outcome that was collected.
        ending: Whether nothing of it is sent any more.
        stopped: Whether no outcome will come any more; `cut` and `unsent` are complete then, and say what became of
            all calls that have none.
        cut: Calls whose request was in flight when its time was up; nobody knows what the API did.
        unsent: Calls that were not sent, or were refused in a way that may pass and waited for their next attempt.
    """

    def __init__(self, lane: Lane, transport: Transport | None, groups: Iterable[Hashable] = ()) -> None:
        self.lane = lane
        self.transport = transport
        self.groups = frozenset(groups)
        self.queue: deque[Keyed] = deque()
        self.later: dict[int, tuple[asyncio.TimerHandle, Keyed]] = {}  # by the call's identity
        self.outstanding = 0
        self.ending = False
        self.stopped = False
        self.cut: list[Keyed] = []
        self.unsent: list[Keyed] = []
        self.cut_by: asyncio.TimerHandle | None = None
        self._done: list[tuple[Any, Outcome]] = []
        self._wanted = 1  # at how many outcomes `collect` wakes up
        self._ready = threading.Condition()
        self._first: Future[Outcome] | None = None

    def put(self, calls: Iterable[Keyed]) -> None:
        """Add calls, each with a key to know its outcome by."""
        added = list(calls)
        self.outstanding += len(added)
        self.lane.thread.call_soon(self.lane.add, self, added)

    def collect(self, at_least: int, timeout_seconds: float) -> list[tuple[Any, Outcome]]:
        """The outcomes that have come: at once when there are enough, when the time is up, or when it was
        stopped."""
        deadline = monotonic() + timeout_seconds
        with self._ready:
            self._wanted = max(1, min(at_least, self.outstanding))
            while len(self._done) < self._wanted and not self.stopped:
                remaining = deadline - monotonic()
                if remaining <= 0 or not self._ready.wait(remaining):
                    break
            done, self._done = self._done, []
        self.outstanding -= len(done)
        return done

    async def call(self, call: Call) -> Outcome:
        """Make one call, for a coroutine of another loop."""
        self._first = Future()
        self._first.set_running_or_notify_cancel()  # it takes a result, whatever becomes of its reader
        self.put([(None, call)])
        outcome = await asyncio.wrap_future(self._first)
        self.outstanding = 0
        return outcome

    def deliver(self, key: Any, outcome: Outcome) -> None:
        """Take an outcome (loop thread)."""
        if self.stopped:  # it was cut, and went on all the same
            return
        if self._first is not None:
            self._first.set_result(outcome)
        with self._ready:
            self._done.append((key, outcome))
            if len(self._done) >= self._wanted:
                self._ready.notify()

    def drain(self, seconds: float) -> None:
        """End: send nothing any more, and wait for what is in flight; what has not come after so many seconds is
        cut. What has come can still be collected."""
        self.lane.thread.run(self.lane.drain, self, seconds)
        with self._ready:
            while not self.stopped:
                self._ready.wait()

    def mark_stopped(self) -> None:
        """Say so to whoever collects (loop thread)."""
        with self._ready:
            self.ending = self.stopped = True
            self._ready.notify()


class Lane:
    """An endpoint's way through the dispatcher: its limits, its workers, its batches. Lives on the loop
    thread."""

    def __init__(self, owner: LoopThread) -> None:
        self.thread = owner
        self.wanted = 0
        self.limit = 0
        self.per_second = -1.0
        self.rate = RateLimit(0)
        self._ready: deque[Feed] = deque()
        self._working: dict[asyncio.Task[None], tuple[Feed, Any, Call] | None] = {}
        self._in_turn: set[asyncio.Task[None]] = set()  # workers that wait for requests_per_second

    def set_limits(self, max_concurrency: int, requests_per_second: float) -> None:
        """Take the endpoint's limits; those of the last run that began count."""
        if max_concurrency != self.wanted:
            self.wanted = max_concurrency
            self.set_share(max_concurrency)
            self.thread.room.share_out()
        if requests_per_second != self.per_second:
            self.per_second = requests_per_second
            self.rate = RateLimit(requests_per_second)

    def set_share(self, limit: int) -> None:
        """Take how many calls may be under way at once, of those that all lanes may have."""
        has_grown, self.limit = limit > self.limit, limit
        if has_grown:
            self._hire(sum(len(feed.queue) for feed in self._ready))

    def add(self, feed: Feed, calls: list[Keyed]) -> None:
        """Queue calls, and see that there are workers for them."""
        if feed.ending:
            feed.unsent += calls
            return
        if not calls:
            return
        if not feed.queue:
            self._ready.append(feed)
        feed.queue.extend(calls)
        if not self._working:
            self.thread.room.enter(self)
        self._hire(len(calls))

    def _hire(self, calls: int) -> None:
        for _ in range(min(calls, self.limit - len(self._working))):
            task = asyncio.create_task(self._work())
            self._working[task] = None

    def _take(self) -> tuple[Feed, Any, Call] | None:
        """The next call: feeds take turns."""
        if not self._ready or len(self._working) > self.limit:
            return None
        feed = self._ready.popleft()
        key, call = feed.queue.popleft()
        if feed.queue:
            self._ready.append(feed)
        return feed, key, call

    async def _work(self) -> None:
        me: Any = asyncio.current_task()
        try:
            while (taken := self._take()) is not None:
                feed, key, call = taken
                self._working[me] = taken
                try:
                    await self._attempt(feed, key, call)
                except asyncio.CancelledError:
                    if self._working[me] is not None:
                        raise
                    me.uncancel()
                self._working[me] = None
                if feed.ending:
                    self._stop_if_drained(feed)
        finally:
            del self._working[me]
            if not self._working:
                self.thread.room.leave(self)

    async def _attempt(self, feed: Feed, key: Any, call: Call) -> None:
        result: Outcome | Retry
        try:
            transport = feed.transport or self.thread.transport(call.target)
            result = await attempt(call, transport, self._turn)
        except Exception as error:  # nobody must wait for ever for an outcome
            message = f"{type(error).__name__} while the request was prepared."
            result = Outcome(Status.FAILED, failure=Failure(Reason.UNEXPECTED_ERROR, message))
        if not isinstance(result, Retry):
            feed.deliver(key, result)
        elif not feed.ending:
            timer = self.thread.loop.call_later(result.after_seconds, self._again, feed, key, call)
            feed.later[id(call)] = timer, (key, call)
        elif not feed.stopped:
            feed.unsent.append((key, call))

    def _again(self, feed: Feed, key: Any, call: Call) -> None:
        del feed.later[id(call)]
        self.add(feed, [(key, call)])

    async def _turn(self) -> None:
        """Wait for the turn of one request, where there are only so many per second."""
        if not self.per_second:
            return
        me: Any = asyncio.current_task()
        self._in_turn.add(me)
        try:
            await self.rate.wait()
        finally:
            self._in_turn.discard(me)

    def drain(self, feed: Feed, seconds: float) -> None:
        """End a feed: nothing of it is sent any more, and it is stopped when what is in flight has come. What has
        not come after so many seconds is cut; a second call can only shorten the time."""
        if feed.stopped:
            return
        feed.ending = True
        self._drop_waiting(feed)
        if seconds <= 0:
            self._cut(feed)
            return
        until = self.thread.loop.time() + seconds
        if feed.cut_by is None or until < feed.cut_by.when():
            if feed.cut_by is not None:
                feed.cut_by.cancel()
            feed.cut_by = self.thread.loop.call_at(until, self._cut, feed)
        self._stop_if_drained(feed)

    def _drop_waiting(self, feed: Feed) -> None:
        """Take out what has not begun to be sent."""
        feed.unsent += feed.queue
        feed.queue.clear()
        if feed in self._ready:
            self._ready.remove(feed)
        for timer, keyed in feed.later.values():
            timer.cancel()
            feed.unsent.append(keyed)
        feed.later.clear()
        self._end_calls(feed, lambda task, call: task in self._in_turn or not call.attempt, feed.unsent)

    def _cut(self, feed: Feed) -> None:
        self._end_calls(feed, lambda task, call: True, feed.cut)
        self._stop(feed)

    def _end_calls(
        self, feed: Feed, which: Callable[[asyncio.Task[None], Call], bool], into: list[Keyed]
    ) -> None:
        for task, taken in self._working.items():
            if taken is not None and taken[0] is feed and which(task, taken[2]):
                into.append(taken[1:])
                self._working[task] = None
                task.cancel()

    def _stop_if_drained(self, feed: Feed) -> None:
        if not any(taken is not None and taken[0] is feed for taken in self._working.values()):
            self._stop(feed)

    def _stop(self, feed: Feed) -> None:
        if feed.cut_by is not None:
            feed.cut_by.cancel()
        feed.mark_stopped()
