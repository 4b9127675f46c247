"""Prefect as it is timed: its temporary server is up and used, and its flows end when they end.

    python -m tests.benchmarks.warm_prefect

makes a Prefect home, with its database.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from prefect import flow, task
from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings


@task
def _nothing() -> None:
    pass


@flow
def _first_flow() -> None:
    _nothing.submit().wait()


@contextmanager
def warm_prefect(*, heartbeats: bool = False) -> Iterator[None]:
    """Start the server by a flow with a task; by default without heartbeats, here and for what follows.

    A flow waits at its end for the thread of its heartbeat, which sleeps in whole seconds: all times would be
    rounded up to a second.
    """
    with temporary_settings({} if heartbeats else {PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
        _first_flow()
        yield


if __name__ == "__main__":
    with warm_prefect():
        pass
