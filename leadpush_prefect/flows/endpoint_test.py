"""The flow "Test API endpoint": one real request from Prefect's UI, with a report that stays."""

# ruff: noqa: B006, B008, PT028  # the run form shows the defaults, and this is no test of pytest's

from __future__ import annotations

from typing import Any

from prefect import State, flow
from prefect.artifacts import create_markdown_artifact
from prefect.states import Completed, Failed

from leadpush_prefect.blocks import ApiEndpoint, Audience
from leadpush_prefect.blocks.sample_contact import sample_context
from leadpush_prefect.endpoints.endpoint_test import run_endpoint_test
from leadpush_prefect.errors import LeadpushError
from leadpush_prefect.reports.endpoint_test import EndpointTestReport, refused_test, report_test
from leadpush_prefect.reports.endpoint_test_page import endpoint_test_page, refused_test_page
from leadpush_prefect.reports.last_tests import artifact_description, artifact_key
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
        test = run_endpoint_test(endpoint.prepare(context.workspace), context)
    except LeadpushError as error:
        refused = refused_test(endpoint.name, error)
        _write_page(
            endpoint, refused_test_page(refused), artifact_description(refused.verdict, "nothing was sent.")
        )
        return Failed(name=refused.verdict, message=refused.sentence)
    report = report_test(endpoint.name, test)
    description = artifact_description(report.verdict, cell(report.sentence))
    _write_page(endpoint, endpoint_test_page(report), description)
    return _state(report)


def _write_page(endpoint: ApiEndpoint, page: str, description: str) -> None:
    # On a running loop, as in a notebook, it would give a coroutine; this way it writes in either world.
    create_markdown_artifact(  # type: ignore[call-arg]
        page, key=artifact_key(endpoint.name), description=description, _sync=True
    )


def _state(report: EndpointTestReport) -> State[Any]:
    make = Completed if report.test.failure is None else Failed
    return make(name=report.verdict, message=report.sentence)
