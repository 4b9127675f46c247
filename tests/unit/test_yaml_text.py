"""YAML gives back exactly what was written, and reads well."""

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from leadpush_prefect.definitions.yaml_text import to_yaml
from tests.support.texts import NASTY, TEXTS

VALUES: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(TEXTS, VALUES, max_size=4))
def test_round_trip(value: dict[str, Any]) -> None:
    """Any JSON comes back as it was, texts to the last character."""
    back = yaml.safe_load(to_yaml(value))
    assert back == value
    assert repr(back) == repr(value), "also 1, 1.0 and true are what they were, and keys in their order"


@pytest.mark.parametrize("text", NASTY, ids=ascii)
def test_nasty_texts(text: str) -> None:
    """What YAML would take for something else, or break, is quoted."""
    assert yaml.safe_load(to_yaml({"a": {"b": [text]}, text: text})) == {"a": {"b": [text]}, text: text}


def test_a_template_reads_as_it_was_written() -> None:
    """A text of several lines is a block scalar, however long its lines are."""
    text = "<p>\n  Hi {{ contact.attributes.first_name }}: " + "word " * 50 + "end\n</p>\n"
    assert to_yaml({"body": text}).splitlines()[0] == "body: |"
    assert [line[2:] for line in to_yaml({"body": text}).splitlines()[1:]] == text.splitlines()
