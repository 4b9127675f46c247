"""What an API may have done with a request that failed: each reason and status has an answer, on the safe side."""

from __future__ import annotations

from leadpush_prefect.errors import Reason
from leadpush_prefect.model.effects import Effect, effect_of, effect_of_code


def status(code: int, **facts: bool) -> Effect:
    return effect_of(Reason.HTTP_STATUS, code, sent=True, **facts)


def test_nothing_was_sent() -> None:
    """Before the first byte nothing can have been done, whatever the reason."""
    assert {effect_of(reason, None, sent=False) for reason in Reason} == {Effect.NONE}


def test_statuses() -> None:
    """A 4xx is a refusal, but for 408; a 5xx is none, but for 503 with Retry-After."""
    nothing = {code for code in range(100, 600) if status(code) is Effect.NONE}
    assert nothing == set(range(400, 500)) - {408}
    later = {code for code in range(100, 600) if status(code, may_come_later=True) is Effect.NONE}
    assert later == nothing | {503}
    assert {status(code, followed=True) for code in range(100, 600)} == {Effect.UNKNOWN}


def test_reasons() -> None:
    """A response of no use was a response: it is done. Of anything else that was sent nobody knows."""
    done = {reason for reason in Reason if effect_of(reason, None, sent=True) is Effect.DONE}
    assert done == {reason for reason in Reason if reason.startswith("response_")} | {Reason.REDIRECT}
    rest = {effect_of(reason, None, sent=True) for reason in Reason if reason not in done}
    assert rest == {Effect.UNKNOWN}


def test_codes_of_an_earlier_version() -> None:
    """A code says as much as reason and status; what is not known is unknown."""
    for code in range(100, 600):
        assert effect_of_code(f"http_status_{code}") is status(code)
    assert effect_of_code("response_not_json") is Effect.DONE
    for unknown in ("timeout", "disconnected", "unexpected_error", "http_status_", "http_status_x", "", "?"):
        assert effect_of_code(unknown) is Effect.UNKNOWN
