"""What tasks of the flow's own store, in chunks, and for whom they stored nothing."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import Any

from sqlalchemy import select

from leadpush_prefect.errors import Reason, StepRefused
from leadpush_prefect.model.context import CampaignContext
from leadpush_prefect.model.outcome import WITHDRAWN, Outcome, Status
from leadpush_prefect.runs.open_runs import OpenRun
from leadpush_prefect.store.chunk_size import CHUNK_BYTES
from leadpush_prefect.store.contacts import contact_number
from leadpush_prefect.store.database import reading
from leadpush_prefect.store.outcomes import write_outcomes
from leadpush_prefect.store.pending import pending
from leadpush_prefect.store.runs import batch_range
from leadpush_prefect.store.schema import claim
from leadpush_prefect.store.steps import declare_step, list_steps
from leadpush_prefect.store.summary import unreached
from leadpush_prefect.text.json_text import NestedTooDeeply, check_json, to_json

__all__ = [
    "READ_TO_THE_END",
    "Origin",
    "Stores",
    "number_of",
    "output_text",
    "skip_unstored",
    "write_outputs",
]

READ_TO_THE_END = -1
"""Of `claim`: in place of a step's number, that a task of the user's own has read all contexts of a batch."""


def output_text(value: Any) -> str:
    text = to_json(value)
    try:
        check_json(text.encode())
    except NestedTooDeeply as error:
        raise TypeError(f"The value is {error}, and could not be exported.") from None
    return text


def skip_unstored(run: OpenRun) -> None:
    """Note as skipped the contacts that a task of the user's own has read and stored nothing for."""
    record, database, patience = run.record, run.database, run.patience
    steps = patience(lambda: list_steps(database, record))
    stores = {step.node: step.step for step in steps if step.kind == "store"}
    if not stores:
        return
    read = patience(lambda: _read_batches(run))
    for node, batch, _ in patience(lambda: unreached(database, record)):
        if node in stores and batch in read:
            _skip_pending(run, stores[node], batch)


def _skip_pending(run: OpenRun, step: int, batch: int) -> None:
    record, most = run.record, run.tunables.unwritten
    numbers = batch_range(record, batch)
    for chunk in pending(run.database, record, step, numbers, most, patience=run.patience):
        skipped = [
            (contact.number, WITHDRAWN if contact.is_withdrawn else Outcome(Status.SKIPPED))
            for contact in chunk
        ]
        run.patience(partial(write_outcomes, run.database, record.key, step, skipped, record.execution))


def _read_batches(run: OpenRun) -> set[int]:
    key, execution = run.record.key, run.record.execution
    ours = claim.c.run == key, claim.c.step == READ_TO_THE_END, claim.c.execution == execution
    with reading(run.database) as connection:
        return set(connection.scalars(select(claim.c.batch).where(*ours)))


def number_of(run: OpenRun, context: CampaignContext, origin: Origin | None) -> int | None:
    """The number of a context's contact in the run; the context may be of another one."""
    if origin is not None and context.campaign["run_id"] == run.record.run_id:
        return origin.number
    return run.patience(lambda: contact_number(run.database, run.record.key, context.contact_id))


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a context came from: the contact's number, and where its outputs gather in this process."""

    number: int
    stores: Stores | None

    def __reduce__(self) -> tuple[type[Origin], tuple[int, None]]:
        return Origin, (self.number, None)


class Stores:
    """What `store` was given during one iteration of `contexts`, so that it is written in chunks."""

    def __init__(self, batch: int, run: OpenRun) -> None:
        self.batch = batch
        self.run = run
        self.rows: dict[str, dict[int, Outcome]] = {}
        self.seen: dict[str, set[int]] = {}
        self.size = 0  # of all outputs that are not yet written
        self.closed = False
        self.due = monotonic() + self.run.tunables.flush_seconds
        self.lock = threading.RLock()  # a task may work on its contexts in threads

    def add(self, output_key: str, number: int, outcome: Outcome) -> bool:
        """Take an output, unless the iteration has ended."""
        with self.lock:
            if self.closed:
                return False
            if number in self.seen.setdefault(output_key, set()):
                raise StepRefused(
                    Reason.OUTPUT_KEY_TAKEN,
                    f"The contact already has an output `{output_key}`. {Reason.OUTPUT_KEY_TAKEN.remedy}",
                )
            self.rows.setdefault(output_key, {})[number] = outcome
            self.seen[output_key].add(number)
            self.size += len(outcome.output or "")
            if len(self.rows[output_key]) >= self.run.tunables.unwritten or self.size >= CHUNK_BYTES:
                self.write()
            return True

    def write_if_due(self) -> None:
        if monotonic() >= self.due:
            self.write()

    def write(self) -> None:
        with self.lock:
            for output_key, rows in self.rows.items():
                write_outputs(self.run, output_key, rows)
            self.rows, self.size = {}, 0
            self.due = monotonic() + self.run.tunables.flush_seconds

    def count_skipped(self, read: int) -> None:
        """All were read; those for whom nothing was stored are done with too."""
        for output_key, numbers in self.seen.items():
            self.run.count(output_key, read - len(numbers))

    def close(self) -> None:
        with self.lock:
            self.closed = True
            self.write()


def write_outputs(run: OpenRun, output_key: str, rows: Mapping[int, Outcome]) -> None:
    run.patience(lambda: _write_outputs(run, output_key, rows))
    run.count(output_key, len(rows))


def _write_outputs(run: OpenRun, output_key: str, rows: Mapping[int, Outcome]) -> None:
    step = declare_step(
        run.database,
        run.record,
        node=output_key,
        output_key=output_key,
        kind="store",
        endpoint="",
        condition="",
        on_failure="stop",
        definition=f"store {output_key}",
    )
    write_outcomes(run.database, run.record.key, step, list(rows.items()), run.record.execution)
