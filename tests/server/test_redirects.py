"""Redirects, where an endpoint asks for them: where they lead, what goes along, and where they end."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import pytest

from leadpush_prefect import ApiEndpoint, CampaignContext, FetchFailed, Workspace
from leadpush_prefect.endpoints.redirects import RedirectRefused, redirected
from leadpush_prefect.errors import Reason
from leadpush_prefect.network.wire import RenderedRequest
from leadpush_prefect.text.redaction import Masker
from tests.support.raw_server import RawServer, Request, each, respond

SECRET = "s3cret/key+"
DONE = respond(b'{"plan": "pro"}')


def to(location: str, status: int = 302) -> bytes:
    return respond(b"moved", status=status, headers=[("Location", location)])


def call(server: RawServer, workspace: dict[str, Any] | None = None, **fields: Any) -> Any:
    context = CampaignContext(
        workspace=Workspace(**({"allowed_networks": ["127.0.0.0/8"]} | (workspace or {}))),
        campaign="welcome",
        contact={"_id": "7", "attributes": {"email": "ana@example.com"}},
    )
    defaults: dict[str, Any] = {
        "url": f"{server.url}/a/b",
        "headers": {"Authorization": "Bearer {{ secrets.key }}", "X-Plan": "pro", "Accept-Language": "de"},
        "secrets": {"key": SECRET},
        "follow_redirects": True,
        "max_attempts": 3,
    }
    return ApiEndpoint(**(defaults | fields)).call(context)


def failure(server: RawServer, workspace: dict[str, Any] | None = None, **fields: Any) -> FetchFailed:
    with pytest.raises(FetchFailed) as caught:
        call(server, workspace, **fields)
    assert SECRET not in f"{caught.value}{caught.value.excerpt}"
    return caught.value


def once(first: bytes | Callable[[Request], bytes], path: bytes = b"/a/b") -> Any:
    """A handler that redirects one path, and responses all others."""
    redirect = first if callable(first) else lambda _: first
    return each(lambda request: redirect(request) if request.target == path else DONE)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("follow", [True, False])
def test_only_where_it_is_asked_for(status: int, follow: bool) -> None:
    """By default a redirect is a failure; with `follow_redirects`, the output is what stands at its end."""
    with RawServer(once(to("/c", status))) as server:
        if follow:
            assert call(server) == {"plan": "pro"}
            assert [request.target for request in server.requests] == [b"/a/b", b"/c"]
            assert server.requests[1].header("Authorization") == f"Bearer {SECRET}".encode()
        else:
            failed = failure(server, follow_redirects=False)
            assert failed.reason is Reason.REDIRECT
            assert "follow_redirects" in failed.reason.remedy
            assert len(server.requests) == 1


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_method_and_body(method: str, status: int) -> None:
    """Only after a 303 is it a GET, without body and what describes it (RFC 9110, section 15.4.4)."""
    with RawServer(once(to("/c", status))) as server:
        call(server, method=method, body='{"email": "{{ contact.attributes.email }}"}')
        second = server.requests[1]
        if status == 303:
            assert (second.method, second.body) == (b"GET", b"")
            assert second.header("Content-Type") is second.header("Content-Length") is None
        else:
            assert (second.method, second.body) == (method.encode(), b'{"email": "ana@example.com"}')
            assert second.header("Content-Type") == b"application/json"
        assert second.header("X-Plan") == b"pro"


@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("/c?x=1", b"/c?x=1"),
        ("c", b"/a/c"),
        ("../c", b"/c"),
        ("../../../c", b"/c"),
        ("?page=2", b"/a/b?page=2"),
        ("./", b"/a/"),
        ("/c#top", b"/c"),
        ("/a b/é", b"/a%20b/%C3%A9"),
        ("/a%2Fb?x=%20", b"/a%2Fb?x=%20"),
        ("  /c  ", b"/c"),
        ('/"<>\\^`{|}', b"/%22%3C%3E%5C%5E%60%7B%7C%7D"),
    ],
)
def test_where_it_leads(location: str, target: bytes) -> None:
    """A Location is resolved against the URL (RFC 3986, section 5), without fragment, and encoded where it must be."""
    with RawServer(once(to(location))) as server:
        assert call(server) == {"plan": "pro"}
        assert server.requests[1].target == target


@pytest.mark.parametrize(
    "location",
    [
        "https:///x",
        "ftp://127.0.0.1/",
        "javascript:alert(1)",
        "file:///etc/passwd",
        "http://user:password@127.0.0.1/",
        "http://127.0.0.1:99999/",
        "http://127.0.0.1:port/",
        "http://[::1/",
        "http://127.0.0.1 /",
        "//user@127.0.0.1/",
        "/%2e%2e/x",
    ],
)
def test_leads_nowhere(location: str) -> None:
    """What is no URL that can be called is not called."""
    with RawServer(once(to(location))) as server:
        failed = failure(server)
        assert failed.reason is Reason.REDIRECT
        assert "no URL that can be called" in failed.message
        assert len(server.requests) == 1


def test_without_location() -> None:
    """A redirect to nowhere is a failure, as it is without following."""
    with RawServer(respond(b"", status=302, headers=[])) as server:
        assert failure(server).reason is Reason.REDIRECT


@pytest.mark.parametrize(("hops", "arrives"), [(5, True), (6, False)])
def test_how_many(hops: int, arrives: bool) -> None:
    """Five are followed, and no sixth."""

    def response(request: Request) -> bytes:
        done = int(request.target.rpartition(b"=")[2] or 0) if b"=" in request.target else 0
        return to(f"/a?n={done + 1}") if done < hops else DONE

    with RawServer(each(response)) as server:
        if arrives:
            assert call(server) == {"plan": "pro"}
        else:
            failed = failure(server)
            assert (failed.reason, failed.message) == (
                Reason.REDIRECT,
                "The API redirects more than 5 times.",
            )
        assert len(server.requests) == 6


def test_to_another_origin() -> None:
    """A GET goes there with what is the same for everybody, and comes back with no more than that."""
    with RawServer() as home:
        second = each(lambda request: to(f"{home.url}/back"))
        with RawServer(second) as other, RawServer(once(to(f"{other.url}/c"))) as first:
            call(
                first, headers={"Authorization": "Bearer {{ secrets.key }}", "X-Plan": "pro", "Cookie": "a=b"}
            )
            for request in (other.requests[0], home.requests[0]):
                assert request.names == [b"Host", b"Accept", b"Accept-Encoding", b"User-Agent"]


def test_back_to_the_first_origin() -> None:
    """What was left behind on the way is not picked up again."""
    other = RawServer(each(lambda request: to(f"{first.url}/c")))
    first = RawServer(once(lambda request: to(f"{other.url}/b")))
    with other, first:
        assert call(first) == {"plan": "pro"}
        assert first.requests[1].header("Authorization") is None
        assert first.requests[1].header("X-Plan") is None


def test_headers_of_the_endpoint_to_another_origin() -> None:
    """A header that every request has may hold a secret or somebody's data too, where the endpoint writes it."""
    with RawServer() as other, RawServer(once(to(other.url))) as first:
        call(
            first,
            headers={
                "User-Agent": "acme/{{ secrets.key }}/{{ contact.attributes.email }}",
                "Accept-Language": "de",
            },
        )
        assert other.requests[0].header("User-Agent") == b"leadpush-prefect"
        assert other.requests[0].header("Accept-Language") is None


