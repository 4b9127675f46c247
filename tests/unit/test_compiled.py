"""From an endpoint and a contact to a request; what `build_request` says is what would be sent."""

from __future__ import annotations

from typing import Any

import pytest

from leadpush_prefect import ApiEndpoint, BlockInvalid, CampaignContext, FetchFailed, Workspace
from leadpush_prefect.endpoints.compiled import check_url
from leadpush_prefect.endpoints.redirects import RedirectRefused, redirected
from leadpush_prefect.errors import Reason
from leadpush_prefect.network.wire import RenderedRequest
from leadpush_prefect.templates import TemplateFailed
from leadpush_prefect.text.redaction import Masker

ATTRIBUTES = {
    "email": "a+b/c@example.com",
    "name": 'O"Brien',
    "tags": ["x", 1],
    "none": None,
    "empty": "",
    "age": 41,
}


def context(attributes: dict[str, Any] = ATTRIBUTES, **workspace: Any) -> CampaignContext:
    return CampaignContext(
        workspace=Workspace(**workspace),
        campaign="welcome",
        contact={"_id": "7", "attributes": attributes},
        workflow={"profile": {"plan": "pro", "items": [{"name": "Tea"}]}},
    )


def build(
    attributes: dict[str, Any] = ATTRIBUTES, *, variables: dict[str, Any] | None = None, **endpoint: Any
) -> Any:
    endpoint = {"url": "https://h.example/a"} | endpoint
    return ApiEndpoint(**endpoint).build_request(context(attributes, variables=variables or {}))


def failure(attributes: dict[str, Any] = ATTRIBUTES, **endpoint: Any) -> FetchFailed:
    with pytest.raises(FetchFailed) as caught:
        build(attributes, **endpoint)
    assert caught.value.contact_id == "7"
    return caught.value


def test_defaults() -> None:
    """Without any header of its own, a request asks for JSON in an encoding that can be bounded."""
    request = build()
    assert (request.method, request.url.raw_path, request.content) == ("GET", b"/a", b"")
    assert request.headers.raw == [
        (b"Host", b"h.example"),
        (b"Accept", b"application/json"),
        (b"Accept-Encoding", b"gzip, deflate"),
        (b"User-Agent", b"leadpush-prefect"),
    ]


@pytest.mark.parametrize("method", ["get", "Post", "PUT", " patch ", "delete"])
def test_method(method: str) -> None:
    """A method is folded to upper case."""
    assert build(method=method).method == method.strip().upper()


@pytest.mark.parametrize("name", ["accept", "USER-AGENT", "Accept-encoding", "content-TYPE"])
def test_own_header(name: str) -> None:
    """A header of the endpoint replaces a default one, whatever its case, and goes as it is written."""
    value = "gzip" if "enc" in name else "application/json"
    headers = build(method="POST", body="{}", headers={name: value}).headers.raw
    assert [(name.encode(), value.encode())] == [h for h in headers if h[0].lower() == name.lower().encode()]


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, "application/json"),
        ({"content-type": "text/plain"}, "text/plain"),
        ({"X-A": "b"}, "application/json"),
    ],
)
def test_content_type(headers: dict[str, str], expected: str) -> None:
    """A body without a Content-Type is JSON."""
    assert build(method="POST", body='{"a": 1}', headers=headers).headers["Content-Type"] == expected
    assert "Content-Type" not in build(method="POST").headers


@pytest.mark.parametrize(
    ("value", "text"),
    [("{{ contact.attributes.email }}", "a+b/c@example.com"), (12, "12"), (True, "true"), (1.5, "1.5"),
     (" spaced ", "spaced"), ("{{ workflow.profile.items }}", '[{"name":"Tea"}]'), ("", ""), ("é", "é")],
)  # fmt: skip
def test_header(value: Any, text: str) -> None:
    """A header is a template, or a number or a boolean."""
    assert build(headers={"X-A": value}).headers.raw[1] == (b"X-A", text.encode())


@pytest.mark.parametrize("value", ["a\r\nX-B: c", "\r", "\n", "\0", "a\0", "\x01", "a\x0bb", "\x7f"])
def test_header_lines(value: str) -> None:
    """CR, LF, NUL and other control characters are refused in a header's value."""
    failed = failure({"x": value}, headers={"X-A": "{{ contact.attributes.x }}"})
    assert failed.reason is Reason.TEMPLATE_INVALID
    assert "control character" in str(failed)
    assert "headers.X-A" in str(failed)


