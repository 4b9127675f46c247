"""Fetch API Data for one contact: in flows of both kinds, in a notebook, submitted and mapped; live and
simulated."""

from __future__ import annotations

import asyncio
import logging
import pickle
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

import cloudpickle  # type: ignore[import-untyped]
import httpx
import pytest
from prefect import flow, unmapped
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from prefect.client.schemas.objects import State
from prefect.types import SecretDict

from leadpush_prefect import (
    ApiEndpoint,
    BlockInvalid,
    CampaignContext,
    FetchFailed,
    Reason,
    StepRefused,
    Workspace,
    afetch_api_data,
    fetch_api_data,
    render_template,
)
from leadpush_prefect.blocks.loading import load_block
from leadpush_prefect.campaigns.task import CampaignTask
from leadpush_prefect.testing import use_transport
from tests.prefect.conftest import profile
from tests.support.flows import run_flow
from tests.support.raw_server import RawServer, each

NEVER = "https://never.example/"


def context(workspace: Workspace | str, number: int = 1, **changes: Any) -> CampaignContext:
    contact = {"id": number, "first_name": "Ana", "email": "ana@example.com"}
    return CampaignContext(workspace=workspace, campaign="welcome", contact=contact, **changes)


@pytest.fixture(scope="module")
def shared_api() -> Iterator[RawServer]:
    with RawServer(each(profile)) as server:
        yield server


@pytest.fixture(scope="module")
def saved(shared_api: RawServer, acme: Workspace) -> ApiEndpoint:
    block = ApiEndpoint(workspace="acme", url=shared_api.url + "/profile/{{ contact._id }}", max_attempts=1)
    block.save("profile", overwrite=True)
    return block


@pytest.fixture
def api(shared_api: RawServer) -> RawServer:
    """The API, with no request so far. Saving an endpoint for each test would take as long as the tests."""
    shared_api._requests.clear()
    return shared_api


@pytest.fixture
def endpoint(saved: ApiEndpoint, api: RawServer) -> ApiEndpoint:
    return saved


def failure(body: Callable[[], Any]) -> tuple[Any, str]:
    """The exception that ended a flow, and its state's message."""
    state = run_flow(body)
    assert state.is_failed()
    return state.result(raise_on_failure=False), str(state.message)


def test_sync_flow(endpoint: ApiEndpoint, api: RawServer) -> None:
    """Names stand for Blocks; the context with the output is the next step's; it does not change the first
    one."""

    def body() -> Any:
        first = context("acme", 3)
        after = fetch_api_data(first, "profile", output_key="profile")
        assert (dict(first.workflow), after.workflow["profile"]) == ({}, {"id": 3, "plan": "pro"})
        return render_template(after, "{{ contact.attributes.first_name }}: {{ workflow.profile.plan }}")

    assert run_flow(body).result() == "Ana: pro"
    assert [request.target for request in api.requests] == [b"/profile/3"]


async def test_async_flow(endpoint: ApiEndpoint, api: RawServer) -> None:
    """The awaitable twin, many at once; Blocks and workspaces are found by name on a running loop too."""

    @flow
    async def welcome() -> list[Any]:
        contexts = [context("acme", number) for number in range(5)]
        fetched = await asyncio.gather(
            *(afetch_api_data(one, "profile", output_key="profile") for one in contexts)
        )
        return [render_template(one, {"plan": "{{ workflow.profile.plan }}"}) for one in fetched]

    assert await welcome() == [{"plan": "pro" if number % 2 else "free"} for number in range(5)]
    assert len(api.requests) == 5


def test_notebook(endpoint: ApiEndpoint) -> None:
    """Without a flow the tasks work as well."""
    after = fetch_api_data(context("acme", 3), endpoint, output_key="profile")
    assert after.workflow["profile"]["plan"] == "pro"
    assert render_template(after, ["{{ workflow.profile.id }}"]) == [3]


async def test_notebook_on_a_loop(endpoint: ApiEndpoint) -> None:
    """A notebook has a running loop: the twin works there without a flow."""
    after = await afetch_api_data(context("acme", 3), "profile", output_key="profile")
    assert after.workflow["profile"]["plan"] == "pro"


