"""Measure rows: their sides in turns, round by round, and what the server can do by itself."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from tests.benchmarks.ceiling import Ceilings
from tests.benchmarks.result import Result
from tests.benchmarks.rows import GROUPS, SIDES, Row
from tests.benchmarks.sides import Workbench


@dataclass(frozen=True, slots=True)
class Measured:
    """A row's numbers, one for each round.

    Attributes:
        row: The row.
        ours: Our quantity.
        baseline: The baseline's; empty where there is none.
        values: What the bar is for.
        headroom: How many times the requests of the faster side the server can answer by itself; None if that
            was not measured.
    """

    row: Row
    ours: list[float]
    baseline: list[float]
    values: list[float]
    headroom: float | None

    @property
    def median(self) -> float:
        return statistics.median(self.values)


def measure(
    names: Collection[str],
    rounds: int,
    bench: Workbench,
    ceilings: Ceilings | None,
    say: Callable[[str], None],
) -> list[Measured]:
    """Measure the rows of these names.

    Args:
        names: Of rows.
        rounds: How often.
        bench: Where.
        ceilings: Of the servers; None not to measure them.
        say: Told what is being measured.
    """
    measured: list[Measured] = []
    for group in GROUPS:
        rows = [row for row in group if row.name in names]
        results: list[dict[str, Result]] = []
        for number in range(rounds if rows else 0):
            say(f"{', '.join(row.name for row in rows)}: round {number + 1} of {rounds}")
            results.append(_round(_needed(rows), results, bench, say))
        measured += [_measured(row, results, ceilings) for row in rows]
    return measured


def _needed(rows: Sequence[Row]) -> list[str]:
    """The sides of the rows, in their order."""
    needed = {name for row in rows for name in (row.ours, row.baseline)}
    needed |= {SIDES[name].after for name in needed if name}
    return [name for name in SIDES if name in needed]


def _round(
    names: Sequence[str], before: Sequence[dict[str, Result]], bench: Workbench, say: Callable[[str], None]
) -> dict[str, Result]:
    results: dict[str, Result] = {}
    for name in names:
        if SIDES[name].once and before:
            results[name] = before[0][name]
            continue
        say(f"  {name}")
        results[name] = bench.measure(SIDES[name])
    return results


def _measured(row: Row, results: Sequence[dict[str, Result]], ceilings: Ceilings | None) -> Measured:
    triples = [row.values(result[row.ours], result.get(row.baseline)) for result in results]
    return Measured(
        row,
        [mine for mine, _, _ in triples],
        [theirs for _, theirs, _ in triples if theirs is not None],
        [value for _, _, value in triples],
        min(ceilings.headroom(name, results) for name in (row.ours, row.baseline) if name)
        if ceilings
        else None,
    )
