"""Secrets and people's data stay where they belong: whole campaigns, after which all that is left of them is searched.

Secrets are planted in each place that can hold one, and attributes in each contact; an API repeats all of it in every
encoding. Then Prefect's database, the store, every file under the homes, and all that was logged and printed must have
no form of a secret. People's data are in the store, and in what somebody asked for it by a command.
"""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_URL, PREFECT_SERVER_DATABASE_CONNECTION_URL
from prefect.types import SecretDict
from prefect_sqlalchemy import ConnectionComponents, SqlAlchemyConnector, SyncDriver
from pydantic import SecretStr

from leadpush_prefect import ApiEndpoint, Workspace
from tests.support.needles import Searched
from tests.support.planted import PASSWORD, PEOPLE, SECRETS, database_text, response
from tests.support.raw_server import RawServer, Request, each
from tests.support.shown import ask, flush_events
from tests.support.waiting import eventually

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).parents[2]


async def silent_at_times(request: Request) -> bytes | None:
    if request.target.startswith((b"/timeout", b"/mute")):
        await asyncio.Event().wait()
    return response(request)


def plant(api: str, folder: Path) -> list[str]:
    """Save the Blocks, and write the audiences."""
    common: dict[str, Any] = {
        "variables": {"api": api},
        "allowed_networks": ["127.0.0.0/8"],
        "sample_contact": {"id": "c3", "email": "sample@example.com", "name": "Sam", "plan": "free"},
    }
    # As components: Prefect tells in its events what stands in a URL.
    unreachable = ConnectionComponents(
        driver=SyncDriver.POSTGRESQL_PSYCOPG2,
        username="leaks",
        password=SecretStr(PASSWORD["connector"]),
        host="127.0.0.1",
        port=9,
        database="leaks",
    )
    own = ConnectionComponents(driver=SyncDriver.SQLITE_PYSQLITE, database=str(folder / "own.db"))
    for name, components in {"unreachable": unreachable, "broken": unreachable, "own": own}.items():
        SqlAlchemyConnector(connection_info=components).save(f"leaks-{name}", overwrite=True)
    document = ask("GET", "/block_types/slug/sqlalchemy-connector/block_documents/name/leaks-broken")
    data = {"connection_info": {"driver": [], "password": PASSWORD["connector"], "database": 1}}
    with get_client(sync_client=True) as client:
        request: Any = client.request
        request(
            "PATCH", f"/block_documents/{document['id']}", json={"data": data, "merge_existing_data": False}
        )
    for name, database in {
        "leaks": "",
        "leaks-unreachable": "leaks-unreachable",
        "leaks-broken": "leaks-broken",
        "leaks-own-store": "leaks-own",
    }.items():
        Workspace(**common, database=database).save(name, overwrite=True)
    kinds: dict[str, dict[str, Any]] = {
        "echo-error": {},
        "success": {},
        "timeout": {"timeout_seconds": 0.3},
        "disconnect": {},
        "redirect": {},
        "followed": {"follow_redirects": True},
        "elsewhere": {"follow_redirects": True},
        "text": {},
        "form": {
            "headers": {
                "Authorization": "Basic {{ secrets.basic }}",
                "Content-Type": "application/x-www-form-urlencoded",
            },
            "body": "token={{ secrets.form }}&email={{ contact.attributes.email }}",
        },
        "template": {"body": '{"n": "{{ contact.attributes.email - contact.attributes.name }}"}'},
        "missing": {"body": '{"n": "{{ contact.attributes.nope }}"}'},
        "echo-output": {"method": "POST"},
        "mute": {"timeout_seconds": 20},
    }
    for kind, fields in kinds.items():
        path = {"echo-error": "error", "form": "error", "echo-output": "output"}.get(kind, kind)
        defaults: dict[str, Any] = {
            "method": "POST",
            "url": "{{ workspace.variables.api }}/"
            + path
            + "/{{ contact._id }}/{{ contact.attributes.email }}",
            "headers": {
                "Authorization": "Bearer {{ secrets.bearer }}",
                "X-Key": "key-{{ secrets.header }}{{ secrets.second }}",
                "X-Plan": "{{ contact.attributes.plan }}",
            },
            "query": {"key": "{{ secrets.query }}", "name": "{{ contact.attributes.name }}"},
            "body": '{"pin": "{{ secrets.json }}", "email": "{{ contact.attributes.email }}"}',
            "secrets": SecretDict(SECRETS),
            "max_attempts": 1,
        }
        ApiEndpoint(**defaults | fields).save(f"leaks-{kind}", overwrite=True)
    rows = [[PEOPLE[f"{name} of c{n}"] for name in ("email", "name", "plan")] for n in range(14)]
    lines = [f"c{n},{','.join(row)}" for n, row in enumerate(rows)]
    (folder / "people.csv").write_text("\n".join(["id,email,name,plan", *lines]) + "\n")
    (folder / "headerless.csv").write_text("\n".join(",".join(row[:2]) for row in rows) + "\n")
    bad = [
        '{"id": 1, "email": "' + rows[0][0],
        json.dumps({"id": 2, "subscribed": rows[1][0]}),
        json.dumps({"id": {"name": rows[2][1]}}),
        json.dumps({"id": 3, "attributes": rows[3][1]}),
        json.dumps([rows[4][1]]),
    ]
    (folder / "bad.jsonl").write_text("\n".join(bad) + "\n")
    return [f"leaks-{kind}" for kind in kinds if kind not in ("echo-output", "mute")]