async def test_sync_task_on_a_loop_refuses(endpoint: ApiEndpoint, api: RawServer) -> None:
    """A sync task on a running loop would block it: it names what to call. Submitted, it runs in a thread."""

    @flow
    async def welcome() -> Any:
        with pytest.raises(RuntimeError, match=r"await afetch_api_data\(\.\.\.\)"):
            fetch_api_data(context("acme"), "profile", output_key="profile")
        with pytest.raises(RuntimeError, match="afetch_api_data"):
            fetch_api_data.with_options(retries=1)(context("acme"), "profile", output_key="profile")
        future = fetch_api_data.submit(context("acme"), "profile", output_key="profile")
        return future.result().workflow["profile"]["plan"]

    assert await welcome() == "pro"
    assert len(api.requests) == 1


async def test_cancelling_stops_the_request(acme: Workspace) -> None:
    """A cancelled task's request ends: the server sees the client go."""
    from tests.support.raw_server import mute

    with RawServer(mute) as server:
        endpoint = ApiEndpoint(url=server.url, max_attempts=1)
        task = asyncio.create_task(afetch_api_data.fn(context(acme), endpoint, output_key="profile"))
        await server.until(lambda: server.open_now == 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await server.until(lambda: server.open_now == 0)


def test_submit_and_map(endpoint: ApiEndpoint) -> None:
    """`.submit` gives a future of the context, on which the next step waits; `.map` takes Blocks as
    `unmapped`."""

    def body() -> Any:
        future = fetch_api_data.submit(context("acme", 3), endpoint, output_key="profile")
        message = render_template.submit(future, "{{ workflow.profile.plan }}").result()
        mapped = fetch_api_data.map(
            [context("acme", number) for number in (1, 2)], unmapped(endpoint), output_key="profile"
        )
        return [message, *(after.workflow["profile"]["plan"] for after in mapped.result())]

    assert run_flow(body).result() == ["pro", "pro", "free"]


def test_task_run_names(endpoint: ApiEndpoint) -> None:
    """A task run is called after its node and contact."""

    def body() -> None:
        after = fetch_api_data(context("acme", 12), endpoint, output_key="profile")
        fetch_api_data(after, endpoint, output_key="again", node="second_look")
        render_template(after, "Hi")

    state = run_flow(body)
    wanted = {"Fetch API Data profile 12", "Fetch API Data second_look 12", "Render Template 12"}
    assert wanted == task_run_names(state, wanted)


def task_run_names(state: State[Any], wanted: set[str]) -> set[str]:
    """As the server knows them; its events take a moment to get there, on a busy machine many seconds."""
    flow_run_id = state.state_details.flow_run_id
    assert flow_run_id
    of_flow_run = FlowRunFilter(id=FlowRunFilterId(any_=[flow_run_id]))
    names: set[str] = set()
    deadline = time.monotonic() + 60
    with get_client(sync_client=True) as client:
        while names != wanted and time.monotonic() < deadline:
            names = {run.name for run in client.read_task_runs(flow_run_filter=of_flow_run)}
            time.sleep(0.1)
    return names


def test_failure_stops(endpoint: ApiEndpoint) -> None:
    """on_failure="stop": the task fails with the reason as its state's message, and what to do."""
    error, message = failure(lambda: fetch_api_data(context("acme", 7), "profile", output_key="profile"))
    assert isinstance(error, FetchFailed)
    assert (error.reason, error.code, error.status, error.endpoint, error.contact_id) == (
        Reason.HTTP_STATUS,
        "http_status_404",
        404,
        "profile",
        "7",
    )
    assert "http_status_404 at endpoint profile for contact 7: The API answered with HTTP 404." in message
    assert Reason.HTTP_STATUS.remedy in message
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_failure_continues(endpoint: ApiEndpoint) -> None:
    """on_failure="continue": the key is absent, and later steps must cope."""

    def body() -> Any:
        after = fetch_api_data(context("acme", 7), endpoint, output_key="profile", on_failure="continue")
        assert "profile" not in after.workflow
        text = "{% if workflow.profile is defined %}known{% else %}unknown{% endif %}"
        missing = render_template(after, "{{ workflow.profile.plan }}", node="b", on_failure="continue")
        return render_template(after, text), missing

    assert run_flow(body).result() == ("unknown", None)


def test_when(endpoint: ApiEndpoint, api: RawServer) -> None:
    """A contact that does not meet the condition goes on without the output, and nothing is sent."""

    def body() -> Any:
        after = fetch_api_data(context("acme"), endpoint, output_key="a", when="contact._id == '1'")
        skipped = fetch_api_data(after, endpoint, output_key="b", when="workflow.a.plan == 'free'")
        message = render_template(skipped, "Hi", when="workflow.b is defined")
        return sorted(skipped.workflow), message

    assert run_flow(body).result() == (["a"], None)
    assert len(api.requests) == 1


@pytest.mark.parametrize(
    ("when", "reason"),
    [("workflow.a.plan == 'pro'", Reason.CONDITION_MISSING), ("contact.(", Reason.TEMPLATE_INVALID)],
)
def test_a_condition_that_cannot_be_decided(
    when: str, reason: Reason, endpoint: ApiEndpoint, api: RawServer
) -> None:
    """It is never silently false."""
    error, message = failure(lambda: fetch_api_data(context("acme"), endpoint, output_key="b", when=when))
    assert error.reason == reason
    assert str(reason) in message
    assert api.requests == []


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"output_key": ""}, "output_key is empty"),
        ({"output_key": "customer profile"}, "output_key 'customer profile' is no identifier"),
        ({"output_key": "class"}, "is no identifier"),
        ({"output_key": "a", "node": "1st"}, "node '1st' is no identifier"),
        ({"output_key": "a", "on_failure": "ignore"}, "must be 'stop' or 'continue'"),
    ],
)
def test_names_are_identifiers(arguments: dict[str, Any], sentence: str, acme: Workspace) -> None:
    """What a template could not read, or nobody understands, is refused by name."""
    with pytest.raises(ValueError, match=sentence):
        fetch_api_data.fn(context(acme), ApiEndpoint(url=NEVER), **arguments)


