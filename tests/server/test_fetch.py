"""One fetch at a real socket, through `ApiEndpoint.call`: outputs, failures, and what is sent again."""

from __future__ import annotations

import asyncio
import gzip
import json
import pickle
import socket
import time
from asyncio import StreamWriter
from codecs import BOM_UTF8 as BOM
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from leadpush_prefect import ApiEndpoint, CampaignContext, FetchFailed, Workspace
from leadpush_prefect.endpoints.mock import Mock
from leadpush_prefect.errors import Reason
from leadpush_prefect.model.outcome import Failure, Outcome, Status
from leadpush_prefect.sending.client import fetch_one
from leadpush_prefect.text.json_text import MAX_DEPTH, to_json
from tests.support.raw_server import RawServer, Reader, each, in_turn, mute, respond

LOOPBACK = ["127.0.0.0/8"]
SECRET = "s3cret/key+"
AT_ONCE = ("Retry-After", "0")


def context(**workspace: Any) -> CampaignContext:
    workspace = {"allowed_networks": LOOPBACK} | workspace
    return CampaignContext(
        workspace=Workspace(**workspace),
        campaign="welcome",
        contact={"_id": "7", "attributes": {"email": "ana@example.com"}},
    )


def endpoint(server: RawServer, **fields: Any) -> ApiEndpoint:
    defaults: dict[str, Any] = {
        "url": f"{server.url}/c/{{{{ contact.attributes.email }}}}",
        "max_attempts": 1,
    }
    return ApiEndpoint(**(defaults | fields))


def call(server: RawServer, **fields: Any) -> Any:
    return endpoint(server, **fields).call(context())


def failure(server: RawServer, workspace: dict[str, Any] | None = None, **fields: Any) -> FetchFailed:
    """The failure of a call, checked for what none may hold."""
    with pytest.raises(FetchFailed) as caught:
        endpoint(server, **fields).call(context(**(workspace or {})))
    failed = caught.value
    assert failed.contact_id == "7"
    assert "ana" not in failed.message
    assert failed.__cause__ is None
    return failed


def outcome(server: RawServer, **fields: Any) -> Outcome:
    target = endpoint(server, **fields)
    given = context()
    return fetch_one(target.prepare(given.workspace), given)


def failed_outcome(server: RawServer, **fields: Any) -> Failure:
    result = outcome(server, **fields)
    assert result.output is None
    assert result.failure is not None
    return result.failure


# What is an output


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "[]",
        ' \r\n{"a" : [1, null, true]}\n',
        '{"id": 12345678901234567890123, "price": 1.10, "e": 1e3, "z": -0}',
        '{"name": "é\\u00e9\U0001f600", "a": 1, "a": 2}',
        '["' + "x" * 100_000 + '"]',
    ],
)
def test_output(text: str) -> None:
    """The response's JSON object or array is the output, and what is stored is the text as received."""
    with RawServer(respond(text.encode())) as server:
        assert outcome(server).output == text
        assert json.loads(text) == call(server)


def test_byte_order_mark() -> None:
    """A byte order mark is no part of the text (RFC 8259, section 8.1), in what is stored either."""
    with RawServer(respond(BOM + b'{"price": 1.10}')) as server:
        result = outcome(server)
    assert (result.output, result.bytes) == ('{"price": 1.10}', len(BOM) + 15)


def test_deep() -> None:
    """Nesting that a response may have can be read by whoever gets it."""
    text = "[" * MAX_DEPTH + "1.10" + "]" * MAX_DEPTH
    with RawServer(respond(text.encode())) as server:
        assert outcome(server).output == text
        assert to_json(call(server)) == text


@pytest.mark.parametrize("number", ["1", "1.10", "1e400", "9" * 400])
@pytest.mark.parametrize("depth", [MAX_DEPTH + 1, 254, 255, 1024, 1025, 100_000])
def test_too_deep(depth: int, number: str) -> None:
    """What is nested more deeply is no output, whatever stands in it: it could be read, but no more written."""
    with RawServer(respond(("[" * depth + number + "]" * depth).encode())) as server:
        failed = failure(server)
    assert failed.reason is Reason.RESPONSE_NOT_JSON
    assert failed.message == "The response is nested more deeply than 200 levels."


