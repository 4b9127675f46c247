"""Text from elsewhere, as a terminal, a log or a page may show it: nothing in it is obeyed, or shown elsewhere."""

from __future__ import annotations

import re
from shlex import quote

__all__ = [
    "in_one_line",
    "is_all_visible",
    "shell_word",
    "shortened",
    "visible",
    "visible_json",
    "visible_line",
]

# What cannot be seen, or changes how what follows is seen: control characters, of which ESC begins what a terminal obeys,
# and C1 as well; line ends that are no line feed; what turns the direction of a text; signs of format without width, such
# as U+200B, the byte order mark, soft hyphens and tags; and halves of surrogate pairs, which no output takes.
_UNSEEN = (
    "\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e007f\ud800-\udfff"
)
# These join letters of some scripts, and persons of an emoji, or keep them apart; and these are letters that are empty.
_JOINERS, _EMPTY_LETTERS = "\u200c\u200d", "\u115f\u1160\u2800\u3164\uffa0"

_SEEN_NOWHERE = re.compile(f"[{_UNSEEN}]")
_UNSEEN_IN_A_NAME = re.compile(f"[{_UNSEEN}{_JOINERS}{_EMPTY_LETTERS}\\t\\n]")


SHOWN_LENGTH = 200


def visible(text: str) -> str:
    """A text of which all can be seen; line feeds and tabs stay.

    >>> visible("a\\x1b[31mb\\u202ec")
    'a\\\\x1b[31mb\\\\u202ec'
    """
    return _SEEN_NOWHERE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def is_all_visible(name: str) -> bool:
    """Whether all of a name can be seen, in one line, so that no two names look the same for what is in between.

    >>> is_all_visible("Spring sale"), is_all_visible("\\u200b"), is_all_visible("a\\nb"), is_all_visible(" ")
    (True, False, False, False)
    """
    return not _UNSEEN_IN_A_NAME.search(name) and (name == "" or not name.isspace())


def in_one_line(text: str) -> str:
    """A text in one line, with a space for what cannot be seen.

    >>> in_one_line("a\\r\\n\\x1b[31mb")
    'a [31mb'
    """
    return " ".join(_SEEN_NOWHERE.sub(" ", text).split())


def visible_line(text: str) -> str:
    """A text of which all can be seen, in one line; tabs stay.

    >>> visible_line("a\\nb")
    'a\\\\nb'
    """
    return visible(text).replace("\n", "\\n")


def visible_json(text: str) -> str:
    """A JSON text of which all can be seen: DEL, for one, need not be escaped there, and a terminal obeys it. The value
    stays the same (RFC 8259, section 7).

    >>> visible_json('"a\\x7f\\U000e0041"')
    '"a\\\\u007f\\\\udb40\\\\udc41"'
    """
    return _SEEN_NOWHERE.sub(_as_json_escapes, text)


def _as_json_escapes(found: re.Match[str]) -> str:
    units = found[0].encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))


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
    return f"$'{_SEEN_NOWHERE.sub(_as_shells_escape, escaped)}'"


def _as_shells_escape(found: re.Match[str]) -> str:
    number = ord(found[0])  # behind `\x` a shell reads a byte, not a character
    return (
        f"\\x{number:02x}"
        if number < 0x80
        else f"\\u{number:04x}"
        if number < 0x10000
        else f"\\U{number:08x}"
    )
