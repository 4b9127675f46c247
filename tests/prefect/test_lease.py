"""Who holds a run: it is left in whatever way a `with` is left, and taken over from the dead alone."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest
from prefect import flow
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.task_runners import ProcessPoolTaskRunner
from sqlalchemy import Engine

from leadpush_prefect import (
    Audience,
    AudienceInvalid,
    CampaignRun,
    LeadpushError,
    RunBusy,
    Workspace,
    render_template,
)
from leadpush_prefect.reports.run_state import run_state
from leadpush_prefect.runs import lease as run_lease
from leadpush_prefect.store.database import writing
from leadpush_prefect.store.holder import find_holder, move_heartbeat
from leadpush_prefect.store.runs import find_run
from leadpush_prefect.system.process_identity import identify_process

Ask = Callable[[str], list[tuple[object, ...]]]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A heartbeat that stands still for a second is a dead holder's."""
    monkeypatch.setenv("PREFECT_INTEGRATIONS_LEADPUSH_HEARTBEAT_SECONDS", "0.2")
    monkeypatch.setattr(run_lease, "LOOK_SECONDS", 0.02)


def start(acme: Workspace, contacts: list[dict[str, Any]] | None = None) -> CampaignRun:
    audience = Audience.from_contacts([{"id": 1}, {"id": 2}] if contacts is None else contacts)
    return CampaignRun.start("c", workspace=acme, audience=audience, run_id="r")


def execute(acme: Workspace) -> None:
    with start(acme) as run:
        for batch in run.batches():
            render_template.fn(batch, "Hi", output_key="m")
        run.finish()


def identity_elsewhere() -> str:
    return json.dumps(json.loads(identify_process()) | {"host": "worker-2", "space": "another machine"})


def hold(database: Engine, identity: str) -> None:
    with writing(database) as connection:
        connection.exec_driver_sql("UPDATE leadpush_run SET holder = ?", (identity,))


def test_left_by_finish_and_by_an_exception(acme: Workspace, database: Engine) -> None:
    """Held until then, with a heartbeat; free at once."""
    execute(acme)
    assert find_holder(database, "r") is None
    with pytest.raises(ZeroDivisionError), start(acme):
        held = find_holder(database, "r")
        assert held
        moved = threading.Event()
        while find_holder(database, "r") == held:
            moved.wait(0.01)
        raise ZeroDivisionError
    assert find_holder(database, "r") is None
    execute(acme)


def test_left_when_it_cannot_start(acme: Workspace, database: Engine) -> None:
    """An audience that is refused leaves the run free."""
    with pytest.raises(AudienceInvalid):
        start(acme, [{"id": 1}, {"id": 1}])
    assert find_run(database, "r")
    assert find_holder(database, "r") is None
    execute(acme)


def test_started_but_not_entered(acme: Workspace, rows: Ask) -> None:
    """A run is held from its start; the second start says by whom, and changes nothing."""
    first = start(acme)
    before = rows("SELECT execution, status, started_at, finished_at FROM leadpush_run")
    with pytest.raises(RunBusy, match=r"Run r is being executed by process \d+ on .* since .* UTC"):
        start(acme)
    assert before == rows("SELECT execution, status, started_at, finished_at FROM leadpush_run")
    with first:
        for batch in first.batches():
            render_template.fn(batch, "Hi", output_key="m")
        first.finish()


def test_held_elsewhere(acme: Workspace, database: Engine, rows: Ask) -> None:
    """Alive: RunBusy. Dead: taken over."""
    execute(acme)
    identity = identity_elsewhere()
    hold(database, identity)
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(0.05):
            move_heartbeat(database, "r", identity)

    heart = threading.Thread(target=beat)
    heart.start()
    with pytest.raises(RunBusy, match="on worker-2"):
        start(acme)
    ended.set()
    heart.join()
    assert rows("SELECT execution FROM leadpush_run") == [(1,)]
    execute(acme)
    assert rows("SELECT execution, holder FROM leadpush_run") == [(2, "")]


def test_released_while_it_is_watched(
    acme: Workspace, database: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next execution begins as soon as the former has ended."""
    execute(acme)
    hold(database, identity_elsewhere())
    monkeypatch.setenv("PREFECT_INTEGRATIONS_LEADPUSH_HEARTBEAT_SECONDS", "12")
    timer = threading.Timer(0.2, hold, [database, ""])
    timer.start()
    execute(acme)
    timer.join()


def processes(workspace: Workspace) -> Any:
    runner: Any = ProcessPoolTaskRunner(max_workers=1)

    @flow(task_runner=runner)
    def campaign() -> None:
        with temporary_settings({PREFECT_API_URL: None} if workspace.name else {}):
            start(workspace)

    return campaign


def test_processes_need_a_server(acme: Workspace) -> None:
    """A runner of processes with Prefect's temporary server is refused before anything is written."""
    with pytest.raises(LeadpushError, match="prefect server start"):
        processes(acme)()


def test_processes_need_a_saved_workspace(database: Engine) -> None:
    """A workspace that other processes could not load is refused before anything is written."""
    with pytest.raises(LeadpushError, match="this one is not saved"):
        processes(Workspace())()
    assert find_run(database, "r") is None


def test_no_sign_of_life(acme: Workspace, database: Engine) -> None:
    """A run whose end was not written is shown as such when its process is gone, or was not heard of for too long."""
    execute(acme)
    open_again = "UPDATE leadpush_run SET status = 'running', state = NULL"
    with writing(database) as connection:
        connection.exec_driver_sql(open_again)
    hold(database, identity_elsewhere())
    assert shown(database) == "running"
    hold(database, ended_identity())
    assert shown(database).startswith("no sign of life since 20")
    hold(database, identity_elsewhere())
    with writing(database) as connection:
        connection.exec_driver_sql("UPDATE leadpush_run SET heartbeat_at = 1767222000")
    assert shown(database) == "no sign of life since 2025-12-31 23:00:00 UTC"
    with writing(database) as connection:
        connection.exec_driver_sql("UPDATE leadpush_run SET heartbeat_at = 0")  # by an earlier version
    assert shown(database) == "running"


def shown(database: Engine) -> str:
    run = find_run(database, "r")
    assert run
    return run_state(database, run)


def ended_identity() -> str:
    code = "from leadpush_prefect.system.process_identity import identify_process; print(identify_process())"
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.strip()
