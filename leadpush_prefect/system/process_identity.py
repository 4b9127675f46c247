"""Which process executes a run, as a text by which another one can tell that it has ended.

That is certain only within one pid namespace of one boot, which Linux tells; elsewhere nothing is known.
"""

from __future__ import annotations

import json
import os
import socket
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from leadpush_prefect.text.display import shortened

__all__ = ["describe_process", "has_ended", "identify_process"]


def identify_process() -> str:
    """A text for this process, another one at each call."""
    who = {"id": uuid4().hex, "host": socket.gethostname(), "pid": os.getpid(), "space": _pid_space()}
    since = datetime.now(UTC).isoformat(" ", "seconds").removesuffix("+00:00")
    return json.dumps(who | {"started": _started(os.getpid()), "since": since})


def describe_process(identity: str) -> str:
    """Such as `process 4711 on worker-1 since 2026-03-01 09:00:00 UTC`."""
    who = _read(identity)
    if who is None:
        return "a process that cannot be known"
    return f"process {who['pid']} on {shortened(who['host'])} since {shortened(who['since'])} UTC"


def has_ended(identity: str) -> bool:
    """Whether its process has certainly ended; False where that cannot be known."""
    who = _read(identity)
    if who is None or not who["space"] or not who["started"] or who["space"] != _pid_space():
        return False
    try:
        os.kill(who["pid"], 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass  # it is there, or another one that was given its number
    return _started(who["pid"]) not in ("", who["started"])


def _read(identity: str) -> dict[str, Any] | None:
    """What a text says of its process; None if it is none of `identify_process`, as others may write to the database."""
    try:
        who = json.loads(identity)
    except (ValueError, RecursionError):
        return None
    texts = ("host", "space", "started", "since")
    if type(who) is not dict or not all(type(who.get(name)) is str for name in texts):
        return None
    return who if type(who.get("pid")) is int and 0 < who["pid"] < 2**31 else None


def _pid_space() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""


def _started(pid: int) -> str:
    """When a process started, in clock ticks since the boot: a number is given again, with another start."""
    try:
        after_name = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return ""
    return "ended" if after_name[0] in (b"Z", b"X") else after_name[19].decode()
