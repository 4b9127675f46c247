"""Measure, and print the table.

    uv run python -m tests.benchmarks [--rows NAME...] [--rounds 3] [--small] [--no-ceiling] [--write]

README.md, beside this file, says what is measured and how to read it.
"""

from __future__ import annotations

import argparse
import sys
from time import perf_counter

from rich.console import Console

from tests.benchmarks import report
from tests.benchmarks.ceiling import Ceilings, find_wrk
from tests.benchmarks.measuring import measure
from tests.benchmarks.rows import all_rows
from tests.benchmarks.sides import SideFailed, Workbench

COMMAND = "uv run python -m tests.benchmarks"


def main(argv: list[str]) -> int:
    names = [row.name for row in all_rows()]
    parser = argparse.ArgumentParser(prog=COMMAND, description="Measure, and print the table.")
    parser.add_argument(
        "--rows", nargs="+", choices=names, default=names, metavar="NAME", help=", ".join(names)
    )
    parser.add_argument("--rounds", type=int, default=3, help="how often each side is measured (default 3)")
    parser.add_argument("--small", action="store_true", help="few contacts: whether it runs, not how fast")
    parser.add_argument(
        "--no-ceiling", action="store_true", help="do not measure the server, which needs wrk"
    )
    parser.add_argument("--write", action="store_true", help="write the rows into the table of README.md")
    arguments = parser.parse_args(argv)
    if arguments.rounds < 1:
        parser.error("--rounds must be 1 or more.")
    if arguments.write and arguments.small:
        parser.error("--write is for rows at their full size.")
    started = perf_counter()
    progress, output = Console(stderr=True), Console(width=None if sys.stdout.isatty() else 200)
    try:
        wrk = "" if arguments.no_ceiling else find_wrk()
        with Workbench(arguments.small) as bench:
            ceilings = Ceilings(bench, wrk) if wrk else None
            measured = measure(arguments.rows, arguments.rounds, bench, ceilings, progress.print)
    except (FileNotFoundError, SideFailed) as error:
        progress.print(str(error), markup=False)
        return 2
    command = " ".join([COMMAND, *argv])
    output.print(report.rich_table(measured))
    for fact in report.facts(command):
        output.print(fact, markup=False, highlight=False)
    output.print(f"It took {(perf_counter() - started) / 60:.1f} minutes.", highlight=False)
    if arguments.write:
        report.write(measured, command)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
