"""The campaign of flows/ on a process pool, served as a deployment: what Prefect's Cancel is tried on."""

from __future__ import annotations

from typing import Any

from prefect import flow
from prefect.task_runners import ProcessPoolTaskRunner

from flows.renewal_reminder import renewal_reminder
from leadpush_prefect import Audience

runner: Any = ProcessPoolTaskRunner(max_workers=2)


@flow(name="on-processes", task_runner=runner)
def on_processes(audience: str, run_id: str) -> Any:
    return renewal_reminder.fn(Audience.from_file(audience), run_id=run_id)


if __name__ == "__main__":
    on_processes.serve(name="served")
