"""Where a redirect leads, and what of the request may go there (RFC 9110, section 15.4). Pure."""

from __future__ import annotations

import re
from urllib.parse import quote, urldefrag, urljoin, urlsplit

from leadpush_prefect.endpoints.compiled import DEFAULT_HEADERS, check_url
from leadpush_prefect.network.wire import RenderedRequest
from leadpush_prefect.templates import TemplateFailed
from leadpush_prefect.text.redaction import Masker

__all__ = ["MAX_REDIRECTS", "REDIRECTS", "RedirectRefused", "redirected"]

MAX_REDIRECTS = 5

REDIRECTS = frozenset({301, 302, 303, 307, 308})

_SEE_OTHER = 303

_OF_A_BODY = re.compile(r"content-.*", re.IGNORECASE)


class RedirectRefused(Exception):
    """A redirect is not followed; the message says why, as the end of a sentence."""


def redirected(request: RenderedRequest, status: int, location: str, mask: Masker) -> RenderedRequest:
    """The request that a redirect asks for.

    A 303 is followed by a GET; after any other, method and body stay. (RFC 9110 lets a client make a GET of a
    POST after 301 and 302 for old browsers' sake, and does not ask for it.) To another origin goes only a GET
    without body, with the headers that every request has, and none of the endpoint's own.

    Args:
        request: What was sent.
        status: The response's status, one of `REDIRECTS`.
        location: Its `Location`.
        mask: The endpoint's secrets.

    Raises:
        RedirectRefused: if it leads nowhere, or where this request must not go.

    >>> post = RenderedRequest("POST", "https://a.example/x/y", (("X-Key", "1"),), b"{}")
    >>> followed = redirected(post, 303, "../z?q#top", Masker([]))
    >>> followed.method, followed.url, followed.headers, followed.body
    ('GET', 'https://a.example/z?q', (('X-Key', '1'),), None)
    >>> redirected(post, 307, "https://b.example/", Masker([]))
    Traceback (most recent call last):
    leadpush_prefect.endpoints.redirects.RedirectRefused: to another origin, where only a GET without body may go
    """
    url = _target(request.url, location)
    method, headers, body = request.method, request.headers, request.body
    if status == _SEE_OTHER:
        method, body = "GET", None
        headers = tuple(header for header in headers if not _OF_A_BODY.fullmatch(header[0]))
    if _origin(url) != _origin(request.url):
        if method != "GET" or body is not None:
            raise RedirectRefused("to another origin, where only a GET without body may go")
        if url.startswith("http:") and request.url.startswith("https:"):
            raise RedirectRefused("from https to http")
        if mask(url) != url:
            raise RedirectRefused("to another origin, with a secret in its URL")
        headers = DEFAULT_HEADERS
    return RenderedRequest(method, url, headers, body)


def _target(base: str, location: str) -> str:
    """The absolute URL, as it can be sent: without fragment, and with what cannot stand in a URL encoded."""
    text = quote(location.strip().encode("utf-8", "surrogateescape"), safe="!#$%&'()*+,/:;=?@[]~")
    try:
        url, _ = urldefrag(urljoin(base, text))
        return check_url(url)
    except (ValueError, TemplateFailed):
        raise RedirectRefused("to what is no URL that can be called") from None


def _origin(url: str) -> tuple[str, str | None, int]:
    """Scheme, host and port (RFC 6454, section 4)."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)