def test_digits() -> None:
    """Numbers keep their digits, and print as they were received in a later step."""
    text = b'{"id": 12345678901234567890123, "price": 1.10}'
    with RawServer(respond(text)) as server:
        value = call(server)
        assert value["id"] == 12345678901234567890123
        later = context().with_output("first", value)
        second = ApiEndpoint(url="https://h.example/{{ workflow.first.id }}/{{ workflow.first.price }}")
        assert second.build_request(later).url.raw_path == b"/12345678901234567890123/1.10"


@pytest.mark.parametrize("status", [200, 201, 202, 203, 206, 226, 299])
def test_success(status: int) -> None:
    """Any 2xx is a success."""
    with RawServer(respond(b'{"a": 1}', status=status)) as server:
        assert call(server) == {"a": 1}


@pytest.mark.parametrize("kind", ["text/html", "application/octet-stream", "text/plain; charset=latin-1", ""])
def test_content_type_of_the_answer(kind: str) -> None:
    """What the response says of itself does not count, only what it is."""
    with RawServer(respond('{"a": "é"}'.encode(), headers=[("Content-Type", kind)])) as server:
        assert call(server) == {"a": "é"}


def test_compressed() -> None:
    """A compressed answer is the same answer."""
    body = gzip.compress(b'{"a": 1}')
    with RawServer(respond(body, headers=[("Content-Encoding", "gzip")])) as server:
        result = outcome(server)
    assert result.output == '{"a": 1}'
    assert result.bytes == 8


def test_outcome() -> None:
    """An outcome tells how long it took, how many attempts, how many bytes."""
    with RawServer(in_turn(respond(status=503, headers=[AT_ONCE]), respond(b"[1]"))) as server:
        result = outcome(server, max_attempts=3)
    assert (result.attempts, result.bytes, result.failure) == (2, 3, None)
    assert 0 < result.seconds < 5


# What is none


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", Reason.RESPONSE_EMPTY),
        (b" \n", Reason.RESPONSE_EMPTY),
        (BOM, Reason.RESPONSE_EMPTY),
        (BOM * 2 + b"{}", Reason.RESPONSE_NOT_JSON),
        (b" " + BOM + b"{}", Reason.RESPONSE_NOT_JSON),
        (b"<html></html>", Reason.RESPONSE_NOT_JSON),
        (b'{"a": 1', Reason.RESPONSE_NOT_JSON),
        (b'{"a": 1} x', Reason.RESPONSE_NOT_JSON),
        (b"{'a': 1}", Reason.RESPONSE_NOT_JSON),
        (b'{"a": NaN}', Reason.RESPONSE_NOT_JSON),
        (b"[Infinity]", Reason.RESPONSE_NOT_JSON),
        (b"[1e400, NaN]", Reason.RESPONSE_NOT_JSON),
        (b'{"a": "\xff"}', Reason.RESPONSE_NOT_JSON),
        ('{"a": "é"}'.encode("latin-1"), Reason.RESPONSE_NOT_JSON),
        ('{"a": 1}'.encode("utf-16"), Reason.RESPONSE_NOT_JSON),
        (b'["\\ud800"]', Reason.RESPONSE_NOT_JSON),
        (b'[1e400, "\\ud800"]', Reason.RESPONSE_NOT_JSON),
        (b"[" * 100_000, Reason.RESPONSE_NOT_JSON),
        (b"[" * 100_000 + b"1.10" + b"]" * 100_000, Reason.RESPONSE_NOT_JSON),
        (b"1", Reason.RESPONSE_NOT_OBJECT_OR_ARRAY),
        (b"1.10", Reason.RESPONSE_NOT_OBJECT_OR_ARRAY),
        (b"null", Reason.RESPONSE_NOT_OBJECT_OR_ARRAY),
        (b"true", Reason.RESPONSE_NOT_OBJECT_OR_ARRAY),
        (b'"text"', Reason.RESPONSE_NOT_OBJECT_OR_ARRAY),
        (b"9" * 5000, Reason.RESPONSE_NOT_OBJECT_OR_ARRAY),
    ],
)
def test_no_output(body: bytes, reason: Reason) -> None:
    """Anything but a JSON object or array in UTF-8 (RFC 8259) is a failure, and is not asked for again."""
    with RawServer(respond(body)) as server:
        failed = failure(server, max_attempts=3)
        assert len(server.requests) == 1
    assert (failed.reason, failed.status) == (reason, 200)


