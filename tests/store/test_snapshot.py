from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, func, select

from leadpush_prefect.errors import AudienceInvalid, RunBusy
from leadpush_prefect.model.contact import ContactRow
from leadpush_prefect.store.database import reading
from leadpush_prefect.store.runs import find_run
from leadpush_prefect.store.schema import contact
from leadpush_prefect.store.snapshot import IN_PROCESSES, IN_THREADS, batches_for, snapshot
from tests.support.store import begin, row, started


def count(database: Engine) -> int:
    with reading(database) as connection:
        return connection.scalar(select(func.count()).select_from(contact)) or 0


def test_whole(database: Engine) -> None:
    """A whole snapshot has numbered contacts, counts and batches, and the run is running."""
    rows = [row(number, subscribed=number % 5 > 0) for number in range(2_500)]
    run = snapshot(database, begin(database), rows, invalid=lambda: 3)

    assert ("running", 2_500, 500, 3, 2, 1_250) == (
        run.status,
        run.contacts,
        run.unsubscribed,
        run.invalid,
        run.batches,
        run.batch_size,
    )
    assert run == find_run(database, "r1")
    with reading(database) as connection:
        stored = connection.execute(contact.select().order_by(contact.c.number)).all()
    expected = [
        (run.key, number, kept.contact_id, kept.subscribed, kept.data, kept.place)
        for number, kept in enumerate(rows)
    ]
    assert expected == [tuple(found) for found in stored]


def test_not_at_all(database: Engine) -> None:
    """An audience that breaks off leaves no contact; the next execution reads it again."""

    def contacts() -> Iterator[ContactRow]:
        yield from map(row, range(2_500))
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        snapshot(database, begin(database), contacts())

    assert 0 == count(database)
    assert ("running", 5, 2) == (started(database, 5).status, count(database), begin(database).execution - 1)


def test_read_once(database: Engine) -> None:
    """A later execution does not read the audience, which may have changed."""
    started(database, 5)
    again = snapshot(database, begin(database), iter([row(99)]))

    assert (5, 5) == (again.contacts, count(database))


def test_killed_half_way(url: str, database: Engine) -> None:
    """What a killed process left of a snapshot is deleted when the run begins again."""
    script = f"from tests.support.store import snapshot_for_ever; snapshot_for_ever({url!r})"
    process = subprocess.Popen(
        [sys.executable, "-c", script], cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    with process, process.stdout as output:
        assert output.readline() == "5000\n"
        process.kill()

    assert count(database) >= 4_000
    run = begin(database)
    assert ("snapshotting", 2, 0) == (run.status, run.execution, count(database))


def test_other_execution_takes_over(database: Engine) -> None:
    """A snapshot ends when another execution of its run begins, and leaves that one's contacts alone."""
    first = begin(database)

    def contacts() -> Iterator[ContactRow]:
        yield from map(row, range(1_500))
        started(database, 7)
        yield from map(row, range(1_500, 3_000))

    with pytest.raises(RunBusy):
        snapshot(database, first, contacts())

    assert 7 == count(database)


@pytest.mark.parametrize(("first", "second"), [(3, 4), (3, 2_345)])
def test_one_id_twice(database: Engine, first: int, second: int) -> None:
    """Two contacts with one id are refused, both named by their lines, and nothing is left."""
    rows = [row(number, contact_id="twin" if number in (first, second) else "") for number in range(2_500)]
    with pytest.raises(AudienceInvalid, match=f"the id twin: line {first + 2} and line {second + 2}"):
        snapshot(database, begin(database), rows)

    assert 0 == count(database)


def test_one_id_in_two_runs(database: Engine) -> None:
    """Runs do not share contacts."""
    started(database, 3, run_id="a")
    started(database, 3, run_id="b")

    assert 6 == count(database)


def test_nobody(database: Engine) -> None:
    """An empty audience has one empty batch, and its snapshot counts."""
    run = started(database, 0)

    assert ("running", 0, 1, 0) == (run.status, run.contacts, run.batches, run.batch_size)
    assert "running" == begin(database).status


def test_automatic_batches() -> None:
    """One batch for up to 2,000 contacts, then one for each 2,000, up to the most."""
    sizes = [batches_for(contacts)[0] for contacts in (0, 1, 2_000, 2_001, 16_000, 16_001, 1_000_000)]
    in_processes = [batches_for(contacts, most=IN_PROCESSES)[0] for contacts in (2_001, 48_000, 48_001)]

    assert [1, 1, 1, 2, 8, 8, 8] == sizes
    assert [2, 24, 24] == in_processes


@given(st.integers(0, 10**7), st.integers(0, 10**4), st.sampled_from([IN_THREADS, IN_PROCESSES]))
def test_batches_hold_all(contacts: int, batches: int, most: int) -> None:
    """Batches hold every contact, none is empty, and there are no more than asked for."""
    count, size = batches_for(contacts, batches, most)

    assert count * size >= contacts
    assert (count - 1) * size < max(contacts, 1)
    assert count <= (batches or most)
