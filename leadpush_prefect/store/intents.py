"""Intents: which contacts of a batch were handed over to be written to an API, and have no outcome yet.

They are committed before anything is sent. So after a crash it is known of whom the API may have heard: what is left is
`outcome_unknown`, and not sent again by itself. Under a key (`idempotency_header`) it may be, for a day.

A batch has one row, whose text is `{"digest": ..., "sent": [[at, [number, ...]], ...], "counted": ...}`: a row for each
contact would be written and deleted again, which costs more than all else that is stored of it.
"""

from __future__ import annotations

import json
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from sqlalchemy import Connection, Engine, bindparam, delete, func, select

from leadpush_prefect.errors import Reason
from leadpush_prefect.model.outcome import Failure, Outcome, Resend, Status
from leadpush_prefect.store.bulk_insert import put_row
from leadpush_prefect.store.column_types import corrupt
from leadpush_prefect.store.database import clock, writing
from leadpush_prefect.store.locking import hold_execution
from leadpush_prefect.store.outcomes import FAILED, OutcomeValues, outcome_values, put_outcomes
from leadpush_prefect.store.runs import RunRecord
from leadpush_prefect.store.schema import intent, outcome
from leadpush_prefect.store.schema import step as steps

__all__ = ["Intents", "adopt_intents", "settle_intents", "write_outcomes_and_intents"]

KEY_SECONDS = 24 * 3600
"""So long a key is taken to be known to the API."""

LOST = "The process ended before the API's answer was stored."
TOO_OLD = "It was first sent under its key more than 24 hours ago, and no answer came."
CHANGED = "It was sent by another method, URL or body than the endpoint has now, and no answer came."


@dataclass(slots=True)
class Intents:
    """Those of a batch at a step, as one execution keeps them.

    Attributes:
        step: The step's number.
        batch: The batch's number.
        digest: Of what the endpoint sends under a key; empty without a key.
        open: The numbers of the contacts that were handed over and have no outcome, each with when it was first sent, in
            seconds by the database's clock; 0 without a key.
        first: The same of contacts that failed under their key, and are sent again.
    """

    step: int
    batch: int
    digest: str = ""
    open: dict[int, int] = field(default_factory=dict)
    first: dict[int, int] = field(default_factory=dict)

    def after(self, done: Iterable[int], more: Iterable[int], now: int) -> dict[int, int]:
        """What is open when some are done, and more are handed over."""
        left = dict(self.open)
        for number in done:
            left.pop(number, None)
        for number in more:
            left.setdefault(number, self.first.get(number, now))
        return left


def write_outcomes_and_intents(
    database: Engine,
    run: RunRecord,
    intents: Intents,
    rows: Sequence[tuple[int, Outcome]],
    more: Sequence[int] = (),
    *,
    unsent: Iterable[int] = (),
    resend: Resend,
    durable: bool = True,
    is_end: bool = False,
    other_requests: int = 0,
) -> None:
    """Write outcomes, and whose requests are handed over next, in one transaction.

    Args:
        database: The database.
        run: The run, of this execution.
        intents: The batch's; they are as the database has them when it is committed.
        rows: The contacts' numbers and outcomes.
        more: The numbers of those that will be handed over, and may be once it is committed.
        unsent: The numbers of those that were, and of whom nothing was sent.
        resend: Who may send again those that failed and may be sent again at all.
        durable: Whether a power cut must not undo it.
        is_end: Whether the batch ends in order: what is left was sent, and is counted among `other_requests`.
        other_requests: Requests that were sent, and that none of the outcomes counts.

    Raises:
        RunBusy: if a later execution has begun.
    """
    done = [number for number, _ in rows]
    with writing(database, durable=durable and bool(more)) as connection:
        hold_execution(connection, run.key, run.execution, shared=True)
        now = clock(connection) if intents.digest and more else 0
        values = [_values(run.key, intents, number, outcome, resend) for number, outcome in rows]
        put_outcomes(connection, run.key, intents.step, values, other_requests, run.execution)
        left = intents.after([*done, *unsent], more, now)
        _put(connection, run, intents, left, is_counted=is_end)
    intents.open = left


def _values(run_key: int, intents: Intents, number: int, done: Outcome, resend: Resend) -> OutcomeValues:
    if not (done.is_open and intents.digest):
        return outcome_values(run_key, intents.step, number, done, resend)
    at = intents.open.get(number) or intents.first.get(number)
    return outcome_values(run_key, intents.step, number, done, resend, intent_at=at, digest=intents.digest)


def _put(
    connection: Connection,
    run: RunRecord,
    intents: Intents,
    left: Mapping[int, int],
    *,
    is_counted: bool = False,
) -> None:
    if not left:
        connection.execute(_DELETE, {"run": run.key, "step": intents.step, "batch": intents.batch})
        return
    at: dict[int, list[int]] = {}
    for number, first in left.items():
        at.setdefault(first, []).append(number)
    numbers = orjson.dumps(
        {"digest": intents.digest, "sent": list(at.items()), "counted": is_counted}
    ).decode()
    put_row(connection, intent, (run.key, intents.step, intents.batch, run.execution, numbers))


