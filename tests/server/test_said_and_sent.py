"""What `build_request` says is what is sent: literal URLs, methods, bodies, headers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from leadpush_prefect import ApiEndpoint, CampaignContext, Workspace
from tests.support.raw_server import RawServer


@pytest.fixture(scope="module")
def server() -> Iterator[RawServer]:
    with RawServer() as server:
        yield server


def check(server: RawServer, url: str = "/a", **fields: Any) -> None:
    """Send a request, and compare it with what `build_request` says of it."""
    workspace = Workspace(allowed_networks=["127.0.0.0/8"])
    given = CampaignContext(workspace=workspace, campaign="c", contact={"id": 1, "e": "", "n": None})
    endpoint = ApiEndpoint(url=server.url + url, **fields)
    endpoint.call(given)
    said, sent = endpoint.build_request(given), server.requests[-1]
    assert (said.method.encode(), said.url.raw_path, said.content) == (sent.method, sent.target, sent.body)
    assert Counter((name.lower(), value) for name, value in said.headers.raw) == Counter(
        (name.lower(), value) for name, value in sent.headers
    )


@pytest.mark.parametrize(
    "url",
    [
        *("", "/", "?", "/?", "?a", "/a?", "/a??", "/a?b=c?d", "//a", "/a//b//", "/a/b;c=d", "/a=b&c"),
        *("/!$&'()*+,;=:@-._~", "/[a]?b[]=c&d[e]=f", "/%20%2F%2f%zz%", "/a b", "/é", "/\u4f60?\U0001f600=é"),
        *(
            '/"<>\\^`{|}',
            "/a?\"<>\\^`{|}'",
            "/...",
            "/a..b/..c/d..",
            "/http://other.example/",
            "/a?http://b/../c",
        ),
        *("/a?b=c+d%20e", "/a?&&=&", "/a?b=;c", "/%7E~", "/%41", "/a\r\nb", "/a\tb?c\nd"),
    ],
)
def test_urls(server: RawServer, url: str) -> None:
    """A URL goes as it is written, or percent-encoded where it could not."""
    check(server, url)
    check(server, url, query={"q": "x"})


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize(
    "body",
    ["", "{}", '["{{ contact._id }}"]', '"' + "x" * 100_000 + '"', {"é": "{{ contact.attributes.n }}"}],
)
def test_bodies(server: RawServer, method: str, body: Any) -> None:
    """A body goes with any method, and its length with it."""
    check(server, method=method, body=body)


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
def test_empty_body(server: RawServer, method: str) -> None:
    """A body that renders to nothing is a body of no bytes."""
    check(server, method=method, body="{{ contact.attributes.e }}", headers={"Content-Type": "text/plain"})


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Empty": ""},
        {"x-lower": "a", "X-UPPER": "b"},
        {"accept": "*/*", "USER-AGENT": "me", "accept-Encoding": "identity"},
        {"X-Latin": "é", "X-More": "\u4f60\U0001f600"},
        {"X-Tab": "a\tb", "X-Spaces": "a  b"},
        {"Cookie": "a=b", "Referer": "https://h.example/", "Authorization": "Basic abc"},
        {"content-TYPE": "application/vnd.api+json; charset=utf-8"},
        {"Date": "now", "If-None-Match": '"a"', "Range": "bytes=0-1"},
    ],
)
def test_headers(server: RawServer, headers: dict[str, str]) -> None:
    """Headers go as they are, with the defaults that they do not replace, and nothing else."""
    check(server, headers=headers)
    check(server, headers=headers, method="POST", body="{}")


def test_host(server: RawServer) -> None:
    """The Host header names host and port, in lower case."""
    check(server, "@".replace("@", ""), headers={})
    url = server.url.replace("127.0.0.1", "LOCALHOST")
    given = CampaignContext(
        workspace=Workspace(allowed_networks=["127.0.0.0/8", "::1/128"]), campaign="c", contact={"id": 1}
    )
    endpoint = ApiEndpoint(url=url)
    endpoint.call(given)
    assert endpoint.build_request(given).headers["Host"].encode() == server.requests[-1].header("Host")
