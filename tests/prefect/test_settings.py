"""What an operator sets is what a run does."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from leadpush_prefect import ApiEndpoint, Audience, CampaignRun, LeadpushError, Workspace, fetch_api_data
from leadpush_prefect.model.tunables import Tunables
from leadpush_prefect.settings import read_tunables
from leadpush_prefect.store.database import open_database, reading
from tests.support.flows import run_flow
from tests.support.raw_server import RawServer, Request, each, respond
from tests.support.waiting import eventually

PREFIX = "PREFECT_INTEGRATIONS_LEADPUSH_"
FEW = 12
ALL = 20


class Api:
    """Answers the first few, and the others only when it is let go."""

    def __init__(self) -> None:
        self.let_go = asyncio.Event()
        self.asked = 0

    async def __call__(self, request: Request) -> bytes:
        self.asked += 1
        if self.asked > FEW:
            await self.let_go.wait()
        return respond()


@pytest.fixture
def behaviour() -> Api:
    return Api()


@pytest.fixture
def held_api(behaviour: Api) -> Iterator[RawServer]:
    with RawServer(each(behaviour)) as server:
        yield server


def one(database: Engine, query: str) -> Any:
    """The one value that a query finds."""
    with reading(database) as connection:
        return connection.exec_driver_sql(query).scalar_one()


def written(database: Engine) -> Any:
    return one(database, "SELECT count(*) FROM leadpush_outcome")


def campaign(api: RawServer, acme: Workspace, meanwhile: Callable[[], None]) -> Any:
    """The final state of a run of one batch; `meanwhile` is called while the batch is at work."""
    endpoint = ApiEndpoint(url=api.url + "/{{ contact._id }}", max_attempts=1, max_concurrency=4)

    def body() -> Any:
        audience = Audience.from_contacts({"id": number} for number in range(ALL))
        with CampaignRun.start("c", workspace=acme, audience=audience, run_id="r") as run:
            fetch_api_data.submit(run.batches()[0], endpoint, output_key="profile")
            meanwhile()
            return run.finish()

    return run_flow(body)


def test_without_any() -> None:
    """Where nothing is set, the defaults hold."""
    assert read_tunables() == Tunables()


def test_the_database(
    acme: Workspace, api: RawServer, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The embedded database is where the setting says, and none is in Prefect's home."""
    place = tmp_path / "elsewhere" / "campaigns.db"
    monkeypatch.setenv(f"{PREFIX}DATABASE", str(place))
    assert campaign(api, acme, lambda: None).is_completed()
    database = open_database(f"sqlite:///{place}")
    assert one(database, "SELECT run_id FROM leadpush_run") == "r"
    assert written(database) == ALL
    assert not (home / "leadpush").exists()


def test_flush_seconds(
    acme: Workspace, held_api: RawServer, behaviour: Api, database: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a minute to go, what has come is written at the end only, though more than the default time has passed: the
    run's heart, whose pace is set too, has beaten for longer."""
    monkeypatch.setenv(f"{PREFIX}FLUSH_SECONDS", "60")
    monkeypatch.setenv(f"{PREFIX}HEARTBEAT_SECONDS", "0.05")
    seen: list[object] = []

    def meanwhile() -> None:
        eventually(lambda: behaviour.asked == FEW + 4)  # what came before has been answered
        begun = one(database, "SELECT heartbeat FROM leadpush_run")
        eventually(lambda: one(database, "SELECT heartbeat FROM leadpush_run") >= begun + 30)
        seen.append(written(database))
        held_api.call(behaviour.let_go.set)

    assert campaign(held_api, acme, meanwhile).is_completed()
    assert [*seen, written(database)] == [0, ALL]


def test_a_short_flush(
    acme: Workspace, held_api: RawServer, behaviour: Api, database: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a moment only, what has come is written while the next answers are waited for."""
    monkeypatch.setenv(f"{PREFIX}FLUSH_SECONDS", "0.01")

    def meanwhile() -> None:
        eventually(lambda: written(database) == FEW)
        held_api.call(behaviour.let_go.set)

    assert campaign(held_api, acme, meanwhile).is_completed()


def test_chunk_size(
    acme: Workspace, held_api: RawServer, behaviour: Api, database: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So many outcomes are written as soon as they are there: fewer are unwritten, though the time has not come."""
    monkeypatch.setenv(f"{PREFIX}FLUSH_SECONDS", "60")
    monkeypatch.setenv(f"{PREFIX}CHUNK_SIZE", "5")

    def meanwhile() -> None:
        eventually(lambda: FEW - 5 < written(database))
        held_api.call(behaviour.let_go.set)

    assert campaign(held_api, acme, meanwhile).is_completed()
    assert written(database) == ALL


@pytest.mark.parametrize(("setting", "frozen"), [("true", True), ("false", False)])
def test_freeze_gc(
    setting: str, frozen: bool, acme: Workspace, api: RawServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python's collector is left alone where the operator says so."""
    monkeypatch.setenv(f"{PREFIX}FREEZE_GC", setting)
    gc.unfreeze()
    seen: list[bool] = []
    assert campaign(api, acme, lambda: seen.append(gc.get_freeze_count() > 0)).is_completed()
    assert seen == [frozen]


def test_from_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`prefect.toml` of the folder sets them too, and the environment goes before it."""
    (tmp_path / "prefect.toml").write_text("[integrations.leadpush]\nchunk_size = 7\nflush_seconds = 3\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(f"{PREFIX}FLUSH_SECONDS", "4")
    assert read_tunables() == Tunables(chunk_size=7, flush_seconds=4.0)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("DATABASE", "outputs.db"),
        ("FLUSH_SECONDS", "soon"),
        ("FLUSH_SECONDS", "0"),
        ("CHUNK_SIZE", "0"),
        ("HEARTBEAT_SECONDS", "61"),
        ("FREEZE_GC", "perhaps"),
    ],
)
def test_what_cannot_be(
    setting: str, value: str, acme: Workspace, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A value that cannot be is refused before a run begins, with the setting's name, the value, and where to look."""
    monkeypatch.setenv(f"{PREFIX}{setting}", value)
    with pytest.raises(LeadpushError) as refused:
        CampaignRun.start("c", workspace=acme, audience=Audience.from_contacts([{"id": 1}]))
    assert f"{PREFIX}{setting} is {value!r}: " in str(refused.value)
    assert "docs/settings.md" in str(refused.value)
    home_has = list(home.rglob("outputs.db*"))
    assert setting != "DATABASE" or home_has == []
