"""From an endpoint and a context to a rendered request. Pure: nothing is sent, nothing is looked up."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv6Address
from typing import Never
from urllib.parse import quote

import idna

from leadpush_prefect.errors import Reason
from leadpush_prefect.model.config import EndpointConfig
from leadpush_prefect.model.names import ROOTS
from leadpush_prefect.network.grammar import CONTROL
from leadpush_prefect.network.wire import RenderedRequest, split_url
from leadpush_prefect.templates import (
    FORM,
    HEADER,
    QUERY_VALUE,
    URL,
    Template,
    TemplateFailed,
    compile_json,
    compile_template,
)
from leadpush_prefect.templates.places import BOUNDED_URL, OTHER_BODY
from leadpush_prefect.text.json_text import to_text
from leadpush_prefect.text.redaction import Masker

__all__ = [
    "DEFAULT_HEADERS",
    "CompiledEndpoint",
    "check_header",
    "check_url",
    "compile_body",
    "compile_endpoint",
    "is_fixed",
    "media_type",
]

ENDPOINT_ROOTS = ROOTS | {"secrets"}

MAX_URL_LENGTH = 8_000
"""Servers take request lines of 8,190 bytes or so."""

MAX_HEADER_LENGTH = 8_000

# What every request says, unless the endpoint says otherwise. Only these encodings can be bounded while they
# are decoded.
DEFAULT_HEADERS = (
    ("Accept", "application/json"),
    ("Accept-Encoding", "gzip, deflate"),
    ("User-Agent", "leadpush-prefect"),
)


@dataclass(frozen=True, slots=True)
class CompiledEndpoint:
    """An endpoint whose templates are compiled, once.

    Attributes:
        config: The endpoint.
        render: From what templates read (by root) to the request. Raises `TemplateFailed`.
        mask: Masks the endpoint's secrets in a text.
        templates: All its templates.
        is_host_fixed: Whether the host is the same for each contact, so that it tells nothing about one.
    """

    config: EndpointConfig
    render: Callable[[Mapping[str, object]], RenderedRequest]
    mask: Masker
    templates: tuple[Template, ...]
    is_host_fixed: bool


def compile_endpoint(endpoint: EndpointConfig, *, bounded: bool = False) -> CompiledEndpoint:
    """Compile an endpoint's templates.

    Args:
        endpoint: The endpoint.
        bounded: Whether the workspace says which hosts may be called, so that any value may stand in the host.

    Raises:
        TemplateFailed: the first one that can never be rendered.

    Example:
        >>> url = "https://crm.example/{{ contact._id }}"
        >>> crm = compile_endpoint(EndpointConfig(url=url, query={"full": True}))
        >>> crm.render({"contact": {"_id": "a/b"}}).url
        'https://crm.example/a%2Fb?full=true'
    """
    url = compile_url(endpoint, bounded=bounded)
    query = tuple(_compile_query(endpoint))
    headers = tuple(_compile_headers(endpoint))
    body = compile_body(endpoint)
    method = endpoint.method.upper()
    secrets = endpoint.secrets
    render_headers = _headers_renderer(headers, secrets)

    def render(values: Mapping[str, object]) -> RenderedRequest:
        values = {**values, "secrets": secrets}
        target = url.render(values)
        if query:
            pairs = "&".join(f"{name}={template.render(values)}" for name, template in query)
            target = f"{target}{_joint(target)}{pairs}"
        return RenderedRequest(
            method,
            check_url(target),
            render_headers(values),
            None if body is None else _utf8("body", body.render(values)),
        )

    templates = (url, *(template for _, template in (*query, *headers)), *([body] if body else []))
    return CompiledEndpoint(
        endpoint, render, Masker(secrets.values()), templates, _is_host_fixed(endpoint.url)
    )


_OF_THE_WORKSPACE = re.compile(r"\{\{-?\s*workspace(?:\.\w+)+\s*-?\}\}")
_BEFORE_THE_PATH = re.compile(r"(?:https?://)?[^/?#]*", re.IGNORECASE)


def _is_host_fixed(url: str) -> bool:
    """
    >>> _is_host_fixed("https://a.example/{{ contact._id }}"), _is_host_fixed("{{ contact.attributes.shop }}/")
    (True, False)
    """
    before_the_path = _BEFORE_THE_PATH.match(_OF_THE_WORKSPACE.sub("x", url.strip()))
    return before_the_path is not None and "{" not in before_the_path[0]


def compile_url(endpoint: EndpointConfig, *, bounded: bool = False) -> Template:
    """The template of the URL, in which no secret may stand: URLs are logged by everybody."""
    template = compile_template(
        endpoint.url.strip(),
        BOUNDED_URL if bounded else URL,
        field="url",
        roots=ENDPOINT_ROOTS,
        missing=_missing(endpoint),
    )
    if any(path[0] == "secrets" for path in template.paths):
        _refuse_url(
            "A secret cannot stand in the URL, which servers and proxies write into their logs. "
            "Send it as a header, or in `query`."
        )
    return template


def _missing(endpoint: EndpointConfig) -> str:
    return "empty" if endpoint.missing_variables == "empty" else "error"  # what else it is, problems() says


def _joint(url: str) -> str:
    if "?" not in url:
        return "?"
    return "" if url.endswith(("?", "&")) else "&"


def _compile_query(endpoint: EndpointConfig) -> Iterator[tuple[str, Template]]:
    for name in endpoint.query:
        for value in endpoint.query_values(name):
            yield quote(name, safe="[]"), compile_query_value(endpoint, name, value)


def compile_query_value(endpoint: EndpointConfig, name: str, value: object) -> Template:
    """The template of one value of a parameter: all its text becomes one percent-encoded value."""
    return compile_template(
        to_text(value),
        QUERY_VALUE,
        field=f"query.{name}",
        roots=ENDPOINT_ROOTS,
        missing=_missing(endpoint),
    )


def _compile_headers(endpoint: EndpointConfig) -> Iterator[tuple[str, Template]]:
    given = {name.lower() for name in endpoint.headers}
    for name in endpoint.headers:
        yield name, compile_header(endpoint, name)
    defaults = [*DEFAULT_HEADERS, *([("Content-Type", "application/json")] if endpoint.body else [])]
    for name, value in defaults:
        if name.lower() not in given:
            yield name, compile_template(value, HEADER, field=f"headers.{name}", roots=())


def _headers_renderer(
    headers: Sequence[tuple[str, Template]], secrets: Mapping[str, str]
) -> Callable[[Mapping[str, object]], tuple[tuple[str, str], ...]]:
    """From values to headers. Most headers are the same for each contact, and so rendered but once."""

    def value(template: Template, values: Mapping[str, object]) -> str:
        return check_header(template.field, template.render(values))

    fixed = {
        name: value(template, {"secrets": secrets})
        for name, template in headers
        if is_fixed(template, secrets)
    }
    if len(fixed) < len(headers):
        return lambda values: tuple(
            [(name, fixed[name] if name in fixed else value(template, values)) for name, template in headers]
        )
    same = tuple((name, fixed[name]) for name, _ in headers)
    return lambda values: same


def is_fixed(template: Template, secrets: Mapping[str, str]) -> bool:
    """Whether a template renders to the same text for each contact: it reads only secrets that are there."""
    return all(path[0] == "secrets" and len(path) > 1 and path[1] in secrets for path in template.paths)


def compile_header(endpoint: EndpointConfig, name: str) -> Template:
    """The template of a header's value."""
    source = to_text(endpoint.headers[name]).strip()
    return compile_template(
        source, HEADER, field=f"headers.{name}", roots=ENDPOINT_ROOTS, missing=_missing(endpoint)
    )


