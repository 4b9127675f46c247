"""A Prefect task for each chunk of 500 contacts: in it httpx, asynchronous, and both steps for each contact.

All chunks run at once, 64 requests at once together.
"""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import Any

import httpx
from prefect import flow, task
from prefect.cache_policies import NO_CACHE

from tests.benchmarks.people import people
from tests.benchmarks.result import Result
from tests.benchmarks.warm_prefect import warm_prefect

CHUNK = 500
CONCURRENCY = 64
WARM_UPS = 3  # flows of a few contacts, until Prefect's own threads have settled
FEW = 10


@task(retries=3, cache_policy=NO_CACHE)
async def fetch_chunk(url: str, contacts: list[dict[str, str]], at_once: int) -> list[str]:
    limits = httpx.Limits(max_connections=at_once, max_keepalive_connections=at_once)
    async with httpx.AsyncClient(limits=limits) as client:
        free = asyncio.Semaphore(at_once)

        async def message(contact: dict[str, str]) -> str:
            async with free:
                response = await client.get(f"{url}/customers/{contact['email']}")
                profile = response.raise_for_status().json()
                response = await client.get(f"{url}/offers/{profile['customer_id']}")
                offer = response.raise_for_status().json()
            return f"Hi {contact['first_name']}, your {profile['plan']} plan: {offer['city']}"

        return await asyncio.gather(*(message(contact) for contact in contacts))


@flow
def campaign(url: str, contacts: int) -> list[str]:
    audience = list(people(contacts))
    chunks = [audience[first : first + CHUNK] for first in range(0, contacts, CHUNK)]
    futures: list[Any] = [fetch_chunk.submit(url, chunk, CONCURRENCY // len(chunks)) for chunk in chunks]
    return [message for future in futures for message in future.result()]


@warm_prefect()
def run(url: str, contacts: int) -> Result:
    for _ in range(WARM_UPS):
        campaign(url, FEW)
    started = perf_counter()
    messages = campaign(url, contacts)
    seconds = perf_counter() - started
    assert len(messages) == contacts
    return Result(contacts, 2 * contacts, seconds, other_requests=2 * FEW * WARM_UPS)
