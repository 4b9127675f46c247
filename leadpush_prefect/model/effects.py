"""Whether an API may have done what a request asked for, where no usable response came. Pure.

It matters to a POST and a PATCH, of which twice is not as good as once (RFC 9110, section 9.2.2).
"""

from __future__ import annotations

from enum import Enum

from leadpush_prefect.errors import Reason

__all__ = ["IDEMPOTENT_METHODS", "Effect", "effect_of", "effect_of_code"]

IDEMPOTENT_METHODS = frozenset({"GET", "PUT", "DELETE"})


class Effect(Enum):
    """What the API may have done."""

    NONE = "nothing"  # it never got the request, or has refused it
    UNKNOWN = "perhaps what it was asked"
    DONE = "what it was asked"  # it said so; what else it said is of no use


_OF_A_RESPONSE = frozenset({
    Reason.RESPONSE_TOO_LARGE, Reason.RESPONSE_ENCODING_UNSUPPORTED, Reason.RESPONSE_EMPTY, Reason.RESPONSE_NOT_JSON,
    Reason.RESPONSE_NOT_OBJECT_OR_ARRAY, Reason.REDIRECT,
})  # fmt: skip

_REFUSED_FOR_NOW = frozenset({
    425,  # Too Early, RFC 8470: the server did not want to risk a replay
    429,  # Too Many Requests, RFC 6585
})  # fmt: skip

_REQUEST_TIMEOUT, _UNAVAILABLE = 408, 503


def effect_of(
    reason: Reason, status: int | None, *, sent: bool, may_come_later: bool = False, followed: bool = False
) -> Effect:
    """What the API may have done with a request that failed.

    Args:
        reason: Why it failed.
        status: The response's status, where there was one.
        sent: Whether a byte of the request may have reached the API.
        may_come_later: Whether the response has a `Retry-After`: who says when to come back has not done it.
        followed: Whether a redirect was followed before: the first request was answered, not refused.

    >>> effect_of(Reason.TIMEOUT, None, sent=True).name, effect_of(Reason.TIMEOUT, None, sent=False).name
    ('UNKNOWN', 'NONE')
    >>> [effect_of(Reason.HTTP_STATUS, status, sent=True).name for status in (404, 408, 429, 500)]
    ['NONE', 'UNKNOWN', 'NONE', 'UNKNOWN']
    >>> effect_of(Reason.RESPONSE_NOT_JSON, 200, sent=True).name
    'DONE'
    """
    if not sent:
        return Effect.NONE
    if reason in _OF_A_RESPONSE:
        return Effect.DONE
    if reason is not Reason.HTTP_STATUS or status is None or followed:
        return Effect.UNKNOWN
    if status in _REFUSED_FOR_NOW or (400 <= status < 500 and status != _REQUEST_TIMEOUT):
        return Effect.NONE
    return Effect.NONE if status == _UNAVAILABLE and may_come_later else Effect.UNKNOWN


_BEFORE_THE_FIRST_BYTE = frozenset({
    Reason.ENDPOINT_DISABLED, Reason.ENDPOINT_INVALID, Reason.WORKSPACE_MISMATCH, Reason.NOT_SUBSCRIBED,
    Reason.TEMPLATE_MISSING, Reason.TEMPLATE_INVALID, Reason.TEMPLATE_TOO_LARGE, Reason.CONDITION_MISSING,
    Reason.OUTPUT_KEY_TAKEN, Reason.HOST_NOT_ALLOWED, Reason.ADDRESS_BLOCKED, Reason.DNS_FAILED, Reason.CONNECT_FAILED,
    Reason.TLS_FAILED, Reason.MOCK_MISSING,
})  # fmt: skip


def effect_of_code(code: str) -> Effect:
    """The same of a failure that an earlier version stored, of which the code alone is known.

    >>> [effect_of_code(code).name for code in ("connect_failed", "http_status_404", "http_status_503", "timeout")]
    ['NONE', 'NONE', 'UNKNOWN', 'UNKNOWN']
    """
    if code in _BEFORE_THE_FIRST_BYTE:
        return Effect.NONE
    status = code.removeprefix(f"{Reason.HTTP_STATUS}_")
    if status != code and status.isdecimal():
        return effect_of(Reason.HTTP_STATUS, int(status), sent=True)
    return Effect.DONE if code in _OF_A_RESPONSE else Effect.UNKNOWN
