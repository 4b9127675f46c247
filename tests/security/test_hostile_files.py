"""Files of somebody who means harm: audiences, definitions of Blocks, and what is written for a spreadsheet."""

from __future__ import annotations

import csv
import json
import os
import tracemalloc
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet
from sqlalchemy import Engine

from leadpush_prefect.audiences.readers import (
    MAX_ROW_LENGTH,
    read_contacts,
    read_csv,
    read_jsonl,
    read_rows,
    usable,
)
from leadpush_prefect.definitions.definition import KINDS
from leadpush_prefect.definitions.files import path_of, write_fields
from leadpush_prefect.definitions.read import read_definitions
from leadpush_prefect.errors import AudienceInvalid, LeadpushError
from leadpush_prefect.model.consent import Consent
from leadpush_prefect.model.contact import ContactRow, InvalidRow
from leadpush_prefect.model.outcome import Outcome, Status
from leadpush_prefect.reports.export import export_run
from leadpush_prefect.store.database import open_database
from leadpush_prefect.store.outcomes import write_outcomes
from leadpush_prefect.store.snapshot import snapshot
from leadpush_prefect.text.display import visible
from tests.support.store import begin, declare

READERS = {"csv": read_csv, "jsonl": read_jsonl}

# What a spreadsheet runs, or did run at some time.
FORMULAS = [
    "=1+1",
    "+1+1",
    "-1+1",
    "@SUM(A1)",
    "=cmd|' /C calc'!A0",
    "\t=1",
    "\r=1",
    "\n=1",
    "  =1",
    "'=1",
    '"=1',
    "\u00a0=1",
    "\u200b=1",
    "\ufeff=1",
    "＝1+1",
    "＋1",
    "－1",
    "＠SUM(A1)",
    " \u202e ' =1",
]


@pytest.fixture
def database(tmp_path: Path) -> Engine:
    return open_database(f"sqlite:///{tmp_path / 'store' / 'outputs.db'}")


def read(ending: str, content: bytes, folder: Path) -> list[ContactRow | InvalidRow]:
    file = folder / f"audience.{ending}"
    file.write_bytes(content)
    return list(READERS[ending](file))


def ids(rows: list[ContactRow | InvalidRow]) -> list[str]:
    return [row.contact_id for row in rows if isinstance(row, ContactRow)]


def sentences(rows: list[ContactRow | InvalidRow]) -> list[str]:
    return [row.sentence for row in rows if isinstance(row, InvalidRow)]


@pytest.mark.parametrize("ending", READERS)
@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "gone", "glob"])
def test_what_is_no_file_is_refused_at_once(ending: str, kind: str, tmp_path: Path) -> None:
    """A pipe or a device, also behind a link, would keep a campaign waiting, or fill its memory."""
    path = tmp_path / f"audience.{ending}"
    match kind:
        case "pipe":
            os.mkfifo(path)
        case "device":
            path.symlink_to("/dev/zero")
        case "folder":
            path.mkdir()
        case "glob":
            path = tmp_path / f"*.{ending}"
            (tmp_path / f"other.{ending}").write_text("id\na\n")
    with pytest.raises(AudienceInvalid, match="cannot be read"):
        next(READERS[ending](path))


@pytest.mark.parametrize("ending", READERS)
def test_a_path_with_a_nul_is_refused(ending: str) -> None:
    """A Block holds any JSON, and so any text as the path."""
    with pytest.raises(AudienceInvalid, match="no path"):
        next(READERS[ending](f"a\0.{ending}"))


@pytest.mark.parametrize("ending", READERS)
def test_a_line_of_100_mb(ending: str, tmp_path: Path) -> None:
    """It spoils its row, says how long a row may be, and is never in memory as a whole."""
    file = tmp_path / f"audience.{ending}"
    good = b"a,b\n" if ending == "csv" else b'{"id":"a"}\n'
    with file.open("wb") as out:
        out.write(b"id,name\n" + good if ending == "csv" else good)
        out.write(b"x")
        out.seek(100_000_000, os.SEEK_CUR)  # a sparse file: NULs
        out.write(b"\n" + good.replace(b"a", b"z"))
    tracemalloc.start()
    try:
        rows = list(READERS[ending](file))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert ["a", "z"] == ids(rows)
    assert [f"It is longer than {MAX_ROW_LENGTH:,} characters."] == sentences(rows)
    assert peak < 8 * MAX_ROW_LENGTH


