"""The rules of a workspace and an endpoint, in one place.

Prefect's default UI saves any Block, so each use asks here first.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from ipaddress import ip_address
from urllib.parse import unquote_plus

from leadpush_prefect.endpoints.compiled import (
    DEFAULT_HEADERS,
    check_header,
    check_url,
    compile_body,
    compile_header,
    compile_query_value,
    compile_url,
    is_fixed,
    media_type,
)
from leadpush_prefect.errors import Problem
from leadpush_prefect.model.config import METHODS, EndpointConfig, WorkspaceConfig
from leadpush_prefect.model.effects import IDEMPOTENT_METHODS
from leadpush_prefect.network.addresses import parse_networks
from leadpush_prefect.network.grammar import CONTROL, TOKEN
from leadpush_prefect.templates import Template, TemplateFailed
from leadpush_prefect.text.json_text import from_json
from leadpush_prefect.text.redaction import is_maskable

__all__ = ["endpoint_problems", "workspace_problems"]

_OF_THE_CONNECTION = frozenset(
    "host content-length transfer-encoding connection keep-alive te trailer upgrade expect "
    "proxy-connection proxy-authorization http2-settings".split()
)
# What it sets itself, where the endpoint does not.
_OF_EVERY_REQUEST = frozenset({"content-type", *(name.lower() for name, _ in DEFAULT_HEADERS)})
_DECODABLE = re.compile(r"(gzip|deflate|identity|\*|\s|,|;q=[\d.]+)*")
# One that is never closed reaches to the end, so that the closing marks are looked for but once.
_TEMPLATE_TAG = re.compile(r"\{\{.*?(?:\}\}|\Z)|\{%.*?(?:%\}|\Z)|\{#.*?(?:#\}|\Z)", re.DOTALL)

_DOTS = re.compile("[\u3002\uff0e\uff61]")  # RFC 3490, section 3.1

_SECRET_NAME = re.compile(
    r"authorization|cookie|(^|[-_.])(api|access|auth|client|private|secret)?[-_]?(key|token|secret|password|passwd|pwd)$",
    re.IGNORECASE,
)

MAX_ATTEMPTS = 10
MAX_CONCURRENCY = 1_000
MAX_FIELDS = 100  # headers, or parameters: more than any server takes


def error(field: str, sentence: str, remedy: str) -> Problem:
    """A problem for which a Block is refused."""
    return Problem("error", field, sentence, remedy)


def warning(field: str, sentence: str, remedy: str) -> Problem:
    """A problem that somebody should look at."""
    return Problem("warning", field, sentence, remedy)


def workspace_problems(workspace: WorkspaceConfig) -> list[Problem]:
    """What is wrong with a workspace.

    Example:
        >>> print(workspace_problems(WorkspaceConfig(max_timeout_seconds=0))[0])
        max_timeout_seconds: It is 0, and must be over 0. Give it in seconds, such as 30.
    """
    return list(_workspace_problems(workspace))


def _workspace_problems(workspace: WorkspaceConfig) -> Iterator[Problem]:
    if not workspace.max_timeout_seconds > 0:
        yield _not_positive(
            "max_timeout_seconds", workspace.max_timeout_seconds, "Give it in seconds, such as 30."
        )
    if not workspace.max_response_bytes > 0:
        yield _not_positive(
            "max_response_bytes", workspace.max_response_bytes, "Give it in bytes, such as 1048576."
        )
    for network in workspace.allowed_networks:
        try:
            parse_networks([network])
        except ValueError:
            yield error(
                "allowed_networks", f"{network!r} is no network.", "Write it as CIDR, such as 10.1.0.0/16."
            )
    for host in workspace.allowed_hosts:
        if not _is_host(host.strip().removeprefix("*.")):
            yield error(
                "allowed_hosts",
                f"{host!r} is no host.",
                "Write api.example.com, or *.example.com for all below it.",
            )
    for name, value in workspace.variables.items():
        yield from _secret_in_clear(
            f"variables.{name}", name, value, "Move it into the `secrets` of the endpoint."
        )


def _is_host(text: str) -> bool:
    """Whether it is an IP address, or a name in which no label is empty."""
    try:
        ip_address(text[1:-1] if text.startswith("[") and text.endswith("]") else text)
    except ValueError:
        labels = _DOTS.sub(".", text).removesuffix(".").split(".")
        return all(labels) and not re.search(r"[\[\]/:@?#*\\%\s]", text)
    return True


def _not_positive(field: str, value: float, remedy: str) -> Problem:
    return error(field, f"It is {value:g}, and must be over 0.", remedy)


def endpoint_problems(endpoint: EndpointConfig, workspace: WorkspaceConfig | None = None) -> list[Problem]:
    """What is wrong with an endpoint; in its workspace, where that is known.

    Example:
        >>> for problem in endpoint_problems(EndpointConfig(method="FETCH", url="https://a.example/")):
        ...     print(problem)
        method: FETCH is none of GET, POST, PUT, PATCH, DELETE. Choose one of them.
    """
    found = list(_endpoint_problems(endpoint, workspace))
    return sorted(dict.fromkeys(found), key=lambda problem: problem.severity != "error")


def _endpoint_problems(endpoint: EndpointConfig, workspace: WorkspaceConfig | None) -> Iterator[Problem]:
    if endpoint.method.upper() not in METHODS:
        yield error(
            "method",
            f"{endpoint.method or 'Nothing'} is none of {', '.join(METHODS)}.",
            "Choose one of them.",
        )
    yield from _limit_problems(endpoint, workspace)
    too_many = list(_number_problems(endpoint))
    if too_many:  # and each of them costs time
        yield from too_many
        return
    templates: list[Template] = []
    yield from _url_problems(endpoint, workspace, templates)
    yield from _header_problems(endpoint, templates)
    yield from _query_problems(endpoint, templates)
    yield from _body_problems(endpoint, templates)
    for template in templates:
        yield from _reading_problems(template, endpoint, workspace)
    for name, value in endpoint.secrets.items():
        if value.strip() and not is_maskable(value):
            yield warning(
                f"secrets.{name}",
                "It is so short, or so common a word, that it is not masked where it shows.",
                "Use a longer secret; what is none stands better in the template itself.",
            )


def _limit_problems(endpoint: EndpointConfig, workspace: WorkspaceConfig | None) -> Iterator[Problem]:
    limit = workspace.max_timeout_seconds if workspace else float("inf")
    if not endpoint.timeout_seconds > 0:
        yield _not_positive("timeout_seconds", endpoint.timeout_seconds, "Give it in seconds, such as 10.")
    elif endpoint.timeout_seconds > limit:
        yield error(
            "timeout_seconds",
            f"It is {endpoint.timeout_seconds:g}, and the workspace allows {limit:g}.",
            "Lower it, or raise the workspace's max_timeout_seconds.",
        )
    if not 1 <= endpoint.max_concurrency <= MAX_CONCURRENCY:
        yield error(
            "max_concurrency",
            f"It is {endpoint.max_concurrency}.",
            f"Give a number from 1 to {MAX_CONCURRENCY}.",
        )
    if not 1 <= endpoint.max_attempts <= MAX_ATTEMPTS:
        yield error(
            "max_attempts", f"It is {endpoint.max_attempts}.", f"Give a number from 1 to {MAX_ATTEMPTS}."
        )
    if not endpoint.requests_per_second >= 0:
        yield error(
            "requests_per_second",
            f"It is {endpoint.requests_per_second:g}.",
            "Give 0 for no limit, or a number over 0.",
        )
    if endpoint.missing_variables not in ("error", "empty"):
        yield error(
            "missing_variables", f"{endpoint.missing_variables!r} is not known.", "Choose error or empty."
        )


def _number_problems(endpoint: EndpointConfig) -> Iterator[Problem]:
    values = sum(len(endpoint.query_values(name)) for name in endpoint.query)
    for field, count in ("headers", len(endpoint.headers)), ("query", values):
        if count > MAX_FIELDS:
            yield error(field, f"It has {count:,} values, of {MAX_FIELDS} at most.", "Send fewer, or a body.")


def _compiles(field: str, compile_it: Callable[[], Template], templates: list[Template]) -> Iterator[Problem]:
    try:
        templates.append(compile_it())
    except TemplateFailed as failed:
        yield error(field, failed.message, failed.reason.remedy)


def _literal(source: str, value: str = "x") -> str:
    """A template's text, with an `x` for each value, so that the author's own words can be looked at."""
    return _TEMPLATE_TAG.sub(value, source)


def _url_problems(
    endpoint: EndpointConfig, workspace: WorkspaceConfig | None, templates: list[Template]
) -> Iterator[Problem]:
    url = endpoint.url.strip()
    if not url:
        yield error("url", "It is empty.", "Give the API's URL, such as https://api.example.com/customers.")
        return
    bounded = workspace is not None and bool(workspace.allowed_hosts)
    unfit = list(_compiles("url", lambda: compile_url(endpoint, bounded=bounded), templates)) or list(
        _literal_url_problems(url)
    )
    yield from unfit
    if workspace is not None and not unfit:
        yield from _host_problems(url, workspace)
    for name, value in _url_parameters(url):
        yield from _secret_in_clear("url", name, value)


# The beginning of a URL: up to the first slash or question mark behind the host.
_HEAD = re.compile(r"\s*(?:https?://)?(?:[^/?#{]|\{\{[^}]*\}\})*", re.IGNORECASE)
_VARIABLE = re.compile(r"\{\{\s*workspace\.variables\.(\w+)\s*\}\}")
_HOST = re.compile(r"https?://([^/?#\s@:]+|\[[0-9a-f:.]+\])(:\d+)?([/?]\S*)?", re.IGNORECASE)


def _host_problems(url: str, workspace: WorkspaceConfig) -> Iterator[Problem]:
    """What the workspace's variables make of the URL's beginning."""
    head = _HEAD.match(url)
    names = _VARIABLE.findall(head[0]) if head else []
    if not head or not names or not all(name in workspace.variables for name in names):
        return
    begins = _VARIABLE.sub(lambda found: str(workspace.variables[found[1]]).strip(), head[0])
    begins = _literal(begins).strip()
    if not _HOST.fullmatch(begins):
        yield error(
            "url",
            f"With the workspace's {', '.join(names)} it does not begin with http:// or https:// and one host.",
            "Let the variable hold https://HOST, and begin the URL with it.",
        )


def _literal_url_problems(url: str) -> Iterator[Problem]:
    """What is wrong with a URL whatever the values are; a URL with statements is left to its rendering."""
    if "{%" in url:
        return
    example = _literal(url, "1")  # a value may be a host, a port, a segment
    example = example if "://" in example.split("?")[0] else f"https://{example}"
    if "@" in re.split("[/?]", example.split("://", 1)[1])[0]:
        yield error("url", "It holds a user or password.", "Send them as a header, from `secrets`.")
        return
    try:
        check_url(compile_url(EndpointConfig(url=example)).render({}))
    except TemplateFailed as failed:
        yield error(
            "url", failed.message, "Write the URL that is meant, such as https://api.example.com/customers."
        )


def _url_parameters(url: str) -> list[tuple[str, str]]:
    """Names and values of the query in the URL, as they are written."""
    pairs = [pair.partition("=") for pair in _TEMPLATE_TAG.sub("{{}}", url).partition("?")[2].split("&")]
    return [(unquote_plus(name), value) for name, _, value in pairs if name]


def _header_problems(endpoint: EndpointConfig, templates: list[Template]) -> Iterator[Problem]:
    seen: set[str] = set()
    for name, value in endpoint.headers.items():
        field = f"headers.{name}"
        if not TOKEN.fullmatch(name):
            yield error(
                field,
                "HTTP allows no such header name (RFC 9110, section 5.1).",
                "Use letters, digits and -.",
            )
            continue
        if name.lower() in _OF_THE_CONNECTION:
            yield error(
                field, "This header belongs to the connection.", "Leave it out; it is set as it must be."
            )
        if name.lower() in seen:
            yield error(field, "It is given twice; case does not count.", "Leave one of them out.")
        seen.add(name.lower())
        unfit = [
            *_compiles(field, partial(compile_header, endpoint, name), templates),
            *_header_value_problems(field, name.lower(), str(value).strip()),
        ]
        yield from unfit or _fixed_header_problems(templates[-1], endpoint)
        yield from _secret_in_clear(field, name, value)
    yield from _idempotency_problems(endpoint)


def _idempotency_problems(endpoint: EndpointConfig) -> Iterator[Problem]:
    name, field = endpoint.idempotency_header, "idempotency_header"
    if not name:
        return
    if not TOKEN.fullmatch(name):
        yield error(
            field,
            "HTTP allows no such header name (RFC 9110, section 5.1).",
            "Give the name that the API documents, such as Idempotency-Key.",
        )
    elif name.lower() in _OF_THE_CONNECTION or name.lower() in _OF_EVERY_REQUEST:
        yield error(
            field,
            f"Every request has a header {name}, which says another thing.",
            "Give the name that the API documents, such as Idempotency-Key.",
        )
    elif endpoint.header(name) is not None:
        yield error(
            field, "The headers have one of that name too; case does not count.", "Leave one of them out."
        )
    if endpoint.method.upper() in IDEMPOTENT_METHODS:
        yield warning(
            field,
            f"It has no effect: only POST and PATCH carry a key, and this is a {endpoint.method.upper()}.",
            "Leave it empty.",
        )


def _header_value_problems(field: str, name: str, source: str) -> Iterator[Problem]:
    if CONTROL.search(_literal(source)):
        yield error(field, "It holds a line break or another control character.", "Write it on one line.")
    if name == "content-type" and _TEMPLATE_TAG.search(source):
        yield error(field, "It decides how the body is escaped, so it cannot hold a value.", "Write it out.")
    if name == "accept-encoding" and not _DECODABLE.fullmatch(source):
        yield error(field, "Only gzip and deflate can be decoded within a limit.", "Leave the header out.")


def _fixed_header_problems(template: Template, endpoint: EndpointConfig) -> Iterator[Problem]:
    """What is wrong with a header that is the same for each contact, such as a line break in its secret."""
    if not is_fixed(template, endpoint.secrets):
        return
    try:
        check_header(template.field, template.render({"secrets": endpoint.secrets}))
    except TemplateFailed as failed:
        yield error(template.field, failed.message, "Correct the header, or the secret that it reads.")


def _query_problems(endpoint: EndpointConfig, templates: list[Template]) -> Iterator[Problem]:
    in_url = {name for name, _ in _url_parameters(endpoint.url)}
    for name in endpoint.query:
        field = f"query.{name}"
        if name in in_url:
            yield error(field, "The URL has a parameter of that name too.", "Leave one of them out.")
        if _TEMPLATE_TAG.search(name):
            yield error(field, "A name cannot hold a value.", "Write the name out.")
        for value in endpoint.query_values(name):
            yield from _compiles(field, partial(compile_query_value, endpoint, name, value), templates)
            yield from _secret_in_clear(field, name, value)


def _body_problems(endpoint: EndpointConfig, templates: list[Template]) -> Iterator[Problem]:
    try:
        body = compile_body(endpoint)
        if body is None:
            return
        templates.append(body)
        if not _TEMPLATE_TAG.search(endpoint.body):
            body.render({})
    except TemplateFailed as failed:
        is_literal = "{{" not in endpoint.body and "{%" not in endpoint.body
        say = (
            "Write JSON, or give a Content-Type header that says what it is."
            if is_literal
            else failed.reason.remedy
        )
        yield error("body", failed.message, say)
    if endpoint.method.upper() in ("GET", "DELETE"):
        yield warning(
            "body", f"Many servers ignore the body of a {endpoint.method.upper()}.", "Use POST, or the query."
        )
    if media_type(endpoint) == "application/x-www-form-urlencoded" and endpoint.body.lstrip()[:1] in "{[":
        yield warning(
            "body", "It looks like JSON, and the Content-Type is a form.", "Write name={{ value }}&...."
        )
    for name, value in _body_fields(endpoint.body):
        yield from _secret_in_clear("body", name, value)


def _body_fields(body: str) -> Iterator[tuple[str, object]]:
    """The names and values in a body that is JSON before it is rendered."""
    try:
        left = [from_json(body)]
    except ValueError:
        return
    while left:
        value = left.pop()
        if isinstance(value, dict):
            yield from value.items()
            left += value.values()
        elif isinstance(value, list):
            left += value


def _reading_problems(
    template: Template, endpoint: EndpointConfig, workspace: WorkspaceConfig | None
) -> Iterator[Problem]:
    """What a template reads and is not there, as far as that can be told before there is a contact."""
    field = template.field
    for path in sorted(template.paths, key=str):
        match path:
            case ("secrets",):
                yield error(
                    field, "It reads all secrets at once.", "Read one by its name: {{ secrets.NAME }}."
                )
            case ("secrets", name, *_) if name not in endpoint.secrets:
                yield error(
                    field,
                    f"It reads secrets.{name}, which is not there.",
                    "Add it to the endpoint's secrets.",
                )
            case ("workspace", "variables", name, *_) if workspace and name not in workspace.variables:
                yield warning(
                    field,
                    f"It reads workspace.variables.{name}, which the workspace does not have.",
                    "Add it to the workspace's variables.",
                )


def _secret_in_clear(
    field: str, name: str, value: object, remedy: str = "Move it into `secrets` and write {{ secrets.NAME }}."
) -> Iterable[Problem]:
    text = str(value).strip() if isinstance(value, (str, int, float)) else ""
    if len(text) >= 8 and _SECRET_NAME.search(name) and not _TEMPLATE_TAG.search(text) and "{{}}" not in text:
        return [warning(field, "It looks like a secret in clear, which everybody can read.", remedy)]
    return []
