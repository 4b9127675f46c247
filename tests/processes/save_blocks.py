"""Saves the Blocks of blocks/, with the workspace's database at the URL that STORE names."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from prefect_sqlalchemy import ConnectionComponents, SqlAlchemyConnector
from sqlalchemy import make_url

from leadpush_prefect import Workspace
from leadpush_prefect.definitions.apply import apply_definitions
from leadpush_prefect.definitions.read import read_definitions

store = make_url(os.environ["STORE"])
components = ConnectionComponents(
    driver=store.drivername,
    username=store.username,
    database=store.database,
    query={name: str(value) for name, value in store.query.items()},
)
SqlAlchemyConnector(connection_info=components).save("outputs", overwrite=True)
apply_definitions(read_definitions(Path(__file__).parents[2] / "blocks", os.environ))
workspace: Any = Workspace.load("acme")
workspace.database = "outputs"
workspace.save("acme", overwrite=True)
