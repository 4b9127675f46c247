"""The database goes away in the middle of a run, in each way in which it may: nothing is sent twice, and everybody is
served."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from prefect.client.schemas.objects import State
from prefect.context import SettingsContext, get_settings_context
from sqlalchemy import Connection, Engine, create_engine, event, make_url, text

from leadpush_prefect import ApiEndpoint, Audience, CampaignRun, Workspace, fetch_api_data
from leadpush_prefect.store.database import open_database
from tests.faults.conftest import Start
from tests.support.databases import POSTGRESQL
from tests.support.flows import run_flow
from tests.support.raw_server import RawServer, Request, each, respond

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]

PREFIX = "PREFECT_INTEGRATIONS_LEADPUSH_"
CONTACTS = 1_000
ARRIVED = 200  # requests before the database goes away
AWAY_SECONDS = 1.5

Away = Callable[[], Any]  # a context in which the database is away
postgres = pytest.mark.parametrize("url", [POSTGRESQL], indirect=True)


class Api:
    """Counts who was asked, and takes a moment for each."""

    def __init__(self) -> None:
        self.asked: Counter[bytes] = Counter()
        self.has_begun = threading.Event()

    async def __call__(self, request: Request) -> bytes:
        self.asked[request.target] += 1
        if self.asked.total() >= ARRIVED:
            self.has_begun.set()
        await asyncio.sleep(0.01)
        return respond(b'{"n": 1}')


@pytest.fixture
def home(prefect_server: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A Prefect home of the test's own; outcomes are written often, so that the database is missed at once."""
    for setting, value in {"CHUNK_SIZE": "20", "FLUSH_SECONDS": "0.05", "HEARTBEAT_SECONDS": "0.2"}.items():
        monkeypatch.setenv(f"{PREFIX}{setting}", value)
    monkeypatch.setattr("leadpush_prefect.store.database.TRY_SECONDS", 0.1)
    here = get_settings_context()
    with SettingsContext(profile=here.profile, settings=here.settings.model_copy(update={"home": tmp_path})):
        yield tmp_path


@pytest.fixture
def database(home: Path, url: str) -> Engine:
    """The run's own, opened before it."""
    return open_database(url)


@pytest.fixture
def pragmas(database: Engine) -> list[str]:
    """The last one is what each transaction on SQLite begins with."""
    found: list[str] = []

    def begin(connection: Connection) -> None:
        driver: Any = connection.connection.driver_connection
        for pragma in found[-1:]:
            driver.execute(pragma)

    event.listen(database, "begin", begin, insert=True)
    return found


def campaign(api: Api, block: str = "") -> State[Any]:
    """The final state of the run `r`, which posts once for each contact."""

    def body(address: str) -> Any:
        endpoint = ApiEndpoint(
            url=f"{address}/{{{{ contact._id }}}}", method="POST", body="{}", max_concurrency=8
        )
        workspace = Workspace(allowed_networks=["127.0.0.0/8"], database=block)
        audience = Audience.from_contacts({"id": number} for number in range(CONTACTS))
        with CampaignRun.start("away", workspace=workspace, audience=audience, run_id="r", batches=2) as run:
            for batch in run.batches():
                fetch_api_data.submit(batch, endpoint, output_key="a")
            return run.finish()

    with RawServer(each(api)) as server:
        return run_flow(body, server.url)


def check_outage(api: Api, away: Away, block: str = "") -> None:
    """The run goes on when the database is back: each contact was asked, and none twice."""

    def go_away() -> None:
        if api.has_begun.wait(60):
            with away():
                time.sleep(AWAY_SECONDS)

    saboteur = threading.Thread(target=go_away)
    saboteur.start()
    state = campaign(api, block)
    saboteur.join()
    assert state.is_completed(), state.message
    assert (state.name, state.message) == (
        "Completed",
        f"{CONTACTS:,} contacts; 0 unsubscribed; a: {CONTACTS:,} done, 0 skipped, 0 failed.",
    )
    repeated = sum(count - 1 for count in api.asked.values())
    print(f"requests repeated: {repeated}; contacts served: {len(api.asked)}")
    assert (repeated, len(api.asked)) == (0, CONTACTS)


@contextmanager
def each_transaction(pragmas: list[str], trouble: str, no_more: str) -> Iterator[None]:
    """Have all connections of SQLite be in trouble of its own making."""
    pragmas.append(trouble)
    yield
    pragmas.append(no_more)


