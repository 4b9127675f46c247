"""What commands print: tables and sentences for people, JSON for scripts."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from leadpush_prefect.json_text import to_json

__all__ = ["cut", "print_error", "print_json", "print_table", "stdout"]

stdout = Console()
_stderr = Console(stderr=True)

SHOWN_LENGTH = 4_000


def print_json(value: Any) -> None:
    """JSON on standard output, and nothing else."""
    sys.stdout.write(to_json(value) + "\n")


def print_error(message: str) -> None:
    """A sentence on standard error."""
    _stderr.print(f"[bold red]Error[/] {escape(message)}", soft_wrap=True)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, title: str = "") -> None:
    """A table; cells are text as it is."""
    table = Table(title=title or None, title_justify="left", title_style="", header_style="bold")
    table.box, table.pad_edge, table.padding = SIMPLE_HEAD, False, (0, 1, 0, 0)
    for number, column in enumerate(columns):
        numeric = column in _NUMBERS
        table.add_column(
            column, justify="right" if numeric else "left", overflow="fold", no_wrap=numeric or number == 0
        )
    for row in rows:
        table.add_row(*(escape(cell) for cell in row))
    stdout.print(table)


_NUMBERS = frozenset(
    ("contacts", "fetched", "skipped", "failed", "requests", "p50 ms", "p95 ms", "p99 ms", "timeout")
)


def cut(text: str) -> str:
    """A text that a terminal can show, with its size where it is cut."""
    if len(text) <= SHOWN_LENGTH:
        return text
    return f"{text[:SHOWN_LENGTH]}\n... ({len(text):,} characters in all)"
