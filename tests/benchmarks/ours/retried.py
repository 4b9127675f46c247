"""The second execution of a large run that a crash has left with some contacts missing."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from prefect.settings import PREFECT_HOME

from tests.benchmarks.ours.blocks import save_blocks
from tests.benchmarks.ours.campaign import timed
from tests.benchmarks.result import Result
from tests.benchmarks.warm_prefect import warm_prefect


@warm_prefect()
def run(url: str, contacts: int, missing: int, run_id: str) -> Result:
    save_blocks(url)
    _lose(PREFECT_HOME.value() / "leadpush" / "outputs.db", run_id, every=contacts // missing)
    return timed(contacts, run_id, missing)


def _lose(database: Path, run_id: str, every: int) -> None:
    """Leave the run as a crash does: not finished, and without some outcomes, spread over all of it."""
    with closing(sqlite3.connect(database)) as connection, connection:
        [[key]] = connection.execute("SELECT run FROM leadpush_run WHERE run_id = ?", [run_id])
        connection.execute("DELETE FROM leadpush_outcome WHERE run = ? AND number % ? = 0", [key, every])
        connection.execute(
            "UPDATE leadpush_run SET status = 'running', finished_at = NULL, state = NULL WHERE run = ?",
            [key],
        )