class Left:
    """What is left after all has ended."""

    def __init__(self, folder: Path, requests: list[Request]) -> None:
        self.folder = folder
        self.requests = requests

    def places(self) -> Iterator[tuple[str, bytes]]:
        """All of it, by where it is."""
        for path in sorted(self.folder.rglob("*")):
            yield str(path.relative_to(self.folder)), str(path).encode()
            if path.is_file():
                yield str(path.relative_to(self.folder)), path.read_bytes()
        url = PREFECT_SERVER_DATABASE_CONNECTION_URL.value()
        assert url
        prefect = Path(str(getattr(url, "get_secret_value", lambda: url)()).split("///")[1])
        yield from database_text(prefect)
        for path in (prefect, *prefect.parent.glob(f"{prefect.name}-*")):
            yield f"Prefect's file {path.name}", path.read_bytes()


@pytest.fixture(scope="module")
def left(prefect_server: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Left]:
    """A process has run campaigns in every way, with homes of its own; it has ended, and Prefect has written it down."""
    folder = tmp_path_factory.mktemp("leaks")
    for name in ("home", "prefect", "tmp"):
        (folder / name).mkdir()
    with RawServer(each(silent_at_times)) as server:
        endpoints = plant(server.url, folder)
        environment = {
            **os.environ,
            "HOME": str(folder / "home"),
            "PREFECT_HOME": str(folder / "prefect"),
            "TMPDIR": str(folder / "tmp"),
            "PREFECT_API_URL": str(PREFECT_API_URL.value()),
            "PREFECT_LOGGING_LEVEL": "DEBUG",
            "PREFECT_LOGGING_ROOT_LEVEL": "DEBUG",
            "PREFECT_RESULTS_PERSIST_BY_DEFAULT": "true",
            "PREFECT_TEST_MODE": "0",
            "PYTHONASYNCIODEBUG": "1",
            "PYTHONPATH": str(REPOSITORY),
            "COLUMNS": "400",
        }
        output = folder / "output.txt"
        with output.open("wb") as out:
            child = [
                sys.executable,
                str(Path(__file__).with_name("child.py")),
                str(folder),
                ",".join(endpoints),
            ]
            code = subprocess.call(child, env=environment, stdout=out, stderr=out, timeout=100)
        print(output.read_text("utf-8", "replace")[-4000:])
        assert code == 0
        flush_events()
        eventually(lambda: b"leadpush.campaign" in dict(left_places(folder))["Prefect's table events"])
        yield Left(folder, server.requests)


def left_places(folder: Path) -> Iterator[tuple[str, bytes]]:
    return Left(folder, []).places()


def test_no_secret_is_left(left: Left) -> None:
    """Nowhere, in no form; but a response that repeats one is stored as it was received, in a store of its own here."""
    searched = Searched(SECRETS | PASSWORD)
    for where, text in left.places():
        if not where.startswith("own.db"):
            searched.search(where, text)
    assert searched.found == {}
    own = Searched(SECRETS)
    own.search("", b"".join(path.read_bytes() for path in left.folder.glob("own.db*")))
    assert own.found, "an output is stored as it was received"


# What people's data may be in: the audience, the stores, and what was asked for by name.
OF_PEOPLE = (
    "people.csv", "headerless.csv", "bad.jsonl", "prefect/leadpush/outputs.db", "own.db", "export.csv",
    "cli-people.txt", "locals.txt",
)  # fmt: skip


def test_people_are_in_the_store_only(left: Left) -> None:
    some = {
        name: value for name, value in PEOPLE.items() if int(name.split("c")[-1]) % 3 == 0
    }  # it takes a while
    searched, stored = Searched(some), Searched(some)
    for where, text in left.places():
        if where.startswith("prefect/leadpush/outputs.db"):
            stored.search("the store", text)
        if not where.startswith(OF_PEOPLE):
            searched.search(where, text)
    assert searched.found == {}
    assert len(stored.found) == len(some)


def test_it_did_happen(left: Left) -> None:
    """The secrets were sent, each kind of failure came, and the places that were searched are those that there are."""
    sent = Searched(SECRETS)
    for request in left.requests:
        sent.search("the wire", request.target + b"\n".join(v for _, v in request.headers) + request.body)
    assert {name.split()[0] for name in sent.found} == SECRETS.keys()
    with closing(sqlite3.connect(left.folder / "prefect/leadpush/outputs.db")) as connection:
        codes = {code for (code,) in connection.execute("SELECT DISTINCT code FROM leadpush_outcome")}
        details = [d for (d,) in connection.execute("SELECT detail FROM leadpush_outcome") if d]
        assert sum("********" in json.loads(detail).get("excerpt", "") for detail in details) > 50
    assert codes >= {
        "http_status_400", "outcome_unknown", "redirect", "response_not_json", "template_invalid",
        "template_missing", None,
    }  # fmt: skip
    places = dict(left.places())
    for where in ("log", "artifact", "events", "flow_run", "task_run", "block_document"):
        assert places[f"Prefect's table {where}"], where
    assert list((left.folder / "prefect" / "storage").iterdir()), "results were persisted"
    for word in (
        b"KeyboardInterrupt",
        b"FetchFailed",
        b"DEBUG:sqlalchemy",
        b"DEBUG:httpcore",
        b"DEBUG:asyncio",
    ):
        assert word in places["output.txt"], word
    shown = (left.folder / "locals.txt").read_bytes()
    for local in (b"context = CampaignContext(", b"endpoint=PreparedEndpoint("):
        assert local in shown, local


def test_files_are_their_owners(left: Left) -> None:
    """The store's and what is exported; a process that was interrupted leaves them so."""
    files = [*(left.folder / "prefect/leadpush").iterdir(), left.folder / "export.csv"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    assert stat.S_IMODE((left.folder / "prefect/leadpush").stat().st_mode) == 0o700
