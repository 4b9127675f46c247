"""Intents: what was handed over and has no outcome is known, whatever happens in between."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Engine, update

from leadpush_prefect.errors import LeadpushError, Reason, RunBusy
from leadpush_prefect.model.outcome import Failure, Outcome, Resend, Status
from leadpush_prefect.store.database import reading, writing
from leadpush_prefect.store.intents import (
    CHANGED,
    KEY_SECONDS,
    LOST,
    TOO_OLD,
    Intents,
    adopt_intents,
    settle_intents,
    write_outcomes_and_intents,
)
from leadpush_prefect.store.outcomes import write_outcomes
from leadpush_prefect.store.runs import RunRecord
from leadpush_prefect.store.schema import intent, outcome
from leadpush_prefect.store.summary import summarize
from tests.support.store import FAILED, FETCHED, begin, declare, started, waiting

OPEN = Outcome(
    Status.FAILED, None, Failure(Reason.TIMEOUT, "There was no response."), 0.5, 2, 9, is_open=True
)


def hand_over(database: Engine, run: RunRecord, step: int, *numbers: int, digest: str = "") -> Intents:
    intents, _ = adopt_intents(database, run, step, 0, range(run.contacts), digest)
    write_outcomes_and_intents(database, run, intents, [], numbers, resend=Resend.BY_ITSELF)
    return intents


def codes(database: Engine) -> dict[int, tuple[Any, ...]]:
    with reading(database) as connection:
        o = outcome.c
        return {
            row.number: (row.code, row.resend)
            for row in connection.execute(outcome.select().order_by(o.number))
        }


def left(database: Engine) -> int:
    with reading(database) as connection:
        return len(connection.execute(intent.select()).all())


def test_what_was_under_way_is_unknown(database: Engine) -> None:
    """The next execution writes that nobody knows, counts it, and does not send it again; all others wait."""
    run = started(database, 6)
    step = declare(database, run, "a")
    intents = hand_over(database, run, step, 0, 1, 2, 3)
    write_outcomes_and_intents(
        database, run, intents, [(0, FETCHED)], [4], unsent=[2], resend=Resend.BY_ITSELF
    )
    again = begin(database)

    assert 3 == settle_intents(database, again)
    declare(database, again, "a", writes=True)
    unknown = Reason.OUTCOME_UNKNOWN, int(Resend.IF_NAMED)
    assert {0: (None, None), 1: unknown, 3: unknown, 4: unknown} == codes(database)
    assert [2, 5] == waiting(database, again, step)
    [summary] = summarize(database, again).steps
    assert {Reason.OUTCOME_UNKNOWN: 3} == summary.failed
    assert 0 == left(database)
    assert 0 == settle_intents(database, begin(database))


def test_nothing_is_left_when_all_are_done(database: Engine) -> None:
    """An intent goes with its outcome, in the same transaction."""
    run = started(database, 3)
    step = declare(database, run, "a")
    intents = hand_over(database, run, step, 0, 1, 2)
    write_outcomes_and_intents(
        database, run, intents, [(n, FETCHED) for n in range(3)], resend=Resend.BY_ITSELF
    )

    assert (0, {}) == (left(database), intents.open)


def test_another_execution_has_begun(database: Engine) -> None:
    """One that is no longer the run's hands nobody over."""
    run = started(database, 3)
    step = declare(database, run, "a")
    intents = hand_over(database, run, step, 0)
    begin(database)

    with pytest.raises(RunBusy):
        write_outcomes_and_intents(database, run, intents, [], [1], resend=Resend.BY_ITSELF)
    assert {0: 0} == intents.open


def test_the_same_execution_takes_its_batch_up_again(database: Engine) -> None:
    """A task that Prefect runs again finds unknown what its first attempt had under way."""
    run = started(database, 3)
    step = declare(database, run, "a")
    hand_over(database, run, step, 0)

    assert ({}, {LOST: 1}) == (lambda found: (found[0].open, found[1]))(
        adopt_intents(database, run, step, 0, range(3), "")
    )
    assert {0: (Reason.OUTCOME_UNKNOWN, 0)} == codes(database)


