"""Whether a request that failed is sent again, and when. Pure: the clock and the dice are arguments."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from leadpush_prefect.endpoints.idempotency import CONFLICT
from leadpush_prefect.errors import Reason
from leadpush_prefect.model.effects import IDEMPOTENT_METHODS, Effect

__all__ = ["IDEMPOTENT_METHODS", "RETRYABLE_STATUSES", "retry_delay"]

BASE_SECONDS = 0.25
CAP_SECONDS = 10.0
MAX_RETRY_AFTER_SECONDS = 60.0
CONFLICT_SECONDS = 1.0

RETRYABLE_STATUSES = frozenset(
    {
        408,  # Request Timeout, RFC 9110
        425,  # Too Early, RFC 8470
        429,  # Too Many Requests, RFC 6585
        500,  # Internal Server Error
        502,  # Bad Gateway
        503,  # Service Unavailable
        504,  # Gateway Timeout
    }
)


def retry_delay(
    *,
    method: str,
    has_key: bool = False,
    reason: Reason,
    status: int | None,
    effect: Effect,
    attempt: int,
    retry_after: str | None,
    now: datetime,
    random: Callable[[], float],
) -> float | None:
    """How long to wait before the request is sent again, or None if it must not be.

    The wait is `Retry-After` where the response has a usable one, cut to 60 s, else a backoff with full jitter:
    `random() * min(10, 0.25 * 2 ** (attempt - 1))` seconds.

    Args:
        method: In upper case.
        has_key: Whether the API does it once, however often it is sent (see `endpoints.idempotency`).
        reason: Why the attempt failed.
        status: The response's status, where there was one.
        effect: What the API may have done that must not be done twice.
        attempt: The number of the attempt that failed, from 1. The caller knows how many there may be.
        retry_after: The response's `Retry-After` (RFC 9110, section 10.2.3): seconds, or an HTTP-date.
        now: The time, with a time zone.
        random: A number from 0 to 1.

    Returns:
        Seconds, or None.

    >>> noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    >>> retry_delay(method="GET", reason=Reason.HTTP_STATUS, status=429, effect=Effect.NONE, attempt=1,
    ...             retry_after="Thu, 01 Jan 2026 12:00:07 GMT", now=noon, random=lambda: 0.5)
    7.0
    >>> retry_delay(method="POST", reason=Reason.CONNECT_FAILED, status=None, effect=Effect.NONE, attempt=3,
    ...             retry_after=None, now=noon, random=lambda: 0.5)
    0.5
    """
    if has_key and reason is Reason.HTTP_STATUS and status == CONFLICT:
        return CONFLICT_SECONDS
    is_repeatable = has_key or method in IDEMPOTENT_METHODS
    if not _may_retry(is_repeatable, reason, status, effect):
        return None
    asked = None if retry_after is None else _retry_after_seconds(retry_after, now)
    if asked is not None:
        return min(asked, MAX_RETRY_AFTER_SECONDS)
    doublings = min(max(attempt - 1, 0), 10)  # 2 ** 5 is past the cap, 2 ** 5000 past any float
    return random() * min(CAP_SECONDS, BASE_SECONDS * 2.0**doublings)


def _may_retry(is_repeatable: bool, reason: Reason, status: int | None, effect: Effect) -> bool:
    may_pass = status in RETRYABLE_STATUSES if reason is Reason.HTTP_STATUS else reason.retryable
    return may_pass and (is_repeatable or effect is Effect.NONE)


def _retry_after_seconds(text: str, now: datetime) -> float | None:
    text = text.strip()[:64]  # longer than any date or number that is meant
    if re.fullmatch(r"[0-9]{1,18}", text):
        return float(text)
    moment = _http_date(text)
    return None if moment is None else max(0.0, (moment - now).total_seconds())


def _http_date(text: str) -> datetime | None:
    """A date in any of the three formats of RFC 9110, section 5.6.7 (and what mail has beside them)."""
    try:
        moment = parsedate_to_datetime(text)
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError, TypeError, IndexError):
        return None
