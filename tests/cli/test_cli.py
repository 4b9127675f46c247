"""The command line, as a person or a script calls it, against Prefect's server and a real API."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from leadpush_prefect import Audience, CampaignRun, Workspace
from leadpush_prefect.cli import main
from leadpush_prefect.errors import RunIncomplete
from tests.support.raw_server import RawServer, respond

Run = Callable[..., tuple[int, str, str]]

ENDPOINT = """\
workspace: cli
url: "{{ workspace.variables.api }}/customers/{{ contact.attributes.email }}"
headers: {Authorization: "Bearer {{ secrets.key }}"}
secrets: {key: {env: CLI_TEST_KEY}}
"""


@pytest.fixture
def run(
    prefect_server: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Run:
    """Run a command in an empty folder; gives its exit code and what it printed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def command(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["leadpush", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return ended.value.code, printed.out, printed.err

    return command


def write_blocks(api: str, endpoint: str = ENDPOINT) -> None:
    for folder in ("workspaces", "endpoints"):
        Path("blocks", folder).mkdir(parents=True, exist_ok=True)
    Path("blocks/workspaces/cli.yaml").write_text(
        f"variables: {{api: '{api}'}}\nallowed_networks: [127.0.0.0/8]\nmax_timeout_seconds: 12\n"
    )
    Path("blocks/endpoints/cli-profile.yaml").write_text(endpoint)


def test_apply_then_list(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Applied Blocks are saved with secrets from the environment, and listed by workspace with its limits."""
    monkeypatch.setenv("CLI_TEST_KEY", "s3cr3t-k3y")
    write_blocks("http://127.0.0.1:9")
    code, printed, _ = run("blocks", "apply")
    assert (0, True) == (code, "cli-profile" in printed)

    code, printed, _ = run("endpoints", "--json")
    [group] = [group for group in json.loads(printed) if group["workspace"] == "cli"]
    assert 12 == group["limits"]["max_timeout_seconds"]
    assert ["cli-profile"] == [endpoint["name"] for endpoint in group["endpoints"]]
    assert [] == group["endpoints"][0]["problems"]
    assert "s3cr3t" not in printed

    _, printed, _ = run("endpoints")
    assert "Workspace cli: timeout up to 12 s" in printed
    assert "s3cr3t" not in printed


def test_apply_saves_all_or_none(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file with problems is named with field and remedy, and no Block of the folder is saved."""
    monkeypatch.setenv("CLI_TEST_KEY", "s3cr3t-k3y")
    write_blocks("http://127.0.0.1:9", ENDPOINT.replace("workspace: cli", "workspace: none\nmethod: FETCH"))
    Path("blocks/workspaces/none.yaml").write_text("variables: {api: 'https://a.example'}\n")
    code, _, error = run("blocks", "apply")
    assert 2 == code
    assert "cli-profile.yaml" in error
    assert "method" in error

    _, printed, _ = run("endpoints", "--json")
    assert "none" not in [group["workspace"] for group in json.loads(printed)]


def test_apply_names_a_variable_that_is_not_set(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reference to the environment that leads nowhere is named with its file and field."""
    monkeypatch.delenv("CLI_TEST_KEY", raising=False)
    write_blocks("http://127.0.0.1:9")
    code, _, error = run("blocks", "apply")
    assert 2 == code
    assert "cli-profile.yaml: secrets.key: the environment variable CLI_TEST_KEY is not set." in " ".join(
        error.split()
    )


def test_endpoints_test(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """One real request: what was sent, with the secret masked, and the response."""
    monkeypatch.setenv("CLI_TEST_KEY", "s3cr3t-k3y")
    Path("contact.json").write_text('{"id": 7, "email": "a+b@example.com"}')
    with RawServer(respond(b'{"plan":"pro"}')) as server:
        write_blocks(server.url)
        run("blocks", "apply")
        code, printed, _ = run("endpoints", "test", "cli-profile", "--contact", "contact.json")
        [request] = server.requests
    assert 0 == code
    assert b"/customers/a%2Bb%40example.com" == request.target
    assert b"Bearer s3cr3t-k3y" == request.header("Authorization")
    assert "GET " + server.url + "/customers/a%2Bb%40example.com" in printed
    assert "curl " in printed
    assert "HTTP 200" in printed
    assert '"plan": "pro"' in printed
    assert "s3cr3t" not in printed


def test_endpoints_test_fails(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failed test says the reason, what to do and whether a campaign would have retried, and exits with 1."""
    monkeypatch.setenv("CLI_TEST_KEY", "s3cr3t-k3y")
    with RawServer(respond(b"<h1>s3cr3t-k3y is busy</h1>", status=503)) as server:
        write_blocks(server.url)
        run("blocks", "apply")
        code, printed, _ = run(
            "endpoints", "test", "cli-profile", "--contact", '{"id":7,"email":"a"}', "--json"
        )
    response = json.loads(printed)
    assert 1 == code
    assert 1 == len(server.requests)
    assert ("http_status_503", 503, True) == (
        response["reason"],
        response["http_status"],
        response["campaign_would_retry"],
    )
    assert "<h1>******** is busy</h1>" == response["excerpt"]
    assert response["remedy"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["endpoints", "test", "no-such-endpoint"],
        ["endpoints", "test", "no-such-endpoint", "--contact", "no-such-file"],
        ["runs", "show", "no-such-run"],
        ["runs", "delete"],
        ["runs", "delete", "no-such-run", "--yes"],
        ["blocks", "apply", "no-such-folder"],
        ["no-such-command"],
        ["runs", "--limit", "many"],
    ],
)
def test_what_cannot_be_done_exits_with_2(run: Run, arguments: list[str]) -> None:
    """Wrong usage and unknown names are one sentence on standard error, and exit code 2."""
    code, printed, error = run(*arguments)
    assert 2 == code
    assert error.strip()
    assert "Traceback" not in printed + error


def test_runs(run: Run) -> None:
    """A run is listed, shown by the beginning of its id, and by contact."""
    contacts = [{"id": "a"}, {"id": "b"}]
    with CampaignRun.start(
        "cli-runs", workspace=Workspace(), audience=Audience.from_contacts(contacts)
    ) as campaign:
        [batch] = campaign.batches()
        for context in batch.contexts():
            batch.store(context, "score", {"points": f"of {context.contact_id}"})
        campaign.finish()

    _, printed, _ = run("runs", "--json")
    assert campaign.id in [listed["run_id"] for listed in json.loads(printed)]
    _, printed, _ = run("runs")
    assert campaign.id[:18] in printed
    code, printed, _ = run("runs", "show", campaign.id[:13])
    assert (0, True) == (code, "2 contacts: 2 to the end" in printed)
    _, printed, _ = run("runs", "show", campaign.id, "--contact", "b", "--json")
    assert {"points": "of b"} == json.loads(printed)["score"]["output"]
    code, _, error = run("runs", "show", campaign.id, "--contact", "c")
    assert (2, True) == (code, "Contact c is not in run" in error)


def test_delete_runs(run: Run) -> None:
    """Runs are deleted when that is said twice, an unfinished one when it is said three times, one at work never."""
    contacts = Audience.from_contacts([{"id": "a"}])
    stopped = CampaignRun.start("cli-delete", workspace=Workspace(), audience=contacts)
    with pytest.raises(RunIncomplete), stopped:
        pass
    going = CampaignRun.start("cli-delete", workspace=Workspace(), audience=contacts)

    code, printed, _ = run("runs", "delete", stopped.id)
    assert (0, True) == (code, "1 run would be deleted" in printed)
    code, _, error = run("runs", "delete", going.id, "--yes")
    assert (2, True) == (code, "--unfinished" in error)
    code, _, error = run("runs", "delete", going.id, "--unfinished", "--yes")
    assert (2, True) == (code, going.id in error)
    code, printed, _ = run("runs", "delete", "--older-than-days", "1", "--yes", "--json")
    assert (0, False) == (code, stopped.id in json.loads(printed)["run_ids"])

    going._lease.release()  # as a crash leaves it
    code, printed, _ = run("runs", "delete", stopped.id, going.id, "--unfinished", "--yes", "--json")
    assert {"deleted": True, "run_ids": [stopped.id, going.id]} == json.loads(printed)
    _, printed, _ = run("runs", "--json")
    assert not {stopped.id, going.id} & {listed["run_id"] for listed in json.loads(printed)}
