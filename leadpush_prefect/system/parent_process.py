"""The end of a pool's worker process whose flow's process has crashed: Python's own would wait for work for ever."""

from __future__ import annotations

import multiprocessing
import os
import threading
from functools import cache

__all__ = ["end_with_parent"]


@cache
def end_with_parent() -> None:
    """End this process as soon as the one that made it has ended; without effect where nobody's pool made it.

    On the spot, as the parent did: a later execution may have begun, and repeats what was not written.
    """
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_watch, args=(parent,), name="leadpush-parent", daemon=True).start()


def _watch(parent: multiprocessing.process.BaseProcess) -> None:
    parent.join()
    os._exit(1)
