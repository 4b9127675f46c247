"""A Prefect task for each contact and step, mapped over the contacts, with a shared httpx client.

The message is rendered in the flow, for nothing.
"""

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

client = httpx.Client(limits=httpx.Limits(max_connections=CONCURRENCY, max_keepalive_connections=CONCURRENCY))


@task(retries=3, cache_policy=NO_CACHE)
def fetch_profile(url: str, contact: dict[str, str]) -> Any:
    answer = client.get(f"{url}/customers/{contact['email']}")
    return answer.raise_for_status().json()


@task(retries=3, cache_policy=NO_CACHE)
def fetch_offer(url: str, profile: dict[str, Any]) -> Any:
    answer = client.get(f"{url}/offers/{profile['customer_id']}")
    return answer.raise_for_status().json()


runner: Any = ThreadPoolTaskRunner(max_workers=CONCURRENCY)


@flow(task_runner=runner)
def campaign(url: str, contacts: int) -> list[str]:
    audience = list(people(contacts))
    profiles = fetch_profile.map(url, audience)
    offers = fetch_offer.map(url, profiles)
    return [
        f"Hi {contact['first_name']}, your {profile.result()['plan']} plan: {offer.result()['city']}"
        for contact, profile, offer in zip(audience, profiles, offers, strict=True)
    ]


@warm_prefect()
def run(url: str, contacts: int) -> Result:
    started = perf_counter()
    messages = campaign(url, contacts)
    seconds = perf_counter() - started
    assert len(messages) == contacts
    return Result(contacts, 2 * contacts, seconds)
