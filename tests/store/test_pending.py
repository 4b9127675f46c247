from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Engine, event

from leadpush_prefect.errors import LeadpushError
from leadpush_prefect.model.outcome import Outcome, Status, resend_of
from leadpush_prefect.store.outcomes import write_outcomes
from leadpush_prefect.store.pending import PendingContact, pending
from leadpush_prefect.store.snapshot import snapshot
from tests.support.store import (
    FAILED,
    FETCHED,
    SKIPPED,
    begin,
    declare,
    row,
    started,
    waiting,
)


def test_fresh(database: Engine) -> None:
    """At first every contact waits, in order, in chunks, with its data and no outputs."""
    run = started(database, 7)
    chunks = list(pending(database, run, declare(database, run, "a"), range(1, 6), chunk=2))

    assert [[1, 2], [3, 4], [5]] == [[contact.number for contact in chunk] for chunk in chunks]
    assert PendingContact(1, row(1).data, {}) == chunks[0][0]


def test_unsubscribed(database: Engine) -> None:
    """Contacts that are not subscribed do not wait, unless the run includes them."""
    rows = [row(number, subscribed=number != 1) for number in range(3)]
    some = snapshot(database, begin(database, "some"), rows)
    every = snapshot(database, begin(database, "all", include_unsubscribed=True), rows)

    assert [0, 2] == waiting(database, some, declare(database, some, "a"))
    assert [0, 1, 2] == waiting(database, every, declare(database, every, "a"))


@pytest.mark.parametrize("on_failure", ["stop", "continue"])
def test_done_is_done(database: Engine, on_failure: str) -> None:
    """Within one execution no contact with an outcome waits again, failed or not."""
    run = started(database, 5)
    step = declare(database, run, "a", on_failure=on_failure)
    write_outcomes(database, run.key, step, [(0, FETCHED), (1, SKIPPED), (2, FAILED)])

    assert [3, 4] == waiting(database, run, step)


@pytest.mark.parametrize(("on_failure", "again"), [("stop", [2, 3, 4]), ("continue", [3, 4])])
def test_second_execution(database: Engine, on_failure: str, again: list[int]) -> None:
    """A second execution tries those without outcome, and those whose failure stopped them."""
    first = started(database, 5)
    step = declare(database, first, "a", on_failure=on_failure)
    rows = [(0, FETCHED), (1, SKIPPED), (2, FAILED)]
    write_outcomes(database, first.key, step, rows, resend=resend_of(on_failure))
    second = begin(database)
    declare(database, second, "a", on_failure=on_failure)

    assert again == waiting(database, second, step)


def test_failures_in_pieces(database: Engine) -> None:
    """A contact that fails again while its step works on is not met twice."""
    first = started(database, 6)
    step = declare(database, first, "a")
    write_outcomes(database, first.key, step, [(number, FAILED) for number in range(6)])
    second = begin(database)
    met = []
    for chunk in pending(database, second, step, range(6), chunk=2):
        met += [contact.number for contact in chunk]
        write_outcomes(database, second.key, step, [(contact.number, FAILED) for contact in chunk])

    assert [0, 1, 2, 3, 4, 5] == met


def test_stopped(database: Engine) -> None:
    """A failure keeps a contact from later steps where it stops the workflow, and only there and then."""
    run = started(database, 4)
    a, b = declare(database, run, "a"), declare(database, run, "b", on_failure="continue")
    c = declare(database, run, "c")
    write_outcomes(database, run.key, a, [(0, FAILED), (1, FETCHED), (2, SKIPPED), (3, FETCHED)])
    write_outcomes(database, run.key, b, [(1, FAILED)])
    write_outcomes(database, run.key, c, [(3, FAILED)])

    assert [2, 3] == waiting(database, run, b)  # a failure at a later step does not count
    assert [1, 2] == waiting(database, run, c)  # nor does one at a step that goes on


def test_stopped_goes_on(database: Engine) -> None:
    """A contact that failed in a former execution and is fetched now meets the later steps."""
    first = started(database, 2)
    a, b = declare(database, first, "a"), declare(database, first, "b")
    write_outcomes(database, first.key, a, [(0, FETCHED), (1, FAILED)])
    write_outcomes(database, first.key, b, [(0, FETCHED)])
    second = begin(database)
    assert [1] == waiting(database, second, a)
    assert [] == waiting(database, second, b)
    write_outcomes(database, second.key, a, [(1, FETCHED)])

    assert [1] == waiting(database, second, b)


def test_outputs_of_earlier_steps(database: Engine) -> None:
    """A contact comes with what earlier steps stored, as it was received, and nothing else."""
    run = started(database, 3)
    a = declare(database, run, "a", output_key="profile", on_failure="continue")
    b = declare(database, run, "b", output_key="offer")
    c = declare(database, run, "c")
    text = '{"price": 1.10,  "name":"Zoë"}'
    write_outcomes(database, run.key, a, [(0, Outcome(Status.FETCHED, text)), (1, FAILED), (2, FETCHED)])
    write_outcomes(database, run.key, b, [(0, Outcome(Status.FETCHED, "[1]")), (1, FETCHED), (2, SKIPPED)])
    write_outcomes(database, run.key, c, [])

    assert [{"profile": text}, {}, {"profile": '{"plan":"pro"}'}] == [
        contact.outputs for contact in _outcome_free(database, run, b)
    ]
    assert [
        {"profile": text, "offer": "[1]"},
        {"offer": '{"plan":"pro"}'},
        {"profile": '{"plan":"pro"}'},
    ] == [contact.outputs for chunk in pending(database, run, c, range(3)) for contact in chunk]