@pytest.mark.parametrize("value", [" a", "a ", "\ta", "a\t"])
def test_header_spaces(value: str) -> None:
    """A space at an end, which HTTP takes away, is refused with the filter to use; `trim` takes it away."""
    assert "`| trim`" in str(failure({"x": value}, headers={"X-A": "{{ contact.attributes.x }}"}))
    request = build({"x": value}, headers={"X-A": "{{ contact.attributes.x | trim }}"})
    assert request.headers["X-A"] == "a"


def test_header_too_long() -> None:
    """A header that no server would take is `template_too_large`."""
    assert failure({"x": "a" * 8001}, headers={"X-A": "{{ contact.attributes.x }}"}).reason is (
        Reason.TEMPLATE_TOO_LARGE
    )
    assert failure({"x": "é" * 4001}, headers={"X-A": "{{ contact.attributes.x }}"}).reason is (
        Reason.TEMPLATE_TOO_LARGE
    )


@pytest.mark.parametrize(
    ("query", "raw"),
    [
        ({"a": "{{ contact.attributes.email }}"}, b"/a?a=a%2Bb%2Fc%40example.com"),
        ({"a": "b c&d=e#f"}, b"/a?a=b%20c%26d%3De%23f"),
        ({"a": True, "b": 1.5, "c": 0}, b"/a?a=true&b=1.5&c=0"),
        ({"a": ["x", "{{ contact._id }}", 3]}, b"/a?a=x&a=7&a=3"),
        ({"a": []}, b"/a"),
        ({"a[]": "1", "b c": "2"}, b"/a?a[]=1&b%20c=2"),
        ({"a": "{{ contact.attributes.tags }}"}, b"/a?a=%5B%22x%22%2C1%5D"),
        ({"a": "{{ contact.attributes.none }}", "b": ""}, b"/a?a=&b="),
        ({"key": "{{ secrets.key }}"}, b"/a?key=s%26t"),
    ],
)
def test_query(query: dict[str, Any], raw: bytes) -> None:
    """Each value is the whole text of one parameter; a list repeats it."""
    assert raw == build(query=query, secrets={"key": "s&t"}).url.raw_path


@pytest.mark.parametrize(
    ("url", "raw"),
    [
        ("https://h.example", b"/?a=1"),
        ("https://h.example?b=2", b"/?b=2&a=1"),
        ("https://h.example/x?", b"/x?a=1"),
        ("https://h.example/x?b=2&", b"/x?b=2&a=1"),
        ("https://h.example/x?b", b"/x?b&a=1"),
    ],
)
def test_query_in_both(url: str, raw: bytes) -> None:
    """The parameters of `query` come after those in the URL."""
    assert raw == build(url=url, query={"a": 1}).url.raw_path


@pytest.mark.parametrize(
    ("url", "sent"),
    [
        ("https://h.example", "https://h.example/"),
        ("https://h.example/a//b/", "https://h.example/a//b/"),
        ("  https://h.example/a  ", "https://h.example/a"),
        ("https://h.example/a?b=[1]|'", "https://h.example/a?b=[1]%7C'"),
        ("https://h.example/%7e%2F", "https://h.example/%7e%2F"),
        ("https://münchen.example/ä", "https://xn--mnchen-3ya.example/%C3%A4"),
        ("{{ workspace.variables.api }}/a", "https://v.example/base/a"),
        ("https://h.example:8443/a", "https://h.example:8443/a"),
        ("https://[::1]:8443/a", "https://[::1]:8443/a"),
    ],
)
def test_url(url: str, sent: str) -> None:
    """A URL goes as it is written."""
    request = build(url=url, variables={"api": "https://v.example/base"})
    assert sent == str(request.url)


@pytest.mark.parametrize("value", [".", ".."])
@pytest.mark.parametrize("path", ["{0}", "{0}/b", "a/{0}", "a/{0}/b"])
def test_dot_segments(value: str, path: str) -> None:
    """No value can make a segment `.` or `..`."""
    url = "https://h.example/" + path.format("{{ contact.attributes.x }}")
    failed = failure({"x": value}, url=url)
    assert failed.reason is Reason.TEMPLATE_INVALID
    assert "`.` or `..`" in str(failed)


