from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from leadpush_prefect.audiences.readers import read_contacts, read_csv, read_jsonl, read_rows, usable
from leadpush_prefect.errors import AudienceInvalid
from leadpush_prefect.model.consent import Consent, fold, looks_like_consent, looks_like_status
from leadpush_prefect.model.contact import ContactRow, InvalidRow
from leadpush_prefect.text.json_text import from_json
from tests.support.depth import explored


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "contacts"


def attributes(row: ContactRow | InvalidRow) -> dict[str, Any]:
    assert isinstance(row, ContactRow), row
    found: dict[str, Any] = from_json(row.data)["attributes"]
    return found


def test_csv(file: Path) -> None:
    """A CSV row is a contact: its id, whether it is subscribed, and every other column as text."""
    file.write_bytes(b"id,zip,subscribed\r\n42,007,FALSE\r\n")
    (row,) = read_csv(file)

    data = '{"_id":"42","uuid":"42","subscribed":false,"attributes":{"zip":"007"}}'
    assert ContactRow("42", Consent.NOT_SUBSCRIBED, data, "line 2") == row


def test_csv_places(file: Path) -> None:
    """A row's place is the line on which it begins, whatever lies before it."""
    file.write_bytes(b'\xef\xbb\xbfid,note\n\n1,"two\nlines, and ""quotes"""\n\n2,x\r\n3,y')
    rows = list(read_csv(file))

    assert ["line 3", "line 6", "line 7"] == [row.place for row in rows]
    assert {"note": 'two\nlines, and "quotes"'} == attributes(rows[0])


def test_csv_malformed_rows(file: Path) -> None:
    """A row that cannot be used is named, and the next ones are read."""
    file.write_bytes(b'id,subscribed\n1,true\n2\n3,true,x\n,true\n5,maybe\n6,\xff\n\xe9,1\n"a"b,1\n9,0\n')
    rows = list(read_csv(file))

    assert ["line 2", "line 10"] == [row.place for row in rows if isinstance(row, ContactRow)]
    invalid = {row.place: row.sentence for row in rows if isinstance(row, InvalidRow)}
    assert list(invalid) == [f"line {number}" for number in range(3, 10)]
    assert "1 columns" in invalid["line 3"]
    assert "3 columns" in invalid["line 4"]
    assert "no id" in invalid["line 5"]
    assert "true, false" in invalid["line 6"]
    assert "UTF-8" in invalid["line 8"]
    assert "CSV" in invalid["line 9"]


@pytest.mark.parametrize(
    ("text", "subscribed"),
    [("true", True), ("False", False), ("1", True), ("0", False), ("Yes", True), ("N", False), ("", False)],
)
def test_subscribed(file: Path, text: str, subscribed: bool) -> None:
    """`subscribed` is true, false, yes, no, y, n, 1 or 0; an empty one is false."""
    file.write_text(f"id,subscribed\n1,{text}\n")

    assert [subscribed] == [row.subscribed for row in usable(read_csv(file))]


@pytest.mark.parametrize("text", ["maybe", "2", "-1", "ja", "unsubscribed", "yesno", "x" * 30])
def test_not_subscribed(file: Path, text: str) -> None:
    """Any other `subscribed` is not guessed at."""
    file.write_text(f"id,subscribed\n1,{text}\n")

    assert [InvalidRow] == [type(row) for row in read_csv(file)]


@pytest.mark.parametrize(
    ("header", "id", "rest"),
    [("id,uuid,_id", "3", ["id", "uuid"]), ("id,uuid,x", "2", ["id", "x"]), ("x,id,y", "2", ["x", "y"])],
)
def test_id_column(file: Path, header: str, id: str, rest: list[str]) -> None:
    """The id is the column _id, uuid or id, in this order; the others are attributes."""
    file.write_text(f"{header}\n1,2,3\n")
    (row,) = usable(read_csv(file))

    assert (id, rest) == (row.contact_id, list(attributes(row)))


