"""A run's contacts, outputs and failures as a file: JSONL, CSV or Parquet, streamed."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from io import TextIOWrapper
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from uuid import uuid4

from leadpush_prefect.errors import LeadpushError
from leadpush_prefect.store.exports import Result, iter_results
from leadpush_prefect.store.steps import list_steps
from leadpush_prefect.store.stored_values import stored_contact, stored_json
from leadpush_prefect.text.json_text import to_json, to_text
from leadpush_prefect.text.projection import value_at

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from leadpush_prefect.store.runs import RunRecord

__all__ = ["export_run"]

CHUNK = 5_000
"""Rows in a row group of a Parquet file."""

# What a spreadsheet would run as a formula (OWASP, CSV injection): also in the full width of East Asian keyboards, and
# behind what some spreadsheets strip, such as spaces, quotes and characters that do not show.
_STRIPPED = r"[\s\"'\x00-\x1f\x7f-\xa0\xad\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]*"
_FORMULA = re.compile(_STRIPPED + r"[=+\-@\uff1d\uff0b\uff0d\uff20]|[\t\r\n]")


@dataclass(frozen=True, slots=True)
class _Columns:
    """What a file has of each contact, in this order."""

    names: tuple[str, ...]
    read: Callable[[Result], list[Any]]


def export_run(
    database: Engine,
    run: RunRecord,
    file: Path,
    *,
    attributes: bool = False,
    paths: Sequence[str] = (),
) -> int:
    """Write a run's contacts to a file: id, attributes if asked, outputs (or chosen paths of them), failures.

    The file is its owner's alone.

    Args:
        database: Where the run is.
        run: The run.
        file: Its ending says the format: `.jsonl`, `.csv` (RFC 4180, UTF-8) or `.parquet` (needs pyarrow).
        attributes: Whether the contacts' attributes are in it.
        paths: Such as `customer_profile.plan`; by default the whole outputs, one column for each output key.

    Returns:
        How many contacts were written.

    Raises:
        LeadpushError: if the ending is none of these, a path begins with no output key of the run, or the file cannot
            be written.
    """
    write = _WRITERS.get(file.suffix.lower())
    if write is None:
        raise LeadpushError(f"{file}: the ending must be one of {', '.join(_WRITERS)}.")
    columns = _columns(database, run, attributes, paths)
    # A name that nobody can foresee, so that no link waits there to have its target overwritten.
    unfinished = file.with_name(f".{file.name[:100]}.{uuid4().hex}.part")
    try:
        with open(unfinished, "xb", opener=_new_file) as out:
            write(out, columns, iter_results(database, run))
        unfinished.replace(file)  # a file of this name is whole; a link is replaced, not followed
    except OSError as error:
        raise LeadpushError(f"{file} cannot be written: {error.strerror or error}.") from error
    finally:
        with suppress(OSError):
            unfinished.unlink()
    return run.contacts


def _new_file(path: str, flags: int) -> int:
    """For its owner alone, whatever the umask: it holds people's data."""
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0), 0o600)


def _columns(database: Engine, run: RunRecord, attributes: bool, paths: Sequence[str]) -> _Columns:
    keys = list(dict.fromkeys(step.output_key for step in list_steps(database, run) if step.output_key))
    for path in paths:
        if path.split(".")[0] not in keys:
            raise LeadpushError(f"{path}: the run has no such output; it has {', '.join(keys) or 'none'}.")
    wanted = [tuple(path.split(".")) for path in paths] or [(key,) for key in keys]
    names = ("contact_id", *(["attributes"] if attributes else []), *map(".".join, wanted), "failures")

    def read(result: Result) -> list[Any]:
        outputs = {
            key: stored_json(result.outputs[key])
            for key in {path[0] for path in wanted} & result.outputs.keys()
        }
        row: list[Any] = [result.contact_id]
        if attributes:
            row.append(stored_contact(result.data).get("attributes"))
        return [*row, *(value_at(outputs, path) for path in wanted), result.failures or None]

    return _Columns(names, read)


def _write_jsonl(out: IO[bytes], columns: _Columns, results: Iterator[Result]) -> None:
    for result in results:
        line = to_json(dict(zip(columns.names, columns.read(result), strict=True)))
        out.write(f"{line}\n".encode())


def _write_csv(out: IO[bytes], columns: _Columns, results: Iterator[Result]) -> None:
    with TextIOWrapper(out, encoding="utf-8", newline="") as text:
        writer = csv.writer(text)
        writer.writerow(map(_cell, columns.names))
        for result in results:
            writer.writerow(map(_cell, columns.read(result)))


def _cell(value: Any) -> str:
    """A value as a cell; text that a spreadsheet would run as a formula is marked as text by a leading quote."""
    text = to_text(value)
    return f"'{text}" if isinstance(value, str) and _FORMULA.match(text) else text


def _write_parquet(out: IO[bytes], columns: _Columns, results: Iterator[Result]) -> None:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise LeadpushError("A .parquet file needs pyarrow: pip install pyarrow.") from None
    schema = pyarrow.schema([(name, pyarrow.string()) for name in columns.names])
    with pyarrow.parquet.ParquetWriter(out, schema) as writer:
        while chunk := [columns.read(result) for result in islice(results, CHUNK)]:
            texts = [[None if value is None else to_text(value) for value in row] for row in chunk]
            arrays = [pyarrow.array(column, pyarrow.string()) for column in zip(*texts, strict=True)]
            writer.write_table(pyarrow.table(arrays, schema=schema))


_WRITERS = {".jsonl": _write_jsonl, ".csv": _write_csv, ".parquet": _write_parquet}
