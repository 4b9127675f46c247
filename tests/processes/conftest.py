"""What a campaign in several processes takes: a Prefect server that runs by itself, PostgreSQL, and an API."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil  # type: ignore[import-untyped]
import pytest
from sqlalchemy import URL, create_engine, text

from tests.support.demo import API_KEY, DEMO, demo_script
from tests.support.waiting import eventually

REPOSITORY = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
Ask = Callable[[str], list[tuple[Any, ...]]]


@pytest.fixture(scope="session")
def api() -> Iterator[str]:
    """The demo's API, which counts its requests."""
    command = demo_script("api", "--port", "0")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        yield process.stdout.readline().strip()
        process.terminate()


@pytest.fixture(scope="session")
def store(postgresql: URL) -> URL:
    """A database of these tests' own, which goes with its server."""
    admin = create_engine(postgresql, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text("CREATE DATABASE processes"))
    admin.dispose()
    return postgresql.set(database="processes")


@pytest.fixture(scope="session")
def ask(store: URL) -> Iterator[Ask]:
    """Asks the database."""
    engine = create_engine(store)

    def ask(query: str) -> list[tuple[Any, ...]]:
        with engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(query))]

    yield ask
    engine.dispose()


@pytest.fixture(scope="session")
def environment(api: str, store: URL, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of a process that finds a Prefect server, with the campaign's Blocks."""
    home = tmp_path_factory.mktemp("prefect")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")} | {
        "PREFECT_HOME": str(home),
        "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_LOGGING_LEVEL": "WARNING",
        "PREFECT_RUNNER_POLL_FREQUENCY": "1",
        "PYTHONPATH": str(REPOSITORY),
        "STORE": store.render_as_string(hide_password=False),
        "LEADPUSH_DEMO_API": api,
        "LEADPUSH_DEMO_KEY": API_KEY,
        "LEADPUSH_DEMO_AUDIENCE": str(DEMO / "audience.csv"),
    }
    command = [str(BIN / "prefect"), "server", "start", "--host", "127.0.0.1", "--port", port]
    with (
        (home / "server.log").open("w") as log,
        subprocess.Popen(command, env=environment, cwd=home, stdout=log, stderr=log) as server,
    ):
        try:
            eventually(lambda: _is_up(environment["PREFECT_API_URL"]), 120)
            save = [sys.executable, str(Path(__file__).with_name("save_blocks.py"))]
            subprocess.run(save, env=environment, cwd=home, check=True, timeout=120)
            yield environment
        finally:
            server.terminate()
            server.wait(60)


def _is_up(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health").status_code == 200
    except httpx.HTTPError:
        return False


Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(environment: dict[str, str], tmp_path: Path) -> Iterator[Start]:
    """Starts a script with arguments, `campaign.py` by default; whatever of its processes is left at the end is
    killed."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: object, script: str = "campaign.py") -> subprocess.Popen[str]:
        command = [sys.executable, str(Path(__file__).with_name(script)), *map(str, arguments)]
        with (tmp_path / "stdout").open("a") as out, (tmp_path / "stderr").open("w") as err:
            process = subprocess.Popen(
                command,
                env=environment,
                cwd=tmp_path,
                stdout=out,
                stderr=err,
                text=True,
                start_new_session=True,
            )
        started.append(process)
        return process

    yield start
    for process in started:
        for left in processes_of(process):
            left.kill()
        process.wait(30)


def processes_of(started: subprocess.Popen[str]) -> list[psutil.Process]:
    """A process that was started, its children and theirs, as long as they live."""
    found = []
    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) == started.pid and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (ProcessLookupError, psutil.NoSuchProcess):
            continue
    return found


def write_audience(path: Path, count: int) -> None:
    """The demo's audience of so many contacts, as a file."""
    script = demo_script("contacts", "--count", str(count))
    path.write_bytes(subprocess.run(script, check=True, capture_output=True).stdout)