def test_an_output_is_not_overwritten(endpoint: ApiEndpoint, api: RawServer) -> None:
    """An output that is there, and a node that was, are refused by name, before anything is sent."""

    def taken() -> None:
        after = context("acme", workflow={"profile": {"plan": "pro"}})
        fetch_api_data(after, endpoint, output_key="profile")

    error, message = failure(taken)
    assert error.reason == Reason.OUTPUT_KEY_TAKEN
    assert "`profile`" in message

    def twice() -> None:
        after = fetch_api_data(context("acme"), endpoint, output_key="profile", on_failure="continue")
        fetch_api_data(after, endpoint, output_key="other", node="profile")

    error, message = failure(twice)
    assert isinstance(error, StepRefused)
    assert "already been through a step `profile`" in message
    assert len(api.requests) == 1


def test_simulated(acme: Workspace) -> None:
    """In a simulated context nothing is sent; a mock passes the checks of a response."""
    endpoint = ApiEndpoint(url=NEVER + "{{ contact._id }}", requests_per_second=0.001)
    simulated = context(acme, simulate=True)

    def mocked(mock: Any, status: int = 200) -> Any:
        after = fetch_api_data.fn(simulated, endpoint, output_key="a", mock_response=mock, mock_status=status)
        return after.workflow["a"]

    with use_transport(httpx.MockTransport(lambda request: pytest.fail("a request was sent"))):
        assert mocked({"plan": "pro"}) == {"plan": "pro"}
        assert mocked('[1, {"a": 1.10}]') == [1, {"a": 1.1}]
        for mock, status, code in [
            ("<html>", 200, "response_not_json"),
            ("5", 200, "response_not_object_or_array"),
            ({"a": 1}, 404, "http_status_404"),
            ({"a": 1}, 503, "http_status_503"),
            ({"a": 1}, 301, "redirect"),
            (["x" * 2_000_000], 200, "response_too_large"),
            (None, 200, "mock_missing"),
        ]:
            with pytest.raises(FetchFailed) as failed:
                mocked(mock, status)
            assert failed.value.code == code


async def test_simulated_async(acme: Workspace) -> None:
    """The twin does the same, and a template that cannot be rendered fails in a simulation too."""
    endpoint = ApiEndpoint(url=NEVER + "{{ contact.attributes.nothing }}")
    with pytest.raises(FetchFailed) as failed:
        await afetch_api_data.fn(context(acme, simulate=True), endpoint, output_key="a", mock_response={})
    assert failed.value.reason == Reason.TEMPLATE_MISSING


