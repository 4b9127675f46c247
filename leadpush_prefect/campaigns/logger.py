"""Where a campaign's lines go: into the log of its flow run or task run, or of this process without one."""

from __future__ import annotations

from typing import Any

from prefect.exceptions import MissingContextError
from prefect.logging import get_logger, get_run_logger

__all__ = ["logger"]


def logger() -> Any:
    """Give the logger of the run in whose context the caller is."""
    try:
        return get_run_logger()
    except MissingContextError:
        return get_logger("leadpush")