@pytest.mark.parametrize("status", [200, 201, 204, 205])
def test_no_content(status: int) -> None:
    """A GET without an answer has no output, and a sentence of its own; it is not asked for again."""
    with RawServer(respond(b"", status=status)) as server:
        failed = failure(server, max_attempts=3)
        assert len(server.requests) == 1
    assert (failed.reason, failed.status) == (Reason.RESPONSE_EMPTY, status)
    assert failed.message == f"The API answered a GET with HTTP {status} and no body."


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize(
    ("status", "body"), [(204, b""), (205, b""), (201, b""), (200, b" \r\n"), (202, BOM + b"\n")]
)
def test_done_without_a_word(method: str, status: int, body: bytes) -> None:
    """Who was asked to do something need not say more than that it is done."""
    with RawServer(respond(body, status=status)) as server:
        result = outcome(server, method=method)
        assert call(server, method=method) == {}
    assert (result.status, result.output, result.bytes, result.attempts) == (Status.FETCHED, "{}", 0, 1)


@pytest.mark.parametrize(
    ("method", "mock", "expected"),
    [
        ("POST", Mock(""), "{}"),
        ("POST", Mock({"id": 1}, 204), "{}"),
        ("POST", Mock(None, 204), Reason.MOCK_MISSING),
        ("GET", Mock(""), Reason.RESPONSE_EMPTY),
        ("GET", Mock({}, 204), Reason.RESPONSE_EMPTY),
    ],
)
def test_mock_without_a_body(method: str, mock: Mock, expected: object) -> None:
    """What stands for a response is read as one."""
    given = context()
    target = ApiEndpoint(url="https://h.example/", method=method).prepare(given.workspace)
    result = mock.outcome(target, given.values({}, {}))
    assert (result.failure.reason if result.failure else result.output) == expected
    assert result.attempts == 0


def test_done_after_see_other() -> None:
    """What counts is what the endpoint asked for: a POST is done also where a GET says nothing of it."""
    handle = each(
        lambda request: (
            respond(b"", status=204)
            if request.method == b"GET"
            else respond(b"", status=303, headers=[("Location", "/done")])
        )
    )
    with RawServer(handle) as server:
        assert call(server, method="POST", follow_redirects=True) == {}
        assert [request.method for request in server.requests] == [b"POST", b"GET"]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect(status: int) -> None:
    """A redirect is not followed."""
    with RawServer() as other:
        location = ("Location", f"{other.url}/elsewhere")
        with RawServer(respond(b"", status=status, headers=[location])) as server:
            failed = failure(
                server, max_attempts=3, headers={"X-Key": "{{ secrets.key }}"}, secrets={"key": SECRET}
            )
            assert len(server.requests) == 1
        assert other.connections == 0
    assert (failed.reason, failed.status) == (Reason.REDIRECT, status)


@pytest.mark.parametrize("status", [400, 401, 404, 410, 422, 500, 503, 600])
def test_status(status: int) -> None:
    """Any other status is a failure of its own code."""
    with RawServer(respond(b'{"error": "no"}', status=status)) as server:
        failed = failure(server)
    assert (failed.reason, failed.status, failed.code) == (
        Reason.HTTP_STATUS,
        status,
        f"http_status_{status}",
    )
    assert str(failed).startswith(f"http_status_{status} for contact 7: The API answered with HTTP {status}.")


