"""The key of a write in campaigns and in flows for one contact, and what is said of Prefect's retries without one."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from prefect import flow, task
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run

from leadpush_prefect import (
    ApiEndpoint,
    Audience,
    BlockInvalid,
    CampaignContext,
    CampaignRun,
    Workspace,
    afetch_api_data,
    fetch_api_data,
)
from leadpush_prefect.endpoints.idempotency import idempotency_key
from tests.support.flows import run_flow
from tests.support.raw_server import RawServer, each, respond


@pytest.fixture
def api() -> Iterator[RawServer]:
    """An API that takes orders; it is closed for contact 3."""
    with RawServer(
        each(lambda request: respond(status=400) if request.target == b"/3" else respond(b"", status=204))
    ) as server:
        yield server


def orders(api: RawServer, **fields: Any) -> ApiEndpoint:
    defaults = {"method": "POST", "idempotency_header": "Idempotency-Key"}
    return ApiEndpoint(url=api.url + "/{{ contact._id }}", **defaults | fields)


def keys(api: RawServer) -> list[tuple[str, str]]:
    """Of each request whom it was for, and its key."""
    return sorted(
        (request.target.decode()[1:], (request.header("Idempotency-Key") or b"").decode())
        for request in api.requests
    )


def person(number: int = 7, **changes: Any) -> CampaignContext:
    return CampaignContext(campaign="welcome", contact={"id": number}, **changes)


def campaign(endpoint: ApiEndpoint, acme: Workspace, **options: Any) -> State[Any]:
    def body() -> Any:
        people = Audience.from_contacts({"id": number} for number in range(6))
        with CampaignRun.start("orders", workspace=acme, audience=people, batches=2, **options) as run:
            for batch in run.batches():
                done = fetch_api_data.submit(
                    batch, endpoint, output_key="order", on_failure="continue", mock_response={}
                )
                fetch_api_data.submit(done, endpoint, output_key="again", node="second", mock_response={})
            return run.finish()

    return run_flow(body)


def test_campaign(api: RawServer, acme: Workspace) -> None:
    """Each contact has a key of its own at each node, made of run, node and contact."""
    assert campaign(orders(api), acme, run_id="run-k").name == "Completed with failures"
    nodes = ("order", "second")
    assert keys(api) == sorted(
        (str(n), idempotency_key("run-k", node, str(n))) for n in range(6) for node in nodes
    )


def test_simulated(api: RawServer, acme: Workspace) -> None:
    """A simulated run sends nothing, and needs no key; nor does a simulated contact outside of a flow."""
    assert campaign(orders(api), acme, simulate=True).name == "Simulated"
    context = fetch_api_data(
        person(workspace=acme, simulate=True), orders(api), output_key="order", mock_response={"id": 1}
    )
    assert (context.workflow["order"], api.requests) == ({"id": 1}, [])


def test_one_contact(api: RawServer, acme: Workspace) -> None:
    """In a flow, the flow run's id stands for the run's; another execution of it asks with the same key."""
    endpoint = orders(api)
    runs: list[str] = []

    def body() -> None:
        runs.append(str(flow_run.get_id()))
        fetch_api_data(person(workspace=acme), endpoint, output_key="order")
        fetch_api_data.submit(person(8, workspace=acme), endpoint, output_key="order").result()
        if len(runs) == 1:
            raise RuntimeError("once more")

    assert run_flow(body, retries=1).is_completed()
    assert len(set(runs)) == 1
    expected = [(str(n), idempotency_key(runs[0], "order", str(n))) for n in (7, 8)]
    assert keys(api) == sorted(expected * 2)


async def test_async(api: RawServer, acme: Workspace) -> None:
    """So it is in the awaitable twin."""
    endpoint = orders(api, method="PATCH")

    @flow
    async def one() -> str:
        await afetch_api_data(person(workspace=acme), endpoint, output_key="order", node="put")
        await endpoint.acall(person(8, workspace=acme))
        return str(flow_run.get_id())

    run_id = await one()
    assert keys(api) == [("7", idempotency_key(run_id, "put", "7")), ("8", idempotency_key(run_id, "", "8"))]


def test_call_and_build_request(api: RawServer, acme: Workspace) -> None:
    """Called by itself in a flow or a task, an endpoint's name stands for the node's; what is shown is what is sent."""
    endpoint = orders(api)
    endpoint.save("orders-k", overwrite=True)

    @task
    def call() -> None:
        assert endpoint.call(person(workspace=acme)) == {}

    def body() -> tuple[str, str]:
        call()
        shown = endpoint.build_request(person(workspace=acme)).headers["Idempotency-Key"]
        return str(flow_run.get_id()), shown

    run_id, shown = run_flow(body).result()
    assert keys(api) == [("7", shown)] == [("7", idempotency_key(run_id, "orders-k", "7"))]


def test_contact_of_a_batch(api: RawServer, acme: Workspace) -> None:
    """A contact that a run's batch gives belongs to that run, whatever the flow run."""
    endpoint = orders(api)

    @task
    def by_hand(batch: Any) -> None:
        for context in batch.contexts():
            batch.store(context, "order", endpoint.call(context))

    def body() -> Any:
        people = Audience.from_contacts([{"id": 1}])
        with CampaignRun.start("by-hand", workspace=acme, audience=people, run_id="run-h") as run:
            for batch in run.batches():
                by_hand(batch)
            return run.finish()

    assert run_flow(body).name == "Completed"
    assert keys(api) == [("1", idempotency_key("run-h", "", "1"))]


