"""Names and ids of somebody who means harm, on their way into events: refused in a sentence, or text like any other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from prefect.events import Event
from prefect.types import SecretDict
from sqlalchemy import Engine, text

from leadpush_prefect import ApiEndpoint, Audience, CampaignRun, Workspace, fetch_api_data, render_template
from leadpush_prefect.errors import BlockInvalid
from leadpush_prefect.model.config import WorkspaceConfig
from leadpush_prefect.text.display import visible
from tests.support.flows import run_flow
from tests.support.needles import Searched
from tests.support.raw_server import RawServer, Request, each, respond
from tests.support.shown import ask, events, flow_run_id, flush_events
from tests.support.waiting import eventually

ENDPOINT = "hostile-names"
SECRET = "hst-9c'41d7/e2"

UNSEEN = {
    "nul": "a\x00b",
    "half a pair": "a\ud800b",
    "escape": "\x1b[31m\x1b]8;;https://evil.example\x07",
    "c1": "\x9b31m",
    "direction": "a\u202eb",
    "line": "a\r\nb",
    "long": "x" * 100_000,
}

# What may be a name, and means something to a page, a template, a shell, a database or Prefect.
SPOKEN = [
    "<script>alert(1)</script><img src=x onerror=alert(1)>![x](javascript:alert(1))|`",
    "{{ 7*7 }}{% for x in [1] %}{{ flow_run.parameters }}{% endfor %} ${HOME} $(id) '; DROP TABLE event; --",
    "../../prefect.flow-run.*",
]


@pytest.mark.parametrize("name", UNSEEN.values(), ids=UNSEEN)
@pytest.mark.parametrize("what", ["campaign", "run_id", "workspace"])
def test_a_name_is_refused(
    what: str, name: str, database: Engine, rows: Callable[[str], list[tuple[object, ...]]]
) -> None:
    """Before anything is stored; the sentence is short, and can be seen."""
    given: Any = {"campaign": "c", "run_id": "r", "workspace": WorkspaceConfig()}
    given[what] = WorkspaceConfig(name=name) if what == "workspace" else name
    with pytest.raises(ValueError, match=f"^{what} ") as refused:
        CampaignRun.start(audience=Audience.from_contacts([{"id": "a"}]), **given)
    said = str(refused.value)
    assert said == visible(said)
    assert len(said) < 400
    assert rows("SELECT * FROM leadpush_run") == []


@pytest.mark.parametrize("name", [*UNSEEN.values(), *SPOKEN], ids=lambda name: repr(name[:12]))
def test_a_name_is_no_address(name: str, acme: Workspace) -> None:
    """Of a Block: Prefect's API is not asked for it, whatever its URL would become."""
    audience = Audience.from_contacts([])
    with pytest.raises(BlockInvalid, match="There is no") as unknown:
        CampaignRun.start("c", workspace=name, audience=audience)
    assert len(str(unknown.value)) < 1_000
    said = [str(unknown.value)]
    if name != UNSEEN["long"]:
        with pytest.raises(BlockInvalid, match="is no name") as unsaved:
            ApiEndpoint(url="https://api.example/").save(name)
        said.append(str(unsaved.value))
    assert said == [visible(one) for one in said]


@pytest.mark.parametrize("node", UNSEEN.values(), ids=UNSEEN)
def test_a_node_is_refused(node: str, acme: Workspace) -> None:
    """By the step; what the flow run, its tasks and the event then say of it can be seen."""

    def body() -> Any:
        audience = Audience.from_contacts([{"id": "a"}])
        with CampaignRun.start("c", workspace="acme", audience=audience) as run:
            render_template.submit(run.batches()[0], "x", output_key="message", node=node)
            return run.finish()

    state = run_flow(body)
    run = flow_run_id(state)
    said = state.message or ""
    assert "control character" in said or "longer than" in said
    tasks = ask("POST", "/task_runs/filter", {"flow_runs": {"id": {"any_": [str(run)]}}})
    for shown in (said, *(task["name"] for task in tasks), *(task["state"]["message"] for task in tasks)):
        assert shown == visible(shown)
        assert len(shown) < 2_000
    [event] = told(run)
    assert event["event"] == "leadpush.campaign.failed"
    assert event["payload"]["steps"] == []


