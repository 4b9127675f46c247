"""What a flow needs whose tasks run in other processes than its own."""

from __future__ import annotations

from prefect.context import FlowRunContext
from prefect.settings import PREFECT_API_URL
from prefect.task_runners import ThreadPoolTaskRunner

from leadpush_prefect.errors import LeadpushError

__all__ = ["check_task_runner", "works_in_threads"]


def works_in_threads() -> bool:
    """Whether the flow's tasks run in its own process, as they do without a flow."""
    flow = FlowRunContext.get()
    return flow is None or isinstance(flow.task_runner, ThreadPoolTaskRunner)


def check_task_runner(workspace: str) -> None:
    """See that the flow's task runner can work on batches: any of threads can.

    Args:
        workspace: The name of the run's workspace; empty if it is not saved.

    Raises:
        LeadpushError: if it runs tasks in other processes, and these could not find Prefect's server, or not
            the run.
    """
    flow = FlowRunContext.get()
    if flow is None or works_in_threads():
        return
    runner = type(flow.task_runner).__name__
    if not PREFECT_API_URL.value():
        raise LeadpushError(
            f"{runner} runs tasks in other processes, and Prefect's temporary server is this process's alone: "
            "each of them would start one of its own. Start a server by `prefect server start`, then "
            "`prefect config set PREFECT_API_URL=http://127.0.0.1:4200/api`, and run the flow again."
        )
    if not workspace:
        raise LeadpushError(
            f"{runner} runs tasks in other processes, which find the run by the name of its Workspace, and "
            'this one is not saved. Save it by `workspace.save("acme")`, and start the run with '
            'workspace="acme".'
        )
