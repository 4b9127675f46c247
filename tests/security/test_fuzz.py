"""Random answers, values and templates: each ends in what is asked for, or in a reason, in bounded time."""

from __future__ import annotations

import gzip
import json
import re
import time
import zlib
from asyncio import StreamWriter
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
from hypothesis import strategies as st

from leadpush_prefect import ApiEndpoint, CampaignContext, FetchFailed, Reason, Workspace
from leadpush_prefect.endpoints.compiled import compile_endpoint
from leadpush_prefect.model.config import EndpointConfig
from leadpush_prefect.sending.client import fetch_one
from leadpush_prefect.templates import TemplateFailed, compile_condition, compile_json, compile_template
from leadpush_prefect.templates.budget import MAX_TEXT
from leadpush_prefect.templates.places import (
    BOUNDED_URL,
    FORM,
    HEADER,
    OTHER_BODY,
    QUERY_VALUE,
    TEXT,
    URL,
)
from leadpush_prefect.text.json_text import JsonNumber, check_json, from_json, to_json, to_text
from leadpush_prefect.text.pretty_json import pretty_json
from leadpush_prefect.text.projection import keep_paths
from tests.security.fuzzing import fuzz, long_enough
from tests.security.json_catalogue import CATALOGUE, Verdict
from tests.security.random_templates import expressions, sources
from tests.support.depth import at_two_depths
from tests.support.raw_server import RawServer, Reader, mute

TEMPLATE_REASONS = {Reason.TEMPLATE_MISSING, Reason.TEMPLATE_INVALID, Reason.TEMPLATE_TOO_LARGE}

# Random answers

TIMEOUT = 0.3
SMALL = [text for _, text, _ in CATALOGUE if len(text) < 500]
OUTPUTS = [text for _, text, verdict in CATALOGUE if len(text) < 500 and verdict is Verdict.OUTPUT]

bodies = st.one_of(
    st.sampled_from(SMALL),
    st.sampled_from(SMALL).map(gzip.compress),
    st.sampled_from(SMALL).map(zlib.compress),
    st.binary(max_size=200),
    st.lists(st.sampled_from(SMALL), max_size=4).map(b"".join),
    st.lists(
        st.sampled_from(["[", "]", "{", "}", ",", ":", '"a"', "1.10", "1e400", "null", "\\", '"', " "]),
        max_size=12,
    ).map(lambda parts: "".join(parts).encode()),
)
status_lines = st.sampled_from(
    [
        *(
            f"HTTP/1.1 {status} Status"
            for status in (200, 200, 200, 200, 201, 204, 206, 301, 302, 304, 307, 404, 429, 503, 600, 999)
        ),
        *(
            "HTTP/1.0 200 OK",
            "HTTP/1.1 200",
            "HTTP/1.1  200 OK",
            "HTTP/2 200",
            "HTTP/1.1 20 OK",
            "HTTP/1.1 2000 OK",
        ),
        *("HTTP/1.1 -200 OK", "HTTP/1.1 ２００ OK", "http/1.1 200 ok", "ICY 200 OK", "HTTP/1.1 200 \x00", ""),
    ]
)
headers = st.sampled_from(
    [
        *("Content-Type: application/json", "Content-Type: text/html; charset=utf-16", "Content-Type:"),
        *(
            "Content-Encoding: gzip",
            "Content-Encoding: deflate",
            "Content-Encoding: br",
            "Content-Encoding: gzip, gzip",
        ),
        *("Transfer-Encoding: chunked", "Transfer-Encoding: gzip, chunked", "Transfer-Encoding: identity"),
        *(
            "Content-Length: 0",
            "Content-Length: 5",
            "Content-Length: 99999999999999999999",
            "Content-Length: -1",
        ),
        *("Content-Length: +5", "Content-Length: 5, 5", "Content-Length: five", "Content-Length: 0x5"),
        *("Connection: close", "Connection: keep-alive", "Connection: upgrade", "Upgrade: h2c", "Trailer: X"),
        *(
            "Location: /again",
            "Location: http://127.0.0.1:1/",
            "Location: //",
            "Location: http://[::1",
            "Location: \x80",
        ),
        *(
            "Location: javascript:1",
            "Location: https://elsewhere.example/",
            "Location: http://127.0.0.1:999999/",
            "Location:",
        ),
        *("Retry-After: 1", "Retry-After: -1", "Retry-After: Wed, 99 Foo", "Retry-After: " + "9" * 5000),
        *(
            "Set-Cookie: a=b",
            "X-Folded: a\r\n b",
            "X Bad: 1",
            ": 1",
            "X-Nul: \x00",
            "X-Long: " + "x" * 20_000,
            "X-é: é",
        ),
        *("Date: now", "ETag", "\x7f: 1"),
    ]
)