@pytest.mark.parametrize(
    "ask",
    [
        lambda endpoint, context: endpoint.build_request(context),
        lambda endpoint, context: endpoint.call(context),
        lambda endpoint, context: fetch_api_data(context, endpoint, output_key="order"),
        lambda endpoint, context: fetch_api_data(
            context, endpoint, output_key="order", on_failure="continue"
        ),
    ],
    ids=["build_request", "call", "task", "task that goes on"],
)
def test_outside_of_a_flow(
    api: RawServer, acme: Workspace, ask: Callable[[ApiEndpoint, CampaignContext], Any]
) -> None:
    """There is nothing that the key could be of: the author is told to write the header, and nothing is sent."""
    with pytest.raises(BlockInvalid) as caught:
        ask(orders(api), person(workspace=acme))
    [problem] = caught.value.problems
    assert problem.field == "idempotency_header"
    assert "`headers`" in problem.remedy
    assert api.requests == []


def test_a_header_of_the_authors_own(api: RawServer, acme: Workspace) -> None:
    """So they may, and it is sent as it is written."""
    own = {"Idempotency-Key": "welcome-{{ contact._id }}"}
    orders(api, idempotency_header="", headers=own).call(person(workspace=acme))
    assert keys(api) == [("7", "welcome-7")]


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if "without a key" in record.getMessage()]


@pytest.mark.parametrize(
    ("fields", "flow_retries", "task_retries", "warnings"),
    [
        ({"idempotency_header": ""}, 0, 1, ["its task has retries=1"]),
        ({"idempotency_header": "", "method": "PATCH"}, 2, 0, ["its flow has retries=2"]),
        ({"idempotency_header": ""}, 0, 0, []),
        ({}, 2, 1, []),
        ({"idempotency_header": "", "method": "PUT"}, 2, 1, []),
    ],
    ids=["task", "flow", "neither", "key", "PUT"],
)
def test_warning(
    fields: dict[str, Any],
    flow_retries: int,
    task_retries: int,
    warnings: list[str],
    api: RawServer,
    acme: Workspace,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Where Prefect may send a write again, the log says it: once for a node, however many contacts there are."""
    endpoint, fetch = orders(api, **fields), fetch_api_data.with_options(retries=task_retries)

    def body() -> None:
        for number in range(1, 3):
            fetch(person(number, workspace=acme), endpoint, output_key="order")

    with caplog.at_level(logging.WARNING):
        assert run_flow(body, retries=flow_retries).is_completed()
    assert len(said(caplog)) == len(warnings)
    for sentence, who in zip(said(caplog), warnings, strict=True):
        assert sentence.startswith(f"Step order: {who}, ")
        assert "idempotency_header" in sentence


def test_warning_of_a_call(api: RawServer, acme: Workspace, caplog: pytest.LogCaptureFixture) -> None:
    """A task of one's own that calls an endpoint is warned of too; outside of Prefect there is nothing to warn of."""
    endpoint = orders(api, idempotency_header="")

    @task(retries=1)
    def call() -> None:
        endpoint.call(person(workspace=acme))

    with caplog.at_level(logging.WARNING):
        endpoint.call(person(workspace=acme))
        assert said(caplog) == []
        assert run_flow(lambda: [call(), call()]).is_completed()
    assert len(said(caplog)) == 1
