"""What `problems()` says: severity, field, sentence and remedy of all that is wrong with a Block."""

from __future__ import annotations

from typing import Any

import pytest

from leadpush_prefect import ApiEndpoint, Workspace
from leadpush_prefect.errors import Problem

WORKSPACE = Workspace(variables={"api": "https://h.example"}, max_timeout_seconds=20)
SOUND: dict[str, Any] = {
    "method": "post",
    "url": "{{ workspace.variables.api }}/customers/{{ contact.attributes.email }}?full=1",
    "headers": {"Authorization": "Bearer {{ secrets.key }}", "X-Flag": True},
    "query": {"plan": "{{ workflow.profile.plan }}", "tag": ["a", 2, False], "token": "{{ secrets.key }}"},
    "body": '{"name": "{{ contact.attributes.name }}"}',
    "secrets": {"key": "s3cret"},
    "timeout_seconds": 20,
}


def problems(**changes: Any) -> list[Problem]:
    found = ApiEndpoint(**(SOUND | changes)).problems(WORKSPACE)
    for problem in found:
        assert problem.sentence.endswith((".", "!"))
        assert problem.remedy.endswith((".", "..."))
        assert (
            problem.sentence[0].isupper() or problem.sentence[0] in "`'" or "." in problem.sentence.split()[0]
        )
    return found


def only(severity: str, field: str, *words: str, **changes: Any) -> None:
    """There is one problem, of this severity and field, whose text has these words."""
    [problem] = problems(**changes)
    assert (problem.severity, problem.field) == (severity, field)
    for word in words:
        assert word in f"{problem.sentence} {problem.remedy}"


def test_none() -> None:
    """A sound endpoint has none, with its workspace and without."""
    assert problems() == []
    assert ApiEndpoint(**SOUND).problems() == []


@pytest.mark.parametrize("method", ["FETCH", "HEAD", "", "GET POST"])
def test_method(method: str) -> None:
    """A method outside the five."""
    only("error", "method", "none of GET, POST, PUT, PATCH, DELETE", "Choose", method=method)


BROKEN = ["{{ contact.a", "{% if x %}", "{{ }}", "{% nope %}", "{{ contact | nope }}", "{{ contcat.a }}"]


@pytest.mark.parametrize("source", BROKEN)
def test_template(source: str) -> None:
    """A template that does not parse, or reads what can never be there, is told with its field."""
    only("error", "url", "Correct the template", url=f"https://h.example/{source}")
    only("error", "headers.X-A", "Correct the template", headers={"X-A": source})
    only("error", "query.a", "Correct the template", query={"a": source})
    only("error", "query.a", "Correct the template", query={"a": ["b", source]})
    only("error", "body", "Correct the template", body=f'["{source}"]')
    only("error", "body", "Correct the template", body=f"[{source}]")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("", "It is empty"),
        (" ", "It is empty"),
        ("h.example/a", "http:// or https://"),
        ("ftp://h.example/", "http:// or https://"),
        ("/a", "http:// or https://"),
        ("{{ contact.attributes.host }}/", "Only the workspace's own variables"),
        ("https://{{ workflow.profile.host }}/", "workflow.profile.host stands in the scheme, host or port"),
        ("https://h.example:{{ contact.attributes.port }}/", "Only the workspace's own variables"),
        ("{{ workspace.variables.api }}{{ contact._id }}", "Only the workspace's own variables"),
        ("https://", "can be called"),
        ("https:///a", "can be called"),
        ("https://h example/", "can be called"),
        ("https://h.example:port/", "can be called"),
        ("https://h.example:99999/", "over 65535"),
        ("https://user:pass@h.example/", "user or password"),
        ("https://{{ workspace.variables.api }}@h.example/", "user or password"),
        ("https://h.example/#top", "%23"),
        ("https://h.example/./a", "`.` or `..`"),
        ("https://h.example/a/../b", "`.` or `..`"),
        ("https://h.example/%2e%2E/b?c", "`.` or `..`"),
        ("{{ workspace.variables.api }}/../a", "`.` or `..`"),
        ("https://h.example/{{ contact._id }}/..", "`.` or `..`"),
    ],
)
def test_url(url: str, words: str) -> None:
    """A URL that could never be called, or could be made to call somebody else."""
    only("error", "url", words, url=url)