@pytest.mark.parametrize(
    "path", [".{{ contact.attributes.x }}", "%2e{{ contact.attributes.x }}", "{{ contact.attributes.x }}."]
)
def test_half_a_dot_segment(path: str) -> None:
    """Not even together with what the author wrote."""
    assert "`.` or `..`" in str(failure({"x": "."}, url=f"https://h.example/{path}/b"))


@pytest.mark.parametrize("value", ["...", "a..", "..a", "%2e%2e", "..;", "../", "\\..\\"])
def test_no_dot_segment(value: str) -> None:
    """What only looks like one is text."""
    assert build({"x": value}, url="https://h.example/{{ contact.attributes.x }}").url.host == "h.example"


@pytest.mark.parametrize("name", ["none", "empty", "nope"])
@pytest.mark.parametrize("missing", ["error", "empty"])
def test_nothing_in_the_path(name: str, missing: str) -> None:
    """`/customers//profile` is somebody else's resource."""
    url = f"https://h.example/customers/{{{{ contact.attributes.{name} }}}}/profile"
    assert failure(url=url, missing_variables=missing).reason is Reason.TEMPLATE_MISSING


def test_url_too_long() -> None:
    """A URL that no server would take is `template_too_large`."""
    failed = failure({"x": "a" * 8000}, url="https://h.example/?{{ contact.attributes.x }}")
    assert failed.reason is Reason.TEMPLATE_TOO_LARGE


@pytest.mark.parametrize(
    "value",
    ["", "v.example", "ftp://v.example", "https://u:p@v.example", "https://v.example/#a", "https://v.example:99999",
     "https://v.example:port", "https://v example", "https://v.example\\x", "https://", "https://a..ä.example"],
)  # fmt: skip
def test_unfit_variable(value: str) -> None:
    """A workspace's variable that makes no URL that can be called is told before, or at the latest when it is used."""
    with pytest.raises((FetchFailed, BlockInvalid)) as caught:
        build(url="{{ workspace.variables.api }}/a", variables={"api": value})
    assert str(caught.value).startswith(("template_invalid ", "endpoint_invalid: "))


@pytest.mark.parametrize(
    ("headers", "body", "sent"),
    [
        (
            {},
            '{"n": "{{ contact.attributes.name }}", "t": "{{ contact.attributes.tags }}"}',
            b'{"n": "O\\"Brien", "t": ["x",1]}',
        ),
        ({}, {"n": "{{ contact.attributes.age }}", "l": ["{{ contact._id }}!"]}, b'{"n":41,"l":["7!"]}'),
        ({}, "[{% for t in contact.attributes.tags %}{{ t }},{% endfor %}null]", b'["x",1,null]'),
        (
            {"content-type": "application/problem+JSON; a=b"},
            '["{{ contact.attributes.name }}"]',
            b'["O\\"Brien"]',
        ),
        (
            {"Content-Type": "application/x-www-form-urlencoded"},
            "e={{ contact.attributes.email }}&n={{ contact.attributes.name }}",
            b"e=a%2Bb%2Fc%40example.com&n=O%22Brien",
        ),
        ({"Content-Type": "text/xml"}, "<a>{{ contact.attributes.name }}</a>\r\n", b'<a>O"Brien</a>\r\n'),
        ({"Content-Type": "text/plain; charset=utf-8"}, "é", "é".encode()),
    ],
)
def test_body(headers: dict[str, str], body: Any, sent: bytes) -> None:
    """The Content-Type decides how a body is escaped."""
    assert sent == build(method="POST", headers=headers, body=body).content


@pytest.mark.parametrize("place", ["header", "query", "body", "url"])
def test_half_of_a_pair(place: str) -> None:
    """Half of a surrogate pair, which has no form in UTF-8, is refused in a sentence."""
    half = "{{ '\\ud800' ~ contact._id }}"
    endpoints: dict[str, dict[str, Any]] = {
        "header": {"headers": {"X-A": half}},
        "query": {"query": {"a": half}},
        "body": {"method": "POST", "headers": {"Content-Type": "text/plain"}, "body": half},
        "url": {"url": f"https://h.example/{half}"},
    }
    failed = failure(**endpoints[place])
    assert failed.reason is Reason.TEMPLATE_INVALID
    assert "surrogate" in str(failed)


