"""What the loopback server can do by itself: were it slow, all sides would only show its own rate."""

from __future__ import annotations

import math
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence

from tests.benchmarks.result import Result
from tests.benchmarks.rows import SIDES
from tests.benchmarks.sides import Workbench

CONNECTIONS = 64
SLOW_CONNECTIONS = 2_048  # an API that waits 50 ms can answer each connection 20 times a second
SECONDS = 3


class Ceilings:
    """The requests per second of each server, measured by `wrk` over keep-alive connections.

    Args:
        bench: Where the servers are.
        wrk: The tool's path.
    """

    def __init__(self, bench: Workbench, wrk: str) -> None:
        self.bench = bench
        self.wrk = wrk
        self.found: dict[bool, float] = {}

    def headroom(self, side: str, results: Sequence[Mapping[str, Result]]) -> float:
        """How many times the requests of a side its server can answer; infinite if it sent none."""
        fastest = max(result[side].requests_per_second for result in results)
        return self._of(SIDES[side].slow_api) / fastest if fastest else math.inf

    def _of(self, slow: bool) -> float:
        if slow not in self.found:
            connections = SLOW_CONNECTIONS if slow else CONNECTIONS
            self.found[slow] = _rate(self.wrk, f"{self.bench.url(slow)}/customers/user1", connections)
        return self.found[slow]


def find_wrk() -> str:
    """The tool's path.

    Raises:
        FileNotFoundError: saying how to install it.
    """
    path = shutil.which("wrk")
    if path is None:
        raise FileNotFoundError(
            "wrk is not installed, which measures what the server can do by itself: "
            "`apt-get install -y wrk` or `brew install wrk`; or leave it out with --no-ceiling."
        )
    return path


def _rate(wrk: str, url: str, connections: int) -> float:
    command = [wrk, "-t1", f"-c{connections}", f"-d{SECONDS}s", url]
    report = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = re.search(r"Requests/sec:\s+([\d.]+)", report)
    assert found, report
    return float(found[1])
