"""The benchmarks run, and do the work that they claim to. Speed is not asserted here: machines are noisy."""

from pathlib import Path

import pytest
from prefect.settings import PREFECT_API_URL

from tests.benchmarks import report
from tests.benchmarks.measuring import Measured, measure
from tests.benchmarks.rows import SIDES, all_rows
from tests.benchmarks.sides import Workbench

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(600)]


def test_each_row_is_measured_and_each_request_counted(
    prefect_server: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A round of few contacts: the server has counted each request of each side once, and each row has its line.

    The sides see for themselves that each contact has its outcome. Rows that need more than this project's
    dependencies are left out.
    """
    rows = [
        row for row in all_rows() if not any(SIDES[name].alone for name in (row.ours, row.baseline) if name)
    ]
    said: list[str] = []
    with Workbench(small=True, prefect_api=str(PREFECT_API_URL.value())) as bench:
        measured = measure([row.name for row in rows], 1, bench, None, said.append)
    assert [one.row for one in measured] == rows
    assert all(len(one.values) == 1 and one.median > 0 for one in measured)
    table = report.rich_table(measured)
    assert table.row_count == len(rows)
    written = _written(measured, tmp_path / "README.md", monkeypatch)
    assert all(f"| {row.name} |" in written for row in rows)


def _written(measured: list[Measured], readme: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A copy of the README after the table was written into it, twice."""
    readme.write_text(report.README.read_text("utf-8"), "utf-8")
    monkeypatch.setattr(report, "README", readme)
    report.write(measured, "the command")
    once = readme.read_text("utf-8")
    report.write(measured, "the command")
    assert readme.read_text("utf-8") == once
    return once
