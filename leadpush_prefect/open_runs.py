"""The runs that are open in this process: what a task needs to know of its run, found by the run's id.

A Batch carries an id, not a database: it travels to the threads and processes of a task runner, and finds its run here.
"""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import URL, Engine

from leadpush_prefect.config import WorkspaceConfig
from leadpush_prefect.context import workspace_values
from leadpush_prefect.errors import LeadpushError, RunStopped
from leadpush_prefect.loading import load_block
from leadpush_prefect.store.database import open_database
from leadpush_prefect.store.runs import RunRecord, find_run

__all__ = ["OpenRun", "add_run", "database_of", "forget_run", "open_run"]


@dataclass(slots=True)
class OpenRun:
    """A run, its database and its workspace.

    Attributes:
        record: The run in this execution.
        database: Where its contacts and outcomes are.
        workspace: The workspace that it runs in.
        done: How many contacts each node is done with in this process, for whoever shows progress.
        stopped: Whether it was left by an exception; no step may begin any more.
    """

    record: RunRecord
    database: Engine
    workspace: WorkspaceConfig
    done: Counter[str] = field(default_factory=Counter)
    stopped: bool = False
    said: set[str] = field(default_factory=set)

    def campaign_values(self) -> dict[str, Any]:
        """What a template reads of the campaign."""
        record = self.record
        return {"name": record.campaign, "run_id": record.run_id, "started_at": record.started_at}

    def workspace_values(self) -> dict[str, Any]:
        """What a template reads of the workspace."""
        return workspace_values(self.workspace)

    def check_not_stopped(self) -> None:
        """See that the run is still to go on.

        Raises:
            RunStopped: if it is not.
        """
        if self.stopped:
            raise RunStopped(f"Run {self.record.run_id} was stopped. Run it again with this id to go on.")

    def say_once(self, message: str) -> bool:
        """Whether something was not yet said of this run."""
        if message in self.said:
            return False
        self.said.add(message)
        return True


_runs: dict[str, OpenRun] = {}
_lock = threading.Lock()


def add_run(run: OpenRun) -> None:
    """Make a run known in this process."""
    with _lock:
        _runs[run.record.run_id] = run


def forget_run(run: OpenRun) -> None:
    """A run has ended."""
    with _lock:
        if _runs.get(run.record.run_id) is run:
            del _runs[run.record.run_id]


def open_run(run_id: str, workspace: str) -> OpenRun:
    """A run by its id; in another process than the flow's, by way of its workspace's database.

    Args:
        run_id: The run's id.
        workspace: The name of its workspace.

    Raises:
        LeadpushError: if there is no such run.
        RunStopped: if it was stopped.
    """
    with _lock:
        run = _runs.get(run_id)
    if run is None:
        run = _open(run_id, workspace)
        with _lock:
            run = _runs.setdefault(run_id, run)
    run.check_not_stopped()
    return run


def _open(run_id: str, workspace: str) -> OpenRun:
    from leadpush_prefect.blocks import Workspace, workspace_config

    config = workspace_config(load_block(Workspace, workspace, field="workspace"))
    database = database_of(config)
    record = find_run(database, run_id)
    if record is None:
        raise LeadpushError(f"There is no run {run_id} in the database of workspace {workspace!r}.")
    return OpenRun(record, database, config, stopped=record.status == "stopped")


def database_of(workspace: WorkspaceConfig) -> Engine:
    """The database of a workspace's contacts and outputs.

    Raises:
        BlockInvalid: if the connector that the workspace names is not there.
    """
    if not workspace.database:
        return open_database(embedded_database())
    from prefect_sqlalchemy import SqlAlchemyConnector

    connector = load_block(SqlAlchemyConnector, workspace.database, field="database")
    # An engine of our own: the connector's is cached with the arguments of its first use.
    theirs = connector.get_engine()
    try:
        return open_database(theirs.url, connector.connect_args or {})
    finally:
        theirs.dispose()


def embedded_database() -> URL:
    """The SQLite file in Prefect's home."""
    from prefect.settings import PREFECT_HOME

    return URL.create("sqlite", database=str(PREFECT_HOME.value() / "leadpush" / "outputs.db"))
