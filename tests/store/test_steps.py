from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import Engine

from leadpush_prefect.errors import Reason, RunBusy, StepRefused
from leadpush_prefect.store.steps import claim_batch, list_steps
from tests.support.store import begin, declare, started


def test_numbers_follow(database: Engine) -> None:
    """Steps are numbered as they are declared; each batch finds the same one."""
    run = started(database)

    assert [0, 1, 0, 1] == [declare(database, run, node) for node in ("a", "b", "a", "b")]
    assert ["a", "b"] == [step.node for step in list_steps(database, run)]


def test_threads_declare_one(database: Engine) -> None:
    """Threads that declare at once make one step of each node."""
    run, barrier = started(database), threading.Barrier(8)

    def declare_at_once(number: int) -> tuple[str, int]:
        barrier.wait()
        node = f"n{number % 2}"
        return node, declare(database, run, node)

    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(declare_at_once, range(8)))

    assert 2 == len(found)
    assert {0, 1} == {number for _, number in found}


def test_two_of_one_node(database: Engine) -> None:
    """Two different steps of one node are refused, and the first stays as it was."""
    run = started(database)
    declare(database, run, "a")
    with pytest.raises(StepRefused, match="node a") as caught:
        declare(database, run, "a", definition="2")

    assert Reason.OUTPUT_KEY_TAKEN is caught.value.reason
    assert ["1"] == [step.definition for step in list_steps(database, run)]


def test_changed_flow(database: Engine) -> None:
    """In another execution a node may be another step; it keeps its number."""
    declare(database, started(database), "a")
    run = begin(database)
    number = declare(database, run, "a", definition="2", output_key="b", on_failure="continue")

    assert 0 == number
    (step,) = list_steps(database, run)
    assert ("2", "b", "continue", 2) == (step.definition, step.output_key, step.on_failure, step.execution)


@pytest.mark.parametrize(
    ("first", "second", "refused"),
    [
        ({}, {}, True),
        ({"condition": "x"}, {}, True),
        ({}, {"condition": "x"}, True),
        ({"condition": "x"}, {"condition": "not x"}, False),
        ({"output_key": "other"}, {}, False),
    ],
)
def test_one_key_of_two(
    database: Engine, first: dict[str, Any], second: dict[str, Any], refused: bool
) -> None:
    """Two steps may store under one key only where both are conditional, as in If / Else."""
    run = started(database)
    declare(database, run, "a", **{"output_key": "offer", **first})
    if not refused:
        assert 1 == declare(database, run, "b", **{"output_key": "offer", **second})
        return
    with pytest.raises(StepRefused, match="nodes a and b both store under offer"):
        declare(database, run, "b", **{"output_key": "offer", **second})


def test_key_of_a_former_step(database: Engine) -> None:
    """A step that the flow no longer has does not hold its key."""
    declare(database, started(database), "a", output_key="offer")

    assert 1 == declare(database, begin(database), "b", output_key="offer")


def test_changed_key_is_taken(database: Engine) -> None:
    """A known node that takes a new key meets the same rule."""
    declare(database, started(database), "a")
    run = begin(database)
    declare(database, run, "b", output_key="offer")
    with pytest.raises(StepRefused, match="both store under offer"):
        declare(database, run, "a", output_key="offer", definition="2")


def test_claims(database: Engine) -> None:
    """A batch has one owner per step; the owner may come again, and other batches and steps are free."""
    run = started(database, batches=2)
    a, b = declare(database, run, "a"), declare(database, run, "b")
    for step, batch in ((a, 0), (a, 0), (a, 1), (b, 0)):
        claim_batch(database, run, step, batch, "task 1")
    with pytest.raises(StepRefused, match="step a has already run for batch 0 .* node of its own"):
        claim_batch(database, run, a, 0, "task 2")


def test_claims_end_with_the_execution(database: Engine) -> None:
    """Another execution takes the batches of the former one, once."""
    first = started(database)
    step = declare(database, first, "a")
    claim_batch(database, first, step, 0, "task 1")
    second = begin(database)
    claim_batch(database, second, step, 0, "task 2")
    with pytest.raises(StepRefused):
        claim_batch(database, second, step, 0, "task 1")


def test_former_execution(database: Engine) -> None:
    """An execution neither declares nor claims once another one of its run has begun."""
    first = started(database)
    step = declare(database, first, "a")
    begin(database)
    with pytest.raises(RunBusy):
        declare(database, first, "b")
    with pytest.raises(RunBusy):
        claim_batch(database, first, step, 0, "task 1")


def test_threads_claim_one(database: Engine) -> None:
    """Of threads that claim a batch at once, one gets it."""
    run, barrier = started(database), threading.Barrier(8)
    step = declare(database, run, "a")

    def claim_at_once(number: int) -> bool:
        barrier.wait()
        try:
            claim_batch(database, run, step, 0, f"task {number}")
        except StepRefused:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert 1 == sum(pool.map(claim_at_once, range(8)))
