"""How many requests per second are sent to one endpoint."""

from __future__ import annotations

import asyncio
import math

__all__ = ["RateLimit"]

BURST_SECONDS = 0.1  # the requests of this long may go out at once, which also makes up for a late timer


class RateLimit:
    """A token bucket for the tasks of one event loop.

    The first to wait is the first to go. After a pause, at most `max(1, 0.1 * per_second)` go at once. A
    waiting task that is cancelled takes no token with it.

    Args:
        per_second: The rate; 0 is no limit.

    Raises:
        ValueError: if the rate is negative, or not a finite number.

    >>> async def three_times() -> None:
    ...     limit = RateLimit(per_second=1000)
    ...     for _ in range(3):
    ...         await limit.wait()
    >>> asyncio.run(three_times())
    """

    def __init__(self, per_second: float) -> None:
        if not (per_second >= 0 and math.isfinite(per_second)):
            raise ValueError(f"per_second must be 0 or a positive number, not {per_second!r}")
        self._interval = 1 / per_second if per_second else 0.0
        self._slack = max(0.0, BURST_SECONDS - self._interval)
        self._next = -math.inf
        # Fair, and cancellation is its business: only the task at the head of the queue sleeps.
        self._queue = asyncio.Lock()

    async def wait(self) -> None:
        """Return when one more request may be sent."""
        if not self._interval:
            return
        async with self._queue:
            clock = asyncio.get_running_loop().time
            if (delay := self._next - clock()) > 0:
                await asyncio.sleep(delay)
            self._next = max(self._next, clock() - self._slack) + self._interval
