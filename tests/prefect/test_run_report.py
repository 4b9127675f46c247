"""What a campaign leaves in Prefect: the report under its key, the table of failures, and nothing of a contact."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from markdown_it import MarkdownIt
from prefect import flow
from prefect.types import SecretDict

from leadpush_prefect import (
    ApiEndpoint,
    Audience,
    CampaignRun,
    Workspace,
    afetch_api_data,
    fetch_api_data,
    render_template,
)
from leadpush_prefect.cli import main
from leadpush_prefect.reports import artifacts as run_report
from leadpush_prefect.reports import reporter
from leadpush_prefect.reports.artifacts import report_key
from tests.support.flows import run_flow
from tests.support.raw_server import RawServer, Request, each, respond
from tests.support.shown import artifacts, ask, events, flow_run_id, flush_events, versions
from tests.support.waiting import eventually

EMAIL, NAME, SECRET = "planted.person@example.com", "Plantagenet", "s3cr3t-planted-key"


def response(request: Request) -> bytes:
    """404 where the id ends in 7, a page where in 3; each speaks of the contact."""
    number = int(request.target.decode().split("?")[0].rsplit("/", 1)[-1])
    about = f"{NAME} {EMAIL} {SECRET}"
    if number % 10 == 7:
        return respond(json.dumps({"error": f"no {about}"}).encode(), status=404)
    if number % 10 == 3:
        return respond(f"<html>{about}</html>".encode())
    return respond(json.dumps({"plan": "pro" if number % 2 else "free", "about": about}).encode())


@pytest.fixture
def api() -> Iterator[RawServer]:
    with RawServer(each(response)) as server:
        yield server


@pytest.fixture
def endpoints(api: RawServer, acme: Workspace) -> list[str]:
    """Two saved endpoints, whose requests hold the contact's attributes and a secret."""
    names = ["report-profile", "report-offer"]
    for name in names:
        ApiEndpoint(
            workspace="acme",
            url=api.url + "/{{ contact._id }}?email={{ contact.attributes.email }}",
            headers={"Authorization": "Bearer {{ secrets.key }}", "X-Name": "{{ contact.attributes.name }}"},
            secrets=SecretDict({"key": SECRET}),
            max_attempts=1,
        ).save(name, overwrite=True)
    return names


def people(count: int) -> Audience:
    """`count` contacts, of whom each tenth, from 5 on, is not subscribed."""
    return Audience.from_contacts(
        {"id": n, "subscribed": n % 10 != 5, "name": NAME, "email": EMAIL} for n in range(count)
    )


def campaign(endpoints: list[str], name: str, **options: Any) -> Callable[..., Any]:
    """profile, then offer for those on plan pro, then a message."""

    def body(count: int = 40) -> Any:
        with CampaignRun.start(name, workspace="acme", audience=people(count), batches=2, **options) as run:
            for batch in run.batches():
                done = fetch_api_data.submit(batch, endpoints[0], output_key="profile")
                done = fetch_api_data.submit(
                    done, endpoints[1], output_key="offer", when="workflow.profile.plan == 'pro'"
                )
                render_template.submit(done, "Hi {{ contact.attributes.name }}", output_key="message")
            return run.finish()

    return body


def rows(page: str, heading: str) -> list[list[str]]:
    """The cells of the table under a heading, as a reader sees them."""
    cells: list[list[str]] = []
    tokens = (
        MarkdownIt("commonmark").enable("table").parse(page.split(f"## {heading}\n")[1].split("\n## ")[0])
    )
    for token in tokens:
        if token.type == "tr_open":
            cells.append([])
        if token.type == "inline" and cells:
            children = token.children or []
            cells[-1].append("".join(child.content for child in children))
    return cells


ARROW = re.compile(r'(\w+) -->\|"([\d,]+)"\| (\w+)')


def arrows(page: str) -> dict[tuple[str, str], int]:
    """From where to where how many contacts go in the picture. At each step as many arrive as leave."""
    found = {(a, b): int(n.replace(",", "")) for a, n, b in ARROW.findall(page)}
    arrive, leave = Counter[str](), Counter[str]()
    for (a, b), count in found.items():
        leave[a] += count
        arrive[b] += count
    for node in arrive.keys() & leave.keys():
        assert arrive[node] == leave[node], page
    [audience] = re.findall(r'audience\(\["audience: ([\d,]+)"\]\)', page)
    assert leave["audience"] == int(audience.replace(",", "")), page
    return found


