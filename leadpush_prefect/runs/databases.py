"""Which database a workspace's runs are in."""

from __future__ import annotations

from typing import Any

from sqlalchemy import URL, Engine

from leadpush_prefect.blocks.loading import load_block
from leadpush_prefect.model.config import Secrets, WorkspaceConfig
from leadpush_prefect.settings import read_tunables
from leadpush_prefect.store.database import open_database

__all__ = ["database_of", "embedded_database"]


def database_of(workspace: WorkspaceConfig) -> Engine:
    """The database of a workspace's contacts and outputs.

    Raises:
        BlockInvalid: if the connector that the workspace names is not there.
    """
    if not workspace.database:
        return open_database(embedded_database())
    return open_database(*_address_of(workspace.database))


def _address_of(connector: str) -> tuple[URL, Secrets[Any]]:
    """Where a connector's database is. A function of its own: the connector's repr, which a traceback with locals shows,
    holds the password."""
    from prefect_sqlalchemy import SqlAlchemyConnector

    block = load_block(SqlAlchemyConnector, connector, field="database")
    # An engine of our own: the connector's is cached with the arguments of its first use.
    return block.get_engine().url, Secrets(block.connect_args or {})


def embedded_database() -> URL:
    """The SQLite file that the settings name; by default the one in Prefect's home."""
    from prefect.settings import PREFECT_HOME

    path = read_tunables().database or PREFECT_HOME.value() / "leadpush" / "outputs.db"
    return URL.create("sqlite", database=str(path))
