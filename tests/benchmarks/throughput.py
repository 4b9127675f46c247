"""What all the checks and the store cost: contacts through one GET step, over a loop that only GETs.

    uv run python -m tests.benchmarks.throughput [--contacts 20000] [--rounds 5]

Both sides ask the same loopback server, in turns, in one process each time they are measured, 64 at once. The baseline
makes a new URL per request, as a campaign must. The server's own count of hits is checked against the contacts.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

import aiohttp
import httpx
import uvloop
import yarl
from rich.console import Console
from rich.table import Table

from tests.benchmarks import server

CONCURRENCY = 64
BAR = 0.5


def baseline(url: str, contacts: int) -> float:
    """Contacts per second of aiohttp and uvloop alone: the answer's bytes are read, and nothing is done with them."""

    async def work(session: aiohttp.ClientSession, numbers: range) -> None:
        for number in numbers:
            async with session.get(
                yarl.URL(f"{url}/customers/user{number}%40example.com", encoded=True)
            ) as answer:
                await answer.read()

    async def main() -> float:
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as session:
            started = perf_counter()
            await asyncio.gather(
                *(work(session, range(first, contacts, CONCURRENCY)) for first in range(CONCURRENCY))
            )
            return contacts / (perf_counter() - started)

    return uvloop.run(main())


def product(url: str, contacts: int) -> float:
    """Contacts per second of a step: rendered, guarded, read within limits, checked, and stored, from a snapshot."""
    from leadpush_prefect import ApiEndpoint, Audience, CampaignRun, Workspace, fetch_api_data

    workspace = Workspace(variables={"api": url}, allowed_networks=["127.0.0.0/8"])
    endpoint = ApiEndpoint(
        url="{{ workspace.variables.api }}/customers/{{ contact.attributes.email }}",
        max_concurrency=CONCURRENCY,
    )
    audience = Audience.from_contacts({"id": n, "email": f"user{n}@example.com"} for n in range(contacts))
    with CampaignRun.start("benchmark", workspace=workspace, audience=audience, batches=1) as run:
        [batch] = run.batches()
        started = perf_counter()
        fetch_api_data.fn(
            batch, endpoint, output_key="profile"
        )  # the task's body: Prefect's own work is another row
        seconds = perf_counter() - started
        run.finish()
    [step] = run.summary().steps
    assert step.fetched == contacts, step
    return contacts / seconds


def measured(side: Callable[[str, int], float], url: str, contacts: int) -> float:
    """A side's rate, if the server has counted each contact once."""
    rate = side(url, contacts)
    hits = httpx.get(f"{url}/_hits").json()["hits"]
    assert hits == contacts, f"the server counted {hits} requests for {contacts} contacts"
    return rate


def run(contacts: int, rounds: int) -> float:
    """Measure both sides in turns, print the table, and give the median ratio."""
    with tempfile.TemporaryDirectory() as home, server.running() as url:
        os.environ["PREFECT_HOME"] = str(Path(home))
        measured(baseline, url, min(contacts, 2_000))  # what is imported or connected first is not measured
        measured(product, url, min(contacts, 2_000))
        pairs = [(measured(baseline, url, contacts), measured(product, url, contacts)) for _ in range(rounds)]
    ratios = [ours / bare for bare, ours in pairs]
    table = Table(
        title=f"{contacts:,} contacts, {CONCURRENCY} at once, {platform.machine()}, Python {platform.python_version()}"
    )
    for column in ("work", "contacts/s (median)", "ratio: median", "min", "max", "bar"):
        table.add_column(column)
    table.add_row(
        "aiohttp + uvloop, GET only", f"{statistics.median(bare for bare, _ in pairs):,.0f}", "1", "", "", ""
    )
    table.add_row(
        "one GET step, all checks, stored",
        f"{statistics.median(ours for _, ours in pairs):,.0f}",
        f"{statistics.median(ratios):.2f}",
        f"{min(ratios):.2f}",
        f"{max(ratios):.2f}",
        f">= {BAR}",
    )
    Console(width=110).print(table)
    return statistics.median(ratios)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--contacts", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    run(arguments.contacts, arguments.rounds)


if __name__ == "__main__":
    main()
