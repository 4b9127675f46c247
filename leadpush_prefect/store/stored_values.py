"""What the database holds, checked as it is read: others may write to it, and SQLite takes any value in any column."""

from __future__ import annotations

import json
from typing import Any

from leadpush_prefect.errors import Reason
from leadpush_prefect.model.outcome import Failure
from leadpush_prefect.store.column_types import corrupt
from leadpush_prefect.text.display import shortened
from leadpush_prefect.text.json_text import from_json

__all__ = ["stored_contact", "stored_failure", "stored_json", "stored_reason"]


def stored_json(text: str) -> Any:
    """The value of stored JSON.

    Raises:
        LeadpushError: if it is none.
    """
    try:
        return from_json(text)
    except ValueError:
        raise corrupt("text that is no JSON") from None


def stored_contact(text: str) -> dict[str, Any]:
    """A stored contact.

    Raises:
        LeadpushError: if it is none.
    """
    contact = stored_json(text)
    if type(contact) is not dict or type(contact.get("_id")) is not str:
        raise corrupt("a contact of another form")
    if type(contact.get("attributes", {})) is not dict:
        raise corrupt("a contact with attributes of another form")
    return contact


_TEXTS = ("message", "field", "request", "excerpt")


def stored_failure(detail: str | None) -> Failure:
    """A stored failure.

    Raises:
        LeadpushError: if it is none, or its reason is not known here.
    """
    try:
        facts = json.loads(detail or "")
    except (ValueError, RecursionError):
        raise corrupt("a failure that is no JSON") from None
    if type(facts) is not dict or not all(type(facts.get(name, "")) is str for name in _TEXTS):
        raise corrupt("a failure of another form")
    status = facts.get("http_status")
    if not (status is None or (type(status) is int and 0 <= status <= 999)):
        raise corrupt("a failure with another HTTP status than there are")
    known = {name: facts[name] for name in (*_TEXTS, "http_status") if name in facts}
    return Failure(stored_reason(facts.get("reason")), **{"message": "", **known})


def stored_reason(code: Any) -> Reason:
    """The reason of a stored code.

    Raises:
        LeadpushError: if it is not known here.
    """
    try:
        return Reason(code)
    except ValueError:
        raise corrupt(f"the reason {shortened(str(code), 40)}") from None
