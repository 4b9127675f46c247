"""A write under a key at a real socket: what is on the wire, what is sent again, and what is not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from leadpush_prefect import ApiEndpoint, CampaignContext, Workspace
from leadpush_prefect.endpoints.prepared import PreparedEndpoint
from leadpush_prefect.errors import Reason
from leadpush_prefect.model.outcome import Outcome
from leadpush_prefect.sending.client import fetch_one, rendered_request
from tests.support.raw_server import RawServer, Request, each, in_turn, respond

KEY = "0123456789abcdef0123456789abcdef"
AT_ONCE = ("Retry-After", "0")
WRITES = ["POST", "PATCH"]
FAILS = respond(b'{"error": 1}', status=500, headers=[AT_ONCE])


def context() -> CampaignContext:
    workspace = Workspace(allowed_networks=["127.0.0.0/8"])
    return CampaignContext(workspace=workspace, campaign="welcome", contact={"id": "7"})


def prepared(url: str, **fields: Any) -> PreparedEndpoint:
    defaults: dict[str, Any] = {"method": "POST", "idempotency_header": "Idempotency-Key", "body": '{"a": 1}'}
    return ApiEndpoint(url=url, **defaults | fields).prepare(context().workspace)


def sent(server: RawServer, key: str = KEY, **fields: Any) -> Outcome:
    return fetch_one(prepared(server.url, **fields), context(), key=key)


def keys(server: RawServer) -> list[bytes | None]:
    return [request.header("Idempotency-Key") for request in server.requests]


@pytest.fixture
def api() -> Iterator[RawServer]:
    with RawServer(respond(b"{}")) as server:
        yield server


@pytest.mark.parametrize("method", WRITES)
def test_on_the_wire(api: RawServer, method: str) -> None:
    """The key is the last header; all others are as they are without one, and `build_request` shows the same."""
    headers = {"X-B": "1", "X-A": "2"}
    assert sent(api, method=method, headers=headers).failure is None
    assert sent(api, method=method, headers=headers, idempotency_header="").failure is None
    keyed, plain = api.requests
    assert keyed.headers == (*plain.headers, (b"Idempotency-Key", KEY.encode()))
    assert (keyed.body, keyed.target) == (plain.body, plain.target)
    shown = rendered_request(prepared(api.url, method=method, headers=headers), context(), KEY)
    on_the_wire = [(name.encode(), value.encode()) for name, value in shown.headers]
    assert [header for header in keyed.headers if header in on_the_wire] == on_the_wire


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_only_of_writes(api: RawServer, method: str) -> None:
    """What may be sent twice anyway has no key."""
    assert sent(api, method=method, body="").failure is None
    assert keys(api) == [None]


@pytest.mark.parametrize("method", WRITES)
@pytest.mark.parametrize(
    "first", [respond(status=502, headers=[AT_ONCE]), respond(status=500, headers=[AT_ONCE]), None]
)
def test_is_sent_again(method: str, first: bytes | None) -> None:
    """Under a key, a write is sent again as a GET is, byte for byte; without one it is not."""
    with RawServer(in_turn(first, respond(b'{"id": 1}'))) as server:
        result = sent(server, method=method)
        assert (result.output, result.attempts) == ('{"id": 1}', 2)
        one, two = server.requests
        assert one == two
        assert keys(server) == [KEY.encode()] * 2
    with RawServer(in_turn(first, respond(b'{"id": 1}'))) as server:
        assert sent(server, method=method, idempotency_header="", key="").failure is not None
        assert len(server.requests) == 1


def test_once_however_often() -> None:
    """An API that does a key's work once and loses its answer twice: one effect, and an output."""
    done: dict[bytes | None, int] = {}
    times = 0

    def handle(request: Request) -> bytes | None:
        nonlocal times
        times += 1
        number = done.setdefault(request.header("Idempotency-Key"), len(done))
        return respond(b'{"id": %d}' % number) if times == 3 else None

    with RawServer(each(handle)) as server:
        result = sent(server)
    assert (result.output, result.attempts, done) == ('{"id": 0}', 3, {KEY.encode(): 0})


def test_conflict() -> None:
    """While the API is at work on the first one it says 409; a second later there is its answer."""
    with RawServer(in_turn(respond(status=409), respond(b'{"id": 1}'))) as server:
        assert (sent(server).output, len(server.requests)) == ('{"id": 1}', 2)


def test_conflict_that_stays() -> None:
    """A second 409 is the answer; and without a key, the first one is."""
    with RawServer(respond(status=409)) as server:
        result = sent(server, max_attempts=5)
        assert result.failure is not None
        assert (result.failure.code, result.attempts, len(server.requests)) == ("http_status_409", 2, 2)
    with RawServer(respond(status=409)) as server:
        assert sent(server, key="", idempotency_header="", max_attempts=5).attempts == 1


def test_stored_error() -> None:
    """An API that gives a 5xx again to the byte gives what it has stored, and would for ever."""
    with RawServer(FAILS) as server:
        result = sent(server, max_attempts=5)
        assert result.failure is not None
        assert (result.failure.code, len(server.requests)) == ("http_status_500", 2)
    with RawServer(
        in_turn(FAILS, respond(b"2", status=500, headers=[AT_ONCE]), FAILS, respond(b"[1]"))
    ) as server:
        assert (sent(server, max_attempts=5).output, len(server.requests)) == ("[1]", 4)


def test_a_get_is_asked_as_often_as_ever() -> None:
    """What has no key is nothing that an API stores."""
    with RawServer(FAILS) as server:
        assert sent(server, key="", method="GET", body="", max_attempts=4).attempts == 4


def test_redirects() -> None:
    """The key goes along on the same origin, and to no other."""
    with RawServer(respond(b"{}")) as other:
        there = respond(status=307, headers=[("Location", "/there")])
        with RawServer(each(lambda r: respond(b"{}") if r.target == b"/there" else there)) as server:
            assert sent(server, follow_redirects=True).failure is None
            assert keys(server) == [KEY.encode()] * 2
        away = respond(status=303, headers=[("Location", other.url)])
        with RawServer(away) as server:
            assert sent(server, follow_redirects=True).failure is None
        assert ([b"GET"], [None]) == ([request.method for request in other.requests], keys(other))


def test_failure_shows_it() -> None:
    """Whoever must look in the API's own data finds the key in the failure's request."""
    with RawServer(respond(status=400)) as server:
        result = sent(server)
    assert result.failure is not None
    assert result.failure.reason is Reason.HTTP_STATUS
    assert f"Idempotency-Key: {KEY}" in result.failure.request
