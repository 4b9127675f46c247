"""Where what a run does is logged."""

from __future__ import annotations

import logging
from typing import Any

from prefect.exceptions import MissingContextError
from prefect.logging import get_logger, get_run_logger

__all__ = ["run_logger", "warn"]


def run_logger() -> logging.Logger | logging.LoggerAdapter[Any]:
    """The logger of the flow or task run, whose lines Prefect's UI shows; the package's where there is none."""
    try:
        return get_run_logger()
    except MissingContextError:
        return get_logger("leadpush")


def warn(message: str) -> None:
    """Warn in the log of the flow or task run that is at work here."""
    run_logger().warning("%s", message)
