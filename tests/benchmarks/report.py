"""The table: on the terminal, and in the README between two markers."""

from __future__ import annotations

import os
import platform
import re
import statistics
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from rich.table import Table

from tests.benchmarks.measuring import Measured
from tests.benchmarks.rows import all_rows
from tests.benchmarks.sides import DLT

README = Path(__file__).with_name("README.md")
BEGIN, END = "<!-- table: begin -->", "<!-- table: end -->"
HEADROOM = 3
"""The server must be able to answer so many times the requests of the faster side."""

COLUMNS = "row", "work", "over", "ours", "baseline", "ratio", "min", "max", "bar", "met", "server"
PACKAGES = "prefect", "aiohttp", "uvloop", "httpx", "SQLAlchemy", "leadpush-prefect"


def rich_table(measured: Sequence[Measured]) -> Table:
    table = Table(*COLUMNS, show_lines=False)
    for one in measured:
        table.add_row(*_cells(one), style="" if one.row.is_met(one.median) else "yellow")
    return table


def facts(command: str) -> list[str]:
    """Where, with what, when and how it was measured."""
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return [
        f"Machine: {os.cpu_count()} cores, {_cpu()}, {_memory()}, {platform.system()} {platform.machine()}",
        f"Versions: Python {platform.python_version()}, {versions}, {DLT.replace('==', ' ')}",
        f"Date: {datetime.now(UTC):%Y-%m-%d}",
        f"Command: `{command}`",
    ]


def write(measured: Sequence[Measured], command: str) -> None:
    """Replace what is between the markers of the README; rows that were not measured stay as they are."""
    text = README.read_text("utf-8")
    before, _, rest = text.partition(BEGIN)
    former, _, after = rest.partition(END)
    lines = {
        line.split(" | ")[0].removeprefix("| "): line for line in former.splitlines() if line.startswith("| ")
    }
    lines |= {one.row.name: _line(_cells(one)) for one in measured}
    rows = [lines[row.name] for row in all_rows() if row.name in lines]
    table = [
        _line(COLUMNS),
        _line(["---"] * len(COLUMNS)),
        *rows,
        "",
        *(f"- {fact}" for fact in facts(command)),
    ]
    README.write_text("\n".join([before + BEGIN, *table, END + after]), "utf-8")


def _cells(one: Measured) -> list[str]:
    row = one.row
    other = row.baseline_measure or row.measure
    return [
        row.name,
        row.work,
        row.over,
        row.measure.shown(statistics.median(one.ours)),
        other.shown(statistics.median(one.baseline)) if one.baseline else "",
        *(_number(value) for value in (one.median, min(one.values), max(one.values))),
        "" if row.bar is None else f"{row.sign} {row.bar:g}",
        "" if row.bar is None else "yes" if row.is_met(one.median) else "no",
        _headroom(one.headroom),
    ]


def _number(value: float) -> str:
    """Three digits that count."""
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:,.0f}"


def _headroom(times: float | None) -> str:
    if times is None:
        return "not measured"
    return (
        f"{times:.1f} times" + ("" if times >= HEADROOM else ": too slow") if times < 100 else "> 100 times"
    )


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cpu() -> str:
    information = Path("/proc/cpuinfo")
    if information.exists() and (found := re.search(r"model name\s*:\s*(.+)", information.read_text())):
        return found[1]
    return platform.processor() or "unknown CPU"


def _memory() -> str:
    size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return f"{size / 2**30:.0f} GB of memory"
