"""When a task must be done: one timer for all tasks of a loop."""

from __future__ import annotations

import asyncio
import math
from types import TracebackType

__all__ = ["LATE_SECONDS", "READING_SECONDS", "Deadlines"]

EARLY_SECONDS = 0.001
"""The loop's clock goes by the millisecond."""

LATE_SECONDS = 0.5
"""Where the timer is so late, the process did not run: it was stopped, or its machine slept."""

READING_SECONDS = 0.25
"""So long the loop then reads what has come meanwhile, before anybody is judged."""


class Deadlines:
    """The deadlines of many tasks of one event loop.

    It does what `asyncio.timeout` does, which makes and drops a timer each time: a seventh of all that a request
    costs. Here the one timer goes to the earliest deadline, and looks who is late when it gets there, which
    is seldom before one is: whoever came later is due later, where the same time is allowed to each.

    >>> async def ask() -> None:
    ...     deadlines = Deadlines()
    ...     with deadlines.until(deadlines.now() + 0.01):
    ...         await asyncio.sleep(60)
    >>> asyncio.run(ask())
    Traceback (most recent call last):
    TimeoutError
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._open: set[_Until] = set()
        self._next = self._due = math.inf
        self._timer: asyncio.TimerHandle | None = None
        self._put_off = False
        self.now = self._loop.time

    def until(self, when: float) -> _Until:
        """A block of the running task that raises `TimeoutError` at a time of `now`."""
        return _Until(self, when)

    def close(self) -> None:
        """End the timer. Deadlines that are open no longer count."""
        self._open.clear()
        self._set(math.inf)

    def _set(self, when: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._next = when
        self._due = max(when, self.now())  # one that is past when it begins is not late
        self._timer = self._loop.call_at(when, self._look) if when < math.inf else None

    def _look(self) -> None:
        now = self.now() + EARLY_SECONDS
        self._put_off = now - self._due > LATE_SECONDS and not self._put_off
        if self._put_off:
            self._set(now + READING_SECONDS)
            return
        late = [each for each in self._open if each.when <= now]
        for each in sorted(late, key=lambda each: each.when):
            each.expire()
        self._set(min((each.when for each in self._open), default=math.inf))


class _Until:
    __slots__ = ("_before", "_deadlines", "_expired", "_task", "when")

    def __init__(self, deadlines: Deadlines, when: float) -> None:
        self._deadlines = deadlines
        self.when = when
        self._expired = False

    def __enter__(self) -> None:
        deadlines = self._deadlines
        task = asyncio.current_task(deadlines._loop)
        assert task is not None, "a deadline is a task's"
        self._task = task
        self._before = task.cancelling()
        deadlines._open.add(self)
        if self.when < deadlines._next:
            deadlines._set(self.when)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._deadlines._open.discard(self)
        # As asyncio.timeout has it: who cancels the task as well is heard.
        if self._expired and self._task.uncancel() <= self._before and kind is asyncio.CancelledError:
            raise TimeoutError from None

    def expire(self) -> None:
        self._deadlines._open.discard(self)
        self._expired = True
        self._task.cancel()