def test_a_mock_is_ignored_when_live(
    endpoint: ApiEndpoint, api: RawServer, caplog: pytest.LogCaptureFixture
) -> None:
    """In a live flow the API is asked, and one line of the log says that the mock is ignored."""

    def body() -> Any:
        plans = [
            fetch_api_data(context("acme", number), endpoint, output_key="a", mock_response={"plan": "mock"})
            for number in (1, 2, 3)
        ]
        return [after.workflow["a"]["plan"] for after in plans]

    with caplog.at_level(logging.WARNING):
        assert run_flow(body).result() == ["pro", "free", "pro"]
    assert [r.message for r in caplog.records if "mock_response is ignored" in r.message] == [
        "Step a: mock_response is ignored, since the run is live (simulate=False)."
    ]
    assert len(api.requests) == 3


def test_templates_of_every_kind(acme: Workspace) -> None:
    """A text gives text; an object or list gives its like, where a leaf that is one expression keeps its
    type."""
    after = context(acme, workflow={"p": {"points": 7, "tags": ["a"], "name": 'O"Brien'}})
    assert render_template.fn(after, "{{ workflow.p.name }} & {{ workflow.p.points }}") == 'O"Brien & 7'
    template = {
        "n": "{{ workflow.p.points }}",
        "t": ["{{ workflow.p.tags }}", "<{{ workflow.p.name }}>"],
        "k": 1,
    }
    assert render_template.fn(after, template) == {"n": 7, "t": [["a"], '<O"Brien>'], "k": 1}
    assert render_template.fn(after, ["{{ workspace.uuid }}", "{{ campaign.name }}"]) == ["w-1", "welcome"]
    for bad, reason in (
        ("{{ secrets.key }}", Reason.TEMPLATE_INVALID),
        ("{% if %}", Reason.TEMPLATE_INVALID),
    ):
        with pytest.raises(StepRefused) as refused:
            render_template.fn(after, bad)
        assert refused.value.reason == reason
    with pytest.raises(FetchFailed, match="template_missing"):
        render_template.fn(after, "{{ workflow.p.nothing }}")


def test_with_options(endpoint: ApiEndpoint) -> None:
    """with_options gives a task of the same kind, and leaves the one that it was made of as it was."""
    first: Any = fetch_api_data
    other: Any = first.with_options(name="Look up", retries=2, tags=["crm"])
    assert isinstance(other, CampaignTask)
    assert (other.instead, other.calls_endpoint) == (first.instead, True)
    assert (first.name, first.retries, first.tags) == ("Fetch API Data", 0, set())
    assert other.with_options(retries=3).instead == first.instead
    assert (other.name, other.retries) == ("Look up", 2)
    assert not other.persist_result
    after = run_flow(lambda: other(context("acme"), endpoint, output_key="a")).result()
    assert after.workflow["a"]["plan"] == "pro"


def test_retries_of_prefect(acme: Workspace) -> None:
    """Prefect's own `retries` try one contact again."""
    responses = iter([httpx.Response(500), httpx.Response(200, json={"n": 2})])
    endpoint = ApiEndpoint(url=NEVER, max_attempts=1)
    with use_transport(httpx.MockTransport(lambda request: next(responses))):
        task = fetch_api_data.with_options(retries=1)
        after = run_flow(lambda: task(context(acme), endpoint, output_key="a")).result()
    assert after.workflow["a"] == {"n": 2}


@pytest.mark.parametrize("task", [fetch_api_data, afetch_api_data, render_template])
def test_tasks_are_small_to_pickle(task: Any) -> None:
    """Process and Dask runners pickle a task by value: it is small, and comes back."""
    pickled = cloudpickle.dumps(task)
    print(f"{task.name}: {len(pickled)} bytes")
    assert len(pickled) < 10_000
    assert pickle.loads(pickled).name == task.name


def test_a_pickled_task_works(acme: Workspace) -> None:
    """And so does its copy, with a context that was pickled too."""
    copy = pickle.loads(cloudpickle.dumps(fetch_api_data))
    sent = pickle.loads(pickle.dumps(context(acme, simulate=True)))
    endpoint = ApiEndpoint(url=NEVER)
    assert copy.fn(sent, endpoint, output_key="a", mock_response={"n": 1}).workflow["a"] == {"n": 1}


