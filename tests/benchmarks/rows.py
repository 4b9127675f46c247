"""The rows of the table: what is compared with what, and the bar."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from tests.benchmarks.result import Result
from tests.benchmarks.sides import DLT, SLOW_SECONDS, Side

SLOW_CONCURRENCY = 256
MILLION = 1_000_000
RUN_ID = "a-large-run"

# Slow baselines do fewer contacts, so that all ends in time: their rate hardly depends on the number.
SIDES = {
    "aiohttp": Side("baselines.aiohttp_loop", {"contacts": 50_000}, {"contacts": 2_000}),
    "one-step": Side("ours.one_step", {"contacts": 50_000}, {"contacts": 2_000}),
    "guarded": Side("ours.one_step", {"contacts": 30_000}, {"contacts": 2_000}),
    "unguarded": Side("ours.unguarded", {"contacts": 30_000}, {"contacts": 2_000}),
    "unguarded-at-all": Side("ours.unguarded", {"contacts": 30_000, "everything": True}, {"contacts": 2_000}),
    "posts": Side("ours.one_step", {"contacts": 50_000, "method": "POST"}, {"contacts": 2_000}),
    "durable-posts": Side(
        "ours.one_step", {"contacts": 50_000, "method": "POST", "durable": True}, {"contacts": 2_000}
    ),
    "campaign": Side("ours.campaign", {"contacts": 200_000}, {"contacts": 2_000}),
    "slow-api": Side(
        "ours.one_step",
        {"contacts": 50_000, "max_concurrency": SLOW_CONCURRENCY},
        {"contacts": 2_000},
        slow_api=True,
    ),
    "httpx-eight": Side("baselines.httpx_loop", {"contacts": 10_000, "clients": 8}, {"contacts": 400}),
    "httpx-one": Side("baselines.httpx_loop", {"contacts": 5_000, "clients": 1}, {"contacts": 400}),
    "two-steps": Side("ours.two_steps", {"contacts": 2_000}, {"contacts": 200}),
    "task-per-chunk": Side("baselines.task_per_chunk", {"contacts": 2_000}, {"contacts": 100}),
    "task-per-contact": Side("baselines.task_per_contact", {"contacts": 500}, {"contacts": 20}),
    "dlt": Side("baselines.dlt_source", {"contacts": 2_000}, {"contacts": 20}, alone=DLT),
    "run-100k": Side("ours.campaign", {"contacts": 100_000}, {"contacts": 4_000}),
    "run-1m": Side(
        "ours.campaign",
        {"contacts": MILLION, "run_id": RUN_ID},
        {"contacts": 5_000},
        home="million",
        once=True,
    ),
    "run-20k": Side("ours.campaign", {"contacts": 20_000}, {"contacts": 2_000}),
    "retried": Side(
        "ours.retried",
        {"contacts": MILLION, "missing": 1_000, "run_id": RUN_ID},
        {"contacts": 5_000, "missing": 100},
        home="million",
        after="run-1m",
    ),
    "run-1k": Side("ours.campaign", {"contacts": 1_000}, {"contacts": 100}),
    "one-task": Side("ours.one_task", {"calls": 300}, {"calls": 5}),
    "own-task": Side("baselines.own_task", {"calls": 300}, {"calls": 5}),
    "one-contact": Side("ours.one_contact_flow", {"flows": 8, "heartbeats": True}, {"flows": 2}),
    "empty": Side("baselines.empty_flow", {"flows": 8, "heartbeats": True}, {"flows": 2}),
    "one-contact-bare": Side("ours.one_contact_flow", {"flows": 40}, {"flows": 2}),
    "campaign-of-one": Side("ours.campaign_of_one", {"flows": 40}, {"flows": 2}),
    "empty-bare": Side("baselines.empty_flow", {"flows": 40}, {"flows": 2}),
    "reported": Side("ours.campaign", {"contacts": 50_000}, {"contacts": 2_000}),
    **{
        f"{path}{suffix}": Side(
            "ours.fast_path",
            {"path": path, "contacts": contacts, "without": bool(suffix)},
            {"contacts": 50_000},
        )
        for path, contacts in (("read-as-text", 200_000), ("insert-many", 200_000))
        for suffix in ("", "-without")
    },
    "not-reported": Side("ours.campaign", {"contacts": 50_000, "report": False}, {"contacts": 2_000}),
}


@dataclass(frozen=True, slots=True)
class Measure:
    """A quantity of a Result.

    Attributes:
        of: Takes it.
        unit: What stands after the number.
        digits: After the point.
    """

    of: Callable[[Result], float]
    unit: str
    digits: int = 0

    def shown(self, value: float) -> str:
        return f"{value:,.{self.digits}f} {self.unit}"


RATE = Measure(lambda result: result.rate, "/s")
MEMORY = Measure(lambda result: result.peak_mb, "MB")
FLOW = Measure(lambda result: result.flow_seconds, "s", 2)
SECONDS = Measure(lambda result: result.seconds, "s", 2)
MILLISECONDS = Measure(lambda result: 1000 * result.seconds, "ms", 1)
SLOW_RATE = Measure(lambda result: min(result.rate, SLOW_CONCURRENCY / SLOW_SECONDS), "/s")


@dataclass(frozen=True, slots=True)
class Row:
    """A comparison.

    Attributes:
        name: For `--rows`.
        work: What is done.
        over: The baseline.
        ours: The side.
        baseline: The other; empty where the bar is for the quantity itself.
        measure: What is compared.
        sign: Whether the ratio has to be at least the bar, or at most.
        bar: For the median; None where there is none, and the row is for information.
        baseline_measure: Where the baseline's quantity is another.
    """

    name: str
    work: str
    over: str
    ours: str
    baseline: str
    measure: Measure
    sign: Literal[">=", "<="]
    bar: float | None
    baseline_measure: Measure | None = None

    def values(self, ours: Result, baseline: Result | None) -> tuple[float, float | None, float]:
        """Our quantity, the baseline's, and what the bar is for."""
        mine = self.measure.of(ours)
        if baseline is None:
            return mine, None, mine
        theirs = (self.baseline_measure or self.measure).of(baseline)
        return mine, theirs, mine / theirs

    def is_met(self, value: float) -> bool:
        if self.bar is None:
            return True
        return value >= self.bar if self.sign == ">=" else value <= self.bar


