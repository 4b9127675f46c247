"""A run as a file."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet
from sqlalchemy import Connection, Engine, event

from leadpush_prefect.errors import LeadpushError
from leadpush_prefect.model.consent import Consent
from leadpush_prefect.model.contact import ContactRow
from leadpush_prefect.model.outcome import Outcome, Status
from leadpush_prefect.reports.export import export_run
from leadpush_prefect.store.outcomes import write_outcomes
from leadpush_prefect.store.runs import RunRecord
from leadpush_prefect.store.snapshot import snapshot
from tests.support.store import FAILED, SKIPPED, begin, declare, started


@pytest.fixture
def run(database: Engine) -> RunRecord:
    """Three contacts: one with an output, one that failed, one that was skipped."""
    contacts = [
        ContactRow(name, Consent.SUBSCRIBED, json.dumps({"_id": name, "attributes": {"city": city}}), name)
        for name, city in [("a", "Évora"), ("b", "=1+1"), ("c", "\n")]
    ]
    run = snapshot(database, begin(database), contacts)
    step = declare(database, run, "profile")
    fetched = Outcome(Status.FETCHED, '{"plan":"=cmd","price":1.10,"tags":["x",{"y":-5}]}')
    write_outcomes(database, run.key, step, [(0, fetched), (1, FAILED), (2, SKIPPED)])
    return run


def test_jsonl(database: Engine, run: RunRecord, tmp_path: Path) -> None:
    """Whole outputs, as they were received, and failures by node; a contact without either is there too."""
    file = tmp_path / "out.jsonl"
    assert 3 == export_run(database, run, file)
    lines = file.read_text("utf-8").splitlines()
    assert '"price":1.10' in lines[0]
    rows = [json.loads(line) for line in lines]
    assert ["a", "b", "c"] == [row["contact_id"] for row in rows]
    assert {"plan": "=cmd", "price": 1.1, "tags": ["x", {"y": -5}]} == rows[0]["profile"]
    assert [None, {"profile": "http_status_404"}, None] == [row["failures"] for row in rows]
    assert "attributes" not in rows[0]


def test_csv(database: Engine, run: RunRecord, tmp_path: Path) -> None:
    """Chosen paths are columns; text that a spreadsheet would run as a formula is marked as text."""
    file = tmp_path / "out.csv"
    paths = ["profile.plan", "profile.price", "profile.tags.1.y", "profile.tags.7", "profile.none"]
    export_run(database, run, file, attributes=True, paths=paths)
    with file.open(encoding="utf-8", newline="") as lines:
        header, first, *_ = csv.reader(lines)
    assert ["contact_id", "attributes", *paths, "failures"] == header
    assert ["a", '{"city":"Évora"}', "'=cmd", "1.10", "-5", "", "", ""] == first


def test_parquet(database: Engine, run: RunRecord, tmp_path: Path) -> None:
    """A Parquet file has the columns as text."""
    file = tmp_path / "out.parquet"
    export_run(database, run, file, paths=["profile.price"])
    assert {"contact_id": ["a", "b", "c"], "profile.price": ["1.10", None, None]} == {
        name: column for name, column in parquet.read_table(file).to_pydict().items() if name != "failures"
    }


def test_an_export_is_whole_or_not_there(database: Engine, run: RunRecord, tmp_path: Path) -> None:
    """What cannot be written leaves no file, and an older one as it was."""
    for name, paths in [("out.xls", []), ("out.csv", ["offer.price"])]:
        file = tmp_path / name
        file.write_text("older")
        with pytest.raises(LeadpushError):
            export_run(database, run, file, paths=paths)
        assert "older" == file.read_text()
    assert ["out.csv", "out.xls"] == sorted(path.name for path in tmp_path.iterdir() if path.is_file())


def test_more_than_a_piece(database: Engine, tmp_path: Path) -> None:
    """Every contact is in the file once, in order."""
    run = started(database, 2_500)
    file = tmp_path / "out.jsonl"
    export_run(database, run, file)
    lines = file.read_text().splitlines()
    assert [f"c{n}" for n in range(2_500)] == [json.loads(line)["contact_id"] for line in lines]


@pytest.mark.parametrize("ending", ["jsonl", "csv", "parquet"])
def test_for_its_owner_alone(
    ending: str, database: Engine, run: RunRecord, tmp_path: Path, umask: Callable[[int], int]
) -> None:
    """From its first byte on, whatever the umask; nothing is written to where a link in its place leads."""
    umask(0)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.touch()
    file = tmp_path / f"out.{ending}"
    file.symlink_to(elsewhere)
    modes: list[int] = []

    def while_written(connection: Connection, *_: Any) -> None:
        modes.extend(unfinished.stat().st_mode & 0o777 for unfinished in tmp_path.glob("*.part"))

    event.listen(database, "before_cursor_execute", while_written)
    export_run(database, run, file)
    event.remove(database, "before_cursor_execute", while_written)
    assert set(modes) == {0o600}
    assert file.lstat().st_mode & 0o777 == 0o600
    assert not elsewhere.read_bytes()
    assert not list(tmp_path.glob("*.part"))