def test_missing_names_the_field() -> None:
    """A missing path is told with the nearest name and the template's field."""
    failed = failure(headers={"X-Plan": "{{ workflow.profil.plan }}"})
    assert str(failed) == (
        "template_missing for contact 7: workflow.profil is not there; the nearest name is workflow.profile. "
        f"(in headers.X-Plan) {Reason.TEMPLATE_MISSING.remedy}"
    )


def test_missing_as_nothing() -> None:
    """With `missing_variables="empty"` it is nothing in query, headers and body."""
    nope = "{{ contact.attributes.nope.further }}"
    request = build(
        url=f"https://h.example/?u={nope}",
        method="POST",
        query={"q": nope},
        headers={"X-A": nope},
        body={"alone": nope, "around": f"<{nope}>"},
        missing_variables="empty",
    )
    assert request.url.raw_path == b"/?u=&q="
    assert request.headers["X-A"] == ""
    assert request.content == b'{"alone":"","around":"<>"}'


def test_everything_that_can_be_read() -> None:
    """Workspace, contact, campaign, node and workflow are there, whole or by their keys."""
    body = {name: f"{{{{ {name} }}}}" for name in ("workspace", "contact", "workflow", "node")}
    request = build(method="POST", body=body, variables={"v": 1})
    assert b'"variables":{"v":1}' in request.content
    assert b'"_id":"7"' in request.content
    assert b'"plan":"pro"' in request.content
    assert build(query={"a": "{{ campaign.name }}"}).url.raw_path == b"/a?a=welcome"


def test_host_not_allowed() -> None:
    """A host that the workspace does not allow is refused before anything is sent."""
    endpoint = ApiEndpoint(url="https://h.example/a")
    with pytest.raises(FetchFailed) as caught:
        endpoint.build_request(context(allowed_hosts=["*.h.example"]))
    assert caught.value.reason is Reason.HOST_NOT_ALLOWED


@pytest.mark.parametrize(
    ("endpoint", "reason"),
    [
        ({"url": "ftp://h.example"}, Reason.ENDPOINT_INVALID),
        ({"url": "https://h.example", "missing_variables": "ignore"}, Reason.ENDPOINT_INVALID),
        ({"url": "https://h.example", "colour": "red"}, Reason.ENDPOINT_INVALID),
        ({"url": "https://h.example", "enabled": False}, Reason.ENDPOINT_DISABLED),
    ],
)
def test_problems_come_first(endpoint: dict[str, Any], reason: Reason) -> None:
    """An endpoint with problems builds no request."""
    with pytest.raises(BlockInvalid) as caught:
        build(**endpoint)
    assert caught.value.reason is reason


@pytest.mark.parametrize(
    "url",
    [
        "http\u017f://h.example/",
        "https://[127.0.0.1]/",
        "https://[1:2]/",
        "https://[::1%25lo]/",
        "https://user@h.example/",
        "https://h.example\\@a.example/",
        "https://h.example:65536/",
        "https:///h.example/",
    ],
)
def test_check_url_refuses(url: str) -> None:
    """What a parser might read as another host, or as none, is no URL that can be called."""
    with pytest.raises(TemplateFailed) as caught:
        check_url(url)
    assert Reason.TEMPLATE_INVALID == caught.value.reason


def test_check_url() -> None:
    """What stands after the scheme is sent as it is; the scheme is no part of it, and so in lower case."""
    assert "https://H.example/A?b" == check_url("HTTPS://H.example/A?b")
    assert "http://[::FFFF:1.2.3.4]:80/" == check_url("hTTp://[::FFFF:1.2.3.4]:80")
    assert "https://kh.example/" == check_url("https://\u212ah.example/")


@pytest.mark.parametrize("scheme", ["http", "HTTP", "Http"])
def test_redirect_to_http(scheme: str) -> None:
    """However its scheme is written, a redirect from https to http is not followed."""
    request = RenderedRequest("GET", "https://h.example/", ())
    with pytest.raises(RedirectRefused, match="from https to http"):
        redirected(request, 302, f"{scheme}://a.example/", Masker([]))