def test_named_id_column(file: Path) -> None:
    """The id can be another column; then `id` is an attribute."""
    file.write_text("id,email\n1,a@x\n")
    (row,) = usable(read_csv(file, id="email"))

    assert ("a@x", {"id": "1"}) == (row.contact_id, attributes(row))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "empty"),
        (b"\n\n", "empty"),
        (b"name,plan\n1,2\n", "no column _id, uuid or id .* among its 2"),
        (b"id,plan,plan\n", "Columns 2 and 3 .* same name"),
        (b"id,,plan\n", "Column 2 .* no name"),
        ("id,plan".encode("utf-16"), "not UTF-8"),
        (b'"id"x,plan\n', "header"),
    ],
)
def test_csv_unusable(file: Path, content: bytes, says: str) -> None:
    """A file whose header cannot be used is refused before any row."""
    file.write_bytes(content)
    with pytest.raises(AudienceInvalid, match=says):
        next(read_csv(file))


def test_missing_file(file: Path) -> None:
    """A file that cannot be read is refused by name."""
    for read in (read_csv, read_jsonl):
        with pytest.raises(AudienceInvalid, match="contacts cannot be read: No such file"):
            next(read(file))
    with pytest.raises(AudienceInvalid, match="no column email"):
        next(read_rows(["id"], [], id="email"))


def test_jsonl_flat(file: Path) -> None:
    """A flat object's keys are attributes with their types, numbers with every digit."""
    file.write_text(
        '\ufeff{"id": 7, "price": 1.10, "big": 12345678901234567890123, "tags": ["a"]}\n\n{"id":"8"}\r\n'
    )
    first, second = usable(read_jsonl(file))

    assert ("7", "line 1", "8", "line 3") == (first.contact_id, first.place, second.contact_id, second.place)
    assert first.data.endswith('"attributes":{"price":1.10,"big":12345678901234567890123,"tags":["a"]}}')


@pytest.mark.parametrize("written", ['{"plan": "pro"}', '"{\\"plan\\": \\"pro\\"}"'])
def test_jsonl_leadpush(file: Path, written: str) -> None:
    """Leadpush's shape is kept, with attributes as an object or as its text."""
    file.write_text(
        f'{{"uuid": "u1", "subscribed": 0, "provider": {{"x": 1}}, "attributes": {written}, "id": 3}}\n'
    )
    (row,) = usable(read_jsonl(file))

    assert {
        "_id": "u1",
        "uuid": "u1",
        "id": 3,
        "provider": {"x": 1},
        "subscribed": False,
        "attributes": {"plan": "pro"},
    } == from_json(row.data)


def test_jsonl_malformed_lines(file: Path) -> None:
    """A line that cannot be used is named, and the next ones are read."""
    lines = ["{", "[1]", '{"plan": 1}', '{"id": null}', '{"id": true}', '{"id": "1", "attributes": 3}']
    lines += ['{"id": "1", "subscribed": "perhaps"}', '{"id": "1", "attributes": "{"}', '{"id": "ok"}']
    file.write_text("\n".join(lines))
    rows = list(read_jsonl(file))

    assert [InvalidRow] * 8 + [ContactRow] == [type(row) for row in rows]
    assert [f"line {number}" for number in range(1, 10)] == [row.place for row in rows]


def test_rows(file: Path) -> None:
    """A query's values keep their types: dates as ISO 8601, Decimals as numbers, UUIDs as text."""
    id = UUID(int=1)
    values = [id, 1, date(2026, 1, 2), datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), Decimal("1.10"), None, 7]
    (row,) = usable(read_rows(["id", "subscribed", "day", "at", "price", "none", "n"], [values]))

    assert (str(id), True, "row 1") == (row.contact_id, row.subscribed, row.place)
    assert row.data.endswith(
        '{"day":"2026-01-02","at":"2026-01-02T03:04:05+00:00","price":1.10,"none":null,"n":7}}'
    )


def test_value_without_json() -> None:
    """A value that JSON cannot hold spoils its row, and is named."""
    rows = list(read_rows(["id", "photo"], [(1, b"x"), (2, "x"), (3, "\ud800"), (4, Decimal("NaN"))]))

    assert InvalidRow("row 1", "Its photo has no JSON form: a bytes has no JSON form.") == rows[0]
    assert InvalidRow("row 3", "Its photo is not UTF-8 text.") == rows[2]
    assert [InvalidRow, ContactRow, InvalidRow, InvalidRow] == [type(row) for row in rows]