# What is told of a response


@pytest.mark.parametrize("status", [200, 404, 500])
def test_excerpt(status: int) -> None:
    """Of a page that is no output, 300 characters are kept, on one line, without control characters."""
    page = "<h1>\x1b[31mOops\r\n\t&amp;\u202e é \x00</h1>" + "x" * 100_000
    with RawServer(respond(page.encode(), status=status)) as server:
        failed = failed_outcome(server)
    assert failed.excerpt == ("<h1> [31mOops &amp; é </h1>" + "x" * 300)[:300]


def test_excerpt_of_bytes() -> None:
    """What is no UTF-8 is shown as Latin-1, as older pages have it."""
    with RawServer(respond(b"\x89PNG\xff ok", status=404)) as server:
        assert failed_outcome(server).excerpt == "PNG\xff ok"


def test_location_of_bytes() -> None:
    """So is where a redirect leads: what is kept of it can be written to a file and a terminal."""
    response = b"HTTP/1.1 302 Found\r\nLocation: /caf\xe9/\xff\r\nContent-Length: 0\r\n\r\n"
    with RawServer(response) as server:
        assert failed_outcome(server).excerpt == "Location: /caf\xe9/\xff"


@pytest.mark.parametrize("before", [0, 200, 290, 299, 4085, 4090, 4095])
@pytest.mark.parametrize("status", [200, 404])
def test_secret_in_excerpt(before: int, status: int) -> None:
    """A page that repeats a secret does not show it, nor its beginning where the excerpt ends."""
    page = " " * before + f"{SECRET} {SECRET}"
    with RawServer(respond(page.encode(), status=status)) as server:
        excerpt = failed_outcome(
            server, headers={"X-Key": "{{ secrets.key }}"}, secrets={"key": SECRET}
        ).excerpt
    assert "s3c" not in excerpt


# What is told of a request


def test_request_is_told() -> None:
    """A failure tells the request as it was sent, with the secrets masked wherever they stand."""
    with RawServer(respond(b"", status=404)) as server:
        failed = failure(
            server,
            method="POST",
            query={"key": "{{ secrets.key }}"},
            headers={"Authorization": "Bearer {{ secrets.key }}", "X-Plain": "plain"},
            body='{"key": "{{ secrets.key }}", "email": "{{ contact.attributes.email }}"}',
            secrets={"key": SECRET},
        )
        assert server.requests[0].header("Authorization") == f"Bearer {SECRET}".encode()
        assert server.requests[0].target.endswith(b"?key=s3cret%2Fkey%2B")
        url = server.url
    assert failed.request == (
        f"POST {url}/c/ana%40example.com?key=********\n"
        "Authorization: Bearer ********\n"
        "X-Plain: plain\n"
        "Accept: application/json\n"
        "Accept-Encoding: gzip, deflate\n"
        "User-Agent: leadpush-prefect\n"
        "Content-Type: application/json\n"
        '\n{"key": "********", "email": "ana@example.com"}'
    )
    pickled = pickle.loads(pickle.dumps(failed))
    assert pickled.request == pickled.excerpt == "", "Prefect may write it to a file, with the contact's data"
    for error in (failed, pickled):
        for text in (str(error), repr(error), error.message, repr(error.__dict__)):
            assert "s3cret" not in text
        assert error.code == "http_status_404"


def test_long_request() -> None:
    """Of a long request the beginning is told, and no part of a secret at the cut."""
    with RawServer(respond(b"", status=404)) as server:
        for length in range(3700, 4000, 7):
            failed = failure(
                server,
                method="POST",
                headers={"Content-Type": "text/plain"},
                body="x" * length + "{{ secrets.key }}",
                secrets={"key": SECRET},
            )
            assert len(failed.request) <= 4000
            assert "s3c" not in failed.request


