"""How far a run is, in words."""

from __future__ import annotations

from sqlalchemy import Engine

from leadpush_prefect.settings import read_tunables
from leadpush_prefect.store.holder import silent_since
from leadpush_prefect.store.runs import RunRecord

__all__ = ["run_state"]


def run_state(database: Engine, run: RunRecord) -> str:
    """The name of its final state, or how far it is; of one whose process is gone, since when nothing was heard.

    Args:
        database: The run's database.
        run: The run.
    """
    if run.state:
        return run.state
    since = silent_since(database, run.run_id, read_tunables().watch_seconds)
    return f"no sign of life since {since:%Y-%m-%d %H:%M:%S} UTC" if since else run.status