@pytest.mark.parametrize("status", [301, 302, 307, 308])
@pytest.mark.parametrize(("method", "body"), [("POST", "{}"), ("DELETE", ""), ("GET", "{}")])
def test_no_body_to_another_origin(status: int, method: str, body: str) -> None:
    """Only a GET without body goes to another origin, and the failure says so; a 303 makes one of a POST."""
    with RawServer(DONE) as other:
        with RawServer(once(to(other.url, status))) as first:
            failed = failure(first, method=method, body=body)
            assert failed.reason is Reason.REDIRECT
            assert "another origin" in failed.message
        assert not other.requests
        with RawServer(once(to(other.url, 303))) as first:
            assert call(first, method=method, body=body) == {"plan": "pro"}
        assert (other.requests[0].method, other.requests[0].body) == (b"GET", b"")


@pytest.mark.parametrize("written", [SECRET, "s3cret%2Fkey%2B"])
def test_secret_in_the_location(written: str) -> None:
    """A URL with a secret of the endpoint goes to no other origin, and is not shown."""
    with RawServer(DONE) as other, RawServer(to(f"{other.url}/?key={written}")) as first:
        failed = failure(first, headers={}, query={"key": "{{ secrets.key }}"})
        assert "********" in failed.excerpt
        assert failed.reason is Reason.REDIRECT
        assert not other.requests


