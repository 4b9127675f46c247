"""`keep=` of Fetch API Data: what is stored, what later steps read, and what is refused before anything is sent."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import Engine

from leadpush_prefect import (
    ApiEndpoint,
    Audience,
    CampaignContext,
    CampaignRun,
    FetchFailed,
    StepRefused,
    Workspace,
    afetch_api_data,
    fetch_api_data,
    render_template,
)
from leadpush_prefect.reports.export import export_run
from leadpush_prefect.store.database import open_database
from leadpush_prefect.store.runs import find_run
from tests.support.flows import on_database, run_flow
from tests.support.raw_server import RawServer, each, respond

KEEP = ["plan", "account.id", "orders.total"]
ANSWER = (
    '{"plan": "pro", "email": "ana@example.com", "account": {"id": 12345678901234567890123, "iban": "DE00"}, '
    '"orders": [{"total": 1.10, "to": "Ana"}, {"to": "Ana"}]}'
)
STORED = '{"account":{"id":12345678901234567890123},"orders":[{"total":1.10},{}],"plan":"pro"}'
MESSAGE = (
    "{{ workflow.profile.plan }} {{ workflow.profile.account.id }} {{ workflow.profile.orders.0.total }}"
)
READ = "pro 12345678901234567890123 1.10"

Ask = Callable[[str], list[tuple[object, ...]]]


@pytest.fixture
def acme(acme: Workspace, block: str) -> Workspace:
    """The workspace, on either database."""
    return on_database(acme, block)


@pytest.fixture
def database(url: str) -> Engine:
    return open_database(url)


@pytest.fixture
def crm() -> Iterator[RawServer]:
    with RawServer(each(lambda request: respond(ANSWER.encode()))) as server:
        yield server


@pytest.fixture
def endpoint(crm: RawServer) -> ApiEndpoint:
    return ApiEndpoint(url=crm.url + "/{{ contact._id }}", max_attempts=1)


@pytest.mark.parametrize("simulate", [False, True])
def test_campaign(
    simulate: bool,
    endpoint: ApiEndpoint,
    crm: RawServer,
    acme: Workspace,
    database: Engine,
    rows: Ask,
    tmp_path: Any,
) -> None:
    """Only what is kept lies in the database, live and simulated, and later steps read it to the last digit."""
    later = ApiEndpoint(
        url=crm.url + "/{{ workflow.profile.account.id }}/{{ workflow.profile.orders.0.total }}",
        max_attempts=1,
    )

    def body() -> Any:
        audience = Audience.from_contacts({"id": n} for n in range(3))
        with CampaignRun.start("c", workspace=acme, audience=audience, simulate=simulate) as run:
            for batch in run.batches():
                one = fetch_api_data.submit(
                    batch, endpoint, output_key="profile", keep=KEEP, mock_response=ANSWER
                )
                two = fetch_api_data.submit(
                    one,
                    later,
                    output_key="whole",
                    when="workflow.profile.plan == 'pro'",
                    mock_response=ANSWER,
                )
                three = render_template.submit(two, MESSAGE, output_key="message")
                render_template.submit(
                    three, "{{ workflow.profile.email }}", output_key="lost", on_failure="continue"
                )
            run.finish()
            return run.id

    state = run_flow(body)
    stored = rows("SELECT DISTINCT step, output, code FROM leadpush_outcome ORDER BY step")
    assert stored == [
        (0, STORED, None),
        (1, ANSWER, None),  # the same endpoint's response, of which no part was named
        (2, json.dumps(READ), None),
        (3, None, "template_missing"),
    ]
    targets = {request.target for request in crm.requests}
    numbers = {b"/0", b"/1", b"/2", b"/12345678901234567890123/1.10"}
    assert targets == (set() if simulate else numbers)
    # What was received is counted in full.
    assert rows("SELECT DISTINCT bytes FROM leadpush_outcome WHERE step = 0") == [(len(ANSWER),)]

    [run_id] = {str(row[0]) for row in rows("SELECT run_id FROM leadpush_run")}
    run = find_run(database, run_id)
    assert run is not None and state.is_completed()
    export_run(database, run, tmp_path / "out.jsonl", paths=["profile"])
    for line in (tmp_path / "out.jsonl").read_text("utf-8").splitlines():
        assert f'"profile":{STORED}' in line


@pytest.mark.parametrize("simulate", [False, True])
async def test_one_contact(simulate: bool, endpoint: ApiEndpoint, acme: Workspace) -> None:
    """A contact by itself has the same output, of both tasks."""
    context = CampaignContext(workspace=acme, campaign="c", contact={"id": 1}, simulate=simulate)
    arguments: dict[str, Any] = {
        "output_key": "profile",
        "keep": KEEP,
        "mock_response": json.loads(ANSWER, parse_float=str),
    }
    if not simulate:
        del arguments["mock_response"]
    afters: list[Any] = [
        await asyncio.to_thread(fetch_api_data.fn, context, endpoint, **arguments),
        await afetch_api_data.fn(context, endpoint, **arguments),
    ]
    for after in afters:
        assert sorted(after.workflow["profile"]) == ["account", "orders", "plan"]
        assert after.workflow["profile"]["account"] == {"id": 12345678901234567890123}
        assert render_template.fn(after, MESSAGE) == READ
        with pytest.raises(FetchFailed, match="workflow.profile.account.iban is not there"):
            render_template.fn(after, "{{ workflow.profile.account.iban }}")


def test_what_is_no_output_is_none_with_keep(endpoint: ApiEndpoint, acme: Workspace) -> None:
    """A response that is none fails as it does without; one that has nothing of it is an empty output."""
    context = CampaignContext(workspace=acme, campaign="c", contact={"id": 1}, simulate=True)
    for mock, reason in (("{", "response_not_json"), ("1", "response_not_object_or_array")):
        with pytest.raises(FetchFailed, match=reason):
            fetch_api_data.fn(context, endpoint, output_key="a", keep=["plan"], mock_response=mock)
    after: Any = fetch_api_data.fn(
        context, endpoint, output_key="a", keep=["nothing"], mock_response={"plan": 1}
    )
    assert after.workflow["a"] == {}
    deep = '{"a":' * 200 + "1" + "}" * 200
    after = fetch_api_data.fn(context, endpoint, output_key="a", keep=["a.a"], mock_response=deep)
    assert list(after.workflow["a"]) == ["a"]


@pytest.mark.parametrize(
    ("keep", "error", "sentence"),
    [
        ("plan", TypeError, 'keep is .plan., and must be a list of paths, such as ."plan", "account.id".'),
        (None, TypeError, "keep is None, and must be a list"),
        ({"plan": 1}, TypeError, "must be a list"),
        ([1], TypeError, "keep has 1, and must have paths"),
        ([""], ValueError, "keep has the path ''"),
        (["account..id"], ValueError, "keep has the path 'account..id'"),
        (["plan", " account.id"], ValueError, "keep has the path ' account.id'"),
    ],
)
def test_wrong_paths(
    keep: Any,
    error: type[Exception],
    sentence: str,
    endpoint: ApiEndpoint,
    acme: Workspace,
    crm: RawServer,
    rows: Ask,
) -> None:
    """A wrong `keep` is refused in a sentence, for a contact and for a batch, before anything is sent or stored."""
    context = CampaignContext(workspace=acme, campaign="c", contact={"id": 1})
    with pytest.raises(error, match=sentence):
        fetch_api_data.fn(context, endpoint, output_key="profile", keep=keep)

    def body() -> None:
        with CampaignRun.start("c", workspace=acme, audience=Audience.from_contacts([{"id": 1}])) as run:
            fetch_api_data(run.batches()[0], endpoint, output_key="profile", keep=keep)

    state = run_flow(body)
    assert isinstance(state.result(raise_on_failure=False), error)
    assert (crm.requests, rows("SELECT * FROM leadpush_outcome")) == ([], [])


def test_a_step_keeps_the_same_in_a_run(endpoint: ApiEndpoint, acme: Workspace) -> None:
    """The same paths in another order, or twice, are the same step; other paths are another one."""

    def body() -> Any:
        with CampaignRun.start(
            "c", workspace=acme, audience=Audience.from_contacts([{"id": 1}, {"id": 2}]), batches=2
        ) as run:
            one, two = run.batches()
            fetch_api_data(one, endpoint, output_key="profile", keep=["plan", "account.id"])
            fetch_api_data(two, endpoint, output_key="profile", keep=["account.id", "plan", "plan"])
            with pytest.raises(StepRefused, match="Two different steps"):
                fetch_api_data(two, endpoint, output_key="profile", keep=["plan"])
            run.finish()

    assert run_flow(body).is_completed()
