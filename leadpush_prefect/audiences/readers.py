"""Readers of audiences: a file, rows of a database, or any iterable, to contacts; always streamed.

Each yields a `ContactRow` for a row that can be used and an `InvalidRow` for one that cannot, in order.
`usable` decides what the second means.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from decimal import Decimal
from os import PathLike
from typing import IO, Any
from uuid import UUID

from leadpush_prefect.errors import AudienceInvalid
from leadpush_prefect.model.consent import Consent
from leadpush_prefect.model.consent_columns import ConsentColumns, UnclearAnswer
from leadpush_prefect.model.contact import ContactRow, InvalidRow
from leadpush_prefect.system.regular_file import open_regular
from leadpush_prefect.text.display import shortened
from leadpush_prefect.text.json_text import from_json, to_json, to_text

__all__ = ["read_contacts", "read_csv", "read_jsonl", "read_rows", "usable"]

ID_KEYS = "_id", "uuid", "id"
MAX_ID_LENGTH = 500
SHOWN = 10  # invalid rows in one message
SHOWN_COLUMNS = 20

MAX_ROW_LENGTH = 10_000_000
"""So many characters (bytes, of JSONL) a row may have: more than any contact, and less than a machine's memory."""

SKIPPED = 1_000_000


class _Unusable(Exception):
    """What is wrong with a row, as a sentence."""


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
    keys = _Keys(id, consent or ConsentColumns(source=str(path)))
    with _opened(path, mode="rb") as file:
        lines = _Lines(file)
        while True:
            place = lines.begin_row()
            try:
                line = next(lines, None)
            except _Unusable as error:
                yield InvalidRow(place, str(error))
                continue
            if line is None:
                return keys.end()
            text = line.removeprefix(b"\xef\xbb\xbf") if place == "line 1" else line
            if text.strip():
                yield _row(keys.read_json, text, place)


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
    keys = _Keys(id, consent or ConsentColumns(source="contacts given in Python"))
    for number, contact in enumerate(contacts, 1):
        yield _row(keys.read, contact, f"item {number}")
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
            raise _Unusable(f"It is longer than {MAX_ROW_LENGTH:,} characters.")
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
    except _Unusable as error:
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
    except _Unusable as error:
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
        return _row(self._contact, row, place)

    def _contact(self, row: Sequence[Any]) -> _Parts:
        if len(row) != self._count:
            raise _Unusable(f"It has {len(row)} columns, and the header {self._count}.")
        consent = self._consent.of_row(row)
        return row[self._id], consent, {name: row[index] for name, index in self._attributes}, {}


class _Keys:
    """Where the id and consent stand among the keys of a mapping, each of which may have others."""

    def __init__(self, id: str, consent: ConsentColumns) -> None:
        self._ids = [id] if id else ID_KEYS
        self._consent = consent
        consent.leave_out(id)
        self._read = 0

    def read_json(self, text: bytes) -> _Parts:
        try:
            value = from_json(text)
        except ValueError as error:
            raise _Unusable(f"It is not JSON: {error}.") from None
        return self.read(value)

    def read(self, value: Any) -> _Parts:
        if not isinstance(value, (dict, Mapping)):
            raise _Unusable("It is not an object.")
        self._read += 1
        rest = dict(value)
        is_flat = "attributes" not in rest
        attributes = {} if is_flat else _attributes(rest.pop("attributes"))
        consent = self._consent.of_keys(rest, attributes)  # first: a row without id tells of the columns too
        self._consent.take_from(rest)
        key = self._id_key(rest)
        if is_flat:
            return rest.pop(key), consent, rest, {}
        return rest[key], consent, attributes, rest

    def end(self) -> None:
        """All were read.

        Raises:
            AudienceInvalid: if the audience names a key for consent that none had.
        """
        if self._read:
            self._consent.refuse_missing()

    def _id_key(self, value: Mapping[str, Any]) -> str:
        for key in self._ids:
            if key in value:
                return key
        raise _Unusable(
            f"It has no key {' or '.join(self._ids) if len(self._ids) == 1 else '_id, uuid or id'}."
        )


# The id, consent, the attributes, and what else Leadpush's shape has; nothing else checked yet.
_Parts = tuple[Any, Consent, dict[str, Any], dict[str, Any]]


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


def _attributes(value: Any) -> dict[str, Any]:
    if isinstance(value, str):
        try:
            value = from_json(value)
        except ValueError as error:
            raise _Unusable(f"Its attributes are not JSON: {error}.") from None
    if value is None or value == []:  # how PHP writes an object without keys
        return {}
    if not isinstance(value, (dict, Mapping)):
        raise _Unusable("Its attributes are not an object.")
    return dict(value)


def _row(parse: Callable[[Any], _Parts], raw: Any, place: str) -> ContactRow | InvalidRow:
    try:
        found, consent, attributes, rest = parse(raw)
        contact_id = _id_text(found)
        contact = {
            "_id": contact_id,
            "uuid": contact_id,
            "subscribed": consent.is_subscribed,
            "attributes": attributes,
        }
        return ContactRow(contact_id, consent, _data({**rest, **contact} if rest else contact), place)
    except (_Unusable, UnclearAnswer) as error:
        return InvalidRow(place, str(error))


def _id_text(value: Any) -> str:
    if value is None:
        raise _Unusable("It has no id.")
    text = value if type(value) is str else _text_or_number(value)
    if not text.strip():
        raise _Unusable("It has no id.")
    if len(text) > MAX_ID_LENGTH or "\0" in text:  # PostgreSQL takes neither
        raise _Unusable(f"Its id is longer than {MAX_ID_LENGTH} characters, or has a NUL among them.")
    return text


def _text_or_number(value: Any) -> str:
    if type(value) is float and not math.isfinite(value):
        raise _Unusable("It has no id.")  # how pandas writes an empty cell
    if isinstance(value, (str, int, float, Decimal, UUID)) and not isinstance(value, bool):
        with suppress(TypeError, ValueError):  # a Decimal that is no number, an int of more than 4,300 digits
            return to_text(value)
    raise _Unusable("Its id is neither text nor a number.")


def _data(contact: dict[str, Any]) -> str:
    try:
        return to_json(contact)
    except (TypeError, ValueError) as error:
        why = (
            "is not UTF-8 text" if "UTF-8" in str(error) else f"has no JSON form: {error.__cause__ or error}"
        )
        raise _Unusable(f"{_culprit(contact)} {why}.") from None


def _culprit(contact: dict[str, Any]) -> str:
    for name, value in {**contact["attributes"], **contact}.items():
        if name != "attributes" and not _has_json(value):
            return f"Its {shortened(str(name))}"
    return "It"


def _has_json(value: Any) -> bool:
    try:
        to_json(value)
    except (TypeError, ValueError):
        return False
    return True
