"""The runs that are open in this process: what a task needs to know of its run, found by the run's id.

A Batch carries an id, not a database: it travels to the threads and processes of a task runner, and finds its
run here.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine

from leadpush_prefect.blocks.loading import load_block
from leadpush_prefect.errors import LeadpushError, RunBusy, RunStopped
from leadpush_prefect.model.config import WorkspaceConfig
from leadpush_prefect.model.context import workspace_values
from leadpush_prefect.model.tunables import Tunables
from leadpush_prefect.runs.databases import database_of
from leadpush_prefect.runs.log import warn
from leadpush_prefect.settings import read_tunables
from leadpush_prefect.store.database import works_in_process
from leadpush_prefect.store.patience import Patience
from leadpush_prefect.store.runs import RunRecord, find_run
from leadpush_prefect.system.fair_lock import FairLock
from leadpush_prefect.system.gc_freeze import spare_existing_objects, spare_no_more
from leadpush_prefect.system.parent_process import end_with_parent

if TYPE_CHECKING:
    from leadpush_prefect.runs.events import EndpointHealth

__all__ = ["OpenRun", "add_run", "beginning", "find_open_run", "forget_run", "open_run", "refuse_if_open"]

LOOK_SECONDS = 1.0
"""How often a process that is not the flow's asks the database whether the run still goes on."""


@dataclass(slots=True)
class OpenRun:
    """A run, its database and its workspace.

    Attributes:
        record: The run in this execution.
        database: Where its contacts and outcomes are.
        workspace: The workspace that it runs in.
        done: How many contacts each node is done with in this process, for whoever shows progress.
        failed: How many of them have failed.
        health: Whether each endpoint answers, by its name.
        stopped: Whether it was left by an exception; no step may begin any more.
        is_here: Whether its flow is in this process; else the database says when it is over.
        report: Whether it shows in Prefect how it goes.
        tunables: What the operator has set in this process.
        patience: How all that this process reads and writes for the run waits for a database that is away.
    """

    record: RunRecord
    database: Engine
    workspace: WorkspaceConfig
    done: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    health: dict[str, EndpointHealth] = field(default_factory=dict)
    stopped: bool = False
    is_here: bool = True
    report: bool = True
    tunables: Tunables = field(default_factory=Tunables)
    patience: Patience = field(init=False)
    _said: set[str] = field(default_factory=set)
    _turns: dict[str, FairLock] = field(default_factory=dict)
    _at_work: int = 0
    _look_at: float = 0.0

    def __post_init__(self) -> None:
        seconds = self.tunables.database_wait_seconds
        # Not `is_over`, which would ask the database.
        self.patience = Patience(self.database, seconds, say=warn, is_over=lambda: self.stopped)

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
        if self.is_over():
            raise RunStopped(f"Run {self.record.run_id} was stopped. Run it again with this id to go on.")

    def is_over(self) -> bool:
        """Whether it was stopped, has ended, or goes on in a later execution."""
        if not self.is_here and not self.stopped and monotonic() >= self._look_at:
            now = self.patience(lambda: find_run(self.database, self.record.run_id))
            self.stopped = now is None or (now.execution, now.status) != (self.record.execution, "running")
            self._look_at = monotonic() + LOOK_SECONDS
        return self.stopped

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """A batch is at work in this process."""
        with _lock:
            self._at_work += 1
        try:
            yield
        finally:
            with _lock:
                self._at_work -= 1

    @property
    def batches_at_work(self) -> int:
        """How many batches are at work in this process."""
        return self._at_work

    def wait_until_idle(self, seconds: float) -> None:
        """Wait until no batch is at work in this process, so that all that came is stored; so long at most."""
        deadline = monotonic() + seconds
        while self._at_work and monotonic() < deadline:
            sleep(0.02)

    def turns(self, node: str) -> FairLock:
        """Of a node's batches in this process, for reading contacts.

        Where the database works in this process, two batches that read at once take Python's lock from each other
        and gain nothing, for one keeps the endpoint busy. Where it is a server, they wait for it side by side.
        """
        if not works_in_process(self.database):
            return FairLock()
        with _lock:
            return self._turns.setdefault(node, FairLock())

    def count(self, node: str, done: int, failed: int = 0) -> None:
        """A node is done with so many more contacts; several batches are at work in threads."""
        with _lock:
            self.done[node] += done
            self.failed[node] += failed

    def counted(self) -> tuple[Counter[str], Counter[str]]:
        """`done` and `failed` at one moment."""
        with _lock:
            return self.done.copy(), self.failed.copy()

    def say_once(self, message: str) -> bool:
        """Whether something was not yet said of this run."""
        with _lock:
            if message in self._said:
                return False
            self._said.add(message)
            return True


