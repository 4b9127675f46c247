"""Bars that show how far the demo's steps are."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from leadpush_prefect.cli.output import stdout
from leadpush_prefect.runs.open_runs import find_open_run

__all__ = ["progress_bars"]

NODES = ("customer_profile", "offer", "message")
REFRESH_SECONDS = 0.2


@contextmanager
def progress_bars(run_id: str, contacts: int, quiet: bool) -> Iterator[None]:
    """Show the progress of a run of this process while the block is under way."""
    if quiet:
        yield
        return
    columns = (TextColumn("{task.description:18}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    bars = Progress(*columns, console=stdout)
    tasks = {node: bars.add_task(node, total=contacts) for node in NODES}
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(REFRESH_SECONDS):
            run = find_open_run(run_id)
            for node, task in tasks.items() if run else ():
                bars.update(task, completed=run.done[node] if run else 0)

    watcher = threading.Thread(target=watch, daemon=True)
    with bars:
        watcher.start()
        try:
            yield
        finally:
            ended.set()
            watcher.join()
            for task in tasks.values():  # those who failed earlier, or are not subscribed, never reach a step
                bars.update(task, completed=contacts)
