"""One Prefect server, a home for each test, and the campaign of `child.py` in a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from prefect.settings import PREFECT_API_URL
from sqlalchemy import create_engine, text

from tests.support.databases import empty_database

CHILD = Path(__file__).with_name("child.py")
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(prefect_server: None, tmp_path: Path) -> Iterator[Start]:
    """Starts `child.py`, or another program, with arguments and more in its environment, in the test's home; what still
    runs at the end is killed."""
    children: list[subprocess.Popen[str]] = []
    environment = {
        **os.environ,
        "PREFECT_HOME": str(tmp_path),
        "PREFECT_API_URL": PREFECT_API_URL.value() or "",
        "PREFECT_LOGGING_LEVEL": "WARNING",
        "PREFECT_TEST_MODE": "0",
        "PYTHONFAULTHANDLER": "1",
        "PREFECT_RUNNER_POLL_FREQUENCY": "1",
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }

    def start(*arguments: object, program: Path = CHILD, **more: str) -> subprocess.Popen[str]:
        command = [sys.executable, str(program), *map(str, arguments)]
        child = subprocess.Popen(
            command, env=environment | more, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        children.append(child)
        return child

    yield start
    for child in children:
        if child.poll() is None:  # it hangs, or serves: let it say where
            child.send_signal(signal.SIGABRT)
        print(child.communicate()[0][-5_000:])


@pytest.fixture
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The database of the child: the embedded one, where a test does not name another."""
    yield from empty_database(getattr(request, "param", "sqlite"), request, tmp_path)


@pytest.fixture
def ask(url: str) -> Callable[[str], list[tuple[Any, ...]]]:
    """Asks the database of the child."""

    def ask(query: str) -> list[tuple[Any, ...]]:
        engine = create_engine(url)
        with engine.connect() as connection:
            found = [tuple(row) for row in connection.execute(text(query))]
        engine.dispose()
        return found

    return ask
