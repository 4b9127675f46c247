"""How many rows at once: as many as asked for, but no more than a few megabytes of them."""

from __future__ import annotations

__all__ = ["AHEAD_BYTES", "CHUNK_BYTES", "ChunkSize", "rows_within"]

CHUNK_BYTES = 4_000_000
"""So much text of contacts and outputs is read or written at once, in each batch."""

AHEAD_BYTES = 32_000_000
"""So much of answers may be under way, or not yet written, for all batches of a run in a process together."""

GROWTH = 4


def rows_within(most: int, size: float, of_bytes: float = CHUNK_BYTES) -> int:
    """How many rows of a size are at most `most`, and no more bytes than a chunk has; at least one.

    >>> rows_within(250, 1_000), rows_within(250, 900_000), rows_within(250, 9_000_000), rows_within(250, 0)
    (250, 4, 1, 250)
    """
    return max(1, min(most, int(of_bytes / size))) if size else most


class ChunkSize:
    """Of chunks that are read one after the other: it grows while they are small.

    Args:
        most: How many rows a chunk has at most.
        first: How many the first one has, whose size nobody knows; 0 for as many as the others.

    Attributes:
        rows: How many rows the next chunk has at most.
    """

    def __init__(self, most: int, first: int = 0) -> None:
        self.most = most
        self.rows = min(first or most, most)

    def note(self, rows: int, size: int) -> None:
        """Learn from a chunk.

        Args:
            rows: How many it had.
            size: Of all its text.
        """
        if rows:
            self.rows = min(rows_within(self.most, size / rows), self.rows * GROWTH)
