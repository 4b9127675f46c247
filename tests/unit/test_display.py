"""Which text can be seen: one notion, for what is shown and for names."""

from __future__ import annotations

import subprocess
import sys
import unicodedata

import pytest

from leadpush_prefect.model.names import check_name
from leadpush_prefect.text.display import in_one_line, is_all_visible, shell_word, visible

JOINERS = "\u200c\u200d"
HAVE_A_FORM = {0x600, 0x601, 0x602, 0x603, 0x604, 0x605, 0x6DD, 0x70F, 0x890, 0x891, 0x8E2, 0x110BD, 0x110CD}
HIEROGLYPHS = range(0x13430, 0x13440)


def test_what_unicode_calls_format_or_control_is_shown_as_its_code() -> None:
    """But for what has a form of its own, and what joins the letters of some scripts."""
    for number in range(sys.maxunicode + 1):
        char = chr(number)
        if unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp") and char not in "\t\n":
            is_seen = char in JOINERS or number in HAVE_A_FORM or number in HIEROGLYPHS
            assert (visible(char) == char) is is_seen, hex(number)


@pytest.mark.parametrize(
    "text", ["日本 é", "👩\u200d💻 in \u0915\u094d\u200d\u0937", "می\u200cخواهم", "葛\U000e0100", "a\tb\nc"]
)
def test_what_people_write_stays(text: str) -> None:
    """Letters of all scripts, with what joins them or chooses their form."""
    assert text == visible(text)


@pytest.mark.parametrize(
    "name",
    [
        "\u200b",
        "a\u200bb",
        "\ufeffa",
        "a\u00ad",
        "\u2060",
        "\u3164",
        "\u2800",
        "a\u200d",
        " ",
        "\u00a0",
        "a\tb",
        "\U000e0041",
    ],
    ids=ascii,
)
def test_a_name_of_what_cannot_be_seen_is_refused(name: str) -> None:
    """Two campaigns would look the same, or one like none."""
    assert not is_all_visible(name)
    with pytest.raises(ValueError, match="cannot be seen"):
        check_name("campaign", name)


@pytest.mark.parametrize("name", ["", "Spring sale", "Frühling", "春", "50 % off!", "葛\U000e0100"])
def test_other_names_are_names(name: str) -> None:
    """Whether one may be empty is for others to say."""
    check_name("campaign", name)


@pytest.mark.parametrize("text", ["a\u00adb", "a\x1bb", "\u200b", "\U000e0041x", "it's\n\\"], ids=ascii)
def test_a_shell_gets_the_text(text: str) -> None:
    """What a person copies is all visible, and is the text."""
    word = shell_word(text)
    assert word == visible(word)
    command = ["bash", "-c", f"LC_ALL=C.UTF-8; printf %s {word}"]
    assert text == subprocess.run(command, capture_output=True, check=True).stdout.decode()


def test_one_line() -> None:
    """What cannot be seen is a space."""
    assert "a b c" == in_one_line("a\r\nb\u200b\x1bc ")
