"""The campaign of flows/ as a script of its own: python campaign.py RUNNER RUN_ID AUDIENCE_FILE

RUNNER is `threads`, `processes` or `dask`. Exits with 0 if the run completed.
"""

from __future__ import annotations

import sys
from typing import Any

from prefect.task_runners import ProcessPoolTaskRunner, ThreadPoolTaskRunner

from flows.renewal_reminder import renewal_reminder
from leadpush_prefect import Audience


def task_runner(name: str) -> Any:
    match name:
        case "processes":
            return ProcessPoolTaskRunner(max_workers=2)
        case "dask":
            from prefect_dask.task_runners import DaskTaskRunner

            cluster = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
            return DaskTaskRunner(cluster_kwargs=cluster)
    return ThreadPoolTaskRunner(max_workers=4)


def main(runner: str, run_id: str, audience_file: str) -> None:
    campaign: Any = renewal_reminder.with_options(task_runner=task_runner(runner))
    state = campaign(Audience.from_file(audience_file), run_id=run_id, return_state=True)
    print(f"{state.name}: {state.message}", flush=True)
    sys.exit(0 if state.is_completed() else 1)


if __name__ == "__main__":
    main(*sys.argv[1:])
