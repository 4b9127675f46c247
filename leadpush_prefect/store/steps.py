"""The steps of a run, and which task may run which step for which batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Literal

from sqlalchemy import Connection, Engine, bindparam, insert, select, update

from leadpush_prefect.errors import Reason, StepRefused
from leadpush_prefect.store.bulk_insert import insert_or_update
from leadpush_prefect.store.database import reading, writing
from leadpush_prefect.store.locking import hold_execution
from leadpush_prefect.store.resend import decide_resend
from leadpush_prefect.store.runs import RunRecord
from leadpush_prefect.store.schema import claim
from leadpush_prefect.store.schema import step as steps

__all__ = ["StepRecord", "claim_batch", "declare_step", "list_steps", "live_steps", "stops_before"]


@dataclass(frozen=True, slots=True)
class StepRecord:
    """A step of a run.

    Attributes:
        step: Its number, from 0: a step reads the outputs of those with a lower one.
        node: Its name, unique in the run.
        output_key: The key of its outputs.
        kind: `fetch`, `render` or `store`.
        endpoint: The endpoint's name; empty where there is none.
        condition: The `when=`; empty where there is none.
        on_failure: `stop` or `continue`.
        definition: A fingerprint of all that makes the step what it is.
        execution: The last execution of the run that declared it.
        other_requests: Requests of it that no outcome counts.
    """

    step: int
    node: str
    output_key: str
    kind: Literal["fetch", "render", "store"]
    endpoint: str
    condition: str
    on_failure: Literal["stop", "continue"]
    definition: str
    execution: int
    other_requests: int = field(default=0, compare=False)


_COLUMNS = [steps.c[each.name] for each in fields(StepRecord)]
_DECLARED = [each.name for each in fields(StepRecord) if each.compare]
_STEPS = select(*_COLUMNS).where(steps.c.run == bindparam("key")).order_by(steps.c.step)


def declare_step(
    database: Engine,
    run: RunRecord,
    *,
    node: str,
    output_key: str,
    kind: Literal["fetch", "render", "store"],
    endpoint: str,
    condition: str,
    on_failure: Literal["stop", "continue"],
    definition: str,
    batch: int | None = None,
    owner: str = "",
    writes: bool = False,
    is_keyed: bool = False,
) -> int:
    """The number of a run's step; each batch declares it, the first one makes it.

    A step of an earlier execution keeps its number and takes the new definition.

    Args:
        database: The database.
        run: The run.
        node, output_key, kind, endpoint, condition, on_failure, definition: As in StepRecord.
        batch: A batch to claim for it at once, as by `claim_batch`.
        owner: Who works on that.
        writes: Whether it sends what must not be sent twice (POST, PATCH).
        is_keyed: Whether it does so under a key.

    Raises:
        StepRefused: if the flow has two steps of this node, or two that store under one key and are not both
            conditional; or another owner has the batch.
        RunBusy: if another execution of the run has begun.
    """
    with writing(database) as connection:
        hold_execution(connection, run.key, run.execution)
        known = _list(connection, run.key)
        former = next((step for step in known if step.node == node), None)
        number = former.step if former else len(known)
        step = StepRecord(
            number, node, output_key, kind, endpoint, condition, on_failure, definition, run.execution
        )
        if step != former:
            _refuse_second_definition(step, former)
            _refuse_taken_key(step, known)
            _put(connection, run, step, is_new=former is None)
            if former:
                decide_resend(connection, run.key, number, on_failure, writes=writes)
        if is_keyed:
            this = steps.c.run == run.key, steps.c.step == number
            connection.execute(update(steps).where(*this).values(keyed=True))
        if batch is not None:
            _claim(connection, run, number, batch, owner)
    return number


def _put(connection: Connection, run: RunRecord, step: StepRecord, *, is_new: bool) -> None:
    values = {name: getattr(step, name) for name in _DECLARED}
    if is_new:
        connection.execute(insert(steps).values(run=run.key, **values))
    else:
        this = steps.c.run == run.key, steps.c.step == step.step
        connection.execute(update(steps).where(*this).values(values))


def claim_batch(database: Engine, run: RunRecord, step: int, batch: int, owner: str) -> None:
    """Take a batch for a step in this execution; the same owner may take it again.

    Args:
        database: The database.
        run: The run.
        step: The step's number.
        batch: The batch's number.
        owner: Who works on it: an id that a retry of the same task run keeps.

    Raises:
        StepRefused: if another owner has it.
        RunBusy: if another execution of the run has begun.
    """
    with writing(database) as connection:
        hold_execution(connection, run.key, run.execution)
        _claim(connection, run, step, batch, owner)


def _claim(connection: Connection, run: RunRecord, step: int, batch: int, owner: str) -> None:
    # Whoever holds the execution is alone with its claims.
    row = {"run": run.key, "step": step, "batch": batch}
    this = (claim.c[name] == value for name, value in row.items())
    former = connection.execute(select(claim.c.execution, claim.c.owner).where(*this)).one_or_none()
    if former is None or former.execution != run.execution:
        values = {**row, "execution": run.execution, "owner": owner}
        connection.execute(insert_or_update(connection, claim).values(values))
    elif former.owner != owner:
        raise _run_twice(_node(connection, run, step), batch)


def list_steps(database: Engine, run: RunRecord) -> list[StepRecord]:
    """The steps of a run that any of its executions declared, by number."""
    with reading(database) as connection:
        return _list(connection, run.key)


def live_steps(steps: Sequence[StepRecord], run: RunRecord) -> list[StepRecord]:
    """Those that the run's last execution declared: the flow may have changed since an earlier one."""
    return [step for step in steps if step.execution == run.execution]


def stops_before(steps: Sequence[StepRecord], number: int) -> list[int]:
    """The numbers of the earlier steps at which a failure ends a contact's workflow."""
    return [step.step for step in steps if step.step < number and step.on_failure == "stop"]


def _list(connection: Connection, key: int) -> list[StepRecord]:
    rows = connection.execute(_STEPS, {"key": key})
    return [StepRecord(*row) for row in rows]


def _refuse_second_definition(step: StepRecord, former: StepRecord | None) -> None:
    if former and former.execution == step.execution and former.definition != step.definition:
        raise StepRefused(
            Reason.OUTPUT_KEY_TAKEN,
            f"Two different steps of this run are the node {step.node}. Give one of them a node of its own.",
        )


def _refuse_taken_key(step: StepRecord, known: Sequence[StepRecord]) -> None:
    for other in known:
        if other.node == step.node or other.execution != step.execution or not step.output_key:
            continue
        if other.output_key == step.output_key and not (other.condition and step.condition):
            raise StepRefused(
                Reason.OUTPUT_KEY_TAKEN,
                f"The nodes {other.node} and {step.node} both store under {step.output_key}. Give one "
                "of them another output_key, or give each a when= of its own.",
            )


def _node(connection: Connection, run: RunRecord, step: int) -> str:
    this = steps.c.run == run.key, steps.c.step == step
    return connection.scalar(select(steps.c.node).where(*this)) or str(step)


def _run_twice(node: str, batch: int) -> StepRefused:
    return StepRefused(
        Reason.OUTPUT_KEY_TAKEN,
        f"The step {node} has already run for batch {batch} in this run. "
        "Give the second one a node of its own.",
    )
