"""The types of columns, whose values are checked as they are read: SQLite takes any value in any column."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from sqlalchemy import BigInteger, Integer, SmallInteger, Text
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

from leadpush_prefect.errors import LeadpushError

__all__ = ["StoredBigInteger", "StoredInteger", "StoredSmallInteger", "StoredText", "corrupt"]


def corrupt(what: str) -> LeadpushError:
    """What to say of a value that this package has not written."""
    return LeadpushError(
        f"The database holds {what}, which leadpush-prefect has not written. See who else writes to its tables; "
        "`leadpush runs delete` deletes a run."
    )


class StoredText(TypeDecorator[str]):
    """Text that is text."""

    impl = Text
    cache_ok = True

    def process_result_value(self, value: Any, dialect: Dialect) -> str | None:
        if value is None or type(value) is str:
            return value
        raise corrupt(f"{type(value).__name__} for text")


def _number(value: Any) -> int | None:
    if value is None or type(value) is int:
        return value
    if type(value) is Decimal and value == value.to_integral_value():  # PostgreSQL's sum
        return int(value)
    raise corrupt(f"{type(value).__name__} for a whole number")


class StoredInteger(TypeDecorator[int]):
    """A whole number that is one."""

    impl = Integer
    cache_ok = True

    def process_result_value(self, value: Any, dialect: Dialect) -> int | None:
        return _number(value)


class StoredSmallInteger(StoredInteger):
    """The same, where there are few."""

    impl = SmallInteger
    cache_ok = True


class StoredBigInteger(StoredInteger):
    """The same, where there are many."""

    impl = BigInteger
    cache_ok = True
