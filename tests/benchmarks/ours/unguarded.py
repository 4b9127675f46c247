"""The same as `one_step` with the guard taken out, for what the guard costs. Nobody should run anything like it."""

from __future__ import annotations

from typing import Any

from aiohttp.client_proto import ResponseHandler

from leadpush_prefect.endpoints import attempt as fetch
from leadpush_prefect.endpoints import compiled as request
from leadpush_prefect.network import aiohttp_transport as transport
from leadpush_prefect.network import aiohttp_writer as outbox
from leadpush_prefect.network import message
from leadpush_prefect.network.addresses import Verdict
from leadpush_prefect.network.aiohttp_protocol import GuardedHandler
from tests.benchmarks.ours import one_step
from tests.benchmarks.result import Result

Parts = tuple[tuple[Any, str, Any], ...]

WHERE_REQUESTS_GO: Parts = (
    (transport, "judge", lambda address, allowed: Verdict(True, "public", address)),
    (fetch, "_check_host", lambda call, rendered: None),
    (request, "check_url", lambda url: url),
    (transport, "split_url", lambda url: ("/".join(url.split("/", 3)[:3]), "/" + url.split("/", 3)[3])),
)

# What stands in headers, what a connection may have said meanwhile, and what is valid HTTP. How much comes back is
# counted by what reads it.
WHAT_IS_SAID: Parts = (
    (request, "check_header", lambda field, value: value),
    (message, "_check_names", lambda method, names: None),
    (transport, "_connect", lambda pool, origin: _connect(pool, origin)),
    (outbox, "has_unread", lambda connection: False),
    (transport, "_checked_headers", lambda head: {name.lower(): text for name, text in head.headers.items()}),
    (GuardedHandler, "data_received", ResponseHandler.data_received),
    (GuardedHandler, "set_exception", ResponseHandler.set_exception),
    (GuardedHandler, "connection_lost", ResponseHandler.connection_lost),
    (GuardedHandler, "expect", lambda self, size: _expect(self)),
    (GuardedHandler, "rest", lambda self: True),
)


def run(url: str, contacts: int, max_concurrency: int = 64, everything: bool = False) -> Result:
    for owner, name, replacement in (*WHERE_REQUESTS_GO, *(WHAT_IS_SAID if everything else ())):
        assert hasattr(owner, name), f"{owner} has no {name}: the guard is elsewhere"
        setattr(owner, name, replacement)
    return one_step.run(url, contacts, max_concurrency)


async def _connect(pool: Any, origin: Any) -> Any:
    connection = await pool.connect(origin.connects, [], transport._NO_TIMEOUT)
    return connection, connection.protocol


def _expect(handler: GuardedHandler) -> None:
    handler.asked = handler.used = True
    handler.set_response_params(read_until_eof=True, auto_decompress=False)
