from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine

from leadpush_prefect.errors import Reason
from leadpush_prefect.model.outcome import Failure, Outcome, Status
from leadpush_prefect.store.outcomes import write_outcomes
from leadpush_prefect.store.snapshot import snapshot
from leadpush_prefect.store.summary import percentile, summarize, unreached
from tests.support.store import FAILED, FETCHED, SKIPPED, begin, declare, row, started


def test_counts(database: Engine) -> None:
    """A summary counts each step's outcomes, those who never reached it, its requests and bytes."""
    run = started(database, 5)
    a, b = declare(database, run, "a"), declare(database, run, "b", kind="render", endpoint="")
    write_outcomes(database, run.key, a, [(0, FETCHED), (1, SKIPPED), (2, FAILED), (3, FETCHED), (4, FAILED)])
    write_outcomes(database, run.key, b, [(0, Outcome(Status.FETCHED, '"Hi"'))])
    summary = summarize(database, run)

    first, second = summary.steps
    assert ("a", "fetch", "crm", 2, 1, {"http_status_404": 2}, 0) == (
        first.node,
        first.kind,
        first.endpoint,
        first.fetched,
        first.skipped,
        first.failed,
        first.not_reached,
    )
    assert (6, 46) == (first.requests, first.bytes)
    assert (1, {}, 2, 0, None) == (
        second.fetched,
        second.failed,
        second.not_reached,
        second.requests,
        second.p50,
    )
    assert (5, 1, 2) == (summary.contacts, summary.completed, summary.stopped)


def test_no_body(database: Engine) -> None:
    """Counted are those fetched whose response had no body: not what was rendered or simulated, or has failed."""
    run = started(database, 5)
    a, b = declare(database, run, "a"), declare(database, run, "b", kind="render", endpoint="")
    empty = Outcome(Status.FETCHED, "{}", None, 0.25, 1, 0)
    failed = Outcome(Status.FAILED, None, Failure(Reason.HTTP_STATUS, "503", http_status=503), 0.5, 2, 0)
    simulated = Outcome(Status.FETCHED, "{}")
    write_outcomes(
        database,
        run.key,
        a,
        [(0, empty), (1, FETCHED), (2, failed), (3, simulated), (4, replace(empty, attempts=3))],
    )
    write_outcomes(database, run.key, b, [(0, Outcome(Status.FETCHED, '""'))])

    assert [2, 0] == [step.no_body for step in summarize(database, run).steps]


def test_nothing_yet(database: Engine) -> None:
    """A run without steps has a summary."""
    summary = summarize(database, started(database))

    assert ((), 10, 0, 0) == (summary.steps, summary.contacts, summary.completed, summary.stopped)


def test_completed_after_all(database: Engine) -> None:
    """Who failed at the last step has an outcome everywhere, and has not completed."""
    run = started(database, 3)
    a, b = declare(database, run, "a", on_failure="continue"), declare(database, run, "b")
    write_outcomes(database, run.key, a, [(0, FAILED), (1, FETCHED), (2, FETCHED)])
    write_outcomes(database, run.key, b, [(0, FETCHED), (1, FAILED)])
    summary = summarize(database, run)

    assert (1, 1) == (summary.completed, summary.stopped)


def test_unsubscribed_are_not_missed(database: Engine) -> None:
    """Contacts that are not subscribed neither complete nor are missing."""
    run = snapshot(database, begin(database), [row(0), row(1, subscribed=False)])
    write_outcomes(database, run.key, declare(database, run, "a"), [(0, FETCHED)])

    assert (2, 1, 1) == (run.contacts, summarize(database, run).completed, run.unsubscribed)
    assert [] == unreached(database, run)


def test_latencies(database: Engine) -> None:
    """Latencies are those of contacts for whom a request was sent, rounded to a millisecond or less."""
    run = started(database, 201)
    step = declare(database, run, "a")
    sent = [(number, Outcome(Status.FETCHED, "[]", None, (number + 1) / 1_000, 1)) for number in range(200)]
    write_outcomes(database, run.key, step, [*sent, (200, Outcome(Status.SKIPPED, seconds=9.0))])
    (summary,) = summarize(database, run).steps

    assert (0.1, 0.19, 0.198) == (summary.p50, summary.p95, summary.p99)


@given(st.lists(st.integers(0, 50), min_size=1), st.sampled_from([0.5, 0.95, 0.99, 1.0]))
def test_percentile(latencies: list[int], share: float) -> None:
    """A percentile is the smallest latency that at least that share does not exceed."""
    histogram = sorted((us, latencies.count(us)) for us in set(latencies))
    found = percentile(histogram, share)

    assert found is not None
    assert sum(us / 1e6 <= found for us in latencies) >= share * len(latencies) - 1e-6
    assert sum(us / 1e6 < found for us in latencies) < share * len(latencies)


def test_unreached_steps(database: Engine) -> None:
    """Who has no outcome at a step, and was not stopped before it, is missing there, batch by batch."""
    run = started(database, 6, batches=2)
    a, b = declare(database, run, "a"), declare(database, run, "b")
    write_outcomes(database, run.key, a, [(0, FETCHED), (1, FAILED), (2, FETCHED), (3, SKIPPED)])
    write_outcomes(database, run.key, b, [(0, FETCHED), (2, FETCHED)])

    assert [("a", 1, 2), ("b", 1, 3)] == unreached(database, run)


def test_all_reached(database: Engine) -> None:
    """Nobody is missing once each is fetched, skipped, failed or stopped."""
    run = started(database, 3)
    a, b = declare(database, run, "a"), declare(database, run, "b", on_failure="continue")
    write_outcomes(database, run.key, a, [(0, FETCHED), (1, SKIPPED), (2, FAILED)])
    write_outcomes(database, run.key, b, [(0, FAILED), (1, FETCHED)])

    assert [] == unreached(database, run)


def test_no_step_at_all(database: Engine) -> None:
    """A run that declared no step has reached nobody."""
    assert [("", 0, 5), ("", 1, 5)] == unreached(database, started(database, 10, batches=2))
    assert [] == unreached(database, started(database, 0, run_id="empty"))


def test_former_steps_are_not_missed(database: Engine) -> None:
    """A step that the flow no longer has is not missed."""
    first = started(database, 2)
    declare(database, first, "old")
    second = begin(database)
    write_outcomes(database, second.key, declare(database, second, "new"), [(0, FETCHED), (1, FETCHED)])

    assert [] == unreached(database, second)
    assert 2 == summarize(database, second).completed
