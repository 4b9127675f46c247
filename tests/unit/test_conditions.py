"""Conditions: `when=` of a step."""

from __future__ import annotations

from typing import Any

import pytest

from leadpush_prefect.errors import Reason
from leadpush_prefect.templates import TemplateFailed, compile_condition
from tests.support.rendering import DATA, holds


@pytest.mark.parametrize(
    ("source", "met"),
    [
        ("workflow.profile.plan == 'pro'", True),
        ("workflow.profile.plan != 'pro'", False),
        ("workflow.profile.plan in ['free', 'pro']", True),
        ("workflow.profile.price > 1 and workflow.profile.price < 2", True),
        ("workflow.profile.items | length == 2", True),
        ("workflow.profile.items.0.name == 'Tea'", True),
        ("contact.attributes.member", True),
        ("not contact.attributes.member", False),
        ("contact.attributes.empty", False),
        ("contact.attributes.nothing", False),
        ("contact.attributes.nothing is none", True),
        ("contact.nope is defined", False),
        ("contact.nope.a.b is not defined", True),
        ("contact.nope | default(false)", False),
        ("contact.nope is defined and contact.nope > 1", False),
        ("'x' if contact.attributes.member else ''", True),
        ("workflow.profile.items | selectattr('name', 'eq', 'Salt') | list", True),
        ("'0'", True),
        ("0", False),
        ("[]", False),
        ("1 == 1.0", True),
        ("contact.attributes.age >= 41", True),
        ("contact.attributes.first_name ~ '!' == 'Ana!'", True),
        (" true ", True),
        ("contact._id ==\r\n'7'", True),
    ],
)
def test_holds(source: str, met: bool) -> None:
    """A condition is an expression over what a template reads, and is met if it is true."""
    assert holds(source) is met


@pytest.mark.parametrize(
    "source",
    [
        "contact.attributes.frist_name",
        "not contact.attributes.frist_name",
        "contact.attributes.frist_name == 'a'",
        "contact.attributes.frist_name or true",
        "contact.attributes.frist_name in ['a']",
        "contact.attributes.frist_name | upper == 'A'",
        "1 if contact.attributes.frist_name",
        "contact.attributes.frist_name > 3",
        "true and contact.attributes.frist_name.further",
    ],
)
def test_missing(source: str) -> None:
    """A condition that meets a missing path is `condition_missing`, never silently false."""
    with pytest.raises(TemplateFailed) as caught:
        holds(source)
    assert caught.value.reason is Reason.CONDITION_MISSING
    assert caught.value.field == "when"
    assert caught.value.message == (
        "contact.attributes.frist_name is not there; the nearest name is contact.attributes.first_name."
    )


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("{{ contact._id == '7' }}", "without {{ }}"),
        ("{% if contact._id %}1{% endif %}", "without {{ }}"),
        ("contact._id == '7' }}", "more than one expression"),
        ("contact._id contact._id", "more than one expression"),
        ("contact._id = '7'", "more than one expression"),
        ("contact._id ==", "unexpected"),
        ("", "unexpected"),
        (" ", "unexpected"),
        ("(", "unexpected"),
        ("contcat._id", "The nearest name is contact."),
        ("secrets.key", "no `secrets`"),
        ("contact._id | safe", "is refused"),
        ("contact.keys()", "is a method"),
        ("contact._id | nope", "nope"),
        ("contact._id is nope", "nope"),
        ("'abc", "unexpected"),
        ("$", "unexpected"),
    ],
)
def test_refused(source: str, words: str) -> None:
    """What can never be met is refused when it is compiled."""
    with pytest.raises(TemplateFailed) as caught:
        compile_condition(source, roots=DATA)
    assert caught.value.reason is Reason.TEMPLATE_INVALID
    assert words in caught.value.message


@pytest.mark.parametrize("source", ["1 < 'a'", "contact + 1", "1 / 0", "'a' % 1"])
def test_cannot_be_told(source: str) -> None:
    """What cannot be worked out is `template_invalid`."""
    with pytest.raises(TemplateFailed) as caught:
        holds(source)
    assert caught.value.reason is Reason.TEMPLATE_INVALID


def test_paths() -> None:
    """A condition tells what it reads."""
    condition = compile_condition("workflow.profile.plan == contact._id", roots=DATA)
    assert condition.paths == {("workflow", "profile", "plan"), ("contact", "_id")}


@pytest.mark.parametrize("value", [1.0, 1, "1"])
def test_field(value: Any) -> None:
    """The field's name is the caller's."""
    with pytest.raises(TemplateFailed) as caught:
        compile_condition("contact.a", field="if", roots=DATA).holds({"contact": {"b": value}})
    assert caught.value.field == "if"
