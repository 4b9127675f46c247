"""How a run stands: what each step did, and who has not reached the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, fields
from typing import Any

from sqlalchemy import (
    Connection,
    Engine,
    Label,
    Row,
    ScalarSelect,
    Select,
    bindparam,
    case,
    distinct,
    func,
    literal,
    null,
    select,
)
from sqlalchemy.sql.elements import ColumnElement

from leadpush_prefect.errors import Reason
from leadpush_prefect.store.database import reading
from leadpush_prefect.store.outcomes import FAILED, FETCHED, SKIPPED, eligible, failed_at, status_at
from leadpush_prefect.store.runs import RunRecord
from leadpush_prefect.store.schema import contact, outcome
from leadpush_prefect.store.steps import StepRecord, list_steps, live_steps, stops_before

__all__ = ["RunSummary", "StepSummary", "is_complete", "percentile", "summarize", "unreached"]


@dataclass(frozen=True, slots=True)
class StepSummary:
    """What a step did.

    Attributes:
        node: Its name.
        kind: `fetch`, `render` or `store`.
        endpoint: The endpoint's name; empty where there is none.
        fetched: Contacts with an output.
        skipped: Contacts that did not meet the condition, or were no longer subscribed.
        failed: Contacts that failed, by code, the most frequent first.
        not_reached: Contacts that an earlier step stopped.
        requests: How many were sent over all executions, with all retries; at least so many where a process was killed.
        bytes: The size of all responses, decompressed.
        p50: The median latency in seconds; None where nothing was sent. So p95 and p99.
        no_body: Of those fetched, how many responses had no body, which is the output `{}`.
    """

    node: str
    kind: str
    endpoint: str
    fetched: int = 0
    skipped: int = 0
    failed: dict[str, int] = field(default_factory=dict)
    not_reached: int = 0
    requests: int = 0
    bytes: int = 0
    p50: float | None = None
    p95: float | None = None
    p99: float | None = None
    no_body: int = 0

    def __setstate__(self, state: Sequence[Any]) -> None:
        _fill(self, state)


@dataclass(frozen=True, slots=True)
class RunSummary:
    """How a run stands.

    Attributes:
        run_id: The run's id.
        campaign: The campaign's name.
        workspace: The workspace's name.
        simulate: Whether mocks stood for the APIs.
        contacts: How many there are.
        unsubscribed: How many of them are not subscribed.
        invalid: How many malformed rows of the audience were left out.
        completed: Contacts that have been through all steps, subscribed all the way.
        stopped: Contacts whose workflow a failure has ended.
        steps: What each step did, in order.
        consent: Which columns of the audience said who may be asked.
        no_answer: How many of the unsubscribed gave no answer.
        withdrawn: How many were subscribed when the run began, and were skipped since they are no longer.
    """

    run_id: str
    campaign: str
    workspace: str
    simulate: bool
    contacts: int
    unsubscribed: int
    invalid: int
    completed: int
    stopped: int
    steps: tuple[StepSummary, ...]
    consent: str = ""
    no_answer: int = 0
    withdrawn: int = 0

    def __setstate__(self, state: Sequence[Any]) -> None:
        _fill(self, state)


def _fill(summary: StepSummary | RunSummary, state: Sequence[Any]) -> None:
    """Take what was pickled: by an earlier version, the first fields only."""
    for number, each in enumerate(fields(summary)):
        object.__setattr__(summary, each.name, state[number] if number < len(state) else each.default)


def summarize(database: Engine, run: RunRecord) -> RunSummary:
    """Count a run's outcomes, in the database, whatever their number."""
    steps = list_steps(database, run)
    summaries: list[StepSummary] = []
    stops: list[int] = []  # the steps so far at which failures have stopped contacts
    with reading(database) as connection:
        for step in steps:
            summaries.append(_summary(connection, run, step, stops))
            stops += [step.step] if step.on_failure == "stop" and summaries[-1].failed else []
        stopped = _count_failed(connection, run, stops)
        live = live_steps(steps, run) or steps
        nodes = {step.node for step in live}
        if all(_is_reached(run, summary) for summary in summaries if summary.node in nodes):
            completed = run.reachable - stopped if live else 0
        else:
            completed = _completed(connection, run, live, stops)
        withdrawn = _count_withdrawn(connection, run, ()) if run.withdrawn else 0
        if withdrawn:
            completed -= _count_withdrawn(connection, run, live)
    return RunSummary(
        run_id=run.run_id,
        campaign=run.campaign,
        workspace=run.workspace,
        simulate=run.simulate,
        contacts=run.contacts,
        unsubscribed=run.unsubscribed,
        invalid=run.invalid,
        completed=completed,
        stopped=stopped,
        steps=tuple(summaries),
        consent=run.consent,
        no_answer=run.no_answer,
        withdrawn=withdrawn,
    )