def test_contacts() -> None:
    """Mappings are read in either shape, and what is none is named."""
    contacts: list[Any] = [
        {"id": 1, "a": 2},
        {"_id": "x", "attributes": {"a": 3}, "provider": "p"},
        "no",
        {1: 2},
    ]
    rows = list(read_contacts(contacts))

    assert [{"a": 2}, {"a": 3}] == [attributes(row) for row in rows[:2]]
    assert ["item 3", "item 4"] == [row.place for row in rows if isinstance(row, InvalidRow)]


@pytest.mark.parametrize(
    "id",
    [
        float("nan"),
        Decimal("NaN"),
        True,
        [],
        {},
        b"x",
        "",
        " ",
        "x" * 501,
        "\0",
        pytest.param(10**5000, id="long"),
    ],
)
def test_unusable_ids(id: object) -> None:
    """An id is text or a number that can be stored and read."""
    assert [InvalidRow] == [type(row) for row in read_contacts([{"id": id}])]


def test_ids_are_text() -> None:
    """A number's id is its text, however large."""
    assert ["1", "99999999999999999999", "1.5"] == [
        row.contact_id
        for row in usable(read_contacts([{"id": 1}, {"id": 99999999999999999999}, {"id": Decimal("1.5")}]))
    ]


def stream(*kinds: int) -> Iterator[ContactRow | InvalidRow]:
    for number, good in enumerate(kinds, 1):
        place = f"line {number}"
        yield (
            ContactRow(f"c{number}", Consent.SUBSCRIBED, "{}", place)
            if good
            else InvalidRow(place, "It is wrong.")
        )


def test_invalid_ends() -> None:
    """The first invalid row ends the audience, and the next ones are named with it."""
    rows = usable(stream(1, 0, 1, 0))
    assert "c1" == next(rows).contact_id
    with pytest.raises(AudienceInvalid, match=r"(?s)^2 rows.*line 2: It is wrong\..*line 4: It is wrong\."):
        next(rows)


def test_ten_are_enough() -> None:
    """No more is read than is needed to name ten."""
    rows = stream(*[0] * 30)
    with pytest.raises(AudienceInvalid, match="The first 10 rows"):
        list(usable(rows))

    assert "line 11" == next(rows).place


def test_skip_invalid() -> None:
    """Invalid rows are left out where this is asked for, each reported."""
    skipped: list[InvalidRow] = []
    rows = list(usable(stream(0, 1, 0, 1), skip_invalid=True, on_invalid=skipped.append))

    assert (["c2", "c4"], ["line 1", "line 3"]) == ([r.contact_id for r in rows], [r.place for r in skipped])


text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
ids = text.filter(lambda id: id.strip() and "\0" not in id)
cheap = settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


@cheap
@given(st.lists(st.tuples(ids, st.booleans(), text, text), max_size=8))
def test_csv_round_trip(file: Path, table: list[tuple[str, bool, str, str]]) -> None:
    """Whatever text a CSV file holds is read as it was written."""
    with file.open("w", encoding="utf-8", newline="") as out:
        csv.writer(out, quoting=csv.QUOTE_ALL).writerows([("_id", "subscribed", "a", "b b"), *table])

    assert table == [
        (row.contact_id, row.subscribed, *attributes(row).values()) for row in usable(read_csv(file))
    ]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=6,
)


def says_something(key: str) -> bool:
    """Whether a key, or the value under it, may be taken for consent."""
    return fold(key) == "subscribed" or looks_like_consent(key) or looks_like_status(key)


keys = text.filter(lambda key: key not in ("_id", "uuid", "id", "attributes") and not says_something(key))


@explored(
    st.lists(st.tuples(ids, st.booleans(), st.dictionaries(keys, json_values, max_size=4)), max_size=6),
    st.booleans(),
    examples=100,
    rules=cheap,
)
def test_jsonl_round_trip(file: Path, table: list[tuple[str, bool, dict[str, Any]]], flat: bool) -> None:
    """Whatever JSON a line holds is read as it was written, in both shapes."""
    shapes = [
        {"_id": id, "subscribed": on, **attrs} if flat else {"_id": id, "subscribed": on, "attributes": attrs}
        for id, on, attrs in table
    ]
    file.write_text("".join(json.dumps(shape) + "\n" for shape in shapes))

    assert table == [(row.contact_id, row.subscribed, attributes(row)) for row in usable(read_jsonl(file))]
