"""A request as it goes over the wire (RFC 9112, section 2.1). Pure; nothing in it can end its line."""

from __future__ import annotations

from functools import lru_cache

from leadpush_prefect.network.grammar import CONTROL, TOKEN
from leadpush_prefect.network.wire import RenderedRequest

__all__ = ["request_bytes"]

# The connection's own. A second or a wrong length smuggles another request (RFC 9112, section 11.2).
_OWN_HEADERS = frozenset({"content-length", "host", "transfer-encoding"})


def request_bytes(request: RenderedRequest, host: str, target: str, *, close: bool = False) -> bytes:
    """The whole request: its line, `Host`, `Content-Length` where it has a body or could have one, its headers.

    Args:
        request: The request.
        host: What stands in `Host`.
        target: As of `wire.split_url`.
        close: Whether the connection ends with the response (RFC 9112, section 9.6).

    Raises:
        ValueError: if a header would end its line, or is the connection's own (Host, Content-Length,
            Transfer-Encoding).

    >>> request_bytes(RenderedRequest("GET", "", (("Accept", "*/*"),)), "crm.example", "/42")
    b'GET /42 HTTP/1.1\\r\\nHost: crm.example\\r\\nAccept: */*\\r\\n\\r\\n'
    """
    headers, body = request.headers, request.body
    _check_names(request.method, tuple([name for name, _ in headers]))
    lines = "".join([f"{name}: {value}\r\n" for name, value in headers])
    if CONTROL.search("".join([value for _, value in headers])):
        raise ValueError("A header holds CR, LF, NUL or another control character.")
    length = f"Content-Length: {len(body or b'')}\r\n" if body is not None or request.method != "GET" else ""
    last = "Connection: close\r\n" if close else ""
    head = f"{request.method} {target} HTTP/1.1\r\nHost: {host}\r\n{length}{lines}{last}\r\n"
    return head.encode() + body if body else head.encode()


@lru_cache(maxsize=256)  # an endpoint's headers have the same names for each contact
def _check_names(method: str, names: tuple[str, ...]) -> None:
    if not all(TOKEN.fullmatch(name) for name in (method, *names)):
        raise ValueError("A method, or a header's name, holds what no name can (RFC 9110, section 5.6.2).")
    if not _OWN_HEADERS.isdisjoint(name.lower() for name in names):
        raise ValueError("Host, Content-Length and Transfer-Encoding are the connection's to set.")