def test_under_a_key(database: Engine) -> None:
    """What was sent under a key waits again, and keeps the time when it was first sent."""
    run = started(database, 4)
    step = declare(database, run, "a", is_keyed=True)
    intents = hand_over(database, run, step, 0, 1, 2, digest="d")
    first = intents.open[0]
    write_outcomes_and_intents(database, run, intents, [(1, OPEN)], resend=Resend.BY_ITSELF)
    for execution in (2, 3):
        again = begin(database)
        assert 0 == settle_intents(database, again)
        assert [0, 1, 2, 3] == waiting(database, again, declare(database, again, "a"))
        adopted, unknown = adopt_intents(database, again, step, 0, range(4), "d")
        assert {} == unknown, execution
        write_outcomes_and_intents(database, again, adopted, [], [0, 1, 2], resend=Resend.BY_ITSELF)
        assert {0: first, 1: first, 2: first} == adopted.open


@pytest.mark.parametrize(
    ("digest", "age", "sentence"), [("d", KEY_SECONDS + 60, TOO_OLD), ("e", 60, CHANGED), ("", 60, CHANGED)]
)
def test_a_key_that_is_of_no_use(digest: str, age: int, sentence: str, database: Engine) -> None:
    """After a day, or when something else would be sent, nobody knows, and it is not sent again."""
    run = started(database, 3)
    step = declare(database, run, "a", is_keyed=True)
    intents = hand_over(database, run, step, 0, 1, digest="d")
    write_outcomes_and_intents(database, run, intents, [(1, OPEN)], resend=Resend.BY_ITSELF)
    with writing(database) as connection:
        connection.execute(update(outcome).values(intent_at=outcome.c.intent_at - age))
        text = f'{{"digest":"d","sent":[[{intents.open[0] - age},[0]]]}}'
        connection.execute(update(intent).values(numbers=text))
    again = begin(database)
    settle_intents(database, again)
    declare(database, again, "a", writes=True)

    adopted, unknown = adopt_intents(database, again, step, 0, range(3), digest)
    assert ({}, {sentence: 2}) == (adopted.open, unknown)
    assert [2] == waiting(database, again, step)
    assert {0: (Reason.OUTCOME_UNKNOWN, 0), 1: (Reason.OUTCOME_UNKNOWN, 0)} == codes(database)


def test_requests_are_counted_over_all_executions(database: Engine) -> None:
    """A failure that is replaced takes its requests with it into the count; so do those of which nothing came."""
    run = started(database, 3)
    step = declare(database, run, "a")
    write_outcomes(database, run.key, step, [(0, FAILED), (1, FETCHED)])
    write_outcomes(database, run.key, step, [], other_requests=4)
    again = begin(database)
    declare(database, again, "a")
    write_outcomes(database, again.key, step, [(0, FETCHED), (2, FETCHED)], again.execution)

    [summary] = summarize(database, again).steps
    assert FAILED.attempts + 3 * FETCHED.attempts + 4 == summary.requests


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"digest":"","sent":[[0]]}', "x", '{"digest":"","sent":[["a",[1]]]}']
)
def test_intents_of_others(text: str, database: Engine) -> None:
    """What somebody else wrote there is an error that says so."""
    run = started(database, 3)
    step = declare(database, run, "a")
    hand_over(database, run, step, 0)
    with writing(database) as connection:
        connection.execute(update(intent).values(numbers=text))

    with pytest.raises(LeadpushError, match="intents of another form"):
        settle_intents(database, begin(database))


@pytest.mark.parametrize(
    ("writes", "on_failure", "again"),
    [(False, "stop", [0, 1, 2]), (False, "continue", []), (True, "stop", [0]), (True, "continue", [])],
)
def test_failures_of_an_earlier_version(
    writes: bool, on_failure: str, again: list[int], database: Engine
) -> None:
    """They do not say who may send them again: code and method do, when the step is next declared."""
    run = started(database, 3)
    step = declare(database, run, "a")
    failures = [
        Failure(Reason.HTTP_STATUS, "", http_status=404),
        Failure(Reason.TIMEOUT, ""),
        Failure(Reason.RESPONSE_NOT_JSON, ""),
    ]
    write_outcomes(
        database, run.key, step, [(n, Outcome(Status.FAILED, failure=f)) for n, f in enumerate(failures)]
    )
    with writing(database) as connection:
        connection.execute(update(outcome).values(resend=None))
        connection.exec_driver_sql("UPDATE leadpush_step SET undecided = (1 = 1)")
    second = begin(database)
    declare(database, second, "a", on_failure=on_failure, writes=writes)

    assert again == waiting(database, second, step)
    assert all(resend is not None for _, resend in codes(database).values())
