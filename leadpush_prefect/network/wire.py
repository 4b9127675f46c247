"""What goes over the wire, as plain data: a rendered request, a response, and why there was none.

`httpx.Request` rewrites `/x/../y`, takes CR LF in a header, and replaces a URL's query by `params`. So the
truth is `RenderedRequest`, and `httpx.Request` is made from it for people.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol

from leadpush_prefect.errors import Reason

if TYPE_CHECKING:
    import httpx

__all__ = ["RenderedRequest", "Response", "Transport", "TransportFailed", "split_url"]


@dataclass(frozen=True, slots=True)
class RenderedRequest:
    """One request, byte for byte, but for what the connection adds (`Host`, `Content-Length`).

    Attributes:
        method: In upper case.
        url: Absolute and ASCII, exactly as it is sent: `https://host/path?query`.
        headers: Name and value in the order in which they are sent.
        body: The bytes, or None.
    """

    method: str
    url: str
    headers: tuple[tuple[str, str], ...]
    body: bytes | None = None

    def __repr__(self) -> str:
        # It stands in tracebacks that show locals, and all but these may hold secrets and people's data.
        return f"RenderedRequest({self.method} {self.host})"

    def masked(self, mask: Callable[[str], str]) -> RenderedRequest:
        """The same request for people to see. Masked before anything is quoted: a quote in a secret would hide it.

        Args:
            mask: Masks the secrets in a text.
        """
        headers = tuple((name, mask(value)) for name, value in self.headers)
        body = None if self.body is None else mask(self.body.decode("utf-8", "replace")).encode()
        return replace(self, url=mask(self.url), headers=headers, body=body)

    @property
    def host(self) -> str:
        """The host, in lower case, without port and brackets."""
        authority = self.url.split("://", 1)[-1].split("/", 1)[0].split("?", 1)[0].lower()
        if authority.startswith("["):
            return authority[1:].split("]", 1)[0]
        return authority.rsplit(":", 1)[0] if ":" in authority else authority

    def to_httpx(self) -> httpx.Request:
        """The same request in httpx's words."""
        import httpx

        headers = [(name.encode(), value.encode()) for name, value in self.headers]
        if self.body is not None or self.method != "GET":  # as it goes over the wire; httpx has other habits
            headers.append((b"Content-Length", str(len(self.body or b"")).encode()))
        return httpx.Request(self.method, self.url, headers=headers, content=self.body)

    def as_text(self) -> str:
        """The request as it reads on the wire; show that of one that is `masked`."""
        lines = [f"{self.method} {self.url}", *(f"{name}: {value}" for name, value in self.headers)]
        if self.body is not None:
            lines += ["", self.body.decode("utf-8", "replace")]
        return "\n".join(lines)

    def as_curl(self) -> str:
        """The request as a cURL command for a POSIX shell; show that of one that is `masked`."""
        compressed = ["--compressed"] if any(n.lower() == "accept-encoding" for n, _ in self.headers) else []
        parts = ["curl", *compressed, "--globoff", "--path-as-is", "-X", self.method, shlex.quote(self.url)]
        for name, value in self.headers:
            parts += ["-H", shlex.quote(f"{name}: {value}" if value else f"{name};")]
        if self.body is not None:
            parts += ["--data-raw", shlex.quote(self.body.decode("utf-8", "replace"))]
        return " ".join(parts)


@dataclass(frozen=True, slots=True)
class Response:
    """A response of which the body has been read within the limit.

    Attributes:
        status: The HTTP status.
        headers: Names in lower case; of a repeated header, the last.
        body: The decompressed bytes: all of them for a 2xx, the beginning for any other status.
        is_cut: Whether more of them were to come.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    is_cut: bool = False


class TransportFailed(Exception):
    """There is no response.

    Args:
        reason: The stable code.
        message: What happened, without any part of the URL but the host.
        sent: Whether a byte of the request may have reached the API.
        is_ours: Whether this process is the cause, which has no file left: neither the API nor the contact.
    """

    def __init__(self, reason: Reason, message: str, *, sent: bool, is_ours: bool = False) -> None:
        super().__init__(reason, message)
        self.reason = reason
        self.message = message
        self.sent = sent
        self.is_ours = is_ours


class Transport(Protocol):
    """Whatever can send a request: the network, or a double of it in a test."""

    async def send(
        self, request: RenderedRequest, *, timeout_seconds: float, max_response_bytes: int
    ) -> Response:
        """Send, read within the limits, and response; cancelling it stops the request.

        Raises:
            TransportFailed: if there is no whole response.
        """
        ...


# In brackets stands what has a colon. ASCII: without it, `s` and `k` have a third case.
_ORIGIN = re.compile(
    r"https?://(?:\[[0-9A-F.]*:[0-9A-F:.]*(?:%[0-9A-Z._~-]+)?\]|[0-9A-Z._-]+)(?::[0-9]{1,5})?",
    re.IGNORECASE | re.ASCII,
)


@lru_cache(maxsize=64)  # asked for when the request is rendered, and again when it is sent
def split_url(url: str) -> tuple[str, str]:
    """The URL's origin, and the target that stands after it, to the letter; `/` where there is no path.

    Raises:
        ValueError: if something in it would have to be changed before it is sent. The error does not repeat it.

    >>> split_url("https://crm.example/x/../y?q=%20")
    ('https://crm.example', '/x/../y?q=%20')
    """
    begin = url.find("://") + 3
    path = url.find("/", begin)
    query = url.find("?", begin, path) if path >= 0 else url.find("?", begin)
    end = query if query >= 0 else path if path >= 0 else len(url)
    origin, target = url[:end], url[end:]
    # The target is visible ASCII without the `#` of a fragment: nothing that ends a line or is still to be
    # encoded.
    fits = target.isascii() and target.isprintable() and " " not in target and "#" not in target
    if not (fits and _is_origin(origin)):
        raise ValueError(
            "The URL is not as it goes over the wire: http(s)://host[:port][/path][?query] in ASCII."
        )
    return origin, target if target.startswith("/") else f"/{target}"


@lru_cache(maxsize=1024)  # mostly the same for each contact
def _is_origin(text: str) -> bool:
    return _ORIGIN.fullmatch(text) is not None
