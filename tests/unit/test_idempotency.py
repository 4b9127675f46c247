"""The key under which an API does once what it is asked twice."""

from __future__ import annotations

import re

from hypothesis import example, given
from hypothesis import strategies as st

from leadpush_prefect.endpoints.idempotency import (
    NOTHING_ANSWERED,
    answered_again,
    idempotency_key,
    takes_key,
    with_key,
)
from leadpush_prefect.model.config import METHODS, EndpointConfig
from leadpush_prefect.network.wire import RenderedRequest

parts = st.text(st.characters(), max_size=5) | st.text('",[]\\ 01', max_size=5)
asked = st.tuples(parts, parts, parts, st.integers(0, 12))


@given(asked, asked)
@example(("a", "bc", "d", 0), ("ab", "c", "d", 0))
@example(("a", "b", "c", 1), ("a", "b", "c1", 0))
@example(("a", "b", "1", 0), ("a", "b", "", 1))
@example(('a","b', "c", "d", 0), ("a", 'b","c', "d", 0))
@example(("\ud800\udc00", "b", "c", 0), ("\U00010000", "b", "c", 0))
@example(("\ud800", "b", "c", 0), ("\\ud800", "b", "c", 0))
def test_is_of_run_node_and_contact(one: tuple[str, str, str, int], other: tuple[str, str, str, int]) -> None:
    """The same for the same, another for anything else, wherever one part ends and the next begins."""
    assert (idempotency_key(*one) == idempotency_key(*other)) is (one == other)


@given(asked)
def test_is_32_hex_digits(one: tuple[str, str, str, int]) -> None:
    """It fits into any header, and says nothing of whom it is for."""
    assert re.fullmatch("[0-9a-f]{32}", idempotency_key(*one))


def test_stays_the_same() -> None:
    """What an API keeps for a day, the next version of this package must ask for too."""
    assert idempotency_key("run-1", "order", "42") == "6d7afbb20eee8391a2ed8ce074bae131"
    assert idempotency_key("run-1", "order", "42", again=2) == "cb17326c540578a34aa9eacf4a561670"


def test_what_takes_one() -> None:
    """A POST and a PATCH take a key, in any case; what may be sent twice anyway needs none."""
    takes = {
        method: takes_key(EndpointConfig(method=method.lower(), idempotency_header="K")) for method in METHODS
    }
    assert takes == {"GET": False, "POST": True, "PUT": False, "PATCH": True, "DELETE": False}
    assert not takes_key(EndpointConfig(method="POST"))


def test_stands_after_the_other_headers() -> None:
    """Nothing else of the request changes; without a key, as in a simulated run, nothing at all does."""
    request = RenderedRequest("POST", "https://a.example/", (("X-A", "1"), ("Accept", "*/*")), b"{}")
    endpoint = EndpointConfig(method="POST", idempotency_header="Idempotency-Key")
    keyed = with_key(request, endpoint, "k")
    assert keyed == RenderedRequest(
        "POST", "https://a.example/", (*request.headers, ("Idempotency-Key", "k")), b"{}"
    )
    assert with_key(request, endpoint, "") is request
    assert with_key(request, EndpointConfig(method="POST"), "k") is request


def replayed(*answers: tuple[int, bytes]) -> list[bool]:
    """Which of the answers say that the next one would be the same."""
    before, found = NOTHING_ANSWERED, []
    for status, body in answers:
        before, is_replayed = answered_again(before, status, body)
        found.append(is_replayed)
    return found


def test_replays() -> None:
    """The same 5xx twice in a row is the API's memory; anything that differs is a new answer."""
    assert replayed((500, b"a"), (500, b"a")) == [False, True]
    assert replayed((500, b"a"), (500, b"b"), (500, b"a")) == [False, False, False]
    assert replayed((500, b"a"), (502, b"a"), (502, b"a")) == [False, False, True]
    assert replayed((500, b"a"), (429, b"a"), (500, b"a")) == [False, False, False]
    assert replayed((429, b"a"), (429, b"a"), (408, b""), (408, b"")) == [False] * 4


def test_conflicts() -> None:
    """The first 409 says that the API is at work; the second, that it does not come to an end."""
    assert replayed((409, b""), (409, b"")) == [False, True]
    assert replayed((409, b""), (500, b""), (409, b"")) == [False, False, True]
