"""httpx, and nothing else: 64 requests at once over one client, or shared by several."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from time import perf_counter

import httpx

from tests.benchmarks.result import Result

CONCURRENCY = 64


def run(url: str, contacts: int, clients: int) -> Result:
    return asyncio.run(_run(url, contacts, clients))


async def _run(url: str, contacts: int, clients: int) -> Result:
    limits = httpx.Limits(max_connections=CONCURRENCY, max_keepalive_connections=CONCURRENCY)
    async with AsyncExitStack() as stack:
        used = [await stack.enter_async_context(httpx.AsyncClient(limits=limits)) for _ in range(clients)]
        await _get_all(used, url, CONCURRENCY)
        started = perf_counter()
        await _get_all(used, url, contacts)
        seconds = perf_counter() - started
    return Result(contacts, contacts, seconds, other_requests=CONCURRENCY)


async def _get_all(clients: list[httpx.AsyncClient], url: str, contacts: int) -> None:
    shares = (range(first, contacts, CONCURRENCY) for first in range(CONCURRENCY))
    await asyncio.gather(
        *(_get(clients[worker % len(clients)], url, share) for worker, share in enumerate(shares))
    )


async def _get(client: httpx.AsyncClient, url: str, numbers: range) -> None:
    for number in numbers:
        response = await client.get(f"{url}/customers/user{number}%40example.com")
        assert response.status_code == 200