def _chunked(body: bytes) -> bytes:
    return b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body) if body else b"0\r\n\r\n"


@st.composite
def responses(draw: st.DrawFn) -> bytes:
    """The bytes of a response, right or nearly so, or any bytes."""
    if draw(st.integers(0, 9)) == 9:
        return draw(st.binary(max_size=300))
    body = draw(bodies | st.sampled_from(OUTPUTS))
    lines = ["HTTP/1.1 200 OK"]
    if draw(st.booleans()):
        lines = [draw(status_lines), *draw(st.lists(headers, max_size=3))]
    coding = draw(st.sampled_from(["", "", "gzip", "deflate"]))
    if coding:
        lines.append(f"Content-Encoding: {coding}")
        body = gzip.compress(body) if coding == "gzip" else zlib.compress(body)
    match draw(st.integers(0, 5)):
        case 0 | 1 | 2:
            lines.append(f"Content-Length: {len(body)}")
        case 3 | 4:
            lines.append("Transfer-Encoding: chunked")
            body = _chunked(body)
    response: bytes = "\r\n".join([*lines, "", ""]).encode() + body
    if draw(st.integers(0, 9)) == 9:
        response = b"HTTP/1.1 103 Early\r\nX: 1\r\n\r\n" + response
    for _ in range(draw(st.integers(0, 3)) if draw(st.booleans()) else 0):
        response = draw(_mutated(response))
    return response


@st.composite
def _mutated(draw: st.DrawFn, response: bytes) -> bytes:
    """A response in which a piece is cut out, or changed, or stands twice."""
    at = draw(st.integers(0, len(response)))
    to = min(at + draw(st.integers(0, 8)), len(response))
    put = draw(
        st.sampled_from(
            [b"", response[at:to] * 2, b"\r\n", b"\n", b"\r", b"\0", b" ", b"\xff", b"0", b"\r\n\r\n"]
        )
    )
    rest = response[to:] if draw(st.integers(0, 4)) else b""
    return response[:at] + put + rest


keeps = st.lists(st.sampled_from(["a", "b", "a.b", "0", "a.0"]), max_size=2)


@long_enough
@at_two_depths(300)
def test_answers(examples: int) -> None:
    """Whatever a server says: an output that can be used, or a reason, within the deadline."""
    said: dict[str, Any] = {"answer": b"", "hangs": False}

    async def handle(reader: Reader, writer: StreamWriter) -> None:
        await reader.request()
        writer.write(said["answer"])
        await writer.drain()
        if said["hangs"]:
            await mute(reader, writer)

    workspace = Workspace(
        allowed_networks=["127.0.0.0/8"], allowed_hosts=["127.0.0.1"], max_response_bytes=100_000
    )
    context = CampaignContext(workspace=workspace, campaign="c", contact={"id": 1})

    def test(response: bytes, hangs: bool, follows: bool, keep: list[str]) -> None:
        said.update(response=response, hangs=hangs)
        target = replace(endpoints[follows].prepare(workspace), keep=keep_paths(keep))
        outcome = fetch_one(target, context)  # one that does not end is ended by the test's timeout
        if outcome.failure is None:
            assert outcome.output is not None
            check_json(outcome.output.encode())
            value = from_json(outcome.output)
            assert type(value) in (dict, list)
            assert from_json(pretty_json(to_json([value]), str)) == [value]
        else:
            assert outcome.failure.reason is not Reason.UNEXPECTED_ERROR, outcome.failure
            assert len(outcome.failure.excerpt) <= 300
            assert not re.search(r"[\x00-\x1f\x7f-\x9f]", outcome.failure.excerpt + outcome.failure.message)

    with RawServer(handle) as server:
        endpoints = [
            ApiEndpoint(url=server.url, max_attempts=1, timeout_seconds=TIMEOUT, follow_redirects=follows)
            for follows in (False, True)
        ]
        fuzz(
            test, responses(), st.sampled_from([*[False] * 19, True]), st.booleans(), keeps, examples=examples
        )


# Random values in a request

