"""YAML gives back exactly what was written, and reads well."""

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from leadpush_prefect.definitions.yaml_text import InvalidYaml, from_yaml, to_yaml
from tests.support.texts import NASTY, TEXTS, VALUES


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


class _Reader(yaml.SafeLoader):
    """Another library's reading of YAML 1.1, dates as text."""

    yaml_implicit_resolvers = {  # noqa: RUF012
        first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":timestamp")]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


WORDS = """
    yes No ON off y n true TRUE ~ null Null 0 00 017 0o17 09 1_000 0x1F 0b10 -0x1f +1 1. .5 -.5 1.5e3 1.5e+3 1e3 1e+3 1:30
    1:30.5 .inf -.INF .nan 2026-01-01 2026-01-01T10:00:00Z a:b http://a.example "x" 'y' - [a,b] {a: 1} {"a":1} | >
    #c << = @a %b * !
""".split()


@given(st.lists(st.sampled_from([*WORDS, " ", "\n", "\n  ", ": ", ", "]), max_size=8).map("".join))
def test_words_are_read_as_by_others(text: str) -> None:
    """What a word without quotes is, is YAML 1.1's to say, as another library reads it."""
    try:
        others = yaml.load(text, _Reader)
    except (yaml.YAMLError, ValueError):
        return
    try:
        ours = from_yaml(text)
    except InvalidYaml:
        return
    assert repr(others) == repr(ours)


@pytest.mark.parametrize(
    "word", [word for word in WORDS if word.isascii() and word[0] not in "|>#=@%*!\"'[{-"]
)
def test_a_word_is_read_as_by_others(word: str) -> None:
    """Each of them alone, and as a value."""
    for text in (word, f"a: {word}", f"[{word}]"):
        try:
            others = yaml.load(text, _Reader)
        except yaml.YAMLError:
            continue
        assert repr(others) == repr(from_yaml(text))