_DELETE = delete(intent).where(*(intent.c[name] == bindparam(name) for name in ("run", "step", "batch")))


def settle_intents(database: Engine, run: RunRecord) -> int:
    """Write that nobody knows what became of the requests that an earlier execution had under way without a key.

    Args:
        database: The database.
        run: The run, of this execution.

    Returns:
        How many they are.
    """
    settled = 0
    with writing(database) as connection:
        hold_execution(connection, run.key, run.execution)
        rows = select(intent).where(intent.c.run == run.key, intent.c.execution < run.execution)
        for row in connection.execute(rows).all():
            digest, sent, _ = _read(row.numbers)
            if not digest:
                _put_unknown(connection, run, row.step, dict.fromkeys(sent, LOST), sent)
                _put(connection, run, Intents(row.step, row.batch), {})
                settled += len(sent)
    return settled


def adopt_intents(
    database: Engine, run: RunRecord, step: int, batch: int, numbers: range, digest: str
) -> tuple[Intents, dict[str, int]]:
    """Take over what is left of a batch's intents, before its first request.

    Those under the same key, and less than a day old, are sent again; of the others it is written that nobody knows what
    became of them.

    Args:
        database: The database.
        run: The run, of this execution.
        step: The step's number.
        batch: The batch's number.
        numbers: Its contacts' numbers.
        digest: Of what the endpoint sends now, under a key; empty without a key.

    Returns:
        The batch's intents; and how many are unknown from now on, by the sentence that says why.
    """
    with writing(database) as connection:
        hold_execution(connection, run.key, run.execution, shared=True)
        judged = _Judged(digest, clock(connection))
        this = intent.c.run == run.key, intent.c.step == step, intent.c.batch == batch
        row = connection.execute(select(intent.c.numbers).where(*this)).one_or_none()
        lost: Container[int] = ()
        if row:
            digest_then, sent, is_counted = _read(row.numbers)
            judged.judge(digest_then, sent)
            lost = () if is_counted else sent
        left = Intents(step, batch, digest, dict(judged.kept))
        if run.execution > 1 and connection.scalar(_IS_KEYED, {"run": run.key, "step": step}):
            for number, at, former in connection.execute(_keyed(run.key, step, numbers)):
                judged.judge(former, {number: at})
        _put_unknown(connection, run, step, judged.unknown, lost)
        _put(connection, run, left, left.open)
    left.first = judged.kept
    why = list(judged.unknown.values())
    return left, {sentence: why.count(sentence) for sentence in dict.fromkeys(why)}


class _Judged:
    """Which of those that were sent may be sent again under their key, and why others may not."""

    def __init__(self, digest: str, now: int) -> None:
        self.digest = digest
        self.now = now
        self.kept: dict[int, int] = {}
        self.unknown: dict[int, str] = {}

    def judge(self, digest: str, sent: Mapping[int, int]) -> None:
        for number, at in sent.items():
            if not digest:
                self.unknown[number] = LOST
            elif digest != self.digest:
                self.unknown[number] = CHANGED
            elif at < self.now - KEY_SECONDS:
                self.unknown[number] = TOO_OLD
            else:
                self.kept[number] = at


_IS_KEYED = select(steps.c.keyed).where(steps.c.run == bindparam("run"), steps.c.step == bindparam("step"))


def _keyed(run_key: int, step: int, numbers: range) -> Any:
    """The contacts of a batch that failed under a key, and that any execution may send again."""
    o = outcome.c
    these = o.run == run_key, o.step == step, o.number >= numbers.start, o.number < numbers.stop
    open_ones = o.status == FAILED, o.resend == int(Resend.BY_ITSELF), o.digest.is_not(None)
    return select(o.number, func.coalesce(o.intent_at, 0), o.digest).where(*these, *open_ones)


def _put_unknown(
    connection: Connection, run: RunRecord, step: int, unknown: Mapping[int, str], lost: Container[int]
) -> None:
    """Write why nobody knows; of those that were lost on their way no outcome counts the request yet."""
    values = [
        outcome_values(run.key, step, number, _unknown(sentence, number in lost), Resend.IF_NAMED)
        for number, sentence in unknown.items()
    ]
    if values:
        put_outcomes(connection, run.key, step, values, execution=run.execution)


def _unknown(sentence: str, is_lost: bool) -> Outcome:
    failure = Failure(Reason.OUTCOME_UNKNOWN, sentence)
    return Outcome(Status.FAILED, failure=failure, attempts=int(is_lost), may_resend=False)


def _read(numbers: str) -> tuple[str, dict[int, int], bool]:
    """A row's text: the digest, each number with when it was first sent, and whether these requests are counted."""
    try:
        found = json.loads(numbers)
        return str(found["digest"]), dict(_pairs(found["sent"])), found.get("counted") is True
    except (ValueError, KeyError, TypeError, RecursionError):
        raise corrupt("intents of another form") from None


def _pairs(sent: Any) -> Iterator[tuple[int, int]]:
    for at, numbers in sent:
        for number in numbers:
            yield int(number), int(at)