def media_type(endpoint: EndpointConfig) -> str:
    """The body's media type, in lower case, without parameters (RFC 9110, section 8.3.1)."""
    return (endpoint.header("Content-Type") or "application/json").split(";")[0].strip().lower()


def compile_body(endpoint: EndpointConfig) -> Template | None:
    """The template of the body, which its Content-Type decides; None without a body."""
    if not endpoint.body:
        return None
    missing, kind = _missing(endpoint), media_type(endpoint)
    if kind == "application/json" or kind.endswith("+json"):
        return compile_json(endpoint.body, field="body", roots=ENDPOINT_ROOTS, missing=missing)
    place = FORM if kind == "application/x-www-form-urlencoded" else OTHER_BODY
    return compile_template(endpoint.body, place, field="body", roots=ENDPOINT_ROOTS, missing=missing)


def _utf8(field: str, text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        message = "It holds half of a surrogate pair, which has no form in UTF-8."
        raise TemplateFailed(Reason.TEMPLATE_INVALID, message, field) from None


# In a path: what stands in the query is no segment.
_DOT_SEGMENT = re.compile(r"^[^?]*/(?:\.|%2[eE]){1,2}(?=[/?]|$)")


def check_url(url: str) -> str:
    """The URL, if it can be sent as it stands; its scheme in lower case, so that it can be compared.

    Raises:
        TemplateFailed: `template_invalid` or `template_too_large`.

    >>> check_url("https://user@crm.example/")
    Traceback (most recent call last):
    leadpush_prefect.templates.values.TemplateFailed: (<Reason.TEMPLATE_INVALID: 'template_invalid'>, ...
    """
    if not url.isascii():
        url = _idna(url)
    try:
        origin, target = split_url(url)
    except ValueError:
        origin = target = "%"
    if "%" in origin:  # a zone of this machine
        _refuse_url(
            "It is not one that can be called: it begins with https://HOST/, without user and password, "
            "and has no fragment."
        )
    origin = _checked_origin(origin)
    if len(url) > MAX_URL_LENGTH:
        message = f"It renders to more than {MAX_URL_LENGTH} characters."
        raise TemplateFailed(Reason.TEMPLATE_TOO_LARGE, message, "url")
    if ("/." in target or "/%2" in target) and _DOT_SEGMENT.search(target):
        _refuse_url(
            "A segment of its path is `.` or `..`, which names another resource (RFC 3986, section 5.2.4)."
        )
    return origin + target


@lru_cache(maxsize=1024)  # mostly the same for each contact
def _checked_origin(origin: str) -> str:
    """The origin with its scheme in lower case, if its port and an IPv6 address can be ones."""
    scheme, rest = origin.split("://", 1)
    host, _, port = rest.rpartition(":")
    if host and port.isdecimal() and int(port) > 65535:
        _refuse_url("Its port is over 65535.")
    if rest.startswith("[") and not _is_ipv6(rest[1:].split("]", 1)[0]):
        _refuse_url("What stands in brackets as its host is not an IPv6 address.")
    return f"{scheme.lower()}://{rest}"


def _is_ipv6(text: str) -> bool:
    try:
        IPv6Address(text)
    except ValueError:
        return False
    return True


def _idna(url: str) -> str:
    host_end = len(url.split("://", 1)[0]) + 3
    rest_at = next((n for n, c in enumerate(url) if n >= host_end and c in "/?"), len(url))
    host, _, port = url[host_end:rest_at].partition(":")
    try:
        ascii_host = idna.encode(host, uts46=True).decode()
    except idna.IDNAError:
        _refuse_url("Its host is not a name that IDNA allows.")
    return f"{url[:host_end]}{ascii_host}{':' + port if port else ''}{url[rest_at:]}"


def _refuse_url(message: str) -> Never:
    raise TemplateFailed(Reason.TEMPLATE_INVALID, message, "url")


def check_header(field: str, value: str) -> str:
    """The value of a header, if it can be sent as it stands.

    Raises:
        TemplateFailed: `template_invalid` or `template_too_large`.
    """
    if CONTROL.search(value):
        message = "A value holds CR, LF, NUL or another control character (RFC 9110, section 5.5)."
        raise TemplateFailed(Reason.TEMPLATE_INVALID, message, field)
    if value != value.strip(" \t"):
        message = (
            "It begins or ends with a space, which HTTP takes away (RFC 9110, section 5.5). Use `| trim`."
        )
        raise TemplateFailed(Reason.TEMPLATE_INVALID, message, field)
    if len(value if value.isascii() else _utf8(field, value)) > MAX_HEADER_LENGTH:
        message = f"It renders to more than {MAX_HEADER_LENGTH} bytes."
        raise TemplateFailed(Reason.TEMPLATE_TOO_LARGE, message, field)
    return value
