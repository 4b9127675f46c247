"""Markdown whose text can hold anything: a table's cell, a block of code, a link."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from leadpush_prefect.text.display import visible

__all__ = ["cell", "code", "code_block", "link", "prose", "table"]

_CODE = re.compile(r"`([^`]*[^` ][^`]*)`")
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>()#+!|~&$-])")


def cell(text: str) -> str:
    """Text in a table or a line: on one line, and as it is written.

    >>> cell("a|b <i>*c*")
    'a\\\\|b \\\\<i\\\\>\\\\*c\\\\*'
    """
    return _SPECIAL.sub(r"\\\1", _line(text))


def prose(text: str) -> str:
    """Text in a line, as it is written, but for what stands in backticks: that is code.

    Not in a table, where a bar would end the code's cell.

    >>> prose("Run `a --b *` (twice)")
    'Run `a --b *` \\\\(twice\\\\)'
    """
    parts = _CODE.split(" ".join(text.split()))
    return "".join(
        f"`{part}`" if number % 2 else _SPECIAL.sub(r"\\\1", part) for number, part in enumerate(parts)
    )


def code(text: str) -> str:
    """Code within a line, which nothing in the text can end (CommonMark, section 6.1).

    >>> code("a`b")
    '`` a`b ``'
    """
    line = _line(text)
    longest = max((len(ticks) for ticks in re.findall("`+", line)), default=0)
    ticks = "`" * (longest + 1)
    return f"{ticks} {line} {ticks}" if longest else f"{ticks}{line}{ticks}"


def _line(text: str) -> str:
    return visible(" ".join(text.split()))


def code_block(text: str, language: str = "") -> str:
    """A block of code that nothing in the text can end (CommonMark, section 4.5)."""
    longest = max((len(ticks) for ticks in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{visible(text)}\n{fence}"


def link(text: str, url: str | None) -> str:
    """A link, or the text alone where there is no URL."""
    return f"[{cell(text)}]({url})" if url else cell(text)


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table (GitHub Flavored Markdown, section 4.10). The cells are Markdown already."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
