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

__all__ = ["Feed", "Lane"]


class LoopThread(Protocol):
    """The thread on whose event loop lanes live."""

    loop: asyncio.AbstractEventLoop

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
    """

    def __init__(self, lane: Lane, transport: Transport | None, groups: Iterable[Hashable] = ()) -> None:
        self.lane = lane
        self.transport = transport
        self.groups = frozenset(groups)
        self.queue: deque[tuple[Any, Call]] = deque()
        self.outstanding = 0
        self.stopped = False
        self._done: list[tuple[Any, Outcome]] = []
        self._wanted = 1  # at how many outcomes `collect` wakes up
        self._ready = threading.Condition()
        self._first: Future[Outcome] | None = None

    def put(self, calls: Iterable[tuple[Any, Call]]) -> None:
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
        if self._first is not None:
            self._first.set_result(outcome)
        with self._ready:
            self._done.append((key, outcome))
            if len(self._done) >= self._wanted:
                self._ready.notify()

    def stop(self) -> None:
        """End: requests under way are cancelled, waiting ones are dropped. What has come can still be
        collected."""
        self.lane.thread.run(self.lane.stop, self)

    def mark_stopped(self) -> None:
        """Say so to whoever collects (loop thread)."""
        with self._ready:
            self.stopped = True
            self._ready.notify()


class Lane:
    """An endpoint's way through the dispatcher: its limits, its workers, its batches. Lives on the loop
    thread."""

    def __init__(self, owner: LoopThread) -> None:
        self.thread = owner
        self.limit = 0
        self.per_second = -1.0
        self.rate = RateLimit(0)
        self._ready: deque[Feed] = deque()
        self._working: dict[asyncio.Task[None], Feed | None] = {}

    def set_limits(self, max_concurrency: int, requests_per_second: float) -> None:
        """Take the endpoint's limits; those of the last run that began count."""
        self.limit = max_concurrency
        if requests_per_second != self.per_second:
            self.per_second = requests_per_second
            self.rate = RateLimit(requests_per_second)

    def add(self, feed: Feed, calls: list[tuple[Any, Call]]) -> None:
        """Queue calls, and see that there are workers for them."""
        if feed.stopped or not calls:
            return
        if not feed.queue:
            self._ready.append(feed)
        feed.queue.extend(calls)
        for _ in range(min(len(calls), self.limit - len(self._working))):
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
                self._working[me] = feed
                try:
                    await self._attempt(feed, key, call)
                except asyncio.CancelledError:
                    if not feed.stopped:
                        raise
                    me.uncancel()
                self._working[me] = None
        finally:
            del self._working[me]

    async def _attempt(self, feed: Feed, key: Any, call: Call) -> None:
        result: Outcome | Retry
        try:
            transport = feed.transport or self.thread.transport(call.target)
            result = await attempt(call, transport, self.rate.wait)
        except Exception as error:  # nobody must wait for ever for an outcome
            message = f"{type(error).__name__} while the request was prepared."
            result = Outcome(Status.FAILED, failure=Failure(Reason.UNEXPECTED_ERROR, message))
        if isinstance(result, Retry):
            self.thread.loop.call_later(result.after_seconds, self.add, feed, [(key, call)])
        else:
            feed.deliver(key, result)

    def stop(self, feed: Feed) -> None:
        """End a feed: nothing of it is sent any more, and its requests under way are cancelled."""
        feed.mark_stopped()
        feed.queue.clear()
        if feed in self._ready:
            self._ready.remove(feed)
        for task, working_for in self._working.items():
            if working_for is feed:
                task.cancel()