def test_secret_in_an_error_of_the_network() -> None:
    """A failure without a response tells no secret either."""
    with RawServer(mute) as server:
        failed = failure(
            server, query={"key": "{{ secrets.key }}"}, secrets={"key": SECRET}, timeout_seconds=0.2
        )
    assert failed.reason is Reason.TIMEOUT
    assert "s3cret" not in f"{failed!s}{failed!r}{failed.request}"
    assert "key=********" in failed.request


def test_template() -> None:
    """A template that cannot be rendered sends nothing."""
    with RawServer() as server:
        failed = failure(server, url=f"{server.url}/{{{{ contact.attributes.nope }}}}")
        assert server.connections == 0
    assert (failed.reason, failed.request, failed.status) == (Reason.TEMPLATE_MISSING, "", None)


# What is sent again


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_again(method: str, status: int) -> None:
    """A status that may pass is tried again where the method allows it, with the same request."""
    busy = respond(b"", status=status, headers=[AT_ONCE])
    with RawServer(in_turn(busy, busy, respond(b"[]"))) as server:
        assert call(server, method=method, max_attempts=3) == []
        assert len(server.requests) == 3
        assert len({(r.target, r.headers, r.body) for r in server.requests}) == 1


@pytest.mark.parametrize("method", ["POST", "PATCH"])
@pytest.mark.parametrize("status", [408, 500, 502])
def test_post_is_not_sent_again(method: str, status: int) -> None:
    """A POST or PATCH is not where the API may have done it: nobody knows."""
    with RawServer(respond(b"", status=status, headers=[AT_ONCE])) as server:
        failed = failure(server, method=method, max_attempts=5)
        assert (failed.status, failed.reason) == (status, Reason.OUTCOME_UNKNOWN)
        assert len(server.requests) == 1


@pytest.mark.parametrize("method", ["POST", "PATCH"])
@pytest.mark.parametrize("status", [425, 429, 503])
def test_refused_post(method: str, status: int) -> None:
    """It is where the API has refused it for now."""
    with RawServer(respond(b"", status=status, headers=[AT_ONCE])) as server:
        assert failure(server, method=method, max_attempts=5).code == f"http_status_{status}"
        assert len(server.requests) == 5


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 501, 505])
def test_final_status(status: int) -> None:
    """Any other status is final."""
    with RawServer(respond(b"", status=status, headers=[AT_ONCE])) as server:
        failure(server, max_attempts=5)
        assert len(server.requests) == 1


@pytest.mark.parametrize("attempts", [1, 2, 4])
def test_max_attempts(attempts: int) -> None:
    """It is sent `max_attempts` times at most."""
    with RawServer(respond(b"", status=503, headers=[AT_ONCE])) as server:
        result = outcome(server, max_attempts=attempts)
        assert len(server.requests) == attempts
    assert result.attempts == attempts


@pytest.mark.parametrize("date", [False, True])
def test_retry_after(date: bool) -> None:
    """`Retry-After` is honoured, in seconds or as a date."""
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True) if date else "1"
    with RawServer(in_turn(respond(status=429, headers=[("Retry-After", soon)]), respond(b"[]"))) as server:
        started = time.monotonic()
        assert call(server, max_attempts=2) == []
        assert time.monotonic() - started > 0.8
        assert len(server.requests) == 2


def test_backoff() -> None:
    """Without it there is a short pause of random length."""
    with RawServer(in_turn(respond(status=503), respond(b"[]"))) as server:
        assert call(server, max_attempts=2) == []
        assert len(server.requests) == 2


async def hang_up(reader: Reader, writer: StreamWriter) -> None:
    await reader.request()


@pytest.mark.parametrize(
    ("method", "times"), [("GET", 3), ("PUT", 3), ("DELETE", 3), ("POST", 1), ("PATCH", 1)]
)
def test_disconnected(method: str, times: int) -> None:
    """A connection that ends is tried again, but a POST whose bytes may have arrived is not."""
    reason = Reason.OUTCOME_UNKNOWN if method in ("POST", "PATCH") else Reason.DISCONNECTED
    with RawServer(hang_up) as server:
        assert failure(server, method=method, max_attempts=3).reason is reason
        assert len(server.requests) == times


