"""Text from elsewhere, as a terminal, a log or a page may show it: nothing in it is obeyed, or shown elsewhere."""

from __future__ import annotations

import re
from shlex import quote

__all__ = ["shell_word", "shortened", "visible"]

# Control characters, of which ESC begins what a terminal obeys, and C1 as well; the line ends that are no line feed;
# what turns the direction of all that follows; and halves of surrogate pairs, which no output takes.
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


SHOWN_LENGTH = 200


def visible(text: str) -> str:
    """A text of which all can be seen; line feeds and tabs stay.

    >>> visible("a\\x1b[31mb\\u202ec")
    'a\\\\x1b[31mb\\\\u202ec'
    """
    return _UNSEEN.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def shortened(text: str, length: int = SHOWN_LENGTH) -> str:
    """A name as a message may hold it: in one line, visible, and not of any length.

    >>> shortened("a\\n" + "b" * 300, 5)
    'a bbb...'
    """
    cut = text[:length]
    return " ".join(visible(cut).split()) + ("..." if len(text) > length else "")


def shell_word(text: str) -> str:
    """A text as one word of a command that a person copies, in one line whatever it holds.

    >>> shell_word("a b"), shell_word("a\\nb")
    ("'a b'", "$'a\\\\nb'")
    """
    if visible(text) == text and "\n" not in text and "\t" not in text:
        return quote(text)
    escaped = text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n").replace("\t", "\\t")
    return f"$'{visible(escaped)}'"
