"""What the tests of templates share: render a source over some data, or say why it cannot be."""

from __future__ import annotations

from typing import Any

import pytest

from leadpush_prefect.errors import Reason
from leadpush_prefect.templates import TEXT, TemplateFailed, compile_condition, compile_json, compile_template
from leadpush_prefect.templates.places import Place

DATA: dict[str, Any] = {
    "contact": {
        "_id": "7",
        "attributes": {
            "first_name": "Ana",
            "email": "a+b/c@example.com",
            "empty": "",
            "nothing": None,
            "age": 41,
            "member": True,
            "items": "a key",
        },
    },
    "workflow": {
        "profile": {
            "plan": "pro",
            "price": 1.5,
            "items": [{"name": "Tea"}, {"name": "Salt"}],
            "grid": [["a", "b"], ["c", "d"]],
            "0": "zero",
        }
    },
    "workspace": {"variables": {"api": "https://api.example.com", "host": "h.example", "port": 8080}},
    "campaign": {"name": "welcome"},
    "node": {"name": "fetch"},
}


def render(source: str, place: Place = TEXT, *, missing: str = "error", data: dict[str, Any] = DATA) -> str:
    """The text of a template."""
    return compile_template(source, place, field="field", roots=data, missing=missing).render(data)


def render_json(source: str, *, missing: str = "error", data: dict[str, Any] = DATA) -> str:
    """The text of a JSON body."""
    return compile_json(source, field="body", roots=data, missing=missing).render(data)


def holds(source: str, data: dict[str, Any] = DATA) -> bool:
    """Whether a condition is met."""
    return compile_condition(source, roots=data).holds(data)


def failure(
    source: str, place: Place | None = TEXT, *, missing: str = "error", data: dict[str, Any] = DATA
) -> TemplateFailed:
    """Why a template cannot be rendered, at whatever moment that shows; no place: of a JSON body."""
    with pytest.raises(TemplateFailed) as caught:
        if place is None:
            render_json(source, missing=missing, data=data)
        else:
            render(source, place, missing=missing, data=data)
    assert caught.value.field == ("body" if place is None else "field")
    assert caught.value.message.endswith((".", "!", "`"))
    assert caught.value.__cause__ is None
    return caught.value


def refused(source: str, place: Place | None = TEXT, *, data: dict[str, Any] = DATA) -> str:
    """The sentence with which a template is refused as `template_invalid`."""
    failed = failure(source, place, data=data)
    assert failed.reason is Reason.TEMPLATE_INVALID
    return failed.message


def lacks(source: str, place: Place | None = TEXT, *, missing: str = "error") -> str:
    """The sentence that says what is missing."""
    failed = failure(source, place, missing=missing)
    assert failed.reason is Reason.TEMPLATE_MISSING
    return failed.message