@pytest.mark.parametrize(("method", "times"), [("GET", 2), ("POST", 1)])
def test_timeout(method: str, times: int) -> None:
    """So is a response that does not come in time."""

    async def slow(reader: Reader, writer: StreamWriter) -> None:
        await reader.request()
        await mute(reader, writer)

    with RawServer(slow) as server:
        failed = failure(server, method=method, max_attempts=2, timeout_seconds=0.3)
        assert len(server.requests) == times
    assert failed.reason is (Reason.TIMEOUT if method == "GET" else Reason.OUTCOME_UNKNOWN)
    assert "0.3 s" in failed.message


def test_dripping_body() -> None:
    """The deadline is for the whole attempt, to the last byte of the body."""

    dripped = 0

    async def drip(reader: Reader, writer: StreamWriter) -> None:
        nonlocal dripped
        await reader.request()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while True:
            writer.write(b" ")
            await writer.drain()
            dripped += 1
            await asyncio.sleep(0.02)

    with RawServer(drip) as server:
        assert failure(server, timeout_seconds=0.3).reason is Reason.TIMEOUT
    assert 0 < dripped < 1000, "it did not wait for the rest"


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_connect_failed(method: str) -> None:
    """A connection that cannot be made is tried again with any method: no byte was sent."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        target = ApiEndpoint(url=f"http://127.0.0.1:{port}/", method=method, max_attempts=2)
        given = context()
        result = fetch_one(target.prepare(given.workspace), given)
    assert result.failure is not None
    assert result.failure.reason is Reason.CONNECT_FAILED
    assert result.attempts == 2


# What is not called, and what is too large


def test_address_blocked() -> None:
    """Only public addresses may be called, unless the workspace says otherwise."""
    with RawServer() as server:
        failed = failure(server, {"allowed_networks": []}, max_attempts=3)
        assert server.connections == 0
    assert failed.reason is Reason.ADDRESS_BLOCKED
    assert "127.0.0.1" in failed.message


def test_host_not_allowed() -> None:
    """A host that the workspace does not allow is not called, and the request is told."""
    with RawServer() as server:
        failed = failure(server, {"allowed_hosts": ["*.example.com"]})
        assert server.connections == 0
    assert failed.reason is Reason.HOST_NOT_ALLOWED
    assert failed.request.startswith("GET http://127.0.0.1")


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize(("size", "fits"), [(1000, True), (1001, False), (10_000_000, False)])
def test_limit(compressed: bool, size: int, fits: bool) -> None:
    """A response is read to the workspace's limit, counted after decompression."""
    body = b"[" + b" " * (size - 2) + b"]"
    headers = [("Content-Encoding", "gzip")] if compressed else []
    with RawServer(respond(gzip.compress(body) if compressed else body, headers=headers)) as server:
        if fits:
            assert endpoint(server).call(context(max_response_bytes=1000)) == []
        else:
            failed = failure(server, {"max_response_bytes": 1000}, max_attempts=3)
            assert failed.reason is Reason.RESPONSE_TOO_LARGE
            assert len(server.requests) == 1


def test_unknown_encoding() -> None:
    """An encoding that was not asked for is refused."""
    with RawServer(respond(b"[]", headers=[("Content-Encoding", "br")])) as server:
        assert failure(server).reason is Reason.RESPONSE_ENCODING_UNSUPPORTED


async def test_awaitable_twin() -> None:
    """`acall` does the same on a running loop."""
    with RawServer(in_turn(respond(b'{"a": 1.10}'), respond(b"no", status=404))) as server:
        target = endpoint(server)
        assert await target.acall(context()) == {"a": 1.1}
        with pytest.raises(FetchFailed, match="http_status_404"):
            await target.acall(context())


async def test_cancelled() -> None:
    """Cancelling stops the request."""
    with RawServer(mute) as server:
        task = asyncio.create_task(endpoint(server).acall(context()))
        await server.until(lambda: server.open_now == 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await server.until(lambda: server.open_now == 0)
