"""Of a YAML text with other values, all that stays is written as it was."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from difflib import unified_diff
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadpush_prefect.definitions.references import Reference
from leadpush_prefect.definitions.values import is_same
from leadpush_prefect.definitions.yaml_changes import changed_yaml
from leadpush_prefect.definitions.yaml_text import from_yaml, to_yaml
from tests.support.texts import TEXTS, VALUES

REVIEWED = """\
# The shop's API.

# Two seconds: the shop is slow in the evening.
timeout_seconds: 2.0   # agreed with the shop
url: "https://shop.example/customers"

# The gateway asks for both.
headers: {Accept: "application/json", X-Test: yes}  # in one line
query:
    page: 0x1f   # the page's number
    gone: ~
    # nothing else

# Who may be called.
hosts:
  - a.example  # the first
  - 'b.example'
# What is sent.
body: |
    Hi
    - bye
# The keys.
secrets:
    api_key: {env: KEY}   # of the vault
# How often.
max_attempts: 3  # times
# The end.
"""


def changes(change: Callable[[dict[str, Any]], Any]) -> list[str]:
    """The lines that a change of the fields takes and adds."""
    fields = deepcopy(from_yaml(REVIEWED))
    change(fields)
    text = changed_yaml(REVIEWED, fields)
    assert is_same(from_yaml(text), from_yaml(to_yaml(fields)))
    diff = unified_diff(REVIEWED.splitlines(), text.splitlines(), n=0, lineterm="")
    return [line for line in diff if line[:3] not in ("---", "+++") and line[:2] != "@@"]


def test_nothing_is_changed() -> None:
    """Then each byte stays."""
    assert [] == changes(lambda fields: None)
    windows = REVIEWED.replace("\n", "\r\n")
    assert windows == changed_yaml(windows, from_yaml(windows))


@pytest.mark.parametrize(
    ("change", "lines"),
    [
        (
            lambda fields: fields.update(timeout_seconds=3),
            ["-timeout_seconds: 2.0   # agreed with the shop", "+timeout_seconds: 3     # agreed with the shop"],
        ),
        (
            lambda fields: fields.update(url="https://other.example/"),
            ['-url: "https://shop.example/customers"', '+url: "https://other.example/"'],
        ),
        (
            lambda fields: fields["query"].update(page=5),
            ["-    page: 0x1f   # the page's number", "+    page: 5      # the page's number"],
        ),
        (lambda fields: fields["query"].update(tag="yes"), ["+    tag: 'yes'"]),
        (lambda fields: fields["query"].pop("gone"), ["-    gone: ~"]),
        (lambda fields: fields["hosts"].append("c.example"), ["+  - c.example"]),
        (lambda fields: fields["hosts"].insert(0, "c.example"), ["+  - c.example"]),
        (lambda fields: fields["hosts"].pop(0), ["-  - a.example  # the first"]),
        (lambda fields: fields["hosts"].pop(1), ["-  - 'b.example'"]),
        (lambda fields: fields.update(body="Hi\n- you\n"), ["-    - bye", "+    - you"]),
        (
            lambda fields: fields["secrets"].update(second=Reference("env", "SECOND")),
            ["+    second: {env: SECOND}"],
        ),
        (
            lambda fields: fields["headers"].update(Accept="*/*"),
            [
                '-headers: {Accept: "application/json", X-Test: yes}  # in one line',
                "+headers:",
                "+    Accept: '*/*'",
                "+    X-Test: true # in one line",
            ],
        ),
        (lambda fields: fields.pop("url"), ['-url: "https://shop.example/customers"']),
        (lambda fields: fields.pop("body"), ["-body: |", "-    Hi", "-    - bye"]),
        (lambda fields: fields.pop("secrets"), ["-secrets:", "-    api_key: {env: KEY}   # of the vault"]),
        (lambda fields: fields.pop("timeout_seconds"), ["-timeout_seconds: 2.0   # agreed with the shop"]),
        (lambda fields: fields.pop("max_attempts"), ["-max_attempts: 3  # times"]),
        (lambda fields: fields.update(last=[1]), ["+last:", "+  - 1"]),
    ],
)  # fmt: skip
def test_only_what_changes_is_changed(change: Callable[[dict[str, Any]], Any], lines: list[str]) -> None:
    """A value, an entry, a field: comments, the order of keys, quotes and blank lines around it stay."""
    assert sorted(lines) == sorted(changes(change))


def test_a_new_field_stands_behind_the_one_before_it() -> None:
    """The comment of the field that comes next stays right above that one."""
    fields = from_yaml(REVIEWED)
    before = dict(list(fields.items())[:2])
    text = changed_yaml(REVIEWED, {**before, "method": "POST", **fields})
    assert '/customers"\nmethod: POST\n\n# The gateway asks for both.\nheaders:' in text
    before = dict(list(fields.items())[:6])
    text = changed_yaml(REVIEWED, {**before, "method": "POST", **fields})
    assert "    - bye\nmethod: POST\n# The keys.\nsecrets:" in text


@pytest.mark.parametrize(
    "text", ["a: &a {x: 1}\nb: *a\n", "a: &a {x: 1}\nb: {<<: *a}\n", "1: a\n", "[1]", ""]
)
def test_what_cannot_be_kept_is_written_anew(text: str) -> None:
    """The text says what it must, whatever it was."""
    fields = {"a": {"x": 1}, "b": {"x": 2}, "1": "a"}
    assert fields == from_yaml(changed_yaml(text, fields))


KEYS = st.sampled_from(["a", "b", "c", "yes", "1"])
NESTED: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(KEYS, VALUES), st.dictionaries(KEYS, VALUES))
def test_any_value_over_any_other(before: dict[str, Any], after: dict[str, Any]) -> None:
    """What comes out says what it was given."""
    assert is_same(after, from_yaml(changed_yaml(to_yaml(before), after)))


@given(st.dictionaries(KEYS, NESTED))
def test_what_says_it_already_stays(value: dict[str, Any]) -> None:
    """To the letter, whatever it says."""
    assert to_yaml(value) == changed_yaml(to_yaml(value), value)
