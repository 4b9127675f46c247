"""The demo's API: customer profiles and offers over real HTTP.

    python -m leadpush_prefect.cli.demo.api --port 0

prints `http://127.0.0.1:PORT` when it is ready, and serves until SIGTERM or SIGINT.

    GET  /v1/customers/{email}/profile        needs "Authorization: Bearer <API_KEY>"
    POST /v1/customers/{customer_id}/offers   400 unless query and body are what the API knows of the customer
    GET  /_count                              {"profile": {"200": 994, "slow": 3, ...}, ..., "total": 1002}
    POST /_reset                              back to zero

The HTTP is made by hand: it must see the request's target as it was sent, and be fast enough not to be what
is measured. No database is needed, because each customer is a pure function of the email (`contacts.py`,
`customers.py`).
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import re
import signal
from collections import Counter
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, cast
from urllib.parse import parse_qsl, unquote

from leadpush_prefect.cli.demo.contacts import find_contact
from leadpush_prefect.cli.demo.customers import (
    BEHAVIOUR,
    Customer,
    customer_of,
    find_customer,
    offers_json,
    profile_json,
)

API_KEY = "demo-key-4f9a1c"
SLOW_SECONDS = 20.0
MAX_REQUEST_BYTES = 65_536

# RFC 3986, section 3.3: what a path segment may hold; all else must be percent-encoded.
_SEGMENT = re.compile(r"(?:[A-Za-z0-9\-._~!$&'()*+,;=:@]|%[0-9A-Fa-f]{2})*")


@dataclass(frozen=True, slots=True)
class Request:
    """One request; `target` is as it was sent, header names are in lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    keep_alive: bool


@dataclass(frozen=True, slots=True)
class Response:
    """What is sent back, after `delay` seconds."""

    status: int
    body: str
    content_type: str = "application/json"
    delay: float = 0.0


class BadRequest(Exception):
    """The request is not HTTP, or not what the API knows."""


def error(status: int, message: str) -> Response:
    """A response that says what is wrong."""
    return Response(status, json.dumps({"error": message}, ensure_ascii=False))


class Api:
    """The routes, and how often each was asked."""

    def __init__(self) -> None:
        self.counts: dict[str, Counter[str]] = {}
        self.reset()

    def reset(self) -> None:
        """Begin to count anew."""
        self.counts = {"profile": Counter(), "offers": Counter(), "other": Counter()}

    def response(self, request: Request) -> Response:
        """Route a request, and count it at its arrival, so that a slow one counts before it is answered."""
        path, _, query = request.target.partition("?")
        match request.method, path.split("/"):
            case "GET", ["", "_count"]:
                return Response(200, json.dumps(self.totals()))
            case "POST", ["", "_reset"]:
                self.reset()
                return Response(200, "{}")
            case "GET", ["", "v1", "customers", segment, "profile"]:
                return self.counted("profile", profile(segment, request.headers.get("authorization", "")))
            case "POST", ["", "v1", "customers", segment, "offers"]:
                return self.counted("offers", offers(segment, query, request.body))
        return self.counted("other", error(404, "there is no such route"))

    def counted(self, route: str, response: Response) -> Response:
        """Count a response by its status, or as slow."""
        self.counts[route]["slow" if response.delay else str(response.status)] += 1
        return response

    def totals(self) -> dict[str, Any]:
        """The counts by route and status, and their sum."""
        return {**self.counts, "total": sum(counter.total() for counter in self.counts.values())}


def profile(segment: str, authorization: str) -> Response:
    """`GET /v1/customers/{email}/profile`"""
    if authorization != f"Bearer {API_KEY}":
        return error(401, "the API key is missing or wrong")
    try:
        email = decode_segment(segment)
    except BadRequest as problem:
        return error(400, str(problem))
    contact = find_contact(email)
    behaviour = BEHAVIOUR.get(email)
    if contact is None or behaviour == "missing":
        return error(404, "there is no such customer")
    if behaviour == "broken":
        return error(500, "the database is on fire")
    if behaviour == "html":
        return Response(200, "<!doctype html><title>Down for maintenance</title>", "text/html; charset=utf-8")
    return Response(
        200, profile_json(customer_of(contact)), delay=SLOW_SECONDS if behaviour == "slow" else 0.0
    )


def offers(segment: str, query: str, body: bytes) -> Response:
    """`POST /v1/customers/{customer_id}/offers`"""
    try:
        customer = find_customer(decode_segment(segment))
        if customer is None:
            raise BadRequest("customer_id: there is no such customer")
        compare(parse_query(query), {"plan": customer.plan, "locale": customer.contact["locale"]})
        compare(parse_body(body), known_of(customer))
    except BadRequest as problem:
        return error(400, str(problem))
    return Response(200, offers_json(customer))


def decode_segment(segment: str) -> str:
    """The text that was percent-encoded into one path segment."""
    if not _SEGMENT.fullmatch(segment):
        raise BadRequest("a path segment is not percent-encoded")
    try:
        return unquote(segment, errors="strict")
    except UnicodeDecodeError:
        raise BadRequest("a path segment is not UTF-8") from None


def parse_query(query: str) -> dict[str, Any]:
    """The query's fields, each of which may occur once."""
    return unique(cast(list[tuple[str, Any]], parse_qsl(query, keep_blank_values=True)))


