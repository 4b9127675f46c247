"""What all lanes of a process together may have under way: its open files are shared among those at work."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

__all__ = ["Room"]


class Sharer(Protocol):
    """Who asks for a share."""

    wanted: int

    def set_share(self, limit: int) -> None:
        """Take a share of at most what is wanted, and at least 1."""


class Room:
    """A number of requests, shared among the lanes at work. Lives on the loop thread.

    Args:
        total: How many requests may be under way at once.
    """

    def __init__(self, total: int) -> None:
        self.total = total
        self._inside: dict[Sharer, None] = {}

    def enter(self, lane: Sharer) -> None:
        """Share with one more lane, which has begun to work."""
        self._inside[lane] = None
        self.share_out()

    def leave(self, lane: Sharer) -> None:
        """Let the others have what a lane had."""
        self._inside.pop(lane, None)
        self.share_out()

    def share_out(self) -> None:
        """Give each lane its share. One that has more than that gives it back as its requests end."""
        lanes = list(self._inside)
        for lane, share in zip(lanes, shares(self.total, [lane.wanted for lane in lanes]), strict=True):
            lane.set_share(share)


def shares(total: int, wanted: Sequence[int]) -> Sequence[int]:
    """Shares that are as equal as can be: nobody gets more than it wants, or less than 1.

    >>> shares(100, [10, 20]), shares(100, [10, 1000, 1000]), shares(2, [5, 5, 5])
    ([10, 20], [10, 45, 45], [1, 1, 1])
    """
    if sum(wanted) <= total:
        return wanted
    given = [1] * len(wanted)
    left = total
    for done, index in enumerate(sorted(range(len(wanted)), key=wanted.__getitem__)):
        given[index] = max(1, min(wanted[index], left // (len(wanted) - done)))
        left -= given[index]
    return given