def test_no_body(
    acme: Workspace, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """How many writes were answered without a body is said on the page, in its picture and in a terminal; where all
    have one, nothing is."""

    def body(url: str) -> Any:
        taken = ApiEndpoint(method="POST", url=url + "/taken")
        told = ApiEndpoint(method="POST", url=url + "/told")
        with CampaignRun.start("Silent (report)", workspace=acme, audience=people(200)) as run:
            for batch in run.batches():
                done = fetch_api_data.submit(batch, taken, output_key="taken")
                fetch_api_data.submit(done, told, output_key="told")
            return run.finish()

    silent = each(lambda r: respond(b"", status=201) if r.target == b"/taken" else respond(b"{}"))
    with RawServer(silent) as server:
        state = run_flow(body, server.url)
    page = artifacts(flow_run_id(state))["campaign-silent-report-report"]["data"]
    assert page.count("no body: 180") == 2
    assert "<br/>no body: 180" in page
    assert page.count("no body") == 2
    monkeypatch.setattr("sys.argv", ["leadpush", "runs", "show", state.result().run_id])
    with pytest.raises(SystemExit):
        main()
    assert "taken: no body: 180\n" in capsys.readouterr().out


def test_a_report_and_a_table_of_failures(endpoints: list[str]) -> None:
    """Counts by step, failures by reason with an example and what to do, the picture; the second run is a second
    version, and lists the first."""
    body = campaign(endpoints, "Renewal (report)")
    first = run_flow(body)
    shown = artifacts(flow_run_id(first))
    assert sorted(shown) == ["campaign-renewal-report-failures", "campaign-renewal-report-report"]
    page = shown["campaign-renewal-report-report"]["data"]
    steps = {row[0]: row[1:7] for row in rows(page, "Steps")[1:]}
    assert steps == {
        "profile": ["report-profile", "28", "0", "8", "0", "36"],
        "offer": ["report-offer", "8", "20", "0", "8", "8"],
        "message": ["", "28", "0", "0", "8", "0"],
    }
    by_code = {row[1]: (row[0], row[2], row[3]) for row in rows(page, "Failures")[1:]}
    assert by_code["http_status_404"][:2] == ("4", "profile")
    assert by_code["http_status_404"][2].startswith("contact 7: ")
    assert by_code["response_not_json"][2].startswith("contact 3: ")
    assert "- `http_status_404`: Read the response's beginning: `leadpush runs show RUN --contact ID`" in page
    assert "- `response_not_json`: Check the URL;" in page
    assert arrows(page) == {
        ("audience", "unsubscribed"): 4, ("audience", "step0"): 36, ("step0", "failed0"): 8,
        ("step0", "step1"): 28, ("step1", "step2"): 28, ("step2", "done"): 28,
    }  # fmt: skip
    assert "/blocks/block/" in page, "an endpoint is a link"
    table = json.loads(shown["campaign-renewal-report-failures"]["data"])
    assert [row["contact"] for row in table] == ["3", "7", "13", "17", "23", "27", "33", "37"]
    assert table[1]["reason"] == "http_status_404"
    assert "Earlier runs" not in page

    second = run_flow(body)
    latest = ask("GET", "/artifacts/campaign-renewal-report-report/latest")
    assert latest["flow_run_id"] == str(flow_run_id(second))
    assert len(versions("campaign-renewal-report-report")) == 2
    [earlier] = rows(latest["data"], "Earlier runs")[1:]
    assert earlier[1:] == [str(flow_run_id(first)), "40", "Completed with failures"]
    assert f"/runs/flow-run/{flow_run_id(first)}" in latest["data"]


def test_nothing_of_a_contact(endpoints: list[str], caplog: pytest.LogCaptureFixture) -> None:
    """No attribute and no secret in artifacts, log lines, events, or states of the flow and its tasks."""
    with caplog.at_level(logging.DEBUG, "leadpush"):
        run = flow_run_id(run_flow(campaign(endpoints, "private")))
    flush_events()
    sent = eventually(lambda: events(run, "leadpush.campaign."))
    assert sent
    these = {"flow_runs": {"id": {"any_": [str(run)]}}}
    shown = {
        "artifacts": artifacts(run),
        "events": sent,
        "tasks": ask("POST", "/task_runs/filter", these),
        "flow": ask("GET", f"/flow_runs/{run}"),
        "logs": ask("POST", "/logs/filter", {"logs": {"flow_run_id": {"any_": [str(run)]}}}),
        "lines": caplog.messages,
    }
    assert len(shown["tasks"]) == 6
    for where, found in shown.items():
        told = json.dumps(found)
        for planted in (EMAIL, quote(EMAIL), EMAIL.split("@")[0], NAME, SECRET):
            assert planted not in told, where


def test_more_failures_than_the_table_has_room_for(
    endpoints: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says so, and how to export them all."""
    monkeypatch.setattr(run_report, "MAX_FAILURES", 3)
    run = flow_run_id(run_flow(campaign(endpoints, "many")))
    table = artifacts(run)["campaign-many-failures"]
    assert [row["contact"] for row in json.loads(table["data"])] == ["3", "7", "13"]
    assert table["description"].startswith("The first 3 failures; ")
    assert f"leadpush runs export {run} --to run.csv" in table["description"]


ODD = "<b>|x|</b> \"q\" 'a' `c` $m$ [l](u) *s* \\ ```"


def test_names_that_are_markdown(endpoints: list[str], api: RawServer, acme: Workspace) -> None:
    """A contact's id, a run's and a campaign of any text are shown as they are; the picture keeps its lines."""
    contact_id, run_id = f"{ODD}\n# no heading\n7", f"{ODD} run"
    endpoint = ApiEndpoint(url=api.url + "/7", max_attempts=1)

    def body() -> Any:
        audience = Audience.from_contacts([{"id": contact_id}])
        with CampaignRun.start(ODD, workspace=acme, audience=audience, run_id=run_id) as run:
            fetch_api_data.submit(run.batches()[0], endpoint, output_key="profile")
            return run.finish()

    run = flow_run_id(run_flow(body))
    page = artifacts(run)[report_key(ODD)]["data"]
    tokens = MarkdownIt("commonmark").enable("table").parse(page)
    kinds = Counter(token.type for token in tokens)
    inline = Counter(child.type for token in tokens for child in token.children or [])
    assert (kinds["heading_open"], kinds["table_open"], kinds["fence"]) == (3, 2, 1)
    assert not kinds["html_block"] and not inline["html_inline"] and not inline["strong_open"] > 1
    assert inline["link_open"] == inline["em_open"] == 0
    [failure] = rows(page, "Failures")[1:]
    assert failure[:3] == ["1", "http_status_404", "profile"]
    assert failure[3].startswith(f"contact {ODD} # no heading 7: ")
    [picture] = [token.content for token in tokens if token.type == "fence"]
    node = re.compile(r'\w+(\(\["[\w :,]+"\]\)|\["[\w ?.<>/-]+"\])')
    for line in picture.splitlines()[1:]:
        assert node.fullmatch(line) or re.fullmatch(ARROW.pattern + r'(\(\["[\w ]+"\]\))?', line), line
    assert json.loads(artifacts(run)[report_key(ODD, "failures")]["data"])[0]["contact"] == contact_id


def test_unsubscribed_contacts_that_take_part(endpoints: list[str]) -> None:
    """They are no side arm of the picture."""
    run = flow_run_id(run_flow(campaign(endpoints, "all-of-them", include_unsubscribed=True)))
    found = arrows(artifacts(run)["campaign-all-of-them-report"]["data"])
    assert found["audience", "step0"] == 40
    assert ("audience", "unsubscribed") not in found


def test_failures_that_go_on(endpoints: list[str]) -> None:
    """The picture adds up where a failure does not stop the contact."""

    def body() -> Any:
        with CampaignRun.start("goes-on", workspace="acme", audience=people(40)) as run:
            [batch] = run.batches()
            done = fetch_api_data.submit(batch, endpoints[0], output_key="profile", on_failure="continue")
            render_template.submit(done, "Hi", output_key="message")
            return run.finish()

    page = artifacts(flow_run_id(run_flow(body)))["campaign-goes-on-report"]["data"]
    assert arrows(page)["step0", "step1"] == arrows(page)["step1", "done"] == 36
    assert "8 failed and went on" in page


def test_a_run_that_is_left(endpoints: list[str]) -> None:
    """Its report says so, and how far it came."""

    def body() -> Any:
        with CampaignRun.start("left", workspace="acme", audience=people(40), batches=2) as run:
            fetch_api_data.submit(run.batches()[0], endpoints[0], output_key="profile").wait()
            raise ZeroDivisionError

    page = artifacts(flow_run_id(run_flow(body)))["campaign-left-report"]["data"]
    assert page.startswith("# left: Stopped by ZeroDivisionError\n")
    found = arrows(page)
    assert found["audience", "step0"] == 18
    assert found["audience", "waiting"] == 18


def test_a_run_that_is_left_at_once(acme: Workspace) -> None:
    """What had come by then is stored a moment later, and the report counts it."""
    few = 5

    async def answers_a_few(request: Request) -> bytes:
        if int(request.target[1:]) >= few:
            await asyncio.Event().wait()
        return respond()

    with RawServer(each(answers_a_few)) as server:
        endpoint = ApiEndpoint(url=server.url + "/{{ contact._id }}", max_attempts=1, max_concurrency=4)

        def body() -> Any:
            audience = Audience.from_contacts({"id": n} for n in range(20))
            with CampaignRun.start("left-at-once", workspace=acme, audience=audience) as run:
                fetch_api_data.submit(run.batches()[0], endpoint, output_key="profile")
                server.wait_until(lambda: len(server.requests) == few + 4, 30)
                raise ZeroDivisionError

        page = artifacts(flow_run_id(run_flow(body)))["campaign-left-at-once-report"]["data"]
    assert arrows(page)["audience", "step0"] == few


def test_an_empty_audience(endpoints: list[str]) -> None:
    run = flow_run_id(run_flow(campaign(endpoints, "nobody"), 0))
    shown = artifacts(run)
    assert list(shown) == ["campaign-nobody-report"]
    assert "0 contacts" in shown["campaign-nobody-report"]["data"]
    assert arrows(shown["campaign-nobody-report"]["data"])["step2", "done"] == 0


def test_a_simulated_run(endpoints: list[str], api: RawServer) -> None:
    """It is marked as such."""
    run = flow_run_id(run_flow(campaign(endpoints, "rehearsal", simulate=True)))
    page = artifacts(run)["campaign-rehearsal-report"]["data"]
    assert page.startswith("# rehearsal: Simulated with failures\n")
    assert "simulated: 40 contacts" in page
    assert "mock_missing" in page
    assert api.requests == []


def test_without_a_report(endpoints: list[str], caplog: pytest.LogCaptureFixture) -> None:
    """`report=False` writes nothing."""
    run = flow_run_id(run_flow(campaign(endpoints, "quiet", report=False)))
    assert artifacts(run) == {}
    assert versions("campaign-quiet-report") == []


def test_an_async_flow(endpoints: list[str]) -> None:
    """The same in a flow on an event loop."""

    @flow
    async def campaign() -> Any:
        with CampaignRun.start("in-async", workspace="acme", audience=people(10)) as run:
            for batch in run.batches():
                afetch_api_data.submit(batch, endpoints[0], output_key="profile")
            return run.finish()

    made: Any = campaign
    state = asyncio.run(made(return_state=True))
    page = artifacts(flow_run_id(state))["campaign-in-async-report"]["data"]
    assert arrows(page)["step0", "done"] == 7


def test_outside_of_a_flow(endpoints: list[str]) -> None:
    """A notebook has no page to write to, and needs none."""
    with CampaignRun.start("notebook", workspace="acme", audience=people(10)) as run:
        for batch in run.batches():
            fetch_api_data(batch, endpoints[0], output_key="profile")
        assert run.finish().name == "Completed with failures"
    assert versions("campaign-notebook-report") == []


def test_prefect_fails_while_the_report_is_written(
    endpoints: list[str], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The campaign ends as it would; a line of the log says what is missing and where it can be read."""

    def refused(*_: Any, **__: Any) -> None:
        raise httpx.ConnectError("All connection attempts failed")

    monkeypatch.setattr(run_report, "create_markdown_artifact", refused)
    monkeypatch.setattr(reporter, "PATIENCE_SECONDS", 1.0)
    state = run_flow(campaign(endpoints, "no-page"))
    assert state.name == "Completed with failures"
    [line] = [
        m for m in caplog.messages if m.startswith("The campaign's report was not written (PrefectAway)")
    ]
    assert f"leadpush runs show {flow_run_id(state)}" in line
    assert artifacts(flow_run_id(state)) == {}


def test_a_second_execution_without_failures(api: RawServer, acme: Workspace) -> None:
    """Its table of failures is empty, over that of the first."""
    broken = [True]

    def fails_at_first(request: Request) -> bytes:
        return respond(status=404 if broken and request.target == b"/1" else 200)

    with RawServer(each(fails_at_first)) as server:
        endpoint = ApiEndpoint(url=server.url + "/{{ contact._id }}", max_attempts=1)

        def body() -> Any:
            with CampaignRun.start("twice", workspace=acme, audience=people(3), run_id="twice") as run:
                fetch_api_data.submit(run.batches()[0], endpoint, output_key="profile")
                return run.finish()

        assert run_flow(body).name == "Completed with failures"
        assert len(json.loads(versions("campaign-twice-failures")[0]["data"])) == 1
        broken.clear()
        assert run_flow(body).name == "Completed"
    assert json.loads(versions("campaign-twice-failures")[0]["data"]) == []
