"""A side of a comparison: a module's `run`, in a process of its own, with a Prefect home of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from tests.benchmarks import server
from tests.benchmarks.result import Result

ROOT = Path(__file__).resolve().parents[2]
SLOW_SECONDS = 0.05
PACKAGE = "tests.benchmarks"
MADE = "made"
DLT = "dlt[duckdb]==1.31.0"

SETTINGS = {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_LOGGING_LEVEL": "INFO",
    "DO_NOT_TRACK": "1",
}
TEMPORARY_SERVER = {
    "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "true",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
}


@dataclass(frozen=True, slots=True)
class Side:
    """What is measured.

    Attributes:
        module: Of `tests.benchmarks`.
        full: The arguments of its `run`.
        small: Those that replace them where only the counts matter.
        slow_api: Whether the API waits before it answers.
        home: The name of a Prefect home that it shares with another side; by default its own, deleted after.
        after: The side that leaves something for it in that home.
        once: Whether one measurement has to do for all rounds.
        alone: What to install into an environment of its own, without this package.
    """

    module: str
    full: Mapping[str, Any]
    small: Mapping[str, Any]
    slow_api: bool = False
    home: str = ""
    after: str = ""
    once: bool = False
    alone: str = ""


class SideFailed(Exception):
    """A side ended with an error, or the server counted other requests than were to be made."""


@dataclass
class Workbench:
    """The APIs and homes of a run of the benchmarks; used in a `with`.

    Attributes:
        small: Whether only the counts matter.
        prefect_api: The URL of a Prefect server for all sides; empty for a temporary one each.
    """

    small: bool
    prefect_api: str = ""
    _stack: ExitStack = field(default_factory=ExitStack)
    _urls: dict[bool, str] = field(default_factory=dict)
    _homes: dict[str, Path] = field(default_factory=dict)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def url(self, slow: bool) -> str:
        """The API's, started when it is first needed."""
        if slow not in self._urls:
            running = server.running(SLOW_SECONDS if slow else 0)
            self._urls[slow] = self._stack.enter_context(running)
        return self._urls[slow]

    def measure(self, side: Side) -> Result:
        """Run a side, and see that the server has counted each of its requests once.

        Raises:
            SideFailed: if it has not, or the side ended with an error.
        """
        url = self.url(side.slow_api)
        _take_hits(url)  # others may have asked this server
        arguments = {"url": url, **side.full, **(side.small if self.small else {})}
        command = [*_python(side), "-m", f"{PACKAGE}.child", f"{PACKAGE}.{side.module}"]
        with self._home(side.home) as home:
            output = self._run([*command, json.dumps(arguments)], home)
        result = Result(**json.loads(output.splitlines()[-1]))
        hits = _take_hits(url)
        if hits != result.requests + result.other_requests:
            raise SideFailed(
                f"{side.module}: the server counted {hits:,} requests and not "
                f"{result.requests + result.other_requests:,}."
            )
        return result

    @contextmanager
    def _home(self, name: str) -> Iterator[Path]:
        """The Prefect home of a name, or a new one: a copy of one whose database is made."""
        if name in self._homes:
            yield self._homes[name]
            return
        folder = Path(tempfile.mkdtemp(prefix="leadpush-benchmark-"))
        self._stack.callback(shutil.rmtree, folder, ignore_errors=True)
        if name:
            self._homes[name] = folder
        if name != MADE and not self.prefect_api:
            shutil.copytree(self._made_home(), folder, dirs_exist_ok=True)
        yield folder
        if not name:
            shutil.rmtree(folder, ignore_errors=True)

    def _made_home(self) -> Path:
        if MADE not in self._homes:
            with self._home(MADE) as home:
                self._run([sys.executable, "-m", f"{PACKAGE}.warm_prefect"], home)
        return self._homes[MADE]

    def _run(self, command: list[str], home: Path) -> str:
        done = subprocess.run(
            command, cwd=ROOT, env=self._environment(home), capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise SideFailed(f"{' '.join(command)} failed:\n{done.stderr[-4000:]}")
        return done.stdout

    def _environment(self, home: Path) -> dict[str, str]:
        """As a user has it who has just installed Prefect, whatever the one who measures is logged into."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
        server = {"PREFECT_API_URL": self.prefect_api} if self.prefect_api else TEMPORARY_SERVER
        return {**kept, **server, **SETTINGS, "PREFECT_HOME": str(home)}


def _python(side: Side) -> list[str]:
    if not side.alone:
        return [sys.executable]
    command = ["uv", "run", "--quiet", "--no-project", "--python", sys.executable, "--with", side.alone]
    return [*command, "python"]


def _take_hits(url: str) -> int:
    """How many requests the server has counted since this was last asked."""
    with urllib.request.urlopen(f"{url}/_hits") as response:
        return int(json.load(response)["hits"])
