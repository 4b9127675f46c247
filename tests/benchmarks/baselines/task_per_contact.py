"""A Prefect task for each contact and step, mapped over the contacts, with a shared httpx client."""

from __future__ import annotations

from time import perf_counter
from typing import Any

import httpx
from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.task_runners import ThreadPoolTaskRunner

from tests.benchmarks.people import people
from tests.benchmarks.result import Result
from tests.benchmarks.warm_prefect import warm_prefect

CONCURRENCY = 64
WARM_UPS = 3  # flows of a few contacts, until Prefect's own threads have settled
FEW = 10

client = httpx.Client(limits=httpx.Limits(max_connections=CONCURRENCY, max_keepalive_connections=CONCURRENCY))


@task(retries=3, cache_policy=NO_CACHE)
def fetch_profile(url: str, contact: dict[str, str]) -> Any:
    response = client.get(f"{url}/customers/{contact['email']}")
    return response.raise_for_status().json()


@task(retries=3, cache_policy=NO_CACHE)
def fetch_offer(url: str, profile: dict[str, Any]) -> Any:
    response = client.get(f"{url}/offers/{profile['customer_id']}")
    return response.raise_for_status().json()


@task(cache_policy=NO_CACHE)
def render_message(contact: dict[str, str], profile: dict[str, Any], offer: dict[str, Any]) -> str:
    return f"Hi {contact['first_name']}, your {profile['plan']} plan: {offer['city']}"


runner: Any = ThreadPoolTaskRunner(max_workers=CONCURRENCY)


@flow(task_runner=runner)
def campaign(url: str, contacts: int) -> list[str]:
    audience = list(people(contacts))
    profiles = fetch_profile.map(url, audience)
    offers = fetch_offer.map(url, profiles)
    return [message.result() for message in render_message.map(audience, profiles, offers)]


@warm_prefect()
def run(url: str, contacts: int) -> Result:
    for _ in range(WARM_UPS):
        campaign(url, FEW)
    started = perf_counter()
    messages = campaign(url, contacts)
    seconds = perf_counter() - started
    assert len(messages) == contacts
    return Result(contacts, 2 * contacts, seconds, other_requests=2 * FEW * WARM_UPS)
