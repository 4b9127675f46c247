"""How a test waits for what comes by itself: it asks again until the response is true, and fails if it never is."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def eventually(ask: Callable[[], T | None], seconds: float = 120) -> T:
    """Return the first response that is true."""
    deadline = time.monotonic() + seconds
    while not (response := ask()):
        assert time.monotonic() < deadline, f"it did not come to pass within {seconds:g} s"
        time.sleep(0.05)
    return response
