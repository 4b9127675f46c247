"""The dispatcher: one event loop thread per process, in which all requests are made.

Connections outlive batches and steps, and an endpoint's limits hold for the process. Each endpoint has a lane
of `max_concurrency` workers of its own, so that a slow endpoint does not hold up another; the batches of a
lane take turns, call by call. A call that waits for its next attempt is nobody's work until then. What is
simulated sends nothing, and does not come here.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
from collections.abc import Callable, Hashable, Iterable
from contextvars import Context
from typing import Any

from leadpush_prefect.endpoints.prepared import PreparedEndpoint
from leadpush_prefect.network.addresses import parse_networks
from leadpush_prefect.network.aiohttp_transport import AiohttpTransport
from leadpush_prefect.network.wire import Transport
from leadpush_prefect.sending.lane import Feed, Lane
from leadpush_prefect.sending.room import Room
from leadpush_prefect.system.fork_safe import ForkSafeLock
from leadpush_prefect.system.open_files import room_for_sockets

__all__ = ["Dispatcher", "dispatcher", "override_transport"]

SHUTDOWN_SECONDS = 2.0


class Dispatcher:
    """One event loop in a thread, its lanes and its connections."""

    def __init__(self) -> None:
        self.loop = _new_event_loop()
        self._files = room_for_sockets()
        self.room = Room(self._files.sockets)
        self._lanes: dict[Hashable, Lane] = {}
        self._transports: dict[Hashable, AiohttpTransport] = {}
        self._feeds: set[Feed] = set()
        self._lock = threading.Lock()
        self._over = asyncio.Event()
        self._thread = threading.Thread(target=self._run_loop, name="leadpush-requests", daemon=True)
        self._thread.start()

    def feed(
        self, target: PreparedEndpoint, *, transport: Transport | None = None, groups: Iterable[Hashable] = ()
    ) -> Feed:
        """A way to call an endpoint; give it to `close` when all its outcomes are there."""
        config = target.endpoint.config
        with self._lock:
            lane = self._lanes.setdefault(_lane_key(target), Lane(self))
            feed = Feed(lane, transport or _override, groups)
            self._feeds.add(feed)
        self.call_soon(lane.set_limits, config.max_concurrency, config.requests_per_second)
        return feed

    def close(self, feed: Feed) -> None:
        """Forget a feed; one with calls under way is stopped, without waiting for that."""
        with self._lock:
            self._feeds.discard(feed)
        if feed.outstanding and not feed.stopped:
            self.call_soon(feed.lane.drain, feed, 0.0)

    def stop_group(self, group: Hashable, seconds: float) -> None:
        """Have each feed of a group send nothing any more, and cut what has not come after so many seconds; returns
        at once."""
        with self._lock:
            feeds = [feed for feed in self._feeds if group in feed.groups]
        # In one go: the workers of one feed would else take up the calls of the next.
        self.call_soon(_drain_all, feeds, seconds)

    def transport(self, target: PreparedEndpoint) -> Transport:
        """The connections of a workspace's policy (loop thread)."""
        networks, reuse = target.workspace.allowed_networks, target.endpoint.config.reuse_connections
        transport = self._transports.get((networks, reuse))
        if transport is None:
            transport = AiohttpTransport(
                parse_networks(networks), reuse=reuse, highest_file=self._files.highest
            )
            self._transports[networks, reuse] = transport
        return transport

    def call_soon(self, callback: Callable[..., None], *arguments: Any) -> None:
        """Have the loop thread call something.

        In an empty context: workers live longer than the task run for which they were made.
        """
        self.loop.call_soon_threadsafe(callback, *arguments, context=Context())

    def run(self, callback: Callable[..., None], *arguments: Any) -> None:
        """Have the loop thread call something, and wait until it has."""
        done = threading.Event()

        def call() -> None:
            try:
                callback(*arguments)
            finally:
                done.set()

        self.call_soon(call)
        done.wait()

    def shut_down(self) -> None:
        """Close all connections and end the thread. One that takes longer than `SHUTDOWN_SECONDS` is not waited
        for, and ends all the same."""
        if self._thread.is_alive():
            self.call_soon(self._over.set)
            self._thread.join(SHUTDOWN_SECONDS)

    def _run_loop(self) -> None:
        self.loop.run_until_complete(self._live())
        self.loop.close()

    async def _live(self) -> None:
        await self._over.wait()
        with self._lock:
            _drain_all(self._feeds, 0)
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for transport in self._transports.values():
            await transport.close()


def _drain_all(feeds: Iterable[Feed], seconds: float) -> None:
    for feed in feeds:
        feed.lane.drain(feed, seconds)


def _lane_key(target: PreparedEndpoint) -> Hashable:
    """A saved endpoint is known by its name, in whatever workspace it is called; another by what it is."""
    config = target.endpoint.config
    return config.name or repr(config)


def _new_event_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ImportError:  # there is none for Windows
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


_lock = ForkSafeLock()


_dispatcher: Dispatcher | None = None


_pid = 0


_override: Transport | None = None


def dispatcher() -> Dispatcher:
    """The process's dispatcher, made when it is first needed. A forked child makes its own."""
    global _dispatcher, _pid
    with _lock:
        if _dispatcher is None or _pid != os.getpid():
            _dispatcher, _pid = Dispatcher(), os.getpid()
            atexit.register(_dispatcher.shut_down)
        return _dispatcher


def override_transport(transport: Transport | None) -> Transport | None:
    """Let all calls go through a transport instead of the network, or (None) through the network; gives the
    former."""
    global _override
    former, _override = _override, transport
    return former
