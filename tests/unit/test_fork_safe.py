"""A lock that a forked child can use."""

from __future__ import annotations

import subprocess
import sys

import pytest

CHILD = """
import os, sys, threading, warnings
from leadpush_prefect.system.fork_safe import ForkSafeLock
warnings.simplefilter("ignore")
lock, held, done = ForkSafeLock(), threading.Event(), threading.Event()
def hold():
    with lock:
        held.set()
        done.wait()
thread = threading.Thread(target=hold)
thread.start()
held.wait()
child = os.fork()
if not child:
    with lock:
        os._exit(7)
ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
assert not lock._lock.acquire(blocking=False), "the parent's is still held"
done.set()
thread.join()
sys.exit(ended)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
def test_a_child_finds_it_open() -> None:
    """Also where another thread of the parent held it at the fork; the parent's stays as it is."""
    assert 7 == subprocess.run([sys.executable, "-c", CHILD], timeout=60).returncode