@pytest.mark.parametrize(
    "url",
    [
        "https://h.example",
        "http://h.example:8080/a?b=../c",
        "{{ workspace.variables.api }}",
        "{{ workspace.variables.api }}?a=https://x@y",
        "https://h.example/a@b/{{ contact._id }}..",
        "https://[::1]:80/",
        "https://münchen.example/",
        "{% if node.name %}https://a.example{% else %}https://b.example{% endif %}/",
    ],
)
def test_sound_url(url: str) -> None:
    """These can be called."""
    assert problems(url=url) == []


@pytest.mark.parametrize(
    "source", ["{{ secrets.key }}", "{{ secrets.nope }}", "{% if secrets.key %}a{% endif %}"]
)
def test_secret_in_url(source: str) -> None:
    """A secret cannot stand in the URL, and the problem says where it can."""
    only(
        "error",
        "url",
        "A secret cannot stand in the URL",
        "header",
        "`query`",
        url=f"https://h.example/a{source}",
    )
    only("error", "url", "A secret cannot stand in the URL", url=f"https://h.example/a?key={source}")


@pytest.mark.parametrize("name", ["", "X Y", "X:Y", "X\r\nY", "é", "X(", "{{ contact._id }}"])
def test_header_name(name: str) -> None:
    """A header name that HTTP refuses."""
    only("error", f"headers.{name}", "no such header name", headers={name: "a"})


@pytest.mark.parametrize(
    "name",
    ["Host", "content-length", "Transfer-Encoding", "CONNECTION", "TE", "Upgrade", "Expect", "Trailer"],
)
def test_header_of_the_connection(name: str) -> None:
    """A header that belongs to the connection."""
    only("error", f"headers.{name}", "belongs to the connection", headers={name: "a"})


def test_header_twice() -> None:
    """A header that is there twice, in another case."""
    only("error", "headers.x-a", "given twice", headers={"X-A": "a", "x-a": "b"})


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ({"X-A": "a\r\nb"}, "line break"),
        ({"X-A": "a\0b"}, "control character"),
        ({"X-A": "a\x7fb"}, "control character"),
        ({"Content-Type": "{{ contact._id }}"}, "cannot hold a value"),
        ({"Accept-Encoding": "br"}, "gzip and deflate"),
        ({"accept-encoding": "gzip, zstd"}, "gzip and deflate"),
    ],
)
def test_header_value(headers: dict[str, str], words: str) -> None:
    """A header's value that could not be sent or understood."""
    only("error", f"headers.{next(iter(headers))}", words, headers=headers)


@pytest.mark.parametrize("secret", ["a1b2\nc3d4", "k3y-1\n", "k3y-1 ", "x" * 9000])
def test_secret_in_a_header(secret: str) -> None:
    """A secret that could not be sent in the header that reads it: a line break at its end, or too long."""
    headers = {"X-A": "Bearer {{ secrets.key }}"}
    only("error", "headers.X-A", "or the secret", headers=headers, query={}, secrets={"key": secret})


def test_query_twice() -> None:
    """A name both in the URL's query and in `query`."""
    only("error", "query.full", "The URL has a parameter of that name", query={"full": 1})
    only("error", "query.a b", "of that name", url="https://h.example/?a%20b=1", query={"a b": 1})
    only("error", "query.a", "of that name", url="https://h.example/?x={{ contact._id }}&a", query={"a": 1})


def test_query_name() -> None:
    """A parameter's name that is a template."""
    only("error", "query.{{ contact._id }}", "cannot hold a value", query={"{{ contact._id }}": 1})


@pytest.mark.parametrize("seconds", [0, -1, 20.5])
def test_timeout(seconds: float) -> None:
    """A timeout of 0 or below, or over the workspace's limit."""
    only("error", "timeout_seconds", "It is", timeout_seconds=seconds)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("max_concurrency", 0),
        ("max_concurrency", 1001),
        ("max_attempts", 0),
        ("max_attempts", 11),
        ("requests_per_second", -1),
        ("missing_variables", "ignore"),
    ],
)
def test_limits(field: str, value: Any) -> None:
    """A number outside its range, or an unknown choice."""
    only("error", field, **{field: value})