def _outcome_free(database: Engine, run, step: int) -> list[PendingContact]:  # type: ignore[no-untyped-def]
    """What the step saw before it wrote: the same, from a step with the same predecessors."""
    from sqlalchemy import delete

    from leadpush_prefect.store.database import writing
    from leadpush_prefect.store.schema import outcome

    with writing(database) as connection:
        rows = connection.execute(outcome.select().where(outcome.c.step == step)).all()
        connection.execute(delete(outcome).where(outcome.c.step == step))
    found = [contact for chunk in pending(database, run, step, range(run.contacts)) for contact in chunk]
    with writing(database) as connection:
        connection.execute(outcome.insert(), [dict(row._mapping) for row in rows])
    return found


def test_branches_share_a_key(database: Engine) -> None:
    """Of If and Else, each contact has the output of the branch it took."""
    run = started(database, 2)
    a = declare(database, run, "a", output_key="offer", condition="x")
    b = declare(database, run, "b", output_key="offer", condition="not x")
    write_outcomes(database, run.key, a, [(0, Outcome(Status.FETCHED, "[0]")), (1, SKIPPED)])
    write_outcomes(database, run.key, b, [(0, SKIPPED), (1, Outcome(Status.FETCHED, "[1]"))])
    c = declare(database, run, "c")

    (chunk,) = pending(database, run, c, range(2))
    assert [{"offer": "[0]"}, {"offer": "[1]"}] == [contact.outputs for contact in chunk]


def test_scattered(database: Engine) -> None:
    """The few that are left of many come with their outputs, and nobody else's."""
    run = started(database, 3_000)
    a, b = declare(database, run, "a"), declare(database, run, "b")
    texts = {number: Outcome(Status.FETCHED, f"[{number}]") for number in range(3_000)}
    write_outcomes(database, run.key, a, list(texts.items()))
    write_outcomes(database, run.key, b, [(number, FETCHED) for number in range(3_000) if number % 700])

    (chunk,) = pending(database, run, b, range(3_000))
    assert [(n, {"a": f"[{n}]"}) for n in range(0, 3_000, 700)] == [(c.number, c.outputs) for c in chunk]


def test_left_over(database: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the outcomes, a later execution finds the contacts that a look at each of them finds."""
    monkeypatch.setattr("leadpush_prefect.store.pending.WINDOW", 700)
    seed = random.randrange(2**32)
    print("seed", seed)
    chance = random.Random(seed)
    for case in range(6):
        everybody, on_failure = chance.random() < 0.5, chance.choice(["stop", "continue"])
        share, first = chance.choice([0.002, 0.05, 0.9]), chance.randrange(300)
        rows = [row(number, subscribed=chance.random() < 0.9) for number in range(2_050)]
        facts: dict[str, Any] = {"run_id": f"r{case}", "include_unsubscribed": everybody}
        run = snapshot(database, begin(database, **facts), rows)
        step = declare(database, run, "a", on_failure=on_failure)
        reached = [n for n, one in enumerate(rows) if one.subscribed or everybody]
        made = {n: FAILED if chance.random() < 0.01 else FETCHED for n in reached if chance.random() > share}
        write_outcomes(database, run.key, step, list(made.items()), resend=resend_of(on_failure))
        again = begin(database, **facts)
        stop = run.contacts - chance.randrange(300)
        found = [c.number for chunk in pending(database, again, step, range(first, stop), 40) for c in chunk]

        retried = {n for n, done in made.items() if done is FAILED and on_failure == "stop"}
        left = [n for n in reached if first <= n < stop and (n not in made or n in retried)]
        assert left == found, f"case {case} of seed {seed}"


@pytest.fixture
def short_texts(database: Engine) -> Iterator[None]:
    """SQLite makes no text of more than 5,000 bytes here; by itself it makes 1 GB."""

    def limit(connection: Any, *_: object) -> None:
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 5_000)

    event.listen(database, "checkout", limit)
    yield
    event.remove(database, "checkout", limit)
    database.dispose()


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
@pytest.mark.usefixtures("short_texts")
@pytest.mark.parametrize("execution", [1, 2])
def test_more_than_a_text_holds(database: Engine, execution: int) -> None:
    """A chunk whose contacts are too large to be read as one text is read all the same."""
    rows = [row(number)._replace(data=f'{{"_id":"{"x" * 1_000}{number}"}}') for number in range(20)]
    run = snapshot(database, begin(database), rows)
    run = begin(database) if execution == 2 else run

    (chunk,) = pending(database, run, declare(database, run, "a"), range(20))
    assert [one.data for one in rows] == [contact.data for contact in chunk]


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("data", ["\x1e", "1\x1f", '{"_id":"\x1e1\x1f"}', "\x1e1\x1f{}"])
def test_data_of_others(database: Engine, data: str) -> None:
    """What somebody else wrote for a contact's data is this contact's, whatever control characters are in it."""
    rows = [row(0), row(1)._replace(data=data), row(2)]
    run = snapshot(database, begin(database), rows)

    (chunk,) = pending(database, run, declare(database, run, "a"), range(3))
    assert [(n, one.data) for n, one in enumerate(rows)] == [(one.number, one.data) for one in chunk]


def test_writers_between_pieces(database: Engine) -> None:
    """No transaction is open between two chunks: a chunk sees what was written since the last."""
    run = started(database, 6)
    step = declare(database, run, "a")
    chunks = pending(database, run, step, range(6), chunk=2)
    next(chunks)
    write_outcomes(database, run.key, step, [(number, FETCHED) for number in (0, 1, 3, 4)])

    assert [[2, 5]] == [[contact.number for contact in chunk] for chunk in chunks]
    assert 0 == database.pool.checkedout()  # type: ignore[attr-defined]


def test_unknown_step(database: Engine) -> None:
    """A step must be declared before contacts wait for it."""
    with pytest.raises(LeadpushError, match="declare it"):
        waiting(database, started(database), 0)