@contextmanager
def locked(path: str) -> Iterator[None]:
    """Another program writes, and does not come to an end."""
    with closing(sqlite3.connect(path, isolation_level=None, timeout=60)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


def test_locked(database: Engine) -> None:
    """For longer than SQLite waits in one go."""
    check_outage(Api(), lambda: locked(database.url.database or ""))


def test_disk_full(pragmas: list[str]) -> None:
    """There is no room for one more page."""
    full = "PRAGMA max_page_count=1", "PRAGMA max_page_count=1000000000"
    check_outage(Api(), lambda: each_transaction(pragmas, *full))


def test_read_only(pragmas: list[str]) -> None:
    """Nothing can be written."""
    read_only = "PRAGMA query_only=ON", "PRAGMA query_only=OFF"
    check_outage(Api(), lambda: each_transaction(pragmas, *read_only))


@contextmanager
def administrator(url: str) -> Iterator[Callable[[str], None]]:
    """Does something to PostgreSQL from another of its databases."""
    address = make_url(url).set(database="template1", query={"host": make_url(url).query["host"]})
    admin = create_engine(address, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        yield lambda statement: connection.execute(text(statement)).close()
    admin.dispose()


def _end_connections(url: str) -> str:
    name = make_url(url).database
    return f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"


@contextmanager
def refused(url: str) -> Iterator[None]:
    """All connections are ended, and no new one is taken: what a restart or a fail-over looks like."""
    name = make_url(url).database
    with administrator(url) as do:
        do(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        do(_end_connections(url))
        yield
        do(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')


@contextmanager
def ended(url: str) -> Iterator[None]:
    """All connections are ended, again and again."""
    with administrator(url) as do:
        for _ in range(3):
            do(_end_connections(url))
            time.sleep(0.2)
        yield


@contextmanager
def standby(url: str) -> Iterator[None]:
    """It reads only, as the former primary after a fail-over does."""
    name = make_url(url).database
    with administrator(url) as do:
        do(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
        do(_end_connections(url))
        yield
        do(f'ALTER DATABASE "{name}" RESET default_transaction_read_only')


@postgres
@pytest.mark.parametrize("away", [refused, ended, standby])
def test_postgresql(away: Callable[[str], Any], url: str, home: Path, block: str) -> None:
    """A restart, ended connections, a fail-over."""
    check_outage(Api(), lambda: away(url), block)


def test_for_too_long(database: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run stops in a state that says which database, why and what is lost, and the same run id goes on."""
    monkeypatch.setenv(f"{PREFIX}DATABASE_WAIT_SECONDS", "1")
    api, over = Api(), threading.Event()

    def lock() -> None:
        if api.has_begun.wait(60):
            with locked(database.url.database or ""):
                over.wait(60)

    saboteur = threading.Thread(target=lock)
    saboteur.start()
    state = campaign(api)
    over.set()
    saboteur.join()
    assert not state.is_completed()
    said = state.message or ""
    assert f"The database {database.url.database} has been away for " in said
    assert " s: it is locked by another program (SQLITE_BUSY)." in said
    assert "that had arrived are lost: reads will be asked again, writes are unknown" in said
    assert campaign(api).is_completed()
    assert len(api.asked) == CONTACTS


@pytest.mark.parametrize("replaced", [False, True])
def test_file_deleted(replaced: bool, database: Engine) -> None:
    """A run whose database was deleted, or replaced by another one, does not end well."""
    api, path = Api(), Path(database.url.database or "")

    def delete() -> None:
        if api.has_begun.wait(60):
            path.unlink()
            if replaced:
                path.touch()

    saboteur = threading.Thread(target=delete)
    saboteur.start()
    state = campaign(api)
    saboteur.join()
    assert not state.is_completed()
    assert f"The database {path} was deleted or replaced while it was in use" in (state.message or "")


def test_stopped_meanwhile(start: Start, ask: Any, url: str) -> None:
    """Ctrl-C ends the run within seconds, though nothing can be written."""
    api = Api()
    with RawServer(each(api)) as server:
        child = start("run", "r", server.url, 20_000, 4)
        server.wait_until(api.has_begun.is_set, timeout=120)
        with locked(make_url(url).database or ""):
            began = time.monotonic()
            child.send_signal(2)
            output, _ = child.communicate(timeout=30)
        print(f"ended after {time.monotonic() - began:.1f} s")
        assert child.returncode != 0, output
        assert "The end of run r could not be written." in output