def test_nothing_of_people_in_logs(acme: Workspace, caplog: pytest.LogCaptureFixture) -> None:
    """Neither a secret nor an attribute or a response shows in a log, a state's message, or an error's
    request."""
    endpoint = ApiEndpoint(
        url="https://api.example.com/{{ contact.attributes.email }}",
        headers={"Authorization": "Bearer {{ secrets.key }}"},
        secrets=SecretDict({"key": "s3cret-value"}),
        max_attempts=1,
    )
    page = httpx.MockTransport(lambda request: httpx.Response(500, text="s3cret-value of ana@example.com"))

    def body() -> None:
        fetch_api_data(context(acme), endpoint, output_key="a")

    with caplog.at_level(logging.DEBUG), use_transport(page):
        state = run_flow(body)
    error: Any = state.result(raise_on_failure=False)
    logs = "\n".join(record.getMessage() + str(record.exc_text or "") for record in caplog.records)
    for told in (logs, str(state.message), str(error), repr(error)):
        assert "s3cret" not in told
        assert "ana@example" not in told
    assert "http_status_500" in logs
    assert "s3cret" not in error.request
    assert "Authorization: Bearer ********" in error.request


def test_wrong_targets_and_endpoints(acme: Workspace) -> None:
    """What is neither a context nor a batch, and what is no endpoint, is refused in a sentence."""
    with pytest.raises(TypeError, match="must be a CampaignContext or a Batch"):
        fetch_api_data.fn({"id": 1}, ApiEndpoint(url=NEVER), output_key="a")
    with pytest.raises(TypeError, match="must be an ApiEndpoint or the name of one"):
        fetch_api_data.fn(context(acme), acme, output_key="a")
    with pytest.raises(TypeError, match="must be a CampaignContext or a Batch"):
        render_template.fn(5, "Hi")
    with pytest.raises(BlockInvalid, match="no Leadpush API Endpoint block named 'nothing'"):
        fetch_api_data.fn(context(acme), "nothing", output_key="a")
    with pytest.raises(BlockInvalid, match="workspace_mismatch"):
        fetch_api_data.fn(context(Workspace()), ApiEndpoint(workspace="acme", url=NEVER), output_key="a")


def test_blocks_are_loaded_side_by_side(acme: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """A step waits for its own endpoint and no other; two that want the same one load it once."""
    for name in ("slow", "quick"):
        ApiEndpoint(url=NEVER).save(name, overwrite=True)
    begun, go_on = threading.Event(), threading.Event()
    loaded: list[str] = []
    load = ApiEndpoint.load

    def counted(name: str, **options: Any) -> Any:
        loaded.append(name)
        if name == "slow":
            begun.set()
            assert go_on.wait(30)
        return load(name, **options)

    def body() -> list[object]:
        def ask(name: str) -> Future[ApiEndpoint]:
            return threads.submit(copy_context().run, load_block, ApiEndpoint, name, field="endpoint")

        with ThreadPoolExecutor(3) as threads:
            first = ask("slow")
            assert begun.wait(30)
            second = ask("slow")
            assert ask("quick").result(30).name == "quick"
            go_on.set()
            return [first.result(30) is second.result(30), sorted(loaded)]

    monkeypatch.setattr(ApiEndpoint, "load", counted)
    assert run_flow(body).result() == [True, ["quick", "slow"]]


def test_an_edit_counts_from_the_next_run(api: RawServer, acme: Workspace) -> None:
    """A Block is loaded once per flow run."""

    def save(path: str) -> None:
        ApiEndpoint(url=f"{api.url}/{path}/{{{{ contact._id }}}}").save("edited", overwrite=True)

    def body() -> None:
        save("first")
        after = fetch_api_data(context("acme"), "edited", output_key="a")
        save("second")
        fetch_api_data(after, "edited", output_key="b")

    run_flow(body)
    run_flow(lambda: fetch_api_data(context("acme"), "edited", output_key="a"))
    assert [request.target for request in api.requests] == [b"/first/1", b"/first/1", b"/second/1"]
