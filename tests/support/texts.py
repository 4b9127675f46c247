"""Texts that YAML could take for something else, and any others."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

__all__ = ["NASTY", "TEXTS"]

NASTY = [
    "yes", "no", "null", "~", "1e3", "1.", "0o7", "0x1f", "2020-01-01", "=", "<<", "", " ", "\t", "\n", "\n\n",
    "  leading", "trailing  ", "a\n  b\n", "  a\nb", "\na", "a\n\n", "a \nb", "a\n\tb", "a\r\nb", "a\rb", "a\x85b\nc",
    "a\u2028b", "\ufeffa", "\x00\x1b", "#a", "a #b", "a: b", "- a", "---\na\n...\n", "%YAML 1.1\n---", "{{ a }}", "'\"\\",
    "ä\U0001f600\n漢", "@a", "`a", "!a", "&a", "*a", "a" * 300 + " " + "b" * 300,
]  # fmt: skip
TEXTS = st.one_of(
    st.sampled_from(NASTY),
    st.text(),
    st.text(alphabet=" \t\n\r\x85\u2028\ufeffab:#-'\"\\{}|>%1e.~"),
    st.lists(st.sampled_from(NASTY), max_size=4).map("\n".join),
)

VALUES: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
