"""From a library's exception to a reason: one table for each library, one way to read them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from leadpush_prefect.errors import Reason
from leadpush_prefect.network.wire import TransportFailed

__all__ = ["Row", "failure_of"]


class Row(NamedTuple):
    """What an exception of a library means."""

    error: type[Exception]
    reason: Reason
    sentence: str
    unsent: bool = False  # no byte can have been sent


def failure_of(
    table: Sequence[Row], error: Exception, *, where: str, seconds: float, detail: str, sent: bool
) -> TransportFailed:
    """What an exception means: the first row that fits counts, so the most specific stand first."""
    row = next(row for row in table if isinstance(error, row.error))
    sentence = row.sentence.format(where=where, seconds=seconds, detail=detail)
    return TransportFailed(row.reason, sentence, sent=sent and not row.unsent)