@pytest.mark.parametrize("name", ["Idempotency Key", "Schlüssel", "A:", "{{ contact._id }}", "A\r\nB"])
def test_idempotency_header_is_a_name(name: str) -> None:
    """It is the name of a header, and no template."""
    only("error", "idempotency_header", "RFC 9110", "Idempotency-Key", idempotency_header=name)


@pytest.mark.parametrize("name", ["Host", "content-length", "Connection", "Content-Type", "accept"])
def test_idempotency_header_is_of_its_own(name: str) -> None:
    """What says something else to every API cannot carry a key."""
    only("error", "idempotency_header", name, "Idempotency-Key", idempotency_header=name)


def test_idempotency_header_once() -> None:
    """A header that is written out has no second value, in whatever case it is given."""
    only("error", "idempotency_header", "one of that name too", idempotency_header="x-FLAG")
    assert problems(idempotency_header=" Idempotency-Key ") == []


@pytest.mark.parametrize("method", ["GET", "put", "DELETE"])
def test_idempotency_header_without_effect(method: str) -> None:
    """Of another method it says that it does nothing, and the endpoint is called all the same."""
    only("warning", "idempotency_header", "no effect", method=method, body="", idempotency_header="X-Key")


def test_body() -> None:
    """A body that is not JSON, under a Content-Type that says or implies JSON."""
    only("error", "body", "not JSON", "Content-Type", body="hello")
    only("error", "body", "not JSON", body='{"a": 1,}')
    assert problems(body="hello", headers={"Content-Type": "text/plain"}) == []


def test_body_warnings() -> None:
    """A body that would be ignored, or is not what its Content-Type says, is a warning."""
    only("warning", "body", "ignore the body of a GET", method="GET")
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    only("warning", "body", "looks like JSON", headers=form)


def test_secret_that_is_not_there() -> None:
    """A secret that is read but not there."""
    only("error", "headers.X-A", "secrets.nope", "Add it", headers={"X-A": "{{ secrets.nope }}"})
    only("error", "query.a", "secrets.nope", query={"a": "{{ secrets.nope | upper }}"})
    only("error", "body", "secrets.nope", body='{"a": "x{{ secrets.nope }}"}')
    only("error", "body", "secrets.nope", body="[{{ secrets.nope }}]")
    only("error", "headers.X-A", "all secrets at once", headers={"X-A": "{{ secrets }}"})


def test_variable_that_is_not_there() -> None:
    """A variable that the workspace does not have is a warning."""
    only("warning", "url", "workspace.variables.nope", url="{{ workspace.variables.nope }}/a")


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("headers.Authorization", {"headers": {"Authorization": "Bearer abcdefgh"}}),
        ("headers.X-Api-Key", {"headers": {"X-Api-Key": "abcdefgh"}}),
        ("headers.Cookie", {"headers": {"Cookie": "session=abcdefgh"}}),
        ("query.api_key", {"query": {"api_key": "abcdefgh"}}),
        ("query.access-token", {"query": {"access-token": 1234567890}}),
        ("url", {"url": "https://h.example/?apikey=abcdefgh"}),
        ("body", {"body": '{"login": {"password": "abcdefgh"}, "x": "{{ contact._id }}"}'}),
    ],
)
def test_secret_in_clear(field: str, changes: dict[str, Any]) -> None:
    """What looks like a secret in clear is a warning."""
    only("warning", field, "secret in clear", "secrets.NAME", **changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"headers": {"Authorization": "Bearer {{ secrets.key }}"}},
        {"url": "https://h.example/?access_token={{ contact._id }}"},
        {"headers": {"X-Keyboard": "abcdefghi"}},
        {"query": {"token": "none"}},
    ],
)
def test_no_secret_in_clear(changes: dict[str, Any]) -> None:
    """These do not look like one."""
    assert problems(**changes) == []


@pytest.mark.parametrize(
    ("source", "words"),
    [("{{ contact._id | safe }}", "is refused"), ("{{ contact._id | tojson }}", "Drop `| tojson`"),
     ("{{ contact.keys() }}", "is a method"), ("{% include 'a' %}", "stands alone")],
)  # fmt: skip
def test_what_no_template_may(source: str, words: str) -> None:
    """What no template may do is a problem of its field."""
    only("error", "headers.X-A", words, headers={"X-A": source})


