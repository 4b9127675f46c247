"""From a library's exception to a reason: one table for each library, one way to read them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from leadpush_prefect.errors import Reason
from leadpush_prefect.network.wire import TransportFailed
from leadpush_prefect.system.open_files import is_a_file_left, is_out_of_files

__all__ = ["Row", "failure_of"]


NO_FILE = (
    "This process has no file left for a connection to {where}. Raise its limit of open files (ulimit -n), or lower "
    "max_concurrency."
)


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
    if row.unsent and _is_ours(row, error):
        return TransportFailed(Reason.CONNECT_FAILED, NO_FILE.format(where=where), sent=False, is_ours=True)
    sentence = row.sentence.format(where=where, seconds=seconds, detail=detail)
    return TransportFailed(row.reason, sentence, sent=sent and not row.unsent)


def _is_ours(row: Row, error: Exception) -> bool:
    """Whether there was no file left: for the socket, or for what resolves a name, which does not always say so."""
    causes = (error, getattr(error, "os_error", None), *_causes(error))
    if any(is_out_of_files(cause) for cause in causes):
        return True
    return row.reason is Reason.DNS_FAILED and not is_a_file_left()


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause = error.__cause__
    while cause is not None:
        yield cause
        cause = cause.__cause__