def test_a_row_over_many_lines_is_bounded(tmp_path: Path) -> None:
    """Quoted line breaks make one row of all lines of a file; a row may have no more for that."""
    line = b'"' + b"y" * 99_990 + b'\n",'
    rows = read("csv", b"id\na\nx," + line * 120 + b"\nz\n", tmp_path)
    assert "a" == ids(rows)[0]
    assert f"It is longer than {MAX_ROW_LENGTH:,} characters." in sentences(rows)


def test_a_quote_without_end(tmp_path: Path) -> None:
    """It spoils its row; it does not swallow the file."""
    rows = read("csv", b'id,name\na,"' + b"line\n" * 40_000, tmp_path)
    assert not ids(rows)
    assert "It is not CSV" in sentences(rows)[0]


def test_columns_without_number(tmp_path: Path) -> None:
    """They are looked at once each, and counted: of a file without header, their names would be somebody's data."""
    header = ",".join(f"c{number}" for number in range(200_000)).encode()
    with pytest.raises(AudienceInvalid) as refused:
        read("csv", header + b"\n", tmp_path)
    assert len(str(refused.value)) < 1_000
    assert "among its 200000" in str(refused.value)


def test_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    """A message says which, and shows nothing that a terminal obeys."""
    name = b"\x1b[31m" + b"n" * 5_000
    with pytest.raises(AudienceInvalid) as refused:
        read("csv", b"id," + name + b"," + name + b"\n", tmp_path)
    assert "Columns 2 and 3" in str(refused.value)
    assert "\x1b" not in str(refused.value)
    assert len(str(refused.value)) < 1_000


@pytest.mark.parametrize(
    "content",
    [
        "id,name\na,b\n".encode("utf-16"),
        "id,name\na,b\n".encode("utf-16-le"),
        "id,näme\na,b\n".encode("latin-1"),
        b"",
        b"\n\n",
        b'"id',
        b"id\0,name\n",
    ],
)
def test_a_header_that_cannot_be_used(content: bytes, tmp_path: Path) -> None:
    """Another encoding, nothing, or half a header: a sentence, at once."""
    with pytest.raises(AudienceInvalid):
        read("csv", content, tmp_path)


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_line_ends_and_a_byte_order_mark(newline: str, mark: str, tmp_path: Path) -> None:
    """A mark is no part of the first column's name, and a file of an old Mac has rows too."""
    rows = read("csv", (mark + newline.join(["id,name", "a,1", "b,2", ""])).encode(), tmp_path)
    assert ["a", "b"] == ids(rows)