def is_complete(run: RunRecord, summary: RunSummary) -> bool:
    """Whether each contact has reached each step that no failure kept it from, as far as counts can tell.

    They tell it at once, while `unreached` looks at each contact. What an earlier execution alone declared counts
    too, so that a run whose flow has changed may be complete although this says no.
    """
    return bool(summary.steps) and all(_is_reached(run, step) for step in summary.steps)


def _is_reached(run: RunRecord, step: StepSummary) -> bool:
    reached = step.fetched + step.skipped + sum(step.failed.values())
    return reached + step.not_reached == run.reachable


def unreached(database: Engine, run: RunRecord) -> list[tuple[str, int, int]]:
    """Contacts that have not reached a step, though no failure has stopped them: node, batch, how many.

    The steps are those of the run's last execution. If it declared none, the node is empty, and all contacts
    that the run may touch are listed by batch.
    """
    if not run.contacts:
        return []
    steps = list_steps(database, run)
    missing: list[tuple[str, int, int]] = []
    with reading(database) as connection:
        for step in live_steps(steps, run):
            missing += _missing(connection, run, step, steps)
        return missing if live_steps(steps, run) else _missing(connection, run, None, ())


def percentile(histogram: Sequence[tuple[int, int]], share: float) -> float | None:
    """The smallest latency that `share` of the requests do not exceed, in seconds.

    Args:
        histogram: Microseconds in ascending order, each with how often.
        share: From 0 to 1.

    >>> percentile([(1_000, 90), (250_000, 10)], 0.9), percentile([(1_000, 90), (250_000, 10)], 0.95)
    (0.001, 0.25)
    """
    left = share * sum(count for _, count in histogram)
    for microseconds, count in histogram:
        left -= count
        if left <= 1e-6:  # 0.95 * 100 is a little more than 95
            return microseconds / 1_000_000
    return None


def _summary(connection: Connection, run: RunRecord, step: StepRecord, stops: Sequence[int]) -> StepSummary:
    contacts: Counter[tuple[int, str | None]] = Counter()
    latencies: Counter[int] = Counter()
    groups = _groups(connection.engine, run, _fetched(run, step))
    if sum(row.contacts for row in groups) < run.reachable:
        groups += _groups(connection.engine, run, _others(run, step))
    for row in groups:
        contacts[row.status, row.code] += row.contacts
        if row.latency % 2:
            latencies[row.latency - 1] += row.contacts
    failed = {code: count for (status, code), count in contacts.items() if status == FAILED and code}
    histogram = sorted(latencies.items())
    return StepSummary(
        node=step.node,
        kind=step.kind,
        endpoint=step.endpoint,
        fetched=contacts[FETCHED, None],
        skipped=sum(count for (status, _), count in contacts.items() if status == SKIPPED),
        failed=dict(sorted(failed.items(), key=lambda item: (-item[1], item[0]))),
        not_reached=_count_failed(connection, run, stops, _status_too(step.step).is_(None)),
        # PostgreSQL sums to a Decimal.
        requests=sum(int(row.requests) for row in groups) + step.other_requests,
        bytes=sum(int(row.size) for row in groups),
        p50=percentile(histogram, 0.50),
        p95=percentile(histogram, 0.95),
        p99=percentile(histogram, 0.99),
        no_body=sum(row.no_body for row in groups),
    )


