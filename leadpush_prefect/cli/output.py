"""What commands print: tables and sentences for people, JSON for scripts."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from leadpush_prefect.text.display import visible, visible_json
from leadpush_prefect.text.json_text import to_json

__all__ = ["cut", "print_error", "print_json", "print_table", "say", "stdout"]

stdout = Console()
_stderr = Console(stderr=True)

SHOWN_LENGTH = 4_000
CELL_LENGTH = 500  # folded into a narrow column it is some fifty lines


def print_json(value: Any) -> None:
    """JSON on standard output, and nothing else."""
    sys.stdout.write(visible_json(to_json(value)) + "\n")


def say(*parts: str | tuple[str, str], wrap: bool = False) -> None:
    """A line of text as it is: what stands in it is neither markup nor obeyed by the terminal.

    Args:
        parts: Texts, each alone or with its style.
        wrap: Whether it is broken where a word ends; else that is left to the terminal.
    """
    line = Text()
    for part in parts:
        text, style = (part, "") if isinstance(part, str) else part
        line.append(visible(text), style)
    stdout.print(line, soft_wrap=not wrap)


def print_error(message: str) -> None:
    """A sentence on standard error."""
    _stderr.print(Text.assemble(("Error", "bold red"), " ", visible(message)), soft_wrap=True)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, title: str = "") -> None:
    """A table; cells are text as it is."""
    table = Table(
        title=Text(visible(title)) if title else None,
        title_justify="left",
        title_style="",
        header_style="bold",
    )
    table.box, table.pad_edge, table.padding = SIMPLE_HEAD, False, (0, 1, 0, 0)
    for number, column in enumerate(columns):
        numeric = column in _NUMBERS
        table.add_column(
            column, justify="right" if numeric else "left", overflow="fold", no_wrap=numeric or number == 0
        )
    for row in rows:
        table.add_row(*(Text(visible(cut(cell, CELL_LENGTH))) for cell in row))
    stdout.print(table)


_NUMBERS = frozenset(
    ("contacts", "done", "skipped", "failed", "requests", "p50 ms", "p95 ms", "p99 ms", "timeout")
)


def cut(text: str, length: int = SHOWN_LENGTH) -> str:
    """A text that a terminal can show, with its size where it is cut."""
    if len(text) <= length:
        return text
    return f"{text[:length]}\n... ({len(text):,} characters in all)"
