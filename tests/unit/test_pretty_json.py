"""JSON for a person: the same JSON, indented, whatever is masked in it."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadpush_prefect.text.json_text import MAX_DEPTH, from_json, to_json
from leadpush_prefect.text.pretty_json import pretty_json
from leadpush_prefect.text.redaction import Masker, is_maskable

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(json_values)
def test_the_same_as_the_standard_library(value: object) -> None:
    """It is what `json` writes with an indent of two, of the compact text or of one with spaces in it."""
    wanted = json.dumps(value, indent=2, ensure_ascii=False)
    assert pretty_json(json.dumps(value, ensure_ascii=False), str) == wanted
    assert pretty_json(wanted, str) == wanted


@given(
    json_values,
    st.text(min_size=4).filter(
        lambda secret: is_maskable(secret) and secret == secret.strip() and "*" not in secret
    ),
)
def test_masked(value: object, secret: str) -> None:
    """Where something is masked it stays JSON, and the secret is gone, as it is and as JSON writes it."""
    mask = Masker([secret])
    shown = from_json(pretty_json(to_json([value, secret, f"<{secret}>"]), mask))
    assert shown[1:] == ["********", "<********>"]
    assert all(secret not in text for text in _texts(shown))


def _texts(value: object) -> list[str]:
    match value:
        case str():
            return [value]
        case list():
            return [text for item in value for text in _texts(item)]
        case dict():
            return [text for pair in value.items() for item in pair for text in _texts(item)]
    return []


@pytest.mark.parametrize(
    "text",
    [
        '{"n":1.10,"m":-0,"e":1e400,"n":12345678901234567890123}',
        r'{"a":"\u0000\ud83d\ude00\/\"\\","":[[],{},[{}]]}',
        "9" * 5000,
        '"\\\\"',
    ],
)
def test_as_received(text: str) -> None:
    """Nothing but the space between changes: no digit, no escape, no key that stands twice."""
    assert re.sub(r"\n *|(?<=:) ", "", pretty_json(text, str)) == text


def test_size() -> None:
    """A small text that is nested deeply does not become a huge one."""
    flat = ",".join(["1"] * 20_000)
    deep = "[" * MAX_DEPTH + flat + "]" * MAX_DEPTH
    assert len(pretty_json(deep, str)) < 50 * len(deep)
    assert from_json(pretty_json(deep, str)) == from_json(deep)
    long = '["' + r"\"x" * 500_000 + '"]'
    assert pretty_json(long, str) == f"[\n  {long[1:-1]}\n]"
