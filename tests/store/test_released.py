"""What a released version has left in a database is used by this one: read, exported, and gone on with."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from prefect import flow
from prefect.settings import PREFECT_HOME, temporary_settings

from leadpush_prefect import ApiEndpoint, Audience, CampaignRun, Workspace, fetch_api_data, render_template
from leadpush_prefect.cli import main
from tests.support.raw_server import RawServer, respond
from tests.support.store import load_released

pytestmark = [
    # Prefect leaves its sockets to its server open when an event loop ends.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

PROFILES = {
    "1": '{"plan": "pro", "price": 1.10, "name": "Zoë"}',
    "2": '{"plan": "free", "note": "O\\"Brien \\u0000 \\\\ tab\\t"}',
    "3": '{"plan": "pro", "big": 12345678901234567890.123}',
    "5": '{"plan": "😀"}',
    "6": '{"plan": "free"}',
}
MESSAGES = {"1": "Hi Ana: pro", "2": "Hi Bo: free", "3": "Hi Cy: pro", "5": "Hi Ed: 😀", "6": "Hi Fi: free"}


@pytest.fixture(params=["0.1.0", "version-2"])
def version(request: pytest.FixtureRequest, url: str, block: str, tmp_path: Path) -> Iterator[str]:
    """The database of a workspace, as the released version left it."""
    version: str = request.param
    load_released(url, version)
    with temporary_settings({PREFECT_HOME: tmp_path}):
        Workspace(database=block, allowed_networks=["127.0.0.0/8"]).save("released", overwrite=True)
        yield version


@pytest.fixture
def leadpush(
    version: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Any]:
    """Runs a command on the workspace; gives the JSON that it prints."""

    def command(*arguments: str) -> Any:
        monkeypatch.setattr("sys.argv", ["leadpush", *arguments, "--workspace", "released", "--json"])
        with pytest.raises(SystemExit, match="^0$"):
            main()
        return json.loads(capsys.readouterr().out)

    return command


def test_is_read(leadpush: Callable[..., Any], tmp_path: Path) -> None:
    """Its runs are listed and shown; outputs and failures are as they were stored."""
    runs = [(run["run_id"], run["status"], run["state"]) for run in leadpush("runs")]
    assert [
        ("half", "stopped", "ZeroDivisionError"),
        ("whole", "finished", "Completed with failures"),
    ] == runs

    shown = leadpush("runs", "show", "whole")
    assert [("profile", 5, {"http_status_404": 1}), ("message", 5, {})] == [
        (step["node"], step["fetched"], step["failed"]) for step in shown["summary"]["steps"]
    ]

    leadpush("runs", "export", "whole", "--to", str(tmp_path / "whole.jsonl"))
    lines = (tmp_path / "whole.jsonl").read_text("utf-8").splitlines()
    exported = {row["contact_id"]: row for row in map(json.loads, lines)}
    assert {id: json.loads(text) for id, text in PROFILES.items()} == {
        id: row["profile"] for id, row in exported.items() if row["profile"]
    }
    assert {id: row["message"] for id, row in exported.items() if row["message"]} == MESSAGES
    assert {"profile": "http_status_404"} == exported["4"]["failures"]
    assert '"price":1.10,' in lines[0]
    assert '"big":12345678901234567890.123' in lines[2]


def test_goes_on(version: str, prefect_server: None) -> None:
    """A run that it stopped goes on to its end: only those without outcome, and the one that failed, are asked
    for."""
    found: dict[str, Any] = {}

    @flow
    def released(api: str) -> Any:
        profile = ApiEndpoint(url=api + "/profile/{{ contact._id }}", max_attempts=1)
        # The contacts are those of the first execution; consent is older than a day, and so is read again.
        people = Audience.from_contacts([{"id": n} for n in range(8)])
        with CampaignRun.start("released", workspace="released", audience=people, run_id="half") as run:
            for batch in run.batches():
                done = fetch_api_data.submit(batch, profile, output_key="profile")
                message = "Hi {{ contact.attributes.name }}: {{ workflow.profile.plan }}"
                render_template.submit(done, message, output_key="message")
            state = run.finish()
            found.update(run.outputs(["message"]))
            return state

    with RawServer(respond(b'{"plan": "new"}')) as server:
        summary: Any = released(server.url)
        assert {"/profile/4", "/profile/5", "/profile/6"} == {r.target.decode() for r in server.requests}
    assert (7, 6, 0) == (summary.contacts, summary.completed, summary.stopped)
    new = {"4": "Hi Di: new", "5": "Hi Ed: new", "6": "Hi Fi: new"}
    assert {id: {"message": text} for id, text in (MESSAGES | new).items()} == found
