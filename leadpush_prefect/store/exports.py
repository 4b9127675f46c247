"""What a run has stored, contact by contact, for people and files."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, Label, Row, Select, select

from leadpush_prefect.model.outcome import Failure, Outcome
from leadpush_prefect.store.contacts import contact_number
from leadpush_prefect.store.database import reading
from leadpush_prefect.store.outcomes import FAILED, FETCHED, read_failure, read_outcome
from leadpush_prefect.store.runs import RunRecord
from leadpush_prefect.store.schema import contact, outcome
from leadpush_prefect.store.steps import StepRecord, list_steps

__all__ = ["Result", "contact_outcomes", "iter_failures", "iter_outputs", "iter_results"]

CHUNK = 1000


class Result(NamedTuple):
    """All that a run has of one contact.

    Attributes:
        contact_id: Its id.
        data: The contact as JSON.
        outputs: The JSON text of its outputs, by output key.
        failures: The codes of its failures, by node.
    """

    contact_id: str
    data: str
    outputs: dict[str, str]
    failures: dict[str, str]


def iter_failures(database: Engine, run: RunRecord) -> Iterator[tuple[str, str, Failure]]:
    """The contacts that failed: contact id, node, failure; by step, then in the order of the contacts.

    No transaction is open between two chunks.
    """
    for step in list_steps(database, run):
        yield from _failures(database, run, step)


def iter_outputs(
    database: Engine, run: RunRecord, output_keys: Collection[str] | None = None
) -> Iterator[tuple[str, dict[str, str]]]:
    """The outputs of each contact that has any: contact id, JSON text by output key; in the contacts' order.

    No transaction is open between two chunks.

    Args:
        database: The database.
        run: The run.
        output_keys: The keys to read; None for all.
    """
    keys = {step.step: step.output_key for step in list_steps(database, run) if step.output_key}
    wanted = {step: key for step, key in keys.items() if output_keys is None or key in output_keys}
    for start in range(0, run.contacts, CHUNK):
        with reading(database) as connection:
            found = _outputs(connection, run, wanted, start)
        yield from found.values()


def iter_results(database: Engine, run: RunRecord) -> Iterator[Result]:
    """All contacts of a run with their outputs and failures, in their order.

    No transaction is open between two chunks.
    """
    steps = {step.step: step for step in list_steps(database, run)}
    for start in range(0, run.contacts, CHUNK):
        with reading(database) as connection:
            results = _contacts(connection, run, start)
            for row in connection.execute(_outcomes(run, list(steps), start)):
                step, result = steps[row.step], results.get(row.number)
                if result is None:
                    continue  # an outcome of a contact that is not there
                if row.code is not None and row.status == FAILED:
                    result.failures[step.node] = row.code
                elif step.output_key and row.output is not None:
                    result.outputs[step.output_key] = row.output
        yield from results.values()


def _contacts(connection: Connection, run: RunRecord, start: int) -> dict[int, Result]:
    these = contact.c.run == run.key, contact.c.number.between(start, start + CHUNK - 1)
    statement = select(contact.c.number, contact.c.contact_id, contact.c.data).where(*these)
    rows = connection.execute(statement.order_by(contact.c.number))
    return {row.number: Result(row.contact_id, row.data, {}, {}) for row in rows}


def _outcomes(run: RunRecord, steps: list[int], start: int) -> Select[*tuple[Any, ...]]:
    o = outcome.c
    these = o.run == run.key, o.step.in_(steps), o.number.between(start, start + CHUNK - 1)
    return select(o.number, o.step, o.status, o.output, o.code).where(*these).order_by(o.step)


def contact_outcomes(database: Engine, run: RunRecord, contact_id: str) -> list[tuple[str, Outcome]] | None:
    """What the steps did for one contact: node and outcome, in their order; None if it is not in the run."""
    number = contact_number(database, run.key, contact_id)
    if number is None:
        return None
    nodes = {step.step: step.node for step in list_steps(database, run)}
    these = outcome.c.run == run.key, outcome.c.number == number, outcome.c.step.in_(list(nodes))
    with reading(database) as connection:
        rows = connection.execute(select(outcome).where(*these).order_by(outcome.c.step)).all()
    return [(nodes[row.step], read_outcome(row)) for row in rows]


def _failures(database: Engine, run: RunRecord, step: StepRecord) -> Iterator[tuple[str, str, Failure]]:
    start = 0
    while rows := _failed_rows(database, run, step, start):
        yield from ((row.contact_id or "", step.node, read_failure(row.detail)) for row in rows)
        start = rows[-1].number + 1


def _failed_rows(
    database: Engine, run: RunRecord, step: StepRecord, start: int
) -> list[Row[*tuple[Any, ...]]]:
    statement = (
        select(outcome.c.number, _contact_id(), outcome.c.detail)
        .where(outcome.c.run == run.key, outcome.c.step == step.step, outcome.c.number >= start)
        .where(outcome.c.status == FAILED)
        .order_by(outcome.c.number)
        .limit(CHUNK)
    )
    with reading(database) as connection:
        return list(connection.execute(statement))


def _outputs(
    connection: Connection, run: RunRecord, keys: dict[int, str], start: int
) -> dict[int, tuple[str, dict[str, str]]]:
    statement = (
        select(outcome.c.number, _contact_id(), outcome.c.step, outcome.c.output)
        .where(outcome.c.run == run.key, outcome.c.step.in_(list(keys)), outcome.c.status == FETCHED)
        .where(outcome.c.number.between(start, start + CHUNK - 1))
        # Of two steps under one key, the later one's output counts.
        .order_by(outcome.c.number, outcome.c.step)
    )
    found: dict[int, tuple[str, dict[str, str]]] = {}
    for number, contact_id, step, text in connection.execute(statement):
        found.setdefault(number, (contact_id, {}))[1][keys[step]] = text
    return found


def _contact_id() -> Label[str]:
    """Of `outcome`: its contact's id. Not a join, for the reason given at `status_at`."""
    this = contact.c.run == outcome.c.run, contact.c.number == outcome.c.number
    return select(contact.c.contact_id).where(*this).scalar_subquery().label("contact_id")