def test_nesting_and_digits(tmp_path: Path) -> None:
    """What no parser goes into spoils its row; a number of any length is text with its digits."""
    deep = b'{"id":"deep","x":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    rather = b'{"id":"rather","x":' + b"[" * 500 + b"]" * 500 + b"}"
    long = b'{"id":' + b"9" * 5_000_000 + b"}"
    good = b'{"id":"a","n":' + b"9" * 10_000 + b',"__class__":"x","_id_":1,"__init__":{"__globals__":1}}'
    rows = read("jsonl", b"\n".join([deep, rather, long, good]), tmp_path)
    assert ["a"] == ids(rows)
    assert 3 == len(sentences(rows))
    attributes = json.loads(next(row for row in rows if isinstance(row, ContactRow)).data, parse_int=str)
    assert 10_000 == len(attributes["attributes"]["n"])
    assert "x" == attributes["attributes"]["__class__"]


def test_ids_of_any_length(tmp_path: Path) -> None:
    """An id of a megabyte, or with a NUL, is none; others are taken as they are, and shown as `visible` has them."""
    odd = ["../../etc/passwd", "\x1b[31m", "\u202e", "<script>", "a|b", "{{ 7*7 }}", "%2e%2e/", "-rf", "a\nb"]
    lines = [json.dumps({"id": each}) for each in [*odd, "x" * 1_000_000, "a\0b"]]
    rows = read("jsonl", "\n".join(lines).encode(), tmp_path)
    assert odd == ids(rows)
    assert 2 == len(sentences(rows))


def test_a_key_that_is_there_twice(tmp_path: Path) -> None:
    """The last one counts, for the id and for what is stored alike."""
    [row] = read("jsonl", b'{"id":"a","id":"b","plan":1,"plan":2}', tmp_path)
    assert isinstance(row, ContactRow)
    contact = json.loads(row.data)
    assert ("b", "b", {"plan": 2}) == (row.contact_id, contact["_id"], contact["attributes"])


def test_a_contact_cannot_be_another(tmp_path: Path) -> None:
    """Neither a key of Leadpush's shape nor an attribute takes the id's place."""
    line = b'{"id":"a","uuid":"b","_id":"c","subscribed":false,"attributes":{"_id":"d","subscribed":true}}'
    [row] = read("jsonl", line, tmp_path)
    assert isinstance(row, ContactRow)
    contact = json.loads(row.data)
    assert ("c", "c", "c", False) == (
        row.contact_id,
        contact["_id"],
        contact["uuid"],
        contact["subscribed"],
    )


def test_a_refusal_is_short(tmp_path: Path) -> None:
    """Names in the rows are cut, and nothing in it is obeyed by a terminal."""
    name = "\x1b]8;;https://evil.example\x07" + "n" * 100_000
    rows = read_contacts([{"id": "a", name: {1, 2}}] * 20)
    with pytest.raises(AudienceInvalid) as refused:
        list(usable(rows))
    assert len(str(refused.value)) < 5_000
    assert "\x1b" not in str(refused.value)


@pytest.mark.parametrize(
    "value",
    [b"\xff", memoryview(b"a"), timedelta(1), object(), {1, 2}, float("nan"), 10**5_000, [[]], 1j],
    ids=lambda value: type(value).__name__,
)
def test_columns_of_odd_types(value: Any) -> None:
    """A value that JSON cannot hold spoils its row, as id, as `subscribed` and as attribute; NaN is no answer."""
    table = [(value, True, "x"), ("b", value, "x"), ("c", True, value), ("d", True, "x")]
    rows = list(read_rows(["id", "subscribed", "plan"], table))
    assert isinstance(rows[3], ContactRow)
    assert isinstance(rows[0], InvalidRow)
    if value != value:
        assert isinstance(rows[1], ContactRow)
        assert rows[1].consent is Consent.NO_ANSWER
    else:
        assert isinstance(rows[1], InvalidRow)


def test_a_large_audience_is_streamed(tmp_path: Path) -> None:
    """The first contacts are there before the file is read."""
    file = tmp_path / "audience.csv"
    file.write_text("id\n" + "a\n" * 40_000)
    tracemalloc.start()
    try:
        assert 40_000 == sum(1 for _ in read_csv(file))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 3_000_000  # of all threads; the contacts alone take five times as much


# Definitions of Blocks


def define(folder: Path, text: str | bytes, name: str = "acme.yaml", kind: str = "workspaces") -> Path:
    (folder / kind).mkdir(parents=True, exist_ok=True)
    path = folder / kind / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


BOMB = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [{','.join([f'*{chr(97 + n)}'] * 10)}]\n" for n in range(20)
)
MERGES = "a: &a {k: v}\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} {{<<: [*{chr(97 + n)}, *{chr(97 + n)}]}}\n" for n in range(24)
)


