"""Of a process it is known at once that it has ended, and of no other is it said."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from leadpush_prefect.system.process_identity import describe_process, has_ended, identify_process

SAY = "from leadpush_prefect.system.process_identity import *; print(identify_process(), flush=True); input()"
LINUX = pytest.mark.skipif(not Path("/proc/self/ns/pid").exists(), reason="only Linux tells")


def test_this_process() -> None:
    """It lives, each of its executions is another one, and people can find it."""
    assert not has_ended(identify_process())
    assert identify_process() != identify_process()
    assert f"process {os.getpid()} on " in describe_process(identify_process())


@LINUX
def test_one_that_ended() -> None:
    """Alive, dead and not yet buried, gone, and gone with its number given to another."""
    command = [sys.executable, "-c", SAY]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        identity = process.stdout.readline()
        assert not has_ended(identity)
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert has_ended(identity), "a zombie"
    assert has_ended(identity)
    me = json.loads(identify_process())
    assert has_ended(json.dumps(me | {"started": "1"}))


@pytest.mark.parametrize("change", [{"space": "another boot"}, {"space": ""}, {"started": ""}])
def test_one_elsewhere(change: dict[str, str]) -> None:
    """Of another machine, container or boot nothing is known."""
    gone = json.loads(identify_process()) | {"pid": 2**22 + 1} | change
    assert not has_ended(json.dumps(gone))
