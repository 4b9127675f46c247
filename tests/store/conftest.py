"""A store to test on: SQLite on disk, and PostgreSQL where LEADPUSH_TEST_POSTGRESQL names a server to use."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, make_url, text

from leadpush_prefect.store.database import open_database

POSTGRESQL = os.environ.get("LEADPUSH_TEST_POSTGRESQL", "")
DATABASES = ["sqlite", "postgresql"] if POSTGRESQL else ["sqlite"]


@pytest.fixture(params=DATABASES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database, for tests that start processes of their own."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/leadpush/outputs.db"
    else:
        yield from _own_schema()


def _own_schema() -> Iterator[str]:
    admin, name = create_engine(POSTGRESQL), f"t{uuid.uuid4().hex}"
    with admin.begin() as connection:
        connection.execute(text(f"CREATE SCHEMA {name}"))
    yield make_url(POSTGRESQL).update_query_dict({"options": f"-csearch_path={name}"}).render_as_string(False)
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