def test_secret_in_the_location_of_the_same_origin() -> None:
    """The API itself may have back what it was sent."""
    with RawServer(once(to("/c?key=s3cret%2Fkey%2B"))) as server:
        assert call(server) == {"plan": "pro"}


@pytest.mark.parametrize(
    "host", ["169.254.169.254", "[::ffff:169.254.169.254]", "0x7f.0.0.2", "2130706434", "10.0.0.1", "[::1]"]
)
def test_blocked_address(host: str) -> None:
    """Each hop is judged as the first one was."""
    with RawServer(once(to(f"http://{host}/latest/meta-data/"))) as server:
        failed = failure(server, {"allowed_networks": ["127.0.0.1/32"]})
        assert failed.reason in (Reason.ADDRESS_BLOCKED, Reason.DNS_FAILED)
        assert len(server.requests) == 1


def test_host_not_allowed() -> None:
    """A hop must be among the allowed hosts too."""
    with RawServer(DONE) as other, RawServer(once(to(f"http://localhost:{other.port}/"))) as first:
        failed = failure(first, {"allowed_hosts": ["127.0.0.1"]})
        assert failed.reason is Reason.HOST_NOT_ALLOWED
        assert failed.message.startswith("localhost ")
        assert not other.requests
        assert call(first, {"allowed_hosts": ["127.0.0.1", "localhost"]}) == {"plan": "pro"}


def test_one_deadline_for_all() -> None:
    """The endpoint's timeout is for the whole of an attempt."""

    async def slowly(request: Request) -> bytes:
        await asyncio.sleep(0.15)
        return to("/a/b")

    with RawServer(each(slowly)) as server:
        failed = failure(server, timeout_seconds=0.4, max_attempts=1)
        assert failed.reason is Reason.TIMEOUT
        assert len(server.requests) < 5


def test_nothing_is_sent_twice() -> None:
    """A POST whose redirect leads to a closed door was sent, and is not tried again."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with RawServer(once(to(f"http://127.0.0.1:{port}/", 303))) as server:
        failed = failure(server, method="POST", body="{}")
        assert failed.reason is Reason.OUTCOME_UNKNOWN
        assert len(server.requests) == 1


@pytest.mark.parametrize("status", [425, 429, 503])
@pytest.mark.parametrize("how", [303, 307])
def test_refused_after_a_redirect(how: int, status: int) -> None:
    """A POST that was redirected was answered: what the other URL refuses does not say that nothing was done."""

    def answer(request: Request) -> bytes:
        if request.target == b"/there":
            return respond(b"", status=status, headers=[("Retry-After", "0")])
        return respond(b"", status=how, headers=[("Location", "/there")])

    with RawServer(each(answer)) as server:
        failed = failure(server, method="POST", body="{}", max_attempts=3)
        assert failed.reason is Reason.OUTCOME_UNKNOWN
        assert len(server.requests) == 2


def test_from_https_to_http() -> None:
    """What was asked for under TLS is not asked for in clear."""
    request = RenderedRequest("GET", "https://api.example.com/a", ())
    with pytest.raises(RedirectRefused, match="from https to http"):
        redirected(request, 302, "http://api.example.com/a", Masker([]))
    assert redirected(request, 302, "https://api.example.com:443/b", Masker([])).url == (
        "https://api.example.com:443/b"
    )
