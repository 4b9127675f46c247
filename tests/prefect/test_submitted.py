"""What `finish` says of a task that did not complete: never the text of an exception of the flow's own."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any
from uuid import UUID

import pytest
from prefect import State, task
from prefect.client.orchestration import get_client
from prefect.exceptions import ObjectNotFound
from prefect.futures import PrefectDistributedFuture, PrefectFuture
from prefect.states import Failed

from leadpush_prefect import Audience, CampaignRun, RunIncomplete, StepRefused, Workspace, render_template
from leadpush_prefect.errors import Reason
from tests.support.flows import run_flow
from tests.support.waiting import eventually

TEXT = "ana@example.com is unlucky"


@task
def raises() -> None:
    raise LookupError(TEXT)


@task
def raises_ours() -> None:
    raise StepRefused(Reason.OUTPUT_KEY_TAKEN, "Two steps store under one key.")


@task
def fails() -> State[Any]:
    return Failed(message="Told not to.")


@task(persist_result=True)
def persists() -> None:
    raise LookupError(TEXT)


@task
def sums_up() -> list[State[Any]]:
    return [raises(return_state=True)]


def from_server(kind: Any) -> PrefectFuture[Any]:
    """The future of a task that ended elsewhere: what Prefect's server knows of it."""
    state: State[Any] = kind(return_state=True)
    task_run_id = state.state_details.task_run_id
    assert task_run_id is not None
    eventually(lambda: has_ended(task_run_id))  # events tell the server of it, and take their time
    return PrefectDistributedFuture(task_run_id)


def has_ended(task_run_id: UUID) -> bool:
    with get_client(sync_client=True) as client, suppress(ObjectNotFound):
        state = client.read_task_run(task_run_id).state
        return state is not None and state.is_final()
    return False


@pytest.mark.parametrize(
    ("submit", "why"),
    [
        (lambda: raises.submit(), "Failed: LookupError. Mend that"),
        (lambda: persists.submit(), "Failed: LookupError. Mend that"),
        (lambda: raises_ours.submit(), "Two steps store under one key. Mend that"),
        (lambda: fails.submit(), "Failed: Told not to. Mend that"),
        (lambda: sums_up.submit(), "Failed: 1/1 states failed. Mend that"),
        (lambda: from_server(raises), "Failed: its task run in Prefect says why. Mend that"),
        (lambda: from_server(persists), "Failed: its task run in Prefect says why. Mend that"),
    ],
    ids=[
        "raises",
        "persists",
        "raises ours",
        "fails",
        "sums up",
        "from the server",
        "persists on the server",
    ],
)
def test_why(submit: Callable[[], PrefectFuture[Any]], why: str, acme: Workspace) -> None:
    """An exception shows by its class, whatever the task is called; a message that was meant to be read in full."""

    def body() -> Any:
        audience = Audience.from_contacts([{"id": 1}])
        with CampaignRun.start("c", workspace=acme, audience=audience) as run:
            render_template.submit(run.batches()[0], "Hi", output_key="m")
            run.add_future("step of my own", submit())
            return run.finish()

    error = run_flow(body).result(raise_on_failure=False)
    assert isinstance(error, RunIncomplete)
    assert why in str(error)
    assert "step of my own: Failed: " in str(error)
    assert TEXT not in str(error)