@pytest.mark.parametrize(
    "text",
    [
        "variables: !!python/object/apply:os.system ['touch RUN']",
        "variables: !!python/object/new:os.system ['touch RUN']",
        "variables: !!python/name:os.system",
        "variables: !!python/module:os",
        "variables: !!python/tuple [1]",
        "variables: !!binary aGk=",
        "variables: !!set {a, b}",
        "variables: !!timestamp 2026-01-01",
        "variables: !!int x",
        "variables: !!float x",
        "variables: !!bool x",
        "variables: !include /etc/passwd",
        f"variables: {{n: {'9' * 10_000}}}",
        BOMB,
        MERGES,
        "variables: &a {b: *a}",
        "variables: &a [*a]",
        "variables: " + "[" * 20_000,
        "variables: " + "[" * 300 + "]" * 300 + "\n" + "- " * 3_000,
        "variables: {a: 1}\nvariables: {a: 2}",
        "variables: {a: 1, a: 2}",
        "variables:\n\t- a",
        "? [a]\n: b",
        "a: *unknown",
        "- a",
        "",
        "--- {}\n--- {}",
        b"\xff\xfe\x00",
        b"variables: {a: \x00}",
        b"#" * 1_000_001,
    ],
    ids=lambda text: repr(text[:30]),
)
def test_a_definition_that_is_none(
    text: str | bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of it is run or read from elsewhere; a sentence names the file, soon and without much memory."""
    monkeypatch.chdir(tmp_path)
    path = define(tmp_path / "blocks", text)
    with pytest.raises(LeadpushError) as refused:
        read_definitions(tmp_path / "blocks", {})
    assert str(path) in str(refused.value)
    assert len(str(refused.value)) < 1_000
    assert not Path("RUN").exists()


def test_an_alias_that_is_no_bomb(tmp_path: Path) -> None:
    """Merge keys and aliases are YAML, and say what they say; a date stays text."""
    text = "variables:\n  a: &a {x: 1}\n  b: {<<: *a, x: 2}\n  c: *a\n  d: 2026-99-99\n  e: 2026-01-01\n"
    define(tmp_path, text)
    [definition] = read_definitions(tmp_path, {})
    values = {"a": {"x": 1}, "b": {"x": 2}, "c": {"x": 1}, "d": "2026-99-99", "e": "2026-01-01"}
    assert values == definition.block.variables  # type: ignore[union-attr]


def test_other_loaders_are_as_they_were() -> None:
    """What is not read here, here means nothing: somebody else's dates stay dates."""
    assert "2026-01-01" != yaml.safe_load("2026-01-01")


@pytest.mark.parametrize("kind", ["pipe", "device", "link", "folder link"])
def test_what_is_no_file_of_the_folder(kind: str, tmp_path: Path) -> None:
    """A pipe would keep `plan` waiting; a link out of the folder would show another file."""
    folder, elsewhere = tmp_path / "blocks", tmp_path / "elsewhere"
    define(elsewhere, "variables: {a: 1}")
    define(folder, "{}", "other.yaml", "endpoints")
    path = folder / "workspaces" / "acme.yaml"
    if kind == "folder link":
        path.parent.symlink_to(elsewhere / "workspaces")
    else:
        path.parent.mkdir()
    match kind:
        case "pipe":
            os.mkfifo(path)
        case "device":
            path.symlink_to("/dev/zero")
        case "link":
            path.symlink_to(elsewhere / "workspaces" / "acme.yaml")
    with pytest.raises(LeadpushError, match=r"leads out|cannot be read"):
        read_definitions(folder, {})


@pytest.mark.parametrize(
    "name", ["../acme", "..", ".", "", "/etc/acme", "a/b", "a\0b", "ACME", "a.b", "ａ", "a\n"]
)
@pytest.mark.parametrize("kind", KINDS.values())
def test_a_name_that_leads_elsewhere(name: str, kind: Any, tmp_path: Path) -> None:
    """A saved Block's name is a file's only where it cannot be a path."""
    with pytest.raises(LeadpushError):
        path_of(tmp_path, kind, name)


def test_a_block_is_not_written_through_a_link(tmp_path: Path) -> None:
    """A link in the place of the file is replaced; what it points to stays as it is."""
    precious = tmp_path / "precious"
    precious.write_text("precious")
    (tmp_path / "workspaces").mkdir()
    path = tmp_path / "workspaces" / "acme.yaml"
    path.symlink_to(precious)
    (tmp_path / "workspaces" / f".acme.yaml.{os.getpid()}").symlink_to(precious)
    write_fields(path, {"variables": {"a": 1}})
    assert "precious" == precious.read_text()
    assert not path.is_symlink()
    with pytest.raises(LeadpushError, match="leads out"):
        (tmp_path / "audiences").symlink_to(tmp_path.parent)
        path_of(tmp_path, KINDS["audiences"], "all")


# Exports


def exported(database: Engine, file: Path, texts: list[str], **options: Any) -> None:
    """A run whose contacts' ids and outputs are these texts."""
    contacts = [
        ContactRow(text, Consent.SUBSCRIBED, json.dumps({"_id": text, "attributes": {text: text}}), "x")
        for text in texts
    ]
    run = snapshot(database, begin(database, f"r{os.urandom(4).hex()}"), contacts)
    step = declare(database, run, "out")
    outcomes = [Outcome(Status.FETCHED, json.dumps({"text": text, "n": -5, "f": -1.5})) for text in texts]
    write_outcomes(database, run.key, step, list(enumerate(outcomes)))
    export_run(database, run, file, **options)


def cells(file: Path) -> Iterator[list[str]]:
    with file.open(encoding="utf-8", newline="") as lines:
        yield from csv.reader(lines)


def test_no_cell_is_a_formula(database: Engine, tmp_path: Path) -> None:
    """Ids and texts are marked as text, whatever stands before the sign; a negative number stays one."""
    file = tmp_path / "out.csv"
    exported(database, file, FORMULAS, paths=["out.text", "out.n", "out.f"])
    _, *rows = cells(file)
    assert [[f"'{text}"] * 2 + ["-5", "-1.5", ""] for text in FORMULAS] == rows


def test_no_header_or_json_cell_is_a_formula(database: Engine, tmp_path: Path) -> None:
    """A path of an output names a column; whole outputs and attributes begin as JSON does."""
    file = tmp_path / "out.csv"
    exported(database, file, ["=1+1"], attributes=True)
    header, row = cells(file)
    assert ["contact_id", "attributes", "out", "failures"] == header
    assert ["'", "{", "{"] == [cell[0] for cell in row[:3]]
    with database.connect() as connection, connection.begin():
        connection.exec_driver_sql("UPDATE leadpush_step SET output_key = '=cmd|x'")
    from leadpush_prefect.store.runs import list_runs

    export_run(database, list_runs(database)[0], file)
    header, row = cells(file)
    assert "'=cmd|x" in header


@settings(max_examples=20)
@given(
    st.lists(
        st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30), max_size=5, unique=True
    )
)
def test_rows_stay_rows(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    """No delimiter, quote or line end in a value makes a row or a column; JSONL and Parquet give it back as it was."""
    folder = tmp_path_factory.mktemp("export")
    database = open_database(f"sqlite:///{folder / 'outputs.db'}")
    texts = [text.replace("\0", "0") for text in texts]
    texts = list(dict.fromkeys(texts))
    for ending in ("csv", "jsonl", "parquet"):
        exported(database, folder / f"out.{ending}", texts, paths=["out.text"])
    _, *rows = cells(folder / "out.csv")
    assert texts == [
        row[0].removeprefix("'") if row[0] != text else text for row, text in zip(rows, texts, strict=True)
    ]
    lines = [json.loads(line) for line in (folder / "out.jsonl").read_text("utf-8").split("\n") if line]
    assert texts == [line["contact_id"] for line in lines] == [line["out.text"] for line in lines]
    assert texts == parquet.read_table(folder / "out.parquet").to_pydict()["out.text"]
    database.dispose()


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_an_export_follows_no_link(ending: str, database: Engine, tmp_path: Path) -> None:
    """Neither one in the file's place nor one that waits where the unfinished file was to be."""
    precious, file = tmp_path / "precious", tmp_path / f"out.{ending}"
    precious.write_text("precious")
    file.symlink_to(precious)
    (tmp_path / f"out.{ending}.part").symlink_to(precious)
    exported(database, file, ["a"])
    assert "precious" == precious.read_text()
    assert not file.is_symlink()
    assert file.stat().st_size
    assert [f"out.{ending}.part"] == [path.name for path in tmp_path.iterdir() if path.name.endswith(".part")]


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_an_export_that_cannot_be_written(ending: str, database: Engine, tmp_path: Path) -> None:
    """A folder that is not there, or is in the file's place: a sentence, and nothing is left."""
    (tmp_path / f"folder.{ending}").mkdir()
    for path in (tmp_path / "none" / f"out.{ending}", tmp_path / f"folder.{ending}"):
        with pytest.raises(LeadpushError, match="cannot be written"):
            exported(database, path, ["a"])
    assert [f"folder.{ending}", "store"] == sorted(path.name for path in tmp_path.iterdir())


def test_visible_hides_nothing() -> None:
    """What it shows can be told apart from what it was given."""
    assert "a\tb\nc é 日本 \u200d" == visible("a\tb\nc é 日本 \u200d")
    assert not any(
        sign in visible("\x1b\x07\x9b\r\x7f\u202e\u2066") for sign in "\x1b\x07\x9b\r\x7f\u202e\u2066"
    )