def parse_body(body: bytes) -> dict[str, Any]:
    """A JSON object; each number is `("number", <its text>)`, so that 1.5 is neither 1.50 nor "1.5"."""
    try:
        value = json.loads(
            body.decode(), parse_float=_number, parse_int=_number, parse_constant=_number,
            object_pairs_hook=unique,
        )  # fmt: skip
    except (ValueError, RecursionError):
        raise BadRequest("body: it is not JSON") from None
    if not isinstance(value, dict):
        raise BadRequest("body: it is not an object")
    return value


def _number(text: str) -> tuple[str, str]:
    return "number", text


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A dict of pairs; a name that is sent twice is refused."""
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise BadRequest("a name is sent twice")
    return fields


def known_of(customer: Customer) -> dict[str, Any]:
    """The body that a caller must send for this customer."""
    return {
        "name": customer.contact["first_name"],
        "points": _number(customer.points),
        "tags": list(customer.tags),
        "channel": "email",
    }


def compare(sent: dict[str, Any], known: dict[str, Any]) -> None:
    """Refuse what is not exactly what the API knows, naming the first field that differs."""
    for field in {**known, **sent}:
        if field not in known:
            raise BadRequest(f"{field}: it is not wanted")
        if field not in sent:
            raise BadRequest(f"{field}: it is missing")
        if sent[field] != known[field]:
            raise BadRequest(f"{field}: sent {sent[field]!r}, known {known[field]!r}")


def take_request(buffer: bytearray) -> Request | None:
    """Take the first request off the buffer; None if it is not whole yet."""
    head_end = buffer.find(b"\r\n\r\n")
    if head_end < 0:
        if len(buffer) > MAX_REQUEST_BYTES:
            raise BadRequest("the request is too large")
        return None
    first, *lines = buffer[:head_end].decode("latin-1").split("\r\n")
    method, target, version = split_first(first)
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body_end = head_end + 4 + body_length(headers)
    if len(buffer) < body_end:
        return None
    body = bytes(buffer[head_end + 4 : body_end])
    del buffer[:body_end]
    keep_alive = version == "HTTP/1.1" and headers.get("connection", "").lower() != "close"
    return Request(method, target, headers, body, keep_alive)


def split_first(line: str) -> list[str]:
    """Method, target and version."""
    parts = line.split(" ")
    if len(parts) != 3 or not parts[2].startswith("HTTP/1."):
        raise BadRequest("the request line is not HTTP/1.x")
    return parts


def body_length(headers: dict[str, str]) -> int:
    """The length that the headers state; a chunked body is not understood."""
    length = headers.get("content-length", "0")
    if "transfer-encoding" in headers or not re.fullmatch("[0-9]{1,9}", length):
        raise BadRequest("the body has no Content-Length that can be used")
    if int(length) > MAX_REQUEST_BYTES:
        raise BadRequest("the request is too large")
    return int(length)


class Connection(asyncio.Protocol):
    """One keep-alive connection: requests are answered in their order, one at a time."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.buffer = bytearray()
        self.pending: asyncio.TimerHandle | None = None  # the slow response that is under way

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.pending:
            self.pending.cancel()

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        self.work()

    def work(self) -> None:
        """Answer whatever is whole in the buffer, unless a response is still to come."""
        try:
            while not self.pending and (request := take_request(self.buffer)):
                self.serve(request)
        except BadRequest as problem:
            self.send(error(400, str(problem)), keep_alive=False)

    def serve(self, request: Request) -> None:
        """Answer one request, now or later."""
        response = self.api.response(request)
        if response.delay:
            loop = asyncio.get_running_loop()
            self.pending = loop.call_later(response.delay, self.send_late, response, request.keep_alive)
        else:
            self.send(response, keep_alive=request.keep_alive)

    def send_late(self, response: Response, keep_alive: bool) -> None:
        """Send a slow response, and go on with what has arrived meanwhile."""
        self.pending = None
        self.send(response, keep_alive=keep_alive)
        self.work()

    def send(self, response: Response, *, keep_alive: bool) -> None:
        """Write one response."""
        body = response.body.encode()
        head = (
            f"HTTP/1.1 {response.status} {HTTPStatus(response.status).phrase}\r\n"
            f"Content-Type: {response.content_type}\r\nContent-Length: {len(body)}\r\n"
            f"Connection: {'keep-alive' if keep_alive else 'close'}\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        if not keep_alive:
            self.buffer.clear()
            self.transport.close()


async def serve(port: int) -> None:
    """Serve on loopback until a signal arrives."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        with contextlib.suppress(NotImplementedError):  # Windows; Ctrl+C works there all the same
            loop.add_signal_handler(name, stop.set)
    api = Api()
    server = await loop.create_server(lambda: Connection(api), "127.0.0.1", port)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await stop.wait()
    server.close()  # and do not wait for it: open connections end with the process


def new_event_loop() -> asyncio.AbstractEventLoop:
    """uvloop's, where it exists: there is none for Windows."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


def main() -> None:
    parser = argparse.ArgumentParser(description="Serve the demo's API on loopback.")
    parser.add_argument("--port", type=int, default=8000, help="0 takes a free one")
    arguments = parser.parse_args()
    with contextlib.suppress(KeyboardInterrupt), asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(serve(arguments.port))


if __name__ == "__main__":
    main()