def told(run: Any) -> list[Any]:
    """All events of a run that has ended."""
    flush_events()
    assert eventually(lambda: events(run, "leadpush.campaign."))
    return events(run)


def repeats(request: Request) -> bytes:
    """An API that fails, and says all that it was asked."""
    return respond(request.target + request.body, status=503)


@pytest.fixture
def endpoint(acme: Workspace) -> Iterator[str]:
    with RawServer(each(repeats)) as server:
        ApiEndpoint(
            workspace="acme",
            method="POST",
            url=server.url + "/{{ contact._id }}",
            headers={"Authorization": "Bearer {{ secrets.key }}"},
            query={"email": "{{ contact.attributes.email }}", "key": "{{ secrets.key }}"},
            body='{"name": "{{ contact.attributes.name }}"}',
            secrets=SecretDict({"key": SECRET}),
            max_attempts=1,
        ).save(ENDPOINT, overwrite=True)
        yield ENDPOINT


@pytest.mark.parametrize("name", SPOKEN, ids=["page", "template", "address"])
def test_an_event_is_text(name: str, endpoint: str) -> None:
    """The campaign's name stands in it as it is; of contacts there is nothing, not even the id; nothing else is
    related to it than was there."""
    people = {f"{what} {n}": f"{what}{n}x7q Ñ" for n in range(60) for what in ("email", "name")}
    ids = {f"id {n}": f"{name} idx7q{n}" for n in range(60)}

    def body() -> Any:
        contacts = [
            {"id": ids[f"id {n}"], "email": people[f"email {n}"], "name": people[f"name {n}"]}
            for n in range(60)
        ]
        audience = Audience.from_contacts(contacts)
        with CampaignRun.start(
            name, workspace="acme", audience=audience, run_id=f"{name} {endpoint}"
        ) as campaign:
            for batch in campaign.batches():
                fetch_api_data.submit(batch, endpoint, output_key="profile")
            return campaign.finish()

    run = flow_run_id(run_flow(body))
    failing, end = told(run)
    assert [failing["event"], end["event"]] == ["leadpush.endpoint.failing", "leadpush.campaign.completed"]
    assert failing["payload"]["campaign"] == end["payload"]["campaign"] == name
    assert end["resource"] == {
        "prefect.resource.id": f"leadpush.campaign.{name}",
        "prefect.resource.name": name,
    }
    assert failing["resource"]["prefect.resource.id"] == f"leadpush.endpoint.{ENDPOINT}"
    searched = Searched(people | ids | {"secret": SECRET})
    for event in (failing, end):
        read = Event.model_validate(event)
        assert {one.role for one in read.related} <= {"flow-run", "flow", "task-run", "endpoint", "workspace"}
        assert str(run) in [one.id.rpartition(".")[2] for one in read.related if one.role == "flow-run"]
        searched.search(event["event"], read.model_dump_json().encode())
    assert searched.found == {}


def test_what_others_wrote_is_seen(endpoint: str, database: Engine) -> None:
    """A node and a code that somebody has put into the database are text in the event, and short; a Block's name is no
    address."""
    hostile = UNSEEN["escape"] + UNSEEN["direction"] + "x" * 100_000

    def body() -> Any:
        audience = Audience.from_contacts({"id": n} for n in range(3))
        with CampaignRun.start("c", workspace="acme", audience=audience) as run:
            for batch in run.batches():
                render_template.submit(batch, "{{ contact.attributes.nope }}", output_key="message").wait()
            with database.begin() as others:
                others.execute(
                    text("UPDATE leadpush_step SET node = char(0) || :it, endpoint = '../../x'"),
                    {"it": hostile},
                )
                others.execute(text("UPDATE leadpush_outcome SET code = char(0) || :it"), {"it": hostile})
            return run.finish()

    [event] = told(flow_run_id(run_flow(body)))
    [step] = event["payload"]["steps"]
    for shown in (step["node"], *step["failed"]):
        assert shown == visible(shown)
        assert len(shown) < 300
    assert "endpoint" not in {one["prefect.resource.role"] for one in event["related"]}
