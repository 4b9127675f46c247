"""What may take long and must not hold up its caller."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from contextvars import copy_context
from threading import Thread
from typing import TypeVar

__all__ = ["within"]

T = TypeVar("T")


def within(seconds: float, work: Callable[[], T]) -> T:
    """Do something in a thread of its own, in the caller's context, and wait for it for so long.

    >>> within(5, lambda: 1 + 1)
    2

    Raises:
        TimeoutError: if it is not done by then. It goes on, and nobody hears what comes of it.
    """
    done: Future[T] = Future()

    def run() -> None:
        try:
            done.set_result(work())
        except BaseException as error:
            done.set_exception(error)

    Thread(target=copy_context().run, args=(run,), name="leadpush-aside", daemon=True).start()
    return done.result(seconds)
