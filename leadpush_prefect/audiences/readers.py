"""Readers of audiences: a file, rows of a database, or any iterable, to contacts; always streamed.

Each yields a `ContactRow` for a row that can be used and an `InvalidRow` for one that cannot, in order.
`usable` decides what the second means.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from os import PathLike
from typing import IO, Any

from leadpush_prefect.errors import AudienceInvalid
from leadpush_prefect.model.consent_columns import ConsentColumns
from leadpush_prefect.model.contact import (
    ID_KEYS,
    ContactKeys,
    ContactRow,
    InvalidRow,
    Parts,
    Unusable,
    read_contact,
)
from leadpush_prefect.system.regular_file import open_regular

__all__ = ["read_contacts", "read_csv", "read_jsonl", "read_rows", "usable"]

SHOWN = 10  # invalid rows in one message

MAX_ROW_LENGTH = 10_000_000
"""So many characters (bytes, of JSONL) a row may have: more than any contact, and less than a machine's memory."""

SKIPPED = 1_000_000  # characters that are read at once of a row that is too long


def read_csv(
    path: str | PathLike[str], *, id: str = "", consent: ConsentColumns | None = None
) -> Iterator[ContactRow | InvalidRow]:
    """The contacts of a CSV file (RFC 4180, UTF-8, a header); every attribute is text.

    Args:
        path: The file.
        id: The column of the ids; empty for the first of `_id`, `uuid` and `id` that is there.
        consent: Which columns say who may be asked, and which of them were met.

    Raises:
        AudienceInvalid: when the first row is asked for, if the file cannot be read, or its header cannot be
        used.
    """
    # surrogateescape: a byte that is not UTF-8 spoils its row, not the file.
    with _opened(path, encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        lines = _Lines(file)
        reader = csv.reader(lines, strict=True)
        columns = _Columns(_header(reader, path), id, str(path), consent or ConsentColumns(source=str(path)))
        while True:
            place = lines.begin_row()
            row = _next_row(reader)
            if row is None:
                return
            if row:  # a blank line is no row
                yield InvalidRow(place, row) if isinstance(row, str) else columns.read(row, place)


def read_jsonl(
    path: str | PathLike[str], *, id: str = "", consent: ConsentColumns | None = None
) -> Iterator[ContactRow | InvalidRow]:
    """The contacts of a file with a JSON object per line, in Leadpush's shape or flat; see `read_contacts`.

    Args:
        path: The file.
        id: The key of the ids; empty for the first of `_id`, `uuid` and `id` that is there.
        consent: As in `read_contacts`.

    Raises:
        AudienceInvalid: when the first row is asked for, if the file cannot be read.
    """
    keys = ContactKeys(id, consent or ConsentColumns(source=str(path)))
    with _opened(path, mode="rb") as file:
        lines = _Lines(file)
        while True:
            place = lines.begin_row()
            try:
                line = next(lines, None)
            except Unusable as error:
                yield InvalidRow(place, str(error))
                continue
            if line is None:
                return keys.end()
            text = line.removeprefix(b"\xef\xbb\xbf") if place == "line 1" else line
            if text.strip():
                yield read_contact(keys.read_json, text, place)


def read_rows(
    columns: Iterable[str],
    rows: Iterable[Sequence[Any]],
    *,
    id: str = "",
    consent: ConsentColumns | None = None,
) -> Iterator[ContactRow | InvalidRow]:
    """The contacts of a query's result; attributes have the database's types.

    Dates become ISO 8601 text, UUIDs text, Decimals numbers.

    Args:
        columns: The columns' names.
        rows: A value per column.
        id: The column of the ids; empty for the first of `_id`, `uuid` and `id` that is there.
        consent: Which columns say who may be asked, and which of them were met.

    Raises:
        AudienceInvalid: when the first row is asked for, if the columns cannot be used.

    >>> [row.data for row in read_rows(["id", "plan"], [(1, "pro")])]
    ['{"_id":"1","uuid":"1","subscribed":true,"attributes":{"plan":"pro"}}']
    """
    table = _Columns(list(columns), id, "the query", consent or ConsentColumns(source="the query"))
    for number, row in enumerate(rows, 1):
        yield table.read(row, f"row {number}")


def read_contacts(
    contacts: Iterable[Mapping[str, Any]], *, id: str = "", consent: ConsentColumns | None = None
) -> Iterator[ContactRow | InvalidRow]:
    """The contacts of an iterable of mappings.

    With a key `attributes` (an object, or its JSON text) a mapping has Leadpush's shape: `_id` or `uuid`,
    `subscribed`, and whatever else, which is kept. Without one it is flat: all but the id and the consent
    columns are attributes. Consent columns are looked for among the attributes too.

    Args:
        contacts: The mappings.
        id: The key of the ids; empty for the first of `_id`, `uuid` and `id` that is there.
        consent: Which keys say who may be asked, and which of them were met.

    Raises:
        AudienceInvalid: if a key looks like consent and is not named, or a named one is in no mapping.

    >>> [row.data for row in read_contacts([{"_id": "a", "subscribed": False, "plan": "pro"}])]
    ['{"_id":"a","uuid":"a","subscribed":false,"attributes":{"plan":"pro"}}']
    """
    keys = ContactKeys(id, consent or ConsentColumns(source="contacts given in Python"))
    for number, contact in enumerate(contacts, 1):
        yield read_contact(keys.read, contact, f"item {number}")
    keys.end()


def usable(
    rows: Iterable[ContactRow | InvalidRow],
    *,
    skip_invalid: bool = False,
    on_invalid: Callable[[InvalidRow], None] = lambda row: None,
) -> Iterator[ContactRow]:
    """The contacts of rows, with a decision on those that cannot be used.

    Args:
        rows: As a reader gives them.
        skip_invalid: Leave them out, and call `on_invalid` with each; else the first one ends the audience.
        on_invalid: Called for each row that is left out.

    Raises:
        AudienceInvalid: at the first invalid row, naming it and the next ones, ten at most.
    """
    stream = iter(rows)
    for row in stream:
        if isinstance(row, ContactRow):
            yield row
        elif skip_invalid:
            on_invalid(row)
        else:
            raise _refusal([row, *_invalid_among(stream, SHOWN - 1)])


def _invalid_among(rows: Iterable[ContactRow | InvalidRow], count: int) -> Iterator[InvalidRow]:
    for row in rows:
        if isinstance(row, InvalidRow):
            yield row
            count -= 1
            if not count:
                return


def _refusal(rows: Sequence[InvalidRow]) -> AudienceInvalid:
    one = "1 row of the audience cannot be used:"
    many = f"{len(rows)} rows of the audience cannot be used:"
    many = f"The first {many}" if len(rows) == SHOWN else many
    lines = [one if len(rows) == 1 else many, *(f"  {row.place}: {row.sentence}" for row in rows)]
    return AudienceInvalid("\n".join([*lines, "Mend them, or leave such rows out with skip_invalid=True."]))


@contextmanager
def _opened(path: str | PathLike[str], **options: Any) -> Iterator[IO[Any]]:
    with ExitStack() as stack:
        try:
            file = stack.enter_context(open(path, opener=open_regular, **options))
        except OSError as error:
            raise AudienceInvalid(f"{path} cannot be read: {error.strerror}.") from error
        except ValueError:  # a NUL in it
            raise AudienceInvalid(f"{str(path)!r} is no path of a file.") from None
        yield file


class _Lines:
    """The lines of a file, as an iterator that holds no more of a row than it may have."""

    def __init__(self, file: IO[Any]) -> None:
        self._file = file
        self._line = 0
        self._left = MAX_ROW_LENGTH

    def begin_row(self) -> str:
        """Where the next row stands."""
        self._left = MAX_ROW_LENGTH
        return f"line {self._line + 1}"

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        line = self._file.readline(self._left + 1)
        if not line:
            raise StopIteration
        self._line += 1
        self._left -= len(line)
        if self._left < 0:
            self._skip(line)
            raise Unusable(f"It is longer than {MAX_ROW_LENGTH:,} characters.")
        return line

    def _skip(self, line: Any) -> None:
        ends = ("\n", "\r") if isinstance(line, str) else (b"\n",)
        while line and not line.endswith(ends):
            line = self._file.readline(SKIPPED)


def _header(reader: Iterator[list[str]], path: str | PathLike[str]) -> list[str]:
    try:
        header = next((row for row in reader if row), None)
    except csv.Error as error:
        raise AudienceInvalid(f"The header of {path} is not CSV: {error}.") from error
    except Unusable as error:
        raise AudienceInvalid(f"The header of {path} cannot be used. {error}") from None
    if header is None:
        raise AudienceInvalid(f"{path} is empty: its first line must name the columns.")
    if not _is_utf8("".join(header)):
        raise AudienceInvalid(f"{path} is not UTF-8 text.")
    return header


def _is_utf8(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _next_row(reader: Iterator[list[str]]) -> list[str] | str | None:
    """The next row, or the sentence on why it is none; None at the end."""
    try:
        return next(reader, None)
    except csv.Error as error:
        return f"It is not CSV (RFC 4180): {error}."
    except Unusable as error:
        return str(error)


class _Columns:
    """Where the id, consent and the attributes stand in a row, found once for the whole table."""

    def __init__(self, names: Sequence[str], id: str, source: str, consent: ConsentColumns) -> None:
        _check_names(names, source)
        self._count = len(names)
        self._id = _id_column(names, id, source)
        consent.leave_out(names[self._id])
        self._consent = consent.of_table(names)
        taken = {self._id, *self._consent.places}
        self._attributes = [(name, index) for index, name in enumerate(names) if index not in taken]

    def read(self, row: Sequence[Any], place: str) -> ContactRow | InvalidRow:
        return read_contact(self._contact, row, place)

    def _contact(self, row: Sequence[Any]) -> Parts:
        if len(row) != self._count:
            raise Unusable(f"It has {len(row)} columns, and the header {self._count}.")
        consent = self._consent.of_row(row)
        return row[self._id], consent, {name: row[index] for name, index in self._attributes}, {}


def _check_names(names: Sequence[str], source: str) -> None:
    # Of a file without header these are somebody's data: so they are counted, not named.
    first: dict[str, int] = {}
    for position, name in enumerate(names, 1):
        if not name:
            raise AudienceInvalid(f"Column {position} of {source} has no name.")
        if name in first:
            raise AudienceInvalid(f"Columns {first[name]} and {position} of {source} have the same name.")
        first[name] = position


def _id_column(names: Sequence[str], id: str, source: str) -> int:
    found = [name for name in ([id] if id else ID_KEYS) if name in names]
    if found:
        return names.index(found[0])
    wanted = id or "_id, uuid or id"
    raise AudienceInvalid(
        f"{source} has no column {wanted} for the contacts' ids among its {len(names)}. A file's first line names them."
    )
