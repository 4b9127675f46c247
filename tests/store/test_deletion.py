"""Deleted runs are gone with all that belongs to them, and no other run is touched."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine, func, select

from leadpush_prefect.store import deletion
from leadpush_prefect.store.database import reading
from leadpush_prefect.store.deletion import delete_runs
from leadpush_prefect.store.exports import iter_outputs
from leadpush_prefect.store.outcomes import write_outcomes
from leadpush_prefect.store.runs import RunRecord, list_runs
from leadpush_prefect.store.schema import claim, contact, outcome, run, step
from leadpush_prefect.store.steps import claim_batch
from tests.support.store import FETCHED, declare, started


def filled(database: Engine, run_id: str, contacts: int = 25) -> RunRecord:
    record = started(database, contacts, run_id=run_id)
    for node in ("profile", "offer"):
        number = declare(database, record, node)
        claim_batch(database, record, number, 0, "owner")
        write_outcomes(database, record.key, number, [(n, FETCHED) for n in range(contacts)])
    return record


def rows(database: Engine, *keys: int) -> int:
    with reading(database) as connection:
        return sum(
            connection.scalar(select(func.count()).select_from(table).where(table.c.run.in_(keys))) or 0
            for table in (run, step, claim, contact, outcome)
        )


def test_delete(database: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """All rows of the runs are deleted, in however many chunks, and those of the others stay."""
    monkeypatch.setattr(deletion, "CHUNK", 10)
    records = [filled(database, f"r{number}") for number in range(4)]
    kept = rows(database, records[1].key)
    delete_runs(database, [records[0].key, records[2].key, records[3].key])
    assert [record.run_id for record in list_runs(database)] == ["r1"]
    assert rows(database, *(record.key for record in records)) == kept
    assert len(list(iter_outputs(database, records[1]))) == 25
    fresh = filled(database, "r0")
    assert fresh.key > records[3].key


def test_interrupted(database: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A deletion that ended early is brought to its end by the next one."""
    first, second = filled(database, "r1"), filled(database, "r2")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(deletion, "_sweep", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        delete_runs(database, [first.key])
    assert [record.run_id for record in list_runs(database)] == ["r2"]
    assert rows(database, first.key)
    delete_runs(database, [second.key])
    assert not rows(database, first.key, second.key)
