"""What is asked of Prefect's server again, because in the middle of a run a minute's absence must not end it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar
from urllib.parse import urlsplit

import httpx
from prefect.logging import get_logger
from prefect.settings import PREFECT_API_URL

from leadpush_prefect.errors import PrefectAway

__all__ = ["PATIENCE_SECONDS", "patiently"]

PATIENCE_SECONDS = 120.0
"""So long a run goes on without Prefect's server."""

_LONGEST_PAUSE = 5.0

# Of these Prefect's client repeats 408, 429, 502 and 503 by itself, and refused connections where it was connected.
_PASSING = {401, 403, 408, 425, 429}

T = TypeVar("T")


def patiently(ask: Callable[[], T], what: str, *, seconds: float = PATIENCE_SECONDS) -> T:
    """Ask Prefect's server, and again while it is away, restarts, or refuses everybody.

    Args:
        ask: Asks it.
        what: What for, for messages, such as "the block 'crm' was not read".
        seconds: For how long.

    Raises:
        PrefectAway: if it still does not answer then.
    """
    began, pause, is_said = time.monotonic(), 0.2, False
    while True:
        try:
            return ask()
        except httpx.HTTPError as error:
            if not _passes(error):
                raise
            if time.monotonic() - began + pause > seconds:
                raise PrefectAway(_server(), what, _fault(error), time.monotonic() - began) from error
            if not is_said:
                _say(what, _fault(error), seconds)
                is_said = True
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)


def _say(what: str, fault: str, seconds: float) -> None:
    get_logger("leadpush").warning(
        "Prefect's server at %s does not answer as it should (%s), and %s. It is asked again for up to %.0f s.",
        _server(),
        fault,
        what,
        seconds,
    )


def _passes(error: httpx.HTTPError) -> bool:
    if not isinstance(error, httpx.HTTPStatusError):
        return True
    return error.response.status_code in _PASSING or error.response.status_code >= 500


def _fault(error: httpx.HTTPError) -> str:
    if isinstance(error, httpx.HTTPStatusError):
        return f"HTTP {error.response.status_code}"
    return type(error).__name__


def _server() -> str:
    """Its host and port; the rest of the address may hold a key."""
    try:
        parts = urlsplit(PREFECT_API_URL.value() or "")
        return f"{parts.hostname}:{parts.port}" if parts.port else parts.hostname or "(temporary)"
    except ValueError:
        return "PREFECT_API_URL"
