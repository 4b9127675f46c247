"""aiohttp on uvloop, and nothing else: each response is read, and nothing is done with it.

A new URL per request, as a campaign must have.
"""

from __future__ import annotations

import asyncio
from time import perf_counter

import aiohttp
import uvloop
import yarl

from tests.benchmarks.result import Result

CONCURRENCY = 64


def run(url: str, contacts: int) -> Result:
    return uvloop.run(_run(url, contacts))


async def _run(url: str, contacts: int) -> Result:
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as session:
        await _get_all(session, url, CONCURRENCY)
        started = perf_counter()
        await _get_all(session, url, contacts)
        seconds = perf_counter() - started
    return Result(contacts, contacts, seconds, other_requests=CONCURRENCY)


async def _get_all(session: aiohttp.ClientSession, url: str, contacts: int) -> None:
    shares = (range(first, contacts, CONCURRENCY) for first in range(CONCURRENCY))
    await asyncio.gather(*(_get(session, url, share) for share in shares))


async def _get(session: aiohttp.ClientSession, url: str, numbers: range) -> None:
    for number in numbers:
        address = yarl.URL(f"{url}/customers/user{number}%40example.com", encoded=True)
        async with session.get(address) as response:
            await response.read()