def _groups(
    database: Engine, run: RunRecord, statement: Select[*tuple[Any, ...]]
) -> list[Row[*tuple[Any, ...]]]:
    """Groups of a step's outcomes; of a large run in several parts, side by side."""

    def of(first: int) -> Sequence[Row[*tuple[Any, ...]]]:
        with reading(database) as connection:
            return connection.execute(statement, {"start": first, "stop": first + size}).all()

    size = max(PART, -(-run.contacts // PARTS))
    starts = range(0, max(run.contacts, 1), size)
    if len(starts) == 1:
        return list(of(0))
    with ThreadPoolExecutor(PARTS, "leadpush-summary") as threads:
        return [row for groups in threads.map(of, starts) for row in groups]


PART, PARTS = 50_000, 4


def _fetched(run: RunRecord, step: StepRecord) -> Select[*tuple[Any, ...]]:
    """Those fetched by latency. Most are, and each key more of a group costs time."""
    o = outcome.c
    no_body = func.count().filter(o.bytes == 0, o.attempts > 0).label("no_body")
    groups = select(literal(FETCHED).label("status"), null().label("code"), _latency(), *_totals(), no_body)
    return groups.where(*_here(run, step), outcome.c.status == FETCHED).group_by("latency")


def _others(run: RunRecord, step: StepRecord) -> Select[*tuple[Any, ...]]:
    """The others by status, code and latency."""
    o = outcome.c
    groups = select(o.status, o.code, _latency(), *_totals(), literal(0).label("no_body"))
    return groups.where(*_here(run, step), o.status != FETCHED).group_by(o.status, o.code, "latency")


def _here(run: RunRecord, step: StepRecord) -> tuple[ColumnElement[bool], ...]:
    o = outcome.c
    part = o.number >= bindparam("start"), o.number < bindparam("stop")
    return o.run == run.key, o.step == step.step, *part


def _latency() -> Label[int]:
    """Latencies are rounded to 0.1 ms below 0.1 s and to 1 ms above: at most some 30,000 groups of a code, however
    many outcomes. So they are even, and one more says that a request was sent."""
    o = outcome.c
    fine, coarse = o.microseconds - o.microseconds % 100, o.microseconds - o.microseconds % 1000
    rounded = case((o.microseconds < 100_000, fine), else_=coarse)
    return (rounded + case((o.attempts > 0, 1), else_=0)).label("latency")


def _totals() -> tuple[Label[int], ...]:
    o = outcome.c
    requests, size = func.sum(o.attempts).label("requests"), func.sum(o.bytes).label("size")
    return func.count().label("contacts"), requests, size


def _completed(
    connection: Connection, run: RunRecord, steps: Sequence[StepRecord], stops: Sequence[int]
) -> int:
    if not steps:
        return 0
    through = select(func.count()).select_from(contact).where(eligible(run))
    through = through.where(*(status_at(step.step).is_not(None) for step in steps))
    # Few fail: it is quicker to count those who were stopped after all than to ask for each who was not.
    late = _count_failed(connection, run, stops, *(_status_too(step.step).is_not(None) for step in steps))
    return (connection.scalar(through) or 0) - late


def _count_withdrawn(connection: Connection, run: RunRecord, steps: Sequence[StepRecord]) -> int:
    """Those who were skipped at a step since they were no longer subscribed, and have been through all of `steps`."""
    o = outcome.c
    skipped = o.run == run.key, o.status == SKIPPED, o.code == Reason.NOT_SUBSCRIBED
    through = [_status_too(step.step).is_not(None) for step in steps]
    return connection.scalar(select(func.count(distinct(o.number))).where(*skipped, *through)) or 0


def _count_failed(
    connection: Connection, run: RunRecord, steps: Sequence[int], *where: ColumnElement[bool]
) -> int:
    if not steps:
        return 0
    failed = outcome.c.run == run.key, outcome.c.step.in_(steps), outcome.c.status == FAILED
    contacts = func.count(distinct(outcome.c.number))
    return connection.scalar(select(contacts).where(*failed, *where)) or 0


def _status_too(step: int) -> ScalarSelect[int]:
    """Of `outcome`: the status of the same contact's outcome at `step`, or NULL; as `status_at`."""
    too = outcome.alias("too")
    this = too.c.run == outcome.c.run, too.c.step == step, too.c.number == outcome.c.number
    return select(too.c.status).where(*this).scalar_subquery()


def _missing(
    connection: Connection, run: RunRecord, step: StepRecord | None, steps: Sequence[StepRecord]
) -> list[tuple[str, int, int]]:
    batch = (contact.c.number // run.batch_size).label("batch")
    statement = select(batch, func.count()).where(eligible(run)).group_by(batch).order_by(batch)
    if step:
        stops = stops_before(steps, step.step)
        statement = statement.where(status_at(step.step).is_(None))
        statement = statement.where(~failed_at(stops)) if stops else statement
    return [(step.node if step else "", number, count) for number, count in connection.execute(statement)]
