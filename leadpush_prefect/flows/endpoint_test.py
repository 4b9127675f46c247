"""The flow "Test API endpoint": one real request from Prefect's UI, with a report that stays."""

# ruff: noqa: B006, B008, PT028  # the run form shows the defaults, and this is no test of pytest's

from __future__ import annotations

from typing import Any

from prefect import State, flow
from prefect.artifacts import create_markdown_artifact
from prefect.states import Completed, Failed

from leadpush_prefect.blocks import ApiEndpoint, Audience
from leadpush_prefect.blocks.sample_contact import sample_context
from leadpush_prefect.endpoints.endpoint_test import Trial, try_endpoint
from leadpush_prefect.errors import BlockInvalid, LeadpushError
from leadpush_prefect.reports.endpoint_test import refusal_report, trial_report
from leadpush_prefect.reports.last_tests import artifact_key
from leadpush_prefect.text.markdown import cell

__all__ = ["test_api_endpoint"]


@flow(name="Test API endpoint", flow_run_name="{endpoint.name}", persist_result=False)
def test_api_endpoint(
    endpoint: ApiEndpoint,
    contact: dict[str, Any] = {},
    audience: Audience = Audience(),  # not None, which a form would offer as another type
    contact_id: str = "",
    outputs: dict[str, Any] = {},
    workspace: str = "",
) -> State[Any]:
    """Send one real request of an endpoint, without retries, and report what came of it.

    Args:
        endpoint: The endpoint to test. It may be one that changes something: the request is real.
        contact: A sample contact, as JSON, such as {"id": "7", "email": "ana@example.com"}. Prefect stores it with
            the run. Empty: the contact of the audience, or the workspace's sample contact.
        audience: Where a contact is looked up by its id, so that no data of it is stored with the run.
        contact_id: The id of the contact in the audience.
        outputs: Outputs of earlier steps by output key, as JSON, such as {"customer_profile": {"plan": "pro"}}.
        workspace: The name of the workspace to test it in, if the endpoint names none.
    """
    try:
        context = sample_context(
            endpoint,
            contact=contact,
            audience=audience if audience.name or audience.describe() else None,
            contact_id=contact_id,
            outputs=outputs,
            workspace=workspace,
        )
        trial = try_endpoint(endpoint.prepare(context.workspace), context)
    except LeadpushError as error:
        code = str((isinstance(error, BlockInvalid) and error.reason) or "not_tested")
        _report(endpoint, refusal_report(endpoint.name, error), f"{code}: nothing was sent.")
        return Failed(name=code, message=_sentences(error))
    _report(endpoint, trial_report(endpoint.name, trial), f"{trial.code}: {cell(trial.sentence)}")
    return _state(trial)


def _report(endpoint: ApiEndpoint, page: str, verdict: str) -> None:
    # On a running loop, as in a notebook, it would give a coroutine; this way it writes in either world.
    create_markdown_artifact(  # type: ignore[call-arg]
        page, key=artifact_key(endpoint.name), description=verdict, _sync=True
    )


def _sentences(error: LeadpushError) -> str:
    return " ".join(map(str, error.problems)) if isinstance(error, BlockInvalid) else str(error)


def _state(trial: Trial) -> State[Any]:
    make = Completed if trial.failure is None else Failed
    return make(name=trial.code, message=trial.sentence)
