"""What scripts read has the promised keys, and no others: `--json` of each command, events, exported files."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from inspect import signature
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
import yaml
from cyclopts import App
from prefect.blocks.system import Secret
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import BlockDocumentUpdate
from prefect.settings import PREFECT_HOME, temporary_settings
from pydantic import SecretStr

from leadpush_prefect import (
    ApiEndpoint,
    Audience,
    CampaignRun,
    RunSummary,
    Workspace,
    fetch_api_data,
    render_template,
)
from leadpush_prefect.cli import app, main
from leadpush_prefect.cli.demo.run import DemoResult
from leadpush_prefect.flows import endpoint_test
from leadpush_prefect.model.config import WorkspaceConfig
from leadpush_prefect.reports.campaign import campaign_report
from leadpush_prefect.runs.databases import database_of
from leadpush_prefect.store.runs import find_run
from leadpush_prefect.text.json_text import to_json
from tests.support.flows import run_flow
from tests.support.json_keys import KEYS, key_paths
from tests.support.raw_server import RawServer, Request, each, respond
from tests.support.shown import events, flow_run_id, flush_events
from tests.support.waiting import eventually

Run = Callable[..., Any]

FETCHED = 50


@dataclass(frozen=True)
class Campaign:
    """A run of which the first 50 contacts were fetched, and a message rendered; 70 failed at the API after that."""

    run_id: str
    summary: RunSummary
    events: list[Any]


def response(request: Request) -> bytes:
    return respond(status=200 if int(request.target[1:]) < FETCHED else 503)


@pytest.fixture(scope="module")
def campaign(prefect_server: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Campaign]:
    """A run, and Blocks of which there is something to say; afterwards they are gone, since other tests list all."""
    home = tmp_path_factory.mktemp("home")
    with temporary_settings({PREFECT_HOME: home}), RawServer(each(response)) as server:
        limits: Any = {"allowed_hosts": ["127.0.0.1"], "allowed_networks": ["127.0.0.0/8"]}
        Workspace(sample_contact={"id": FETCHED}, **limits).save("keys")
        Workspace().save("keys-wrong")
        spoil(Workspace, "keys-wrong", max_timeout_seconds=-1)
        fields: Any = {
            "url": server.url + "/{{ contact._id }}",
            "body": '{"a": "GET has none: it is warned of"}',
        }
        ApiEndpoint(workspace="keys", max_attempts=1, **fields).save("keys-crm")
        yield _run_campaign()
    with get_client(sync_client=True) as client:
        for document in client.read_block_documents():
            if (document.name or "").startswith("keys"):
                client.delete_block_document(document.id)


def spoil(kind: type[Any], name: str, **data: Any) -> None:
    """What is saved may be anything."""
    with get_client(sync_client=True) as client:
        saved = client.read_block_document_by_name(name, kind.get_block_type_slug())
        client.update_block_document(saved.id, BlockDocumentUpdate(data=data))


def _run_campaign() -> Campaign:
    def body() -> Any:
        audience = Audience.from_contacts({"id": n, "name": "Ana"} for n in range(120))
        with CampaignRun.start("keys", workspace="keys", audience=audience, batches=1) as run:
            for batch in run.batches():
                done = fetch_api_data.submit(batch, "keys-crm", output_key="profile")
                render_template.submit(done, "Hi", output_key="message")
            return run.finish()

    state = run_flow(body)
    run = flow_run_id(state)
    flush_events()
    assert eventually(lambda: events(run, "leadpush.campaign."))
    return Campaign(str(run), state.result(), events(run))


@pytest.fixture
def run(
    campaign: Campaign, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Run:
    """Run a command in an empty folder; gives the JSON that it prints."""
    monkeypatch.chdir(tmp_path)

    def command(*arguments: str) -> Any:
        monkeypatch.setattr("sys.argv", ["leadpush", *arguments, "--json"])
        with pytest.raises(SystemExit):
            main()
        return json.loads(capsys.readouterr().out)

    return command


FAILED_OF_STEP = {"steps[].failed", "summary.steps[].failed"}


def test_runs(run: Run, campaign: Campaign) -> None:
    assert KEYS["leadpush runs"] == key_paths(run("runs", "--workspace", "keys"))
    shown = run("runs", "show", campaign.run_id)
    assert KEYS["leadpush runs show"] == key_paths(shown, data=FAILED_OF_STEP)
    for contact in ("0", "100"):
        shown = run("runs", "show", campaign.run_id, "--contact", contact)
        assert KEYS["leadpush runs show --contact"] == key_paths(shown, data={""}, whole={"*.output"})
    assert KEYS["leadpush runs delete"] == key_paths(run("runs", "delete", campaign.run_id))


def test_exports(run: Run, campaign: Campaign) -> None:
    """Of each format; the columns of outputs have the names of their keys."""
    keys = KEYS["Exported files"] - {"*", "failures.*"}
    for name in ("run.jsonl", "run.csv", "run.parquet"):
        options = ("--to", name, "--attributes", "--path", "profile")
        told = run("runs", "export", campaign.run_id, *options)
        assert KEYS["leadpush runs export"] == key_paths(told)
    with Path("run.csv").open(encoding="utf-8", newline="") as file:
        assert keys | {"profile", "failures"} == set(next(csv.reader(file)))
    assert keys | {"profile", "failures"} == set(pyarrow.parquet.read_schema("run.parquet").names)
    lines = [json.loads(line) for line in Path("run.jsonl").read_text("utf-8").splitlines()]
    found = key_paths(lines, data={"[].failures"}, whole={"[].attributes", "[].profile"})
    assert {f"[].{key}" for key in keys | {"profile", "failures.*"}} == found


def test_endpoints(run: Run, campaign: Campaign) -> None:
    flow: Any = endpoint_test.test_api_endpoint
    endpoint: Any = ApiEndpoint.load("keys-crm")
    assert flow(endpoint, return_state=True).is_failed()
    assert KEYS["leadpush endpoints"] == key_paths(run("endpoints"))
    for contact in ('{"id": 0}', '{"id": 100}'):
        told = run("endpoints", "test", "keys-crm", "--contact", contact)
        found = key_paths(told, data={"phases_milliseconds"}, whole={"output"})
        assert KEYS["leadpush endpoints test"] == found
    for command in ("disable", "enable"):
        assert KEYS["leadpush endpoints enable, disable"] == key_paths(run("endpoints", command, "keys-crm"))


def test_blocks(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEYS_KEY", "s3cr3t-k3y")
    monkeypatch.setenv("KEYS_URL", "https://b.example/")
    Path("blocks/endpoints").mkdir(parents=True)
    long = "\n".join(f"line {n}" for n in range(40))
    headers = {"Content-Type": "text/plain"}
    ApiEndpoint(url="https://a.example/", body=f"{long}\nold", headers=headers).save(
        "keys-plan", overwrite=True
    )
    planned = {
        "url": {"env": "KEYS_URL"},
        "timeout_seconds": 5,
        "body": f"{long}\nnew",
        "headers": {**headers, "X-Key": "{{ secrets.key }}"},
        "secrets": {"key": {"env": "KEYS_KEY"}},
    }
    Path("blocks/endpoints/keys-plan.yaml").write_text(yaml.safe_dump(planned))
    for command in ("plan", "apply"):
        assert KEYS["leadpush blocks plan, apply"] == key_paths(run("blocks", command))

    spoil(ApiEndpoint, "keys-plan", max_attempts="many")
    Secret(value=SecretStr("s3cr3t-k3y")).save("keys-secret", overwrite=True)
    Path("blocks/endpoints/keys-plan.yaml").write_text("secrets: {key: {secret: keys-secret}}\n")
    found = key_paths([*run("blocks", "export", "blocks"), *run("blocks", "export", "elsewhere")])
    assert KEYS["leadpush blocks export"] == found
    assert KEYS["leadpush blocks migrate"] == key_paths(run("blocks", "migrate"))


def test_automations(run: Run) -> None:
    with get_client(sync_client=True) as client:
        client.create_deployment(client.create_flow_from_name("keys"), "keys")
    told = run("automations", "pause-when-failing", "keys/keys")
    assert KEYS["leadpush automations pause-when-failing"] == key_paths(told)


def test_demo(campaign: Campaign) -> None:
    """Of a run that is not the demo's; `tests/demo` has that."""
    record = find_run(database_of(WorkspaceConfig()), campaign.run_id)
    assert record is not None
    told = DemoResult(campaign_report(record, campaign.summary), 1.0, {}, ["x"]).as_json()
    assert KEYS["leadpush demo"] == key_paths(json.loads(to_json(told)), data=FAILED_OF_STEP)


def test_events(campaign: Campaign) -> None:
    failing, *_, end = campaign.events
    endpoint = KEYS["leadpush.endpoint.failing, leadpush.endpoint.recovered"]
    assert ("leadpush.endpoint.failing", endpoint) == (failing["event"], key_paths(failing["payload"]))
    assert "leadpush.campaign.completed" == end["event"]
    found = key_paths(end["payload"], data=FAILED_OF_STEP)
    assert KEYS["leadpush.campaign.completed, leadpush.campaign.failed"] == found


def test_each_command_that_prints_json_is_listed() -> None:
    """A command that takes `--json` has its keys here."""
    listed = set()
    for title in KEYS:
        first, *others = title.removeprefix("leadpush ").split(", ")
        listed |= {first, *(f"{first.rpartition(' ')[0]} {other}" for other in others)}
    assert set(_with_json(app)) <= listed


def _with_json(within: App, before: str = "") -> Iterator[str]:
    for name in within:
        if not name.startswith("-"):
            found = within[name]
            command = found.default_command
            if command is not None and "json" in signature(command).parameters:
                yield f"{before}{name}"
            yield from _with_json(found, f"{before}{name} ")
