"""A campaign in a process of its own, to be killed or stopped.

python child.py run RUN_ID URL CONTACTS WORKERS [DATABASE]  runs it, and prints the state
python child.py arun RUN_ID URL CONTACTS WORKERS            the same in an async flow
python child.py serve URL CONTACTS WORKERS PID_FILE         serves it as the deployment `stoppable/faults`
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

from prefect import flow
from prefect.task_runners import ThreadPoolTaskRunner

from leadpush_prefect import ApiEndpoint, Audience, CampaignRun, Workspace, fetch_api_data

CONCURRENCY = 16


def campaign(run_id: str, url: str, contacts: int, database: str = "") -> Any:
    workspace = Workspace(allowed_networks=["127.0.0.0/8"], database=database)
    endpoints = [
        ApiEndpoint(
            url=f"{url}/{path}/{{{{ contact._id }}}}",
            max_concurrency=CONCURRENCY,
            method=os.environ.get("METHOD", "GET"),
            idempotency_header=os.environ.get("IDEMPOTENCY_HEADER", ""),
            timeout_seconds=20,
            max_attempts=int(os.environ.get("MAX_ATTEMPTS", "1")),
        )
        for path in ("a", "b")
    ]
    audience = Audience.from_contacts({"id": n} for n in range(contacts))
    with CampaignRun.start("faults", workspace=workspace, audience=audience, run_id=run_id) as run:
        for batch in run.batches():
            done = fetch_api_data.submit(batch, endpoints[0], output_key="a")
            fetch_api_data.submit(done, endpoints[1], output_key="b")
        return run.finish()


@flow
def stoppable(run_id: str, url: str, contacts: int, database: str = "", pid_file: str = "") -> Any:
    if pid_file:
        Path(pid_file).write_text(str(os.getpid()))
    return campaign(run_id, url, contacts, database)


@flow
async def astoppable(run_id: str, url: str, contacts: int) -> Any:
    return campaign(run_id, url, contacts)


def main(how: str, *arguments: str) -> None:
    # A shell that was itself put in the background has its children ignore Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if how == "serve":
        url, contacts, workers, pid_file = arguments
        parameters = {"run_id": "", "url": url, "contacts": int(contacts), "pid_file": pid_file}
        stoppable.serve("faults", parameters=parameters)
        return
    run_id, url, contacts, workers, *database = arguments
    runner: Any = ThreadPoolTaskRunner(max_workers=int(workers))
    if how == "run":
        here: Any = stoppable.with_options(task_runner=runner)
        state = here(run_id, url, int(contacts), *database, return_state=True)
    else:
        afterwards: Any = astoppable.with_options(task_runner=runner)
        state = asyncio.run(afterwards(run_id, url, int(contacts), return_state=True))
    print(f"state: {state.name}: {state.message}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
