"""Whether and when a request is sent again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadpush_prefect.endpoints.retries import retry_delay
from leadpush_prefect.errors import Reason
from leadpush_prefect.model.effects import effect_of

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
RETRYABLE = {Reason.CONNECT_FAILED, Reason.DNS_FAILED, Reason.DISCONNECTED, Reason.TIMEOUT}
IDEMPOTENT = ("GET", "PUT", "DELETE")
OTHER = ("POST", "PATCH")
JUNK = [
    "",
    " ",
    "nan",
    "inf",
    "-5",
    "+5",
    "5.5",
    "1e3",
    "9" * 5000,
    "\u0665",
    "5 s",
    "soon",
    "Sun, 32 Mar 2026 12:00:00 GMT",
]


def delay(**changes: Any) -> float | None:
    arguments: dict[str, Any] = {
        "method": "GET",
        "reason": Reason.TIMEOUT,
        "status": None,
        "sent": True,
        "attempt": 1,
        "retry_after": None,
        "now": NOON,
        "random": lambda: 1.0,
    }
    arguments |= changes
    sent, later = arguments.pop("sent"), arguments["retry_after"] is not None
    effect = effect_of(arguments["reason"], arguments["status"], sent=sent, may_come_later=later)
    return retry_delay(**arguments, effect=effect)


def status(code: int, **changes: Any) -> float | None:
    return delay(reason=Reason.HTTP_STATUS, status=code, **changes)


@pytest.mark.parametrize("method", IDEMPOTENT)
@pytest.mark.parametrize("reason", list(Reason))
def test_idempotent(method: str, reason: Reason) -> None:
    """An idempotent request is sent again exactly where the network failed."""
    assert (delay(method=method, reason=reason) is not None) is (reason in RETRYABLE)


@pytest.mark.parametrize("method", OTHER)
@pytest.mark.parametrize("reason", list(Reason))
def test_not_idempotent(method: str, reason: Reason) -> None:
    """A POST or PATCH is sent again only if no byte of it was sent."""
    assert delay(method=method, reason=reason, sent=True) is None
    assert (delay(method=method, reason=reason, sent=False) is not None) is (reason in RETRYABLE)


@pytest.mark.parametrize("method", IDEMPOTENT)
def test_statuses(method: str) -> None:
    """The statuses that may pass are retried, and no other."""
    assert {408, 425, 429, 500, 502, 503, 504} == {
        code for code in range(100, 600) if status(code, method=method)
    }


@pytest.mark.parametrize("method", OTHER)
def test_status_of_post(method: str) -> None:
    """A POST that was answered is sent again where the API has refused it for now, and never else."""
    codes = range(100, 600)
    assert {425, 429} == {code for code in codes if status(code, method=method)}
    assert {425, 429, 503} == {code for code in codes if status(code, method=method, retry_after="1")}


@pytest.mark.parametrize("method", OTHER)
def test_under_a_key(method: str) -> None:
    """Under a key a POST or PATCH is sent again as a GET is; a 409 has it wait for the first one, for a second."""
    for reason in Reason:
        assert delay(method=method, has_key=True, reason=reason) == delay(reason=reason)
    again = {code: status(code, method=method, has_key=True) for code in range(100, 600)}
    assert again == {code: status(code) for code in range(100, 600)} | {409: 1.0}


def test_backoff() -> None:
    """The backoff doubles from 0.25 s up to 10 s, and full jitter takes any part of it."""
    assert [0.25, 0.5, 1, 2, 4, 8, 10, 10] == [delay(attempt=attempt) for attempt in range(1, 9)]
    assert 10 == delay(attempt=10_000)
    assert 1 == delay(attempt=4, random=lambda: 0.5)
    assert 0 == delay(attempt=4, random=lambda: 0.0)


@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [
        ("0", 0),
        ("7", 7),
        (" 7 ", 7),
        ("60", 60),
        ("61", 60),
        ("999999999999999999", 60),
        ("Sun, 01 Mar 2026 12:00:09 GMT", 9),
        ("Sunday, 01-Mar-26 12:00:09 GMT", 9),
        ("Sun Mar  1 12:00:09 2026", 9),
        ("Sun, 01 Mar 2026 11:59:00 GMT", 0),
        ("Sun, 01 Mar 2026 13:00:00 GMT", 60),
        ("Friday, 01-Mar-78 12:00:00 GMT", 0),  # more than 50 years ahead: 1978
    ],
)
def test_retry_after(retry_after: str, seconds: float) -> None:
    """`Retry-After` decides, in seconds or in any of the three forms of an HTTP-date, and up to 60 s."""
    assert seconds == status(503, retry_after=retry_after)


def test_retry_after_in_another_zone() -> None:
    """A date is compared to the time, wherever the clock stands."""
    now = NOON.astimezone(timezone(timedelta(hours=5)))
    assert 9 == status(503, retry_after="Sun, 01 Mar 2026 12:00:09 GMT", now=now)


@pytest.mark.parametrize("junk", JUNK)
def test_junk(junk: str) -> None:
    """A `Retry-After` that cannot be used falls back to the backoff."""
    assert 0.25 == status(503, retry_after=junk)


@given(st.text())
def test_any_text(text: str) -> None:
    """No `Retry-After` at all raises, or leads past 60 s."""
    waited = status(503, retry_after=text)
    assert waited is not None
    assert 0 <= waited <= 60


def test_a_reason_says_whether_it_is_retryable() -> None:
    """What is sent again is what the reason says; of HTTP_STATUS the status decides."""
    assert {reason for reason in Reason if reason.retryable} == RETRYABLE | {Reason.HTTP_STATUS}
