"""What a contact costs, by part: one GET step under py-spy.

    uv run --with py-spy python -m tests.benchmarks.cost [--contacts 100000]

py-spy says which part holds the interpreter, sample by sample; the process's own clock says how much CPU time a contact
takes, in a run without py-spy, which slows what it looks at. The table is the second, divided as the first says. What
runs without the interpreter (the kernel's and SQLite's own work) is in the parts that wait for it only as far as they do.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.benchmarks import server

SIDE = "tests.benchmarks.ours.one_step"

# The part of a sample is that of its innermost function that stands here, by name and file.
PARTS = {
    "render the request": ["render (attempt.py)"],
    "write the request": [
        "request_bytes (message.py)",
        "split_url (wire.py)",
        "AiohttpTransport._head (aiohttp_transport.py)",
        "Outbox._write (aiohttp_writer.py)",
        "Outbox.put (aiohttp_writer.py)",
    ],
    "aiohttp's ClientSession": [
        "ClientSession._request (client.py)",
        "ClientRequest.send (client_reqrep.py)",
        "ClientResponse.start (client_reqrep.py)",
    ],
    "connections": ["BaseConnector.connect (connector.py)", "Connection.release (connector.py)"],
    "parse the response": ["ResponseHandler.data_received (client_proto.py)"],
    "read the body": ["_read_whole (aiohttp_transport.py)", "_read_excerpt (aiohttp_transport.py)"],
    "check the JSON": ["read_output (attempt.py)"],
    "deadline": [
        "Deadlines.until (deadlines.py)",
        "_Until.__enter__ (deadlines.py)",
        "_Until.__exit__ (deadlines.py)",
    ],
    "the transport's rest": ["AiohttpTransport.send (aiohttp_transport.py)"],
    "engine and event loop": [
        "Thread.run (threading.py)",
        "Feed.put (lane.py)",
        "Feed.collect (lane.py)",
    ],
    "read contacts and outputs": ["pending (pending.py)"],
    "values of a contact": ["_Reads.values (batch_steps.py)"],
    "store outcomes": ["OutcomeWriter.write (outcome_writer.py)"],
    "the batch's rest": ["fetch_batch (batch_steps.py)"],
    "snapshot of the audience": ["begin (starting.py)"],
    "finish, and counts": ["CampaignRun.finish (run.py)", "CampaignRun.summary (run.py)"],
}
_PART_OF = {function: part for part, functions in PARTS.items() for function in functions}


def shares(stacks: Iterable[str]) -> dict[str, float]:
    """How much of the samples each part has, the imports left out.

    Args:
        stacks: Lines of py-spy's raw format: frames from the outermost on, divided by `;`, and a count.
    """
    samples: Counter[str] = Counter()
    for line in stacks:
        stack, count = line.rsplit(" ", 1)
        frames = [re.sub(r"\((?:.*/)?([^/:]+)(?::\d+)?\)$", r"(\1)", frame) for frame in stack.split(";")]
        part = next((_PART_OF[frame] for frame in reversed(frames) if frame in _PART_OF), None)
        if part is not None and not any(frame.startswith("_find_and_load") for frame in frames):
            samples[part] += int(count)
    return {part: samples[part] / samples.total() for part in PARTS if samples[part]}


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--contacts", type=int, default=100_000)
    contacts = parser.parse_args(argv).contacts
    with server.running() as url, tempfile.TemporaryDirectory() as folder:
        few = contacts // 5
        cpu = 1e6 * (_cpu_seconds(url, contacts) - _cpu_seconds(url, few)) / (contacts - few)
        raw = Path(folder) / "raw.txt"
        spy = [shutil.which("py-spy") or "py-spy", "record", "--rate", "500", "--gil", "--nonblocking"]
        _run([*spy, "--format", "raw", "--output", str(raw), "--", *_child(url, contacts)])
        parts = shares(raw.read_text().splitlines())
    table = Table(title=f"{contacts:,} contacts, one GET step: {cpu:.0f} us of CPU time for each")
    table.add_column("part")
    table.add_column("us", justify="right")
    for part, share in parts.items():
        table.add_row(part, f"{share * cpu:.1f}")
    Console(width=100).print(table)


def _child(url: str, contacts: int) -> list[str]:
    arguments = json.dumps({"url": url, "contacts": contacts})
    return [sys.executable, "-m", "tests.benchmarks.child", SIDE, arguments]


def _cpu_seconds(url: str, contacts: int) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    _run(_child(url, contacts))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _run(command: list[str]) -> None:
    with tempfile.TemporaryDirectory() as home:
        subprocess.run(command, check=True, capture_output=True, env=os.environ | {"PREFECT_HOME": home})


if __name__ == "__main__":
    main(sys.argv[1:])
