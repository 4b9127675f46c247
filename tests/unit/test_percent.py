"""Percent-encoding of our own is the standard library's."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadpush_prefect.templates.percent import percent_encoded

ANY = st.text(st.characters(exclude_categories=["Cs"]))
LATIN = st.text(st.characters(max_codepoint=0xFF))


@given(ANY | LATIN | st.text(st.characters(max_codepoint=0x7F)))
def test_as_quote(text: str) -> None:
    assert quote(text, safe="") == percent_encoded(text)


def test_half_a_pair() -> None:
    with pytest.raises(UnicodeEncodeError):
        percent_encoded("a\ud800")
