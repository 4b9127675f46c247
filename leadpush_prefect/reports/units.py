"""The unit of each quantity that is shown: milliseconds, to a tenth."""

from __future__ import annotations

__all__ = ["milliseconds", "milliseconds_text"]


def milliseconds(seconds: float) -> float:
    """Seconds in milliseconds, to a tenth.

    >>> milliseconds(0.01234)
    12.3
    """
    return round(seconds * 1000, 1)


def milliseconds_text(value: float | None) -> str:
    """Milliseconds for people; empty where there are none.

    >>> milliseconds_text(1234.5), milliseconds_text(None)
    ('1,234.5', '')
    """
    return "" if value is None else f"{value:,.1f}"
