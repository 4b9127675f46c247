"""A side in a process of its own, so that none is warmed by another, and the memory is its own.

    PREFECT_HOME=$(mktemp -d) python -m tests.benchmarks.child MODULE '{"contacts": 20000}'

calls the module's `run` and prints its Result as JSON. Without a URL among the arguments it starts an API itself, which
is what a profiler wants. It imports nothing but the standard library, since a baseline may live in an environment
without this package.
"""

from __future__ import annotations

import importlib
import json
import sys
from contextlib import nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from tests.benchmarks import server
from tests.benchmarks.result import Result


def main(module: str, arguments: dict[str, Any]) -> None:
    url = arguments.pop("url", "")
    with nullcontext(url) if url else server.running() as url:
        result: Result = importlib.import_module(module).run(url, **arguments)
    print(json.dumps(asdict(replace(result, peak_mb=peak_mb()))))


def peak_mb() -> float:
    """The largest resident memory of this process. Not `ru_maxrss`, which counts the parent's at the fork."""
    status = Path("/proc/self/status")
    if status.exists():
        [peak] = [line.split()[1] for line in status.read_text().splitlines() if line.startswith("VmHWM")]
        return int(peak) / 1024
    import resource

    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]) if len(sys.argv) > 2 else {})
