"""SQLAlchemy keeps quiet: what is written and read are people's data."""

from __future__ import annotations

import logging
from typing import Any

__all__ = ["QUIET"]

QUIET: dict[str, Any] = {"hide_parameters": True, "logging_name": "leadpush"}
"""For `create_engine`: neither an error's text nor the log shows what is written and read, which are people's data."""

# At DEBUG, SQLAlchemy logs each row that is read, whatever it hides otherwise.
logging.getLogger("sqlalchemy.engine.Engine.leadpush").addFilter(
    lambda record: record.levelno > logging.DEBUG
)
