"""`leadpush endpoints test`: whose contact it takes, and what it shows of the request."""

from __future__ import annotations

import gzip
import json
from asyncio import StreamWriter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from prefect.types import SecretDict

from leadpush_prefect import ApiEndpoint, Audience, Workspace
from leadpush_prefect.cli import main
from leadpush_prefect.flows import endpoint_test
from tests.support.raw_server import RawServer, Reader, echo, mute
from tests.support.shown import versions

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
        Workspace(allowed_networks=["127.0.0.0/8"], sample_contact=sample).save("cli-tests", overwrite=True)
        ApiEndpoint(
            workspace="cli-tests",
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
    response = json.loads(printed)
    assert ["connect", "first byte", "body"] == list(response["phases_milliseconds"])
    assert ["X-Key", "********"] in response["output"]["headers"]

    with RawServer(mute) as server:
        silent = ApiEndpoint(workspace="cli-tests", url=server.url + "/", timeout_seconds=0.2)
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
    assert (True, None) == (tests["cli-tried"]["ok"], tests["cli-tried"]["reason"])
    _, printed = run()
    assert "UTC: OK" in " ".join(printed.split())


HEAD = b"HTTP/1.1 404 Not Found\r\nConnection: close\r\n"
PAGE = b"<p>Not here.</p>" * 6_250


@pytest.mark.parametrize(
    ("response", "shown", "size"),
    [
        (HEAD + b"Content-Length: 16\r\n\r\n" + PAGE[:16], " ms, 16 bytes.", (16, 16)),
        (HEAD + b"Content-Length: 100000\r\n\r\n" + PAGE, " ms, 100,000 bytes.", (100_000, 4_096)),
        (HEAD + b"\r\n" + PAGE, " ms, more than 4,096 bytes.", (None, 4_096)),
        (
            HEAD + b"Content-Encoding: gzip\r\nContent-Length: 300\r\n\r\n" + gzip.compress(PAGE)[:300],
            " ms, more than 4,096 bytes.",
            (None, 4_096),
        ),
        (HEAD + b"Content-Length: 100000\r\n\r\n" + PAGE[:99], " ms, 100,000 bytes.", (100_000, 99)),
    ],
    ids=["small", "declared", "not declared", "compressed", "broken off"],
)
def test_the_size_of_an_error(
    response: bytes, shown: str, size: tuple[int | None, int], run: Run, api: RawServer
) -> None:
    """Of an error's body the beginning is read: terminal, page and JSON tell the size of all of it, or that it is more
    than was read."""

    async def hang_up(reader: Reader, writer: StreamWriter) -> None:
        await reader.request()
        writer.write(response)

    with RawServer(hang_up) as server:
        ApiEndpoint(workspace="cli-tests", url=server.url + "/").save("cli-large", overwrite=True)
        _, printed = run("test", "cli-large")
        assert shown in printed
        _, printed = run("test", "cli-large", "--json")
        told = json.loads(printed)
        assert size == (told["bytes"], told["bytes_read"])
        flow: Any = endpoint_test.test_api_endpoint
        flow(ApiEndpoint.load("cli-large", _sync=True), return_state=True)  # type: ignore[call-arg]
    assert shown in versions("endpoint-test-cli-large")[0]["data"]


def test_switched_as_json(run: Run, api: RawServer) -> None:
    """A script learns whether it changed anything."""
    for command, enabled, changed in (
        ("disable", False, True),
        ("disable", False, False),
        ("enable", True, True),
    ):
        _, printed = run(command, "cli-tried", "--json")
        assert {"name": "cli-tried", "enabled": enabled, "changed": changed} == json.loads(printed)
