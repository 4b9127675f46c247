"""`leadpush endpoints test`: whose contact it takes, and what it shows of the request."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from prefect.types import SecretDict

from leadpush_prefect import ApiEndpoint, Audience, Workspace
from leadpush_prefect.cli import main
from leadpush_prefect.flows import endpoint_test
from tests.support.raw_server import RawServer, echo, mute

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(
    prefect_server: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Run:
    """Run `leadpush endpoints ...` in an empty folder; gives its exit code and all that it printed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def command(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr("sys.argv", ["leadpush", "endpoints", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return ended.value.code, printed.out + printed.err

    return command


@pytest.fixture
def api(run: Run) -> Iterator[RawServer]:
    with RawServer(echo) as server:
        sample = {"id": "s1", "plan": "free"}
        Workspace(allowed_networks=["127.0.0.0/8"], sample_contact=sample).save("cli-trials", overwrite=True)
        ApiEndpoint(
            workspace="cli-trials",
            url=server.url + "/{{ contact._id }}/{{ contact.attributes.plan }}",
            headers={"X-Key": "{{ secrets.key }}"},
            secrets=SecretDict({"key": "s3cr3t-k3y"}),
        ).save("cli-tried", overwrite=True)
        yield server


def test_whose_contact(run: Run, api: RawServer) -> None:
    """The workspace's sample, one of an audience, or one that is given."""
    Path("customers.csv").write_text("id,plan\n1,pro\n2,max\n")
    Audience.from_file(Path("customers.csv").resolve()).save("cli-customers", overwrite=True)
    looked_up = ("--audience", "cli-customers", "--contact-id", "2")
    for options in ((), looked_up, (*looked_up, "--contact", '{"id": 3, "plan": "own"}')):
        code, printed = run("test", "cli-tried", *options)
        assert 0 == code, printed
    assert [b"/s1/free", b"/2/max", b"/3/own"] == [request.target for request in api.requests]

    for wrong in (("--contact-id", "2"), ("--audience", "cli-customers", "--contact-id", "9")):
        code, printed = run("test", "cli-tried", *wrong)
        assert 2 == code
        assert "Error" in printed


def test_phases(run: Run, api: RawServer) -> None:
    """The phases are told, as are the one that failed and how long a campaign would have waited; no secret is."""
    code, printed = run("test", "cli-tried")
    assert 0 == code
    assert all(phase in printed for phase in ("connect ", "first byte ", "body "))
    assert "s3cr3t" not in printed

    code, printed = run("test", "cli-tried", "--json")
    answer = json.loads(printed)
    assert ["connect", "first byte", "body"] == list(answer["phases_milliseconds"])
    assert ["X-Key", "********"] in answer["output"]["headers"]

    with RawServer(mute) as server:
        silent = ApiEndpoint(workspace="cli-trials", url=server.url + "/", timeout_seconds=0.2)
        silent.save("cli-silent", overwrite=True)
        code, printed = run("test", "cli-silent")
        assert 1 == code
        assert "failed here" in printed
        assert "A campaign would have tried again, after 0.25 s at most." in " ".join(printed.split())


def test_last_test(run: Run, api: RawServer) -> None:
    """The list says when each endpoint was last tested in Prefect, and what came of it."""
    endpoint_test.test_api_endpoint(ApiEndpoint.load("cli-tried", _sync=True))  # type: ignore[call-arg, arg-type]
    _, printed = run("--json")
    tests = {e["name"]: e["last_test"] for group in json.loads(printed) for e in group["endpoints"]}
    assert "OK" == tests["cli-tried"]["code"]
    _, printed = run()
    assert "UTC: OK" in " ".join(printed.split())
