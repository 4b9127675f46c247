"""The views for reports: what they say of a run, and that they read no more than is asked for."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import Engine

from leadpush_prefect.model.outcome import Outcome, Status
from leadpush_prefect.store.database import reading
from leadpush_prefect.store.outcomes import write_outcomes
from leadpush_prefect.store.runs import RunRecord
from leadpush_prefect.store.summary import summarize
from tests.support.store import FAILED, FETCHED, SKIPPED, declare, started

VIEWS = ["leadpush_runs", "leadpush_steps", "leadpush_outcomes", "leadpush_failures"]


@pytest.fixture
def run(database: Engine) -> RunRecord:
    """The second of two runs: one contact went to the end, one was skipped at the second step, one failed."""
    started(database, 4, run_id="other", campaign="other")
    run = started(database, 4)
    profile = declare(database, run, "profile")
    message = declare(database, run, "message", kind="render", endpoint="", on_failure="continue")
    write_outcomes(database, run.key, profile, [(0, FETCHED), (1, FETCHED), (2, FAILED)])
    write_outcomes(database, run.key, message, [(0, Outcome(Status.FETCHED, '"Hi"')), (1, SKIPPED)])
    return run


def ask(database: Engine, query: str) -> list[tuple[Any, ...]]:
    with reading(database) as connection:
        return [tuple(row) for row in connection.exec_driver_sql(query)]


def test_runs(database: Engine, run: RunRecord) -> None:
    """Each run is one row."""
    rows = ask(database, "SELECT run_id, campaign, workspace, status, contacts FROM leadpush_runs ORDER BY 1")

    assert [("other", "other", "acme", "running", 4), ("r1", "renewal", "acme", "running", 4)] == rows


def test_steps(database: Engine, run: RunRecord) -> None:
    """Each step of a run is one row, with the counts of its summary; also a step without outcomes."""
    declare(database, run, "late")
    counts = "node, fetched, skipped, failed, requests, bytes"
    rows = ask(database, f"SELECT {counts} FROM leadpush_steps WHERE run_id = 'r1' ORDER BY step")

    assert [("profile", 2, 0, 1, 4, 37), ("message", 1, 1, 0, 0, 0), ("late", 0, 0, 0, 0, 0)] == rows
    assert rows == [
        (step.node, step.fetched, step.skipped, sum(step.failed.values()), step.requests, step.bytes)
        for step in summarize(database, run).steps
    ]


def test_outcomes(database: Engine, run: RunRecord) -> None:
    """Each contact at each step that has touched it is one row; an output is the JSON text as received."""
    columns = "contact_id, node, output_key, endpoint, status, code, output, milliseconds, attempts, bytes"
    query = f"SELECT {columns} FROM leadpush_outcomes WHERE run_id = 'r1' ORDER BY node DESC, contact_id"

    assert [
        ("c0", "profile", "profile", "crm", "fetched", None, '{"plan":"pro"}', 250.0, 1, 14),
        ("c1", "profile", "profile", "crm", "fetched", None, '{"plan":"pro"}', 250.0, 1, 14),
        ("c2", "profile", "profile", "crm", "failed", "http_status_404", None, 500.0, 2, 9),
        ("c0", "message", "message", "", "fetched", None, '"Hi"', 0.0, 0, 0),
        ("c1", "message", "message", "", "skipped", None, None, 0.0, 0, 0),
    ] == ask(database, query)


def test_failures(database: Engine, run: RunRecord) -> None:
    """Each failure is one row."""
    columns = "campaign, contact_id, node, endpoint, on_failure, code, milliseconds, attempts"
    rows = ask(database, f"SELECT {columns} FROM leadpush_failures WHERE run_id = 'r1'")

    assert [("renewal", "c2", "profile", "crm", "stop", "http_status_404", 500.0, 2)] == rows


def test_no_attributes(database: Engine, run: RunRecord) -> None:
    """No view shows a contact's attributes, nor the request, which may hold some."""
    shown = json.dumps([ask(database, f"SELECT * FROM {view}") for view in VIEWS])

    assert '"c2"' in shown
    assert "_id" not in shown
    assert "The API answered 404." not in shown


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("view", VIEWS)
def test_a_run_is_found_by_its_keys(view: str, database: Engine, run: RunRecord) -> None:
    """Filtered by run_id, nothing is read that is not the run's; with the node, nothing but the step's."""
    of_run = plan(database, f"SELECT * FROM {view} WHERE run_id = 'r1'")
    assert any("run USING INDEX" in line and "(run_id=?)" in line for line in of_run), of_run
    if view != "leadpush_runs":
        assert any("outcome USING PRIMARY KEY (run=?" in line for line in of_run), of_run
        of_step = plan(database, f"SELECT * FROM {view} WHERE run_id = 'r1' AND node = 'message'")
        assert any("outcome USING PRIMARY KEY (run=? AND step=?" in line for line in of_step), of_step


def plan(database: Engine, query: str) -> list[str]:
    """How SQLite executes a query that scans no table."""
    lines = [str(row[3]) for row in ask(database, f"EXPLAIN QUERY PLAN {query}")]
    tables = {"leadpush_run", "run", "step", "outcome", "contact"}
    assert not [line for line in lines if line.startswith("SCAN") and line.split()[1] in tables], lines
    return lines
