"""What the demo does once Prefect's home is chosen: API, Blocks, audience, campaign, comparison."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, cast

import httpx
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from leadpush_prefect.blocks import Audience
from leadpush_prefect.cli.output import stdout
from leadpush_prefect.definitions.apply import apply_definitions
from leadpush_prefect.definitions.read import read_definitions
from leadpush_prefect.model.config import WorkspaceConfig
from leadpush_prefect.runs.databases import database_of
from leadpush_prefect.runs.open_runs import find_open_run
from leadpush_prefect.store.exports import iter_failures, iter_outputs
from leadpush_prefect.store.runs import find_run
from leadpush_prefect.store.summary import RunSummary
from leadpush_prefect.text.json_text import from_json

__all__ = ["DemoResult", "run_demo"]

NODES = ("customer_profile", "offer", "message")
REFRESH_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class DemoResult:
    """What a demo did.

    Attributes:
        summary: Of the run.
        seconds: From the flow's start to its end, Prefect's own work included.
        messages: By contact id.
        differences: What is not as it must be.
    """

    summary: RunSummary
    seconds: float
    messages: dict[str, str]
    differences: list[str]

    @property
    def contacts_per_second(self) -> float:
        """Of the whole flow."""
        return self.summary.contacts / self.seconds

    def as_json(self) -> dict[str, Any]:
        """For scripts."""
        return {
            "summary": asdict(self.summary),
            "seconds": round(self.seconds, 3),
            "contacts_per_second": round(self.contacts_per_second, 1),
            "differences": self.differences,
        }


def run_demo(repository: Path, home: Path, contacts: int, run_id: str, *, quiet: bool) -> DemoResult:
    """Run the demo.

    Args:
        repository: Where `demo/`, `blocks/` and `flows/` are.
        home: The demo's PREFECT_HOME.
        contacts: How many.
        run_id: The run's id.
        quiet: Whether to print nothing.
    """
    with _api(repository) as url:
        environment = {**os.environ, "LEADPUSH_DEMO_API": url, "LEADPUSH_DEMO_KEY": _demo("api").API_KEY}
        environment["LEADPUSH_DEMO_AUDIENCE"] = str(repository / "demo" / "audience.csv")
        if not quiet:
            stdout.print(f"Prefect's home, profile and database: {home}", highlight=False, soft_wrap=True)
            stdout.print(
                f"Contacts and outputs: {home / 'leadpush' / 'outputs.db'}", highlight=False, soft_wrap=True
            )
            stdout.print(f"A small API: {url}", highlight=False)
            stdout.print("Starting Prefect's temporary server, and saving the Blocks of blocks/ ...")
        apply_definitions(read_definitions(repository / "blocks", environment))
        audience = Audience.from_file(_audience(repository, home, contacts))
        flow = importlib.import_module("flows.renewal_reminder").renewal_reminder
        started = perf_counter()
        with _progress_bars(run_id, contacts, quiet):
            summary = flow(audience, run_id=run_id)
        seconds = perf_counter() - started
        return _compare(
            repository, contacts, cast(RunSummary, summary), seconds, httpx.get(f"{url}/_count").json()
        )


def _demo(module: str) -> Any:
    return importlib.import_module(module)  # the files of demo/ import each other by their plain names


@contextmanager
def _api(repository: Path) -> Iterator[str]:
    command = [sys.executable, str(repository / "demo" / "api.py"), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def _audience(repository: Path, home: Path, contacts: int) -> Path:
    if contacts == 1000:
        return repository / "demo" / "audience.csv"
    path = home / f"audience-{contacts}.csv"
    demo_contacts = _demo("contacts")
    with path.open("w", encoding="utf-8", newline="") as file:
        demo_contacts.write_csv(demo_contacts.audience(contacts), file)
    return path


@contextmanager
def _progress_bars(run_id: str, contacts: int, quiet: bool) -> Iterator[None]:
    bars = Progress(
        TextColumn("{task.description:18}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=stdout,
    )
    tasks = {node: bars.add_task(node, total=contacts) for node in NODES}
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(REFRESH_SECONDS):
            run = find_open_run(run_id)
            for node, task in tasks.items() if run else ():
                bars.update(task, completed=run.done[node] if run else 0)

    watcher = threading.Thread(target=watch, daemon=True)
    if quiet:
        yield
        return
    with bars:
        watcher.start()
        try:
            yield
        finally:
            ended.set()
            watcher.join()
            for task in tasks.values():  # those who failed earlier, or are not subscribed, never reach a step
                bars.update(task, completed=contacts)


def _compare(
    repository: Path, contacts: int, summary: RunSummary, seconds: float, counted: dict[str, Any]
) -> DemoResult:
    if contacts == 1000:
        expected = json.loads((repository / "demo" / "expected.json").read_text("utf-8"))
    else:
        expected = _demo("make_expected").expected(_demo("contacts").audience(contacts))
    database = database_of(WorkspaceConfig())
    record = find_run(database, summary.run_id)
    assert record is not None
    failed = {contact_id: why.code for contact_id, _, why in iter_failures(database, record)}
    messages = {
        contact_id: from_json(outputs["message"])
        for contact_id, outputs in iter_outputs(database, record, ["message"])
    }
    pairs = {
        "contacts": (expected["contacts"], summary.contacts),
        "unsubscribed": (expected["unsubscribed"], summary.unsubscribed),
        "failures": (expected["failed"], failed),
        "messages": (expected["messages"], messages),
    }
    for step in summary.steps:
        wanted = expected["steps"][step.node]
        pairs[step.node] = (wanted, {name: getattr(step, name) for name in wanted})
    for route, node in (("profile", "customer_profile"), ("offers", "offer")):
        sent = next((step.requests for step in summary.steps if step.node == node), 0)
        pairs[f"requests of {route}"] = (expected["requests"][route], sent)
        pairs[f"requests that the API counted at {route}"] = (sent, sum(counted[route].values()))
    differences = [f"{what}: {_difference(*pair)}" for what, pair in pairs.items() if pair[0] != pair[1]]
    return DemoResult(summary, seconds, messages, differences)


def _difference(expected: Any, found: Any) -> str:
    if isinstance(expected, dict) and isinstance(found, dict):
        keys = [key for key in {**expected, **found} if expected.get(key) != found.get(key)]
        shown = ", ".join(f"{key} is {found.get(key)!r}, not {expected.get(key)!r}" for key in keys[:3])
        return f"{len(keys)} differ: {shown}"
    return f"{found!r}, not {expected!r}"
