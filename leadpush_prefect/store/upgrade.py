"""Bring the tables of a database to the newest version, by Alembic's migrations in `migrations/`.

Apart from `database`, which imports it only where there is something to do: Alembic takes a tenth of a second.
"""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, insert, inspect, update

from leadpush_prefect.store.schema import SCHEMA_VERSION, schema

__all__ = ["VERSION_TABLE", "upgrade"]

# Not `alembic_version`, which may be another application's in the same database.
VERSION_TABLE = "leadpush_alembic_version"
BEFORE_ALEMBIC = "0001"
"""The tables of leadpush-prefect 0.1.0, which knew only `leadpush_schema`."""


def upgrade(connection: Connection) -> None:
    """Make the tables and views, or bring them to the newest version with all that is in them.

    Args:
        connection: In a transaction that writes, alone: all of it is done, or nothing.
    """
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")).replace("%", "%%"))
    config.attributes["connection"] = connection
    tables = inspect(connection).get_table_names()
    if schema.name in tables and VERSION_TABLE not in tables:
        command.stamp(config, BEFORE_ALEMBIC)
    command.upgrade(config, "head")
    _note_version(connection)


def _note_version(connection: Connection) -> None:
    # leadpush-prefect 0.1.0 looks here, and refuses a database of a newer version in a sentence.
    if not connection.execute(update(schema).values(version=SCHEMA_VERSION)).rowcount:
        connection.execute(insert(schema).values(version=SCHEMA_VERSION))
