"""One Prefect server for all of these tests, and an embedded database of its own for each."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from prefect.context import SettingsContext, get_settings_context
from prefect.settings import (
    PREFECT_LOGGING_LEVEL,
    PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW,
    temporary_settings,
)
from sqlalchemy import Connection, Engine

from leadpush_prefect import Workspace
from leadpush_prefect.store.database import open_database, reading
from tests.support.raw_server import RawServer, Request, each, respond


@pytest.fixture(autouse=True, scope="session")
def _server(prefect_server: None) -> None:
    """One server for the whole run. What Prefect's test mode logs of its own workings is not looked at."""
    logging.getLogger("prefect").setLevel(logging.INFO)
    logging.getLogger("prefect._internal").setLevel(logging.WARNING)


@pytest.fixture(autouse=True, scope="package")
def _quiet(_server: None) -> Iterator[None]:
    """What Prefect logs at DEBUG is not looked at."""
    quiet = {PREFECT_LOGGING_LEVEL: "INFO", PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW: "ignore"}
    with temporary_settings(quiet):
        yield


@pytest.fixture(autouse=True)
def home(_quiet: None, tmp_path: Path) -> Iterator[Path]:
    """A Prefect home of its own, and so an embedded database: contacts and outputs of one test."""
    here = get_settings_context()
    # A copy: to have all settings checked anew, as `temporary_settings` does, takes longer than many a test.
    with SettingsContext(profile=here.profile, settings=here.settings.model_copy(update={"home": tmp_path})):
        yield tmp_path


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Prefect leaves its sockets to its server open when an event loop ends."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"))
            item.add_marker(pytest.mark.filterwarnings("ignore::ResourceWarning"))


@pytest.fixture
def database(home: Path) -> Iterator[Engine]:
    """The embedded database of the test."""
    engine = open_database(f"sqlite:///{home}/leadpush/outputs.db")
    yield engine
    engine.dispose()


@pytest.fixture
def rows(database: Engine) -> Callable[[str], list[tuple[object, ...]]]:
    """Asks the database."""

    def ask(query: str) -> list[tuple[object, ...]]:
        connection: Connection
        with reading(database) as connection:
            return [tuple(row) for row in connection.exec_driver_sql(query)]

    return ask


@pytest.fixture(scope="session")
def acme(_server: None) -> Workspace:
    """A workspace in which the API on loopback may be called. Saved, so that endpoints can name it."""
    workspace = Workspace(uuid="w-1", allowed_networks=["127.0.0.0/8"])
    workspace.save("acme", overwrite=True)
    return workspace


def profile(request: Request) -> bytes:
    """The API's response: `/profile/7` is 404 where the id ends in 7, else a plan."""
    name = request.target.decode().rsplit("/", 1)[-1].split("?")[0]
    if name.endswith("7"):
        return respond(b'{"error": "unknown"}', status=404)
    plan = "pro" if int(name) % 2 else "free"
    return respond(f'{{"id": {name}, "plan": "{plan}"}}'.encode())


@pytest.fixture
def api() -> Iterator[RawServer]:
    """A real API: `/.../N` answers with the profile of customer N, 404 where N ends in 7."""
    with RawServer(each(profile)) as server:
        yield server
