"""Secrets and people's data stay where they belong also where batches are in other processes, and the store is elsewhere.

As in `tests/security/test_leaks.py`: they are planted, an API repeats them in every encoding, and then everything that
was written is searched.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.types import SecretDict
from prefect_sqlalchemy import ConnectionComponents, SqlAlchemyConnector
from pydantic import SecretStr
from sqlalchemy import URL

from leadpush_prefect import ApiEndpoint, Workspace
from tests.processes.conftest import Ask
from tests.support.needles import Searched
from tests.support.planted import PASSWORD, SECRETS, database_text, response
from tests.support.raw_server import RawServer, Request, each
from tests.support.waiting import eventually

pytestmark = [pytest.mark.postgres, pytest.mark.timeout(240)]

CONTACTS = 120
PEOPLE = {
    f"{name} of c{number}": f"{name}{number}x7q Ñandú"
    for number in range(CONTACTS)
    for name in ("email", "name")
}
KINDS = {"error": "error", "success": "success", "redirect": "redirect", "text": "text", "gone": "disconnect"}


def plant(api: str, store: URL) -> None:
    """Save the Blocks. PostgreSQL does not ask for the password here, and it is a secret all the same."""
    components = ConnectionComponents(
        driver=store.drivername,
        username=store.username,
        password=SecretStr(PASSWORD["connector"]),
        database=store.database,
        query={name: str(value) for name, value in store.query.items()},
    )
    SqlAlchemyConnector(connection_info=components).save("leaks-on-processes", overwrite=True)
    workspace = Workspace(allowed_networks=["127.0.0.0/8"], database="leaks-on-processes")
    workspace.save("leaks-on-processes", overwrite=True)
    body = {name: f"{{{{ secrets.{name} }}}}" for name in SECRETS}
    for kind, path in KINDS.items():
        ApiEndpoint(
            method="POST",
            url=f"{api}/{path}/{{{{ contact._id }}}}/{{{{ contact.attributes.email }}}}",
            headers={
                "Authorization": "Bearer {{ secrets.bearer }}",
                "X-Key": "key-{{ secrets.header }}{{ secrets.second }}",
            },
            query={"key": "{{ secrets.query }}", "name": "{{ contact.attributes.name }}"},
            body=json.dumps(body | {"email": "{{ contact.attributes.email }}"}),
            secrets=SecretDict(SECRETS),
            max_attempts=1,
        ).save(f"leaks-{kind}", overwrite=True)


class Left:
    """What is left after all processes have ended."""

    def __init__(self, folder: Path, server: Path, requests: list[Request]) -> None:
        self.folder, self.server, self.requests = folder, server, requests

    def places(self) -> Iterator[tuple[str, bytes]]:
        """All files of the processes and of Prefect's server, and its database as it reads."""
        for home in (self.folder, self.server):
            for path in sorted(home.rglob("*")):
                where = str(path.relative_to(home))
                yield where, where.encode() + (path.read_bytes() if path.is_file() else b"")
        yield from database_text(self.server / "prefect.db")


@pytest.fixture(scope="module")
def left(environment: dict[str, str], store: URL, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Left]:
    """Campaigns have run on a pool of processes, with homes of their own."""
    folder, server = tmp_path_factory.mktemp("leaks"), Path(environment["PREFECT_HOME"])
    for name in ("home", "prefect", "tmp"):
        (folder / name).mkdir()
    people = [f"c{n},{PEOPLE[f'email of c{n}']},{PEOPLE[f'name of c{n}']}" for n in range(CONTACTS)]
    (folder / "people.csv").write_text("\n".join(["id,email,name", *people]))
    own = {
        "HOME": str(folder / "home"),
        "PREFECT_HOME": str(folder / "prefect"),
        "TMPDIR": str(folder / "tmp"),
        "PREFECT_LOGGING_LEVEL": "DEBUG",
        "PREFECT_LOGGING_ROOT_LEVEL": "DEBUG",
        "PREFECT_RESULTS_PERSIST_BY_DEFAULT": "true",
        "PYTHONASYNCIODEBUG": "1",
    }
    with RawServer(each(response)) as api:
        with temporary_settings({PREFECT_API_URL: environment["PREFECT_API_URL"]}):
            plant(api.url, store)
        script = Path(__file__).with_name("leaking.py")
        command = [sys.executable, str(script), str(folder), *(f"leaks-{kind}" for kind in KINDS)]
        with (folder / "output.txt").open("wb") as out:
            code = subprocess.call(command, env=environment | own, stdout=out, stderr=out, timeout=120)
        print((folder / "output.txt").read_text("utf-8", "replace")[-4000:])
        assert code == 0
        yield Left(folder, server, api.requests)


def test_no_secret_is_left(left: Left, ask: Ask) -> None:
    """Nowhere, in no form: not of an endpoint, and not of the database."""
    known = dict(eventually(lambda: written(left)))
    searched = Searched(SECRETS | PASSWORD)
    for where, text in known.items():
        searched.search(where, text)
    for where, text in stored(ask):
        searched.search(where, text)
    assert searched.found == {}


def test_people_are_in_the_store_only(left: Left, ask: Ask) -> None:
    some = {name: value for name, value in PEOPLE.items() if name.endswith("17")}
    searched, found = Searched(some), Searched(some)
    for where, text in left.places():
        if where != "people.csv":
            searched.search(where, text)
    for where, text in stored(ask):
        found.search(where, text)
    assert searched.found == {}
    assert {name.partition(" in ")[0] for name in found.found} == some.keys()


def test_it_did_happen(left: Left, ask: Ask) -> None:
    """The secrets were sent from two processes, calls failed in each way, and all that is searched is there."""
    sent = Searched(SECRETS)
    for request in left.requests:
        sent.search("the wire", request.target + b"\n".join(v for _, v in request.headers) + request.body)
    assert {name.split()[0] for name in sent.found} == SECRETS.keys()
    codes = {code for (code,) in ask(f"SELECT DISTINCT code FROM leadpush_outcome WHERE run = {RUN}")}
    assert codes >= {
        "http_status_400",
        "redirect",
        "response_not_json",
        "outcome_unknown",
        "template_invalid",
        None,
    }
    excerpts = ask(f"SELECT count(*) FROM leadpush_outcome WHERE run = {RUN} AND detail LIKE '%********%'")
    assert excerpts[0][0] > 100
    places = dict(eventually(lambda: written(left)))
    said = places["output.txt"]
    assert len(set(re.findall(rb"(\d+):INFO:sqlalchemy.engine.Engine.leadpush", said))) == 3, (
        "the flow and its workers"
    )
    for word in (b"LookupError", b"FetchFailed", b"DEBUG:httpcore"):
        assert word in said, word


RUN = "(SELECT run FROM leadpush_run WHERE run_id = 'every-end')"


def written(left: Left) -> Any:
    """The places, once Prefect's server has written down the events, which it does after some seconds."""
    places = list(left.places())
    told = dict(places)["Prefect's table events"]
    return places if b"leadpush.campaign" in told and b"leadpush.endpoint.failing" in told else None


def stored(ask: Ask) -> Iterator[tuple[str, bytes]]:
    """Each table of the store, as it reads."""
    for (table,) in ask("SELECT tablename FROM pg_tables WHERE schemaname = 'public'"):
        yield (
            f"table {table}",
            "\n".join(str(row) for (row,) in ask(f"SELECT t::text FROM {table} t")).encode(),
        )
