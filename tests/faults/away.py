"""A campaign of two steps in a process of its own: python away.py KIND URL

It prints the flow's final state. Its endpoints are Blocks, which are saved first.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from prefect import flow, task
from prefect.client.schemas.objects import State
from prefect.task_runners import ThreadPoolTaskRunner

from leadpush_prefect import (
    ApiEndpoint,
    Audience,
    Batch,
    CampaignRun,
    Workspace,
    fetch_api_data,
    render_template,
)

CONTACTS = 40


def _same(batch: Batch) -> Batch:
    return batch


own: Any = task(_same)
"""A task of the flow's own."""


ENDPOINTS: list[ApiEndpoint] = []


def chained(run: CampaignRun) -> None:
    """With endpoints that nobody has to load."""
    for batch in run.batches():
        first = fetch_api_data.submit(batch, ENDPOINTS[0], output_key="a")
        second = fetch_api_data.submit(first, ENDPOINTS[1], output_key="b")
        render_template.submit(second, "Hi", output_key="m")


def own_tasks(run: CampaignRun) -> None:
    """Ours depend on one of the flow's own, and that depends on one of ours."""
    for batch in run.batches():
        first = fetch_api_data.submit(own.submit(batch), "away-a", output_key="a")
        fetch_api_data.submit(own.submit(first), "away-b", output_key="b", wait_for=[first])


def mapped(run: CampaignRun) -> None:
    firsts = fetch_api_data.map(run.batches(), "away-a", output_key="a")
    fetch_api_data.map(firsts, "away-b", output_key="b")


def late(run: CampaignRun) -> None:
    """The second endpoint's Block is asked for while the server is away."""
    firsts = [fetch_api_data.submit(batch, "away-a", output_key="a") for batch in run.batches()]
    for first in firsts:
        first.wait()
    for first in firsts:
        fetch_api_data.submit(first, "away-b", output_key="b")


STEPS = {"chained": chained, "own-tasks": own_tasks, "mapped": mapped, "late": late, "async": chained}


def campaign(kind: str) -> State[Any]:
    audience = Audience.from_contacts({"id": n} for n in range(CONTACTS))
    with CampaignRun.start("away", workspace="away", audience=audience, batches=4) as run:
        STEPS[kind](run)
        return run.finish()


def final_state(kind: str) -> State[Any]:
    # Two threads: a step begins, and waits, while the one that it depends on is at work.
    runner: Any = ThreadPoolTaskRunner(max_workers=2)
    if kind != "async":
        made: Any = flow(name="away", task_runner=runner)(campaign)
        state: State[Any] = made(kind, return_state=True)
        return state

    async def acampaign() -> State[Any]:
        return campaign(kind)

    amade: Any = flow(name="away", task_runner=runner)(acampaign)
    astate: State[Any] = asyncio.run(amade(return_state=True))
    return astate


def main(kind: str, url: str) -> None:
    Workspace(allowed_networks=["127.0.0.0/8"]).save("away", overwrite=True)
    for step in "ab":
        endpoint = ApiEndpoint(workspace="away", url=f"{url}/{step}/{{{{ contact._id }}}}", max_attempts=1)
        endpoint.save(f"away-{step}", overwrite=True)
        ENDPOINTS.append(endpoint)
    state = final_state(kind)
    print(f"state: {state.name}: {state.message}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
