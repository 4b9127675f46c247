"""A lock that several threads have in turns, one at a time, for a while."""

from __future__ import annotations

import threading
from time import monotonic
from types import TracebackType

__all__ = ["FairLock"]

TURN_SECONDS = 0.5


class FairLock:
    """A lock whose holder is told when it should let others have it.

    >>> lock, work = FairLock(), [1, 2]
    >>> with lock:
    ...     while work and not lock.is_over():
    ...         del work[0]
    """

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._until = 0.0
        self._waiting: set[int] = set()

    def __enter__(self) -> None:
        me = threading.get_ident()
        self._waiting.add(me)
        try:
            self._turn.acquire()
        finally:
            self._waiting.discard(me)
        self._until = monotonic() + TURN_SECONDS

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._turn.release()

    def is_over(self) -> bool:
        """Whether others wait, and the holder has had it for `TURN_SECONDS`."""
        return bool(self._waiting) and monotonic() >= self._until
