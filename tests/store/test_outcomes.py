from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

from sqlalchemy import Engine

from leadpush_prefect.errors import Reason
from leadpush_prefect.model.outcome import Failure, Outcome, Status
from leadpush_prefect.store.exports import iter_failures, iter_outputs
from leadpush_prefect.store.outcomes import write_outcomes
from leadpush_prefect.store.pending import pending
from tests.support.store import (
    FAILED,
    FETCHED,
    SKIPPED,
    declare,
    started,
    waiting,
    write_a_quarter,
)


def test_failure_round_trip(database: Engine) -> None:
    """A failure is read as it was written, whatever is in its excerpt."""
    run = started(database, 3)
    step = declare(database, run, "a")
    full = Failure(
        Reason.HTTP_STATUS, "m", "headers.X", 503, "GET https://x/\nA: ***", 'quote " \ud800 \x00 Ω'
    )
    plain = Failure(Reason.TIMEOUT, "No response.")
    outcomes = [Outcome(Status.FAILED, failure=failure) for failure in (full, plain)]
    write_outcomes(database, run.key, step, list(zip((0, 2), outcomes, strict=True)))

    assert [("c0", "a", full), ("c2", "a", plain)] == list(iter_failures(database, run))


def test_failures_by_step(database: Engine) -> None:
    """Failures come by step, then in the contacts' order, however many chunks they fill."""
    run = started(database, 2_300)
    steps = [declare(database, run, node, on_failure="continue") for node in "ab"]
    for step in steps:
        write_outcomes(database, run.key, step, [(number, FAILED) for number in range(0, 2_300, 2)])

    found = [(node, contact_id) for contact_id, node, _ in iter_failures(database, run)]
    assert [(node, f"c{number}") for node in "ab" for number in range(0, 2_300, 2)] == found


def test_outputs_by_contact(database: Engine) -> None:
    """Outputs come by contact, in order; contacts without any are left out; keys can be chosen."""
    run = started(database, 2_300)
    a, b = declare(database, run, "a"), declare(database, run, "b")
    write_outcomes(database, run.key, a, [(0, FETCHED), (1, FAILED), (2_200, FETCHED)])
    write_outcomes(database, run.key, b, [(0, Outcome(Status.FETCHED, "[1]")), (2_200, SKIPPED)])
    plan = {"a": '{"plan":"pro"}'}

    assert [("c0", plan | {"b": "[1]"}), ("c2200", plan)] == list(iter_outputs(database, run))
    assert [("c0", {"b": "[1]"})] == list(iter_outputs(database, run, ["b"]))
    assert [] == list(iter_outputs(database, run, []))


def test_eight_threads(database: Engine) -> None:
    """Threads that read and write chunks at once lose nothing."""
    run = started(database, 4_000, batches=8)
    step = declare(database, run, "a")

    def work(batch: int) -> int:
        done = 0
        for chunk in pending(database, run, step, range(batch * 500, batch * 500 + 500), 20):
            write_outcomes(database, run.key, step, [(contact.number, FETCHED) for contact in chunk])
            done += len(chunk)
        return done

    with ThreadPoolExecutor(8) as pool:
        assert [500] * 8 == list(pool.map(work, range(8)))
    assert [] == waiting(database, run, step)


def test_four_processes(url: str, database: Engine) -> None:
    """Processes that declare, read and write at once wait for each other: no "database is locked"."""
    run = started(database, 4_000)
    with ProcessPoolExecutor(4, multiprocessing.get_context("spawn")) as pool:
        assert [0] * 4 == list(pool.map(write_a_quarter, [url] * 4, range(4)))

    assert [] == waiting(database, run, 0)
    assert 4_000 == sum(1 for _ in iter_outputs(database, run))