def test_several() -> None:
    """All problems are told at once, errors before warnings, each once."""
    found = problems(
        method="X", url="{{ workspace.variables.nope }}/", timeout_seconds=0, headers={"Host": "a"}
    )
    assert [p.severity for p in found] == ["error", "error", "error", "warning"]
    assert {p.field for p in found} == {"method", "timeout_seconds", "headers.Host", "url"}
    assert len(set(found)) == len(found)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("max_timeout_seconds", 0, "over 0"),
        ("max_timeout_seconds", -1, "over 0"),
        ("max_response_bytes", 0, "over 0"),
        ("allowed_networks", ["10.0.0.0/99"], "CIDR"),
        ("allowed_networks", ["internal"], "no network"),
        ("allowed_hosts", ["https://h.example"], "no host"),
        ("allowed_hosts", ["a.*.example"], "no host"),
        ("allowed_hosts", [""], "no host"),
        ("allowed_hosts", ["*."], "no host"),
        ("allowed_hosts", ["*"], "no host"),
        ("allowed_hosts", [".h.example"], "no host"),  # cookies know that form
        ("allowed_hosts", ["a..example"], "no host"),
        ("allowed_hosts", ["h.example:80"], "no host"),
        ("allowed_hosts", ["[::1"], "no host"),
        ("allowed_hosts", ["user@h.example"], "no host"),
    ],
)
def test_workspace(field: str, value: Any, words: str) -> None:
    """What can be wrong with a workspace."""
    [problem] = Workspace(**{field: value}).problems()
    assert (problem.severity, problem.field) == ("error", field)
    assert words in str(problem)


def test_hosts_of_a_workspace() -> None:
    """Names in any script, wildcards above them, and addresses of both kinds can be allowed."""
    hosts = [
        "h.example",
        "*.h.example",
        "h.example.",
        "München.example",
        "10.0.0.1",
        "::1",
        "[fd00::1]",
        " a.example ",
    ]
    assert [] == Workspace(allowed_hosts=hosts).problems()


def test_workspace_secret() -> None:
    """A variable that looks like a secret in clear is a warning."""
    [problem] = Workspace(variables={"api_key": "abcdefgh", "key": 1}).problems()
    assert (problem.severity, problem.field) == ("warning", "variables.api_key")


def test_as_text() -> None:
    """A problem reads as field, sentence and remedy."""
    [problem] = problems(method="FETCH")
    assert str(problem) == "method: FETCH is none of GET, POST, PUT, PATCH, DELETE. Choose one of them."


@pytest.mark.parametrize(
    ("url", "value", "fits"),
    [
        ("https://{{ workspace.variables.api }}/x", "https://a.example", False),
        ("https://{{ workspace.variables.api }}/x", "a.example", True),
        ("{{ workspace.variables.api }}/x", "a.example", False),
        ("{{ workspace.variables.api }}/x", 5, False),
        ("{{ workspace.variables.api }}/x/{{ contact._id }}", "https://a.example:8080/v1", True),
        ("{{ workspace.variables.api }}?a=1", "http://[::1]:80", True),
        ("{{ workspace.variables.api }}.example.com/x", "https://a", True),
    ],
)
def test_what_the_workspace_makes_of_a_url(url: str, value: object, fits: bool) -> None:
    """Where the workspace is known, its variables must make a URL that begins with http(s):// and one host."""
    found = ApiEndpoint(url=url).problems(Workspace(variables={"api": value}))
    assert fits == (found == [])
    assert all(problem.field == "url" and "api" in problem.sentence for problem in found)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"headers": {f"X-{n}": "a" for n in range(10_000)}}, "headers"),
        ({"query": {f"a{n}": "{{ contact._id }}" for n in range(10_000)}}, "query"),
        ({"query": {"a": ["{{ contact._id }}"] * 101}}, "query"),
    ],
)
def test_too_many(fields: dict[str, Any], field: str) -> None:
    """Each header and parameter costs time, so their number is bounded before they are looked at."""
    [problem] = ApiEndpoint(url="https://api.example.com/", **fields).problems()
    assert (problem.severity, problem.field) == ("error", field)
