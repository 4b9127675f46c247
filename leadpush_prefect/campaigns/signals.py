"""What ends a campaign early, seen while it waits: SIGTERM, and Ctrl-C in an async flow."""

from __future__ import annotations

import asyncio
import signal
import threading
from contextvars import copy_context
from types import FrameType
from typing import Any

from prefect.futures import PrefectFuture

__all__ = ["leave_on_sigterm", "restore_sigterm", "wait_for"]


def wait_for(future: PrefectFuture[Any]) -> None:
    """Wait for a task.

    On an event loop, in an async flow, the first Ctrl-C does not interrupt but cancels the flow's task, and
    that is to be seen here.
    """
    task = _running_task()
    if task is None:
        future.wait()
        return
    done = threading.Event()
    waiting = threading.Thread(target=copy_context().run, args=(_wait_and_say, future, done), daemon=True)
    waiting.start()
    while not done.wait(0.2):
        if task.cancelling():
            raise asyncio.CancelledError


def _wait_and_say(future: PrefectFuture[Any], done: threading.Event) -> None:
    try:
        future.wait()
    finally:
        done.set()


def _running_task() -> asyncio.Task[Any] | None:
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None


def leave_on_sigterm() -> Any:
    """Let SIGTERM leave the `with` like any exception, where it would end the process on the spot.

    Prefect's own processes have a handler, which stays.
    """
    if threading.current_thread() is not threading.main_thread():
        return None
    if signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        return None
    return signal.signal(signal.SIGTERM, _exit)


def restore_sigterm(former: Any) -> None:
    """Put the former handler back; None if there is none to put back."""
    if former is not None:
        signal.signal(signal.SIGTERM, former)


def _exit(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)