_runs: dict[str, OpenRun] = {}


_beginning: set[int] = set()  # the threads in which a run begins


_lock = threading.Lock()


@contextmanager
def beginning(tunables: Tunables) -> Iterator[None]:
    """A run begins in this thread, and reads its audience."""
    me = threading.get_ident()
    with _lock:
        _beginning.add(me)
        _spare_existing_objects(tunables)
    try:
        yield
    finally:
        with _lock:
            _beginning.discard(me)
            _spare_no_more_if_idle()


def _spare_existing_objects(tunables: Tunables) -> None:
    if tunables.freeze_gc:
        spare_existing_objects()


def _spare_no_more_if_idle() -> None:
    if not _runs and not _beginning:
        spare_no_more()


def add_run(run: OpenRun) -> None:
    """Make a run known in this process.

    Raises:
        RunBusy: if it is open here already.
    """
    with _lock:
        _refuse_if_open(run.record.run_id)
        _runs[run.record.run_id] = run
        _spare_existing_objects(run.tunables)


def refuse_if_open(run_id: str) -> None:
    """See that a run is not open in this process.

    Raises:
        RunBusy: if it is.
    """
    with _lock:
        _refuse_if_open(run_id)


def _refuse_if_open(run_id: str) -> None:
    if run_id in _runs and _runs[run_id].is_here:
        raise RunBusy(
            f"Run {run_id} is open in this process. Give a second run of the flow a run_id of its own."
        )


def forget_run(run: OpenRun) -> None:
    """A run has ended."""
    with _lock:
        if _runs.get(run.record.run_id) is run:
            del _runs[run.record.run_id]
        _spare_no_more_if_idle()


def find_open_run(run_id: str) -> OpenRun | None:
    """A run that is open in this process, for whoever shows its progress."""
    with _lock:
        return _runs.get(run_id)


def open_run(run_id: str, workspace: str) -> OpenRun:
    """A run by its id; in another process than the flow's, by way of its workspace's database.

    Args:
        run_id: The run's id.
        workspace: The name of its workspace.

    Raises:
        LeadpushError: if there is no such run.
        RunStopped: if it was stopped, or has ended.
    """
    with _lock:
        run = _runs.get(run_id)
    if run is None or (not run.is_here and run.is_over()):  # perhaps it goes on in a later execution
        run = _open(run_id, workspace)
    run.check_not_stopped()
    if not run.is_here:
        with _lock:
            _runs[run_id] = run
            _spare_existing_objects(run.tunables)
    return run


def _open(run_id: str, workspace: str) -> OpenRun:
    from leadpush_prefect.blocks import Workspace
    from leadpush_prefect.blocks.workspace import workspace_config

    if not workspace:
        raise RunStopped(
            f"Run {run_id} is not open in this process: it has ended, or this is another process, which "
            "finds a run by the name of its Workspace, and this one is not saved."
        )
    config = workspace_config(load_block(Workspace, workspace, field="workspace"))
    database = database_of(config)
    tunables = read_tunables()
    patience = Patience(database, tunables.database_wait_seconds, say=warn)
    record = patience(lambda: find_run(database, run_id))
    if record is None:
        raise LeadpushError(f"There is no run {run_id} in the database of workspace {workspace!r}.")
    if record.status == "finished":
        raise RunStopped(
            f"Run {run_id} has ended, and this task was not waited for: give its future to finish()."
        )
    end_with_parent()
    return OpenRun(record, database, config, is_here=False, tunables=tunables)
