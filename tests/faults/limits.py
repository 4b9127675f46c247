"""A campaign of POSTs in a process of its own, whose limits are tried.

python limits.py RUN_ID URL CONTACTS CONCURRENCY TIMEOUT [FILES]    prints the state, and what failed

With FILES, the process may have no more files open than that.
"""

from __future__ import annotations

import sys
from collections import Counter
from typing import Any

from prefect import flow

from leadpush_prefect import ApiEndpoint, Audience, CampaignRun, Workspace, fetch_api_data


@flow
def campaign(run_id: str, url: str, contacts: int, concurrency: int, timeout: float) -> Any:
    endpoint = ApiEndpoint(
        url=f"{url}/{{{{ contact._id }}}}",
        method="POST",
        body="{}",
        max_concurrency=concurrency,
        timeout_seconds=timeout,
        max_attempts=1,
    )
    audience = Audience.from_contacts({"id": n} for n in range(contacts))
    workspace = Workspace(allowed_networks=["127.0.0.0/8"])
    with CampaignRun.start("limits", workspace=workspace, audience=audience, run_id=run_id) as run:
        for batch in run.batches():
            fetch_api_data.submit(batch, endpoint, output_key="a")
        state = run.finish()
        print("failed:", dict(Counter(failure.code for _, _, failure in run.failures())), flush=True)
        return state


def main(run_id: str, url: str, contacts: str, concurrency: str, timeout: str, *files: str) -> None:
    if files:
        import resource

        resource.setrlimit(resource.RLIMIT_NOFILE, (int(files[0]), int(files[0])))
    state: Any = campaign(run_id, url, int(contacts), int(concurrency), float(timeout), return_state=True)
    print(f"state: {state.name}: {state.message}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