# The rows of a group are measured in turns, in each round.
GROUPS = (
    (
        Row("one-step", "one GET step, all checks, stored", "aiohttp + uvloop that only GETs",
            "one-step", "aiohttp", RATE, ">=", 0.65),
        Row("campaign", "one GET step as a whole campaign flow", "one-step",
            "campaign", "one-step", RATE, ">=", 0.85),
        Row("slow-api", "an API that takes 50 ms, 256 at once", "256 / 50 ms, or one-step if that is less",
            "slow-api", "one-step", RATE, ">=", 0.9, SLOW_RATE),
        Row("httpx-eight", "one-step", "8 httpx clients that only GET",
            "one-step", "httpx-eight", RATE, ">=", 3),
        Row("httpx-one", "one-step", "one httpx client that only GETs",
            "one-step", "httpx-one", RATE, ">=", 12),
    ),
    (
        Row("two-steps-per-contact", "two steps and a message as a campaign flow", "a task per contact and step",
            "two-steps", "task-per-contact", RATE, ">=", 100),
        Row("two-steps-chunk", "the same", "a task per 500 contacts, httpx",
            "two-steps", "task-per-chunk", RATE, ">=", 12),
        Row("two-steps-dlt", "the same", "dlt's rest_api source, parallel",
            "two-steps", "dlt", RATE, ">=", 12),
    ),
    (
        Row("memory", "peak memory of a campaign flow of 1,000,000", "of 20,000",
            "run-1m", "run-20k", MEMORY, "<=", 1.2),
        Row("memory-mb", "peak memory of a campaign flow of 1,000,000", "",
            "run-1m", "", MEMORY, "<=", 400),
        Row("steady", "a campaign flow of 1,000,000", "of 100,000",
            "run-1m", "run-100k", RATE, ">=", 0.85),
        Row("retry", "a retry of 1,000,000 with 1,000 missing, whole flow", "a run of 1,000",
            "retried", "run-1k", FLOW, "<=", 3),
    ),
    (
        Row("one-task", "one contact, Fetch API Data called in a flow", "a task of one's own with httpx",
            "one-task", "own-task", MILLISECONDS, "<=", 1.2),
    ),
    (
        Row("one-contact-flow", "a flow that fetches for one contact", "an empty flow",
            "one-contact", "empty", MILLISECONDS, "<=", 1.5),
    ),
    (
        Row("one-contact-bare", "the same without Prefect's heartbeats", "an empty flow without",
            "one-contact-bare", "empty-bare", MILLISECONDS, "<=", None),
        Row("campaign-of-one", "a whole campaign of one contact, without heartbeats", "an empty flow without",
            "campaign-of-one", "empty-bare", MILLISECONDS, "<=", None),
    ),
    (
        Row("reporting", "a campaign flow of 50,000 with log, report and events", "without",
            "reported", "not-reported", SECONDS, "<=", 1.05),
    ),
    (
        Row("post-step", "one POST step, its intents stored before", "one GET step",
            "posts", "one-step", RATE, ">=", 0.9),
        Row("post-step-durable", "the same, on the disk before (the default)", "one GET step",
            "durable-posts", "one-step", RATE, ">=", None),
    ),
    (
        Row("guard", "one GET step, guarded", "the same without the guard of where requests go",
            "guarded", "unguarded", RATE, ">=", 0.95),
        Row("all-guards", "the same", "without what is checked of headers, connections and HTTP either",
            "guarded", "unguarded-at-all", RATE, ">=", None),
    ),
    (  # what looks like a trick: without a gain it goes
        Row("read-as-text", "rows of SQLite read as one text, while another thread computes", "row by row",
            "read-as-text", "read-as-text-without", RATE, ">=", 1.1),
        Row("insert-many", "rows of SQLite written 25 at once, while another thread computes", "one by one",
            "insert-many", "insert-many-without", RATE, ">=", 1.1),
    ),
)  # fmt: skip


def all_rows() -> list[Row]:
    return [row for group in GROUPS for row in group]