scalars = st.one_of(
    st.text(),
    st.text(alphabet=st.characters(categories=[*("Cs", "Cc", "Zs", "Cf")])),
    st.text(alphabet="/?#&=%.:@\\;+ \r\n\0\t\"'{}<>,[]()|~`^$*!-_0aé", max_size=12),
    st.sampled_from(
        [
            "..",
            ".",
            "%2e%2e",
            "//evil.example",
            "a@evil.example",
            "\r\nX: 1",
            "{{ secrets.key }}",
            "{% raw %}",
        ]
    ),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.booleans(),
    st.sampled_from([JsonNumber("1.10"), JsonNumber("1e400"), JsonNumber("9" * 5000), 10**400]),
)
values = st.recursive(
    scalars | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
BODIES = {
    "application/json": '{"whole": "{{ workflow.v.b }}", "part": "<{{ workflow.v.b }}>"}',
    "application/x-www-form-urlencoded": "one={{ workflow.v.b }}&two=2",
    "text/plain": "<{{ workflow.v.b }}>",
}


def _same(value: Any) -> Any:
    """A value as JSON has it, numbers as texts."""
    return json.loads(to_json(value), parse_int=str, parse_float=str)


@long_enough
@at_two_depths(250)
def test_values_in_requests(examples: int) -> None:
    """What goes over the wire parses to exactly the values in their places, and no more; or a template has failed."""
    workspace = Workspace(allowed_networks=["127.0.0.0/8"])

    def test(segment: Any, parameter: Any, header: Any, body: Any, kind: str) -> None:
        v = {"s": segment, "q": parameter, "h": header, "b": body}
        context = CampaignContext(workspace=workspace, campaign="c", contact={"id": 1}, workflow={"v": v})
        before = len(server.requests)
        failed: FetchFailed | None
        try:
            endpoints[kind].call(context)
        except FetchFailed as error:
            failed = error
        else:
            failed = None
        if failed is not None:
            assert failed.reason in TEMPLATE_REASONS, failed
            assert len(server.requests) == before
            return
        [request] = server.requests[before:]
        assert request.header("Host") == f"127.0.0.1:{server.port}".encode()
        path, _, query = request.target.decode("ascii").partition("?")
        start, first, found, last = path.split("/")
        assert (start, first, last) == ("", "a", "b")
        assert unquote(found, errors="strict") == to_text(segment)
        pairs = parse_qsl(
            query, keep_blank_values=True, strict_parsing=True, errors="strict", max_num_fields=4
        )
        text = to_text(parameter)
        assert pairs == [("fixed", "1"), ("q", text), ("x", text), ("y[]", f"<{text}>")]
        assert [name for name in request.names if name.lower() == b"x-v"] == [b"X-V"]
        assert (
            len(request.names) == 7
        )  # Host, Content-Length, X-V, Content-Type, and the three of every request
        assert request.header("X-V") == f"<{to_text(header)}>".encode()
        text = to_text(body)
        match kind:
            case "application/json":
                parsed = json.loads(request.body, parse_int=str, parse_float=str)
                assert parsed == {"whole": _same(body), "part": f"<{text}>"}
            case "application/x-www-form-urlencoded":
                form = parse_qsl(
                    request.body.decode(), keep_blank_values=True, strict_parsing=True, errors="strict"
                )
                assert form == [("one", text), ("two", "2")]
            case _:
                assert request.body == f"<{text}>".encode()

    with RawServer() as server:
        endpoints = {
            kind: ApiEndpoint(
                url=server.url + "/a/{{ workflow.v.s }}/b?fixed=1&q={{ workflow.v.q }}",
                method="POST",
                query={"x": "{{ workflow.v.q }}", "y[]": "<{{ workflow.v.q }}>"},
                headers={"X-V": "<{{ workflow.v.h }}>", "Content-Type": kind},
                body=body,
                max_attempts=1,
            )
            for kind, body in BODIES.items()
        }
        clean = st.text(alphabet=st.characters(min_codepoint=33, codec="utf-8"), min_size=1, max_size=20)
        safe = scalars | clean | clean  # that not each request is refused for its header
        fuzz(test, safe, safe, safe, values, st.sampled_from(list(BODIES)), examples=examples)


HOST = "127.0.0.1:8080"
url_parts = st.lists(
    st.sampled_from(
        [
            *(
                "/",
                "/a",
                "a",
                "-",
                ".",
                "..",
                "%2F",
                "%",
                " ",
                "é",
                "?",
                "&",
                "=",
                "?x=",
                "&y=",
                ";",
                ",",
                "@",
                ":",
                "\\",
                "+",
            ),
            *(
                "{{ v.a }}",
                "{{ v.b }}",
                "{{ v.a ~ v.b }}",
                "{{ v.a | upper }}",
                "{{ v.c | default('d') }}",
                "{{ v.a | urlencode }}",
            ),
            *(
                "{% if v.a is defined %}/x{% endif %}",
                "{% for n in range(2) %}/{{ v.b }}{% endfor %}",
                "{# note #}",
            ),
            *("{% set w = v.a %}", "{{ w }}", "{{ 'x/y?z' }}", "{{ v.a if v.b is defined else '/' }}"),
        ]
    ),
    max_size=8,
).map("".join)


@long_enough
@at_two_depths(400)
def test_values_in_urls(examples: int) -> None:
    """Whatever the URL's template is, no value changes the host, the count of segments, or the parameters."""

    def test(source: str, first: Any, second: Any) -> None:
        config = EndpointConfig(url=f"http://{HOST}/{source}")
        try:
            endpoint = compile_endpoint(config)
            plain = endpoint.render({"workflow": {}, "v": {}, "contact": {"a": "V", "b": "V"}}).url
            url = endpoint.render({"contact": {"a": first, "b": second}}).url
        except TemplateFailed:
            return
        was, found = urlsplit(plain), urlsplit(url)
        assert (found.scheme, found.netloc, found.fragment) == ("http", HOST, "")
        assert found.path.count("/") == was.path.count("/")
        assert re.sub("[^&=]", "", found.query) == re.sub("[^&=]", "", was.query)
        assert not re.search(r"/(\.|%2e){1,2}(/|$)", found.path, re.IGNORECASE)
        assert url.isascii() and url.isprintable() and " " not in url

    fuzz(
        test,
        url_parts.map(lambda source: source.replace("v.", "contact.")),
        scalars,
        scalars,
        examples=examples,
    )


# Random templates

PLACES = [TEXT, URL, BOUNDED_URL, HEADER, QUERY_VALUE, FORM, OTHER_BODY]
DATA: dict[str, Any] = {
    "contact": {
        "a": "Ana",
        "b": 'O"B\r\n/?#',
        "list": [3, "x", None, {"a": 1}],
        "obj": {"a": 1, "items": [2]},
        "null": None,
        "true": True,
        "deep": from_json("[" * 200 + "1.10" + "]" * 200),
        "long": "x" * 100_000,
        "half": "\ud800",
        "huge": from_json("9" * 4300),
        "inf": from_json("1e400"),
    }
}


def _render(source: str, kind: int, missing: str) -> str:
    if kind == len(PLACES):
        return str(compile_condition(source, roots=DATA).holds(DATA))
    if kind > len(PLACES):
        text = source if kind == len(PLACES) + 1 else json.dumps({"a": source, source: [1]})
        return compile_json(text, field="f", roots=DATA, missing=missing).render(DATA)
    return compile_template(source, PLACES[kind], field="f", roots=DATA, missing=missing).render(DATA)


def _rendered(source: str, kind: int, missing: str) -> TemplateFailed | None:
    try:
        text = _render(source, kind, missing)
    except TemplateFailed as failed:
        return failed
    assert type(text) is str
    assert len(text) <= MAX_TEXT
    return None


@long_enough
@at_two_depths(500)
def test_templates(examples: int) -> None:
    """Any template, in any place, renders or fails as a template, and neither long nor large."""

    def test(source: str, kind: int, missing: str) -> None:
        started = time.thread_time()
        if failed := _rendered(source, kind, missing):
            assert failed.reason in TEMPLATE_REASONS | {Reason.CONDITION_MISSING}
            assert failed.field
            assert failed.message
        assert time.thread_time() - started < 10, "it takes too much of the processor"

    shapes = sources | expressions
    fuzz(
        test, shapes, st.integers(0, len(PLACES) + 2), st.sampled_from(["error", "empty"]), examples=examples
    )


@pytest.mark.parametrize(
    "name", sorted({"__class__", "mro", "format", "__globals__", "_module", "func_globals"})
)
def test_nothing_of_python(name: str) -> None:
    """No template reaches an attribute of Python, whatever it is asked of."""
    for source in (
        f"{{{{ contact.{name} }}}}",
        f"{{{{ contact.a.{name} }}}}",
        f"{{{{ ''|attr('{name}') }}}}",
    ):
        with pytest.raises(TemplateFailed):
            compile_template(source, TEXT, field="f", roots=DATA).render(DATA)
