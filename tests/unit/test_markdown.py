"""What is written into a page reads as it was, whatever is in it."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from leadpush_prefect.text.markdown import prose

TEXT = st.text("`|*_a7 <>[]()\\&;#~-+!$\n{}.", max_size=30)


def shown(page: str) -> list[tuple[str, str]]:
    """The parts of a page's only line: of which type, and what is read."""
    [_, line, _] = MarkdownIt("commonmark").parse(page)
    return [(token.type, token.content) for token in line.children or []]


def test_prose_with_code() -> None:
    """What is in backticks is code, and the rest is text."""
    parts = shown(prose("Read `a --b | c*` (or *d*)."))
    assert [
        ("text", "Read "),
        ("code_inline", "a --b | c*"),
        ("text", " (or *d*)."),
    ] == [(kind, content) for kind, content in parts if content]


@given(TEXT)
@example("`a``*b*`")
@example("`` `a` ` \\` *b*")
def test_prose_of_any_text(text: str) -> None:
    """Nothing in it becomes anything but text and code, and every character is there."""
    parts = shown(f"It: {prose(text)}|")
    assert {"text", "code_inline", "text_special"} >= {kind for kind, _ in parts}
    read = "".join(content for _, content in parts)
    assert _letters(f"It: {text}|") == _letters(read)


def _letters(text: str) -> str:
    """Without spaces and backticks, of which code may lose some at its ends."""
    return "".join(letter for letter in text if not letter.isspace() and letter != "`")
