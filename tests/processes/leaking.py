"""Campaigns with their batches in other processes, all of which log at DEBUG: python leaking.py FOLDER ENDPOINT...

It knows no secret but by loading the Blocks. FOLDER holds the audience, `people.csv`.
"""

from __future__ import annotations

import csv
import logging
import sys
from pathlib import Path
from typing import Any

from prefect import flow, task
from prefect.task_runners import ProcessPoolTaskRunner

from leadpush_prefect import Audience, Batch, CampaignContext, CampaignRun, fetch_api_data, render_template

FOLDER, ENDPOINTS = Path(sys.argv[1]), sys.argv[2:]

# Here, and not in main: a worker imports this module, and logs all too.
logging.basicConfig(
    level=logging.DEBUG,
    stream=sys.stdout,
    force=True,
    format="%(process)d:%(levelname)s:%(name)s:%(message)s",
)
for _name in [*logging.root.manager.loggerDict, "sqlalchemy.engine.Engine.leadpush", "aiohttp.client"]:
    logging.getLogger(_name).setLevel(logging.DEBUG)

runner: Any = ProcessPoolTaskRunner(max_workers=2)


@task(persist_result=False)
def of_ones_own(batch: Batch) -> None:
    for context in batch.contexts():
        raise LookupError(f"own task {context.contact_id}")


@flow(task_runner=runner)
def every_end() -> Any:
    """Each endpoint, most of which fail for all contacts; a condition and a template that do; a task that raises; and a
    single contact, whose exception comes back from the other process."""
    with (FOLDER / "people.csv").open() as file:
        contact = next(csv.DictReader(file))
    context = CampaignContext(workspace="leaks-on-processes", campaign="one", contact=contact)
    alone = fetch_api_data.submit(context, ENDPOINTS[0], output_key="profile")
    people = Audience.from_file(FOLDER / "people.csv")
    with CampaignRun.start(
        "leaks", workspace="leaks-on-processes", audience=people, run_id="every-end", batches=2
    ) as run:
        for batch in run.batches():
            target: Any = batch
            for name in ENDPOINTS:
                key = name.replace("-", "_")
                target = fetch_api_data.submit(target, name, output_key=key, on_failure="continue")
            text = "Hi {{ contact.attributes.name }} {{ contact.attributes.nope }}"
            target = render_template.submit(target, text, output_key="message", on_failure="continue")
            when = "contact.attributes.email + 1 == 2"
            render_template.submit(target, "x", output_key="other", when=when, on_failure="continue")
        own = of_ones_own.submit(run.batches()[0])
        own.wait()
        print("ended:", own.state.message, run.finish().message)
    return alone.result()


if __name__ == "__main__":
    ended: Any = every_end(return_state=True)
    print("ended:", ended, ended.message, flush=True)
