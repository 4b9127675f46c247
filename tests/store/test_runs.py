from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Engine

from leadpush_prefect.errors import LeadpushError
from leadpush_prefect.store.runs import batch_range, find_run, find_run_by_prefix, finish_run, list_runs
from tests.support.store import begin, started


def test_first_execution(database: Engine) -> None:
    """A new run is being snapshotted, and has no batches yet."""
    run = begin(database)

    assert ("r1", "snapshotting", 1, 0) == (run.run_id, run.status, run.execution, run.batches)
    assert run == find_run(database, "r1")
    assert find_run(database, "r2") is None


def test_second_execution(database: Engine) -> None:
    """The same id is the same run: another execution, the same snapshot and beginning."""
    first = started(database)
    finish_run(database, first.key, "stopped", "Failed")
    second = begin(database)

    assert (first.key, 2, "running", None, None) == (
        second.key,
        second.execution,
        second.status,
        second.state,
        second.finished_at,
    )
    assert (first.contacts, first.batches, first.started_at) == (
        second.contacts,
        second.batches,
        second.started_at,
    )


def test_half_snapshot_begins_again(database: Engine) -> None:
    """A run that was stopped before its snapshot was whole is snapshotted again, from what is asked now."""
    finish_run(database, begin(database).key, "stopped", "Crashed")
    second = begin(database, source="other.csv")

    assert ("snapshotting", 2, "other.csv") == (second.status, second.execution, second.source)


@pytest.mark.parametrize(
    "change",
    [{"campaign": "other"}, {"workspace": "other"}, {"simulate": True}, {"include_unsubscribed": True}],
)
def test_another_run_is_refused(database: Engine, change: dict[str, Any]) -> None:
    """A run id goes with one campaign, workspace and settings; the refusal changes nothing."""
    first = begin(database)
    with pytest.raises(LeadpushError, match=f"Run r1 began with {next(iter(change))}"):
        begin(database, **change)

    assert first == find_run(database, "r1")


def test_finish(database: Engine) -> None:
    """The end is noted with its state and time."""
    run = started(database)
    finish_run(database, run.key, "finished", "Completed")
    found = find_run(database, "r1")

    assert found and ("finished", "Completed") == (found.status, found.state)
    assert found.finished_at and found.finished_at >= run.started_at


def test_list(database: Engine) -> None:
    """Runs are listed from the latest, up to a limit."""
    for name in "abc":
        begin(database, run_id=name)

    assert ["c", "b"] == [run.run_id for run in list_runs(database, limit=2)]


def test_prefix(database: Engine) -> None:
    """The beginning of an id is enough where it is the only one; a whole id always is; `%` is a character."""
    for name in ("ab", "ab12", "cd%"):
        begin(database, run_id=name)

    found = {prefix: find_run_by_prefix(database, prefix) for prefix in ("ab1", "ab", "cd%", "x", "%")}
    assert {"ab1": "ab12", "ab": "ab", "cd%": "cd%", "x": None, "%": None} == {
        prefix: run and run.run_id for prefix, run in found.items()
    }
    with pytest.raises(LeadpushError, match="ab12, ab"):
        find_run_by_prefix(database, "a")


def test_batch_range(database: Engine) -> None:
    """Batches follow each other and hold every contact once; there is none beyond the last."""
    run = started(database, contacts=10, batches=3)

    assert [range(4), range(4, 8), range(8, 10)] == [batch_range(run, number) for number in range(3)]
    with pytest.raises(ValueError):
        batch_range(run, 3)
    with pytest.raises(ValueError):
        batch_range(run, -1)
