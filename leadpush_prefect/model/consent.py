"""Consent: which columns say whether a contact may be asked, and what their values mean.

One pure table, closed where a column says nothing: whoever gave no answer is not subscribed.
"""

from __future__ import annotations

import re
import unicodedata
from enum import StrEnum
from functools import lru_cache

__all__ = [
    "Consent",
    "consent_of",
    "fold",
    "looks_like_consent",
    "looks_like_status",
    "says_opted_out",
    "stricter",
]


class Consent(StrEnum):
    """What an audience says of one contact."""

    SUBSCRIBED = "subscribed"
    NOT_SUBSCRIBED = "not subscribed"
    NO_ANSWER = (
        "no answer"  # there is a column, and it is empty, null, or missing in this row: not subscribed
    )
    NO_COLUMN = "no column"  # the audience has none, as far as it was read: subscribed

    @property
    def is_subscribed(self) -> bool:
        """Whether the contact may be asked."""
        return self is Consent.SUBSCRIBED or self is Consent.NO_COLUMN


_WORDS = {
    Consent.SUBSCRIBED: ("true", "t", "yes", "y", "1", "1.0"),  # t and f are how PostgreSQL writes them
    Consent.NOT_SUBSCRIBED: ("false", "f", "no", "n", "0", "0.0"),
    Consent.NO_ANSWER: ("", "null", "none", "nan"),
}
# Looked up as they come: 1, 1.0, Decimal(1) and numpy's true are equal to True, and have its hash.
_VALUES: dict[object, Consent] = {
    True: Consent.SUBSCRIBED,
    False: Consent.NOT_SUBSCRIBED,
    None: Consent.NO_ANSWER,
    b"\1": Consent.SUBSCRIBED,  # MySQL's BIT(1)
    b"\0": Consent.NOT_SUBSCRIBED,
    b"": Consent.NO_ANSWER,
    **{word: consent for consent, words in _WORDS.items() for word in words},
}
_OPPOSITE = {
    Consent.SUBSCRIBED: Consent.NOT_SUBSCRIBED,
    Consent.NOT_SUBSCRIBED: Consent.SUBSCRIBED,
    Consent.NO_ANSWER: Consent.NO_ANSWER,
}
_STRICTEST_FIRST = Consent.NOT_SUBSCRIBED, Consent.NO_ANSWER, Consent.SUBSCRIBED, Consent.NO_COLUMN

MAX_NAME = 200
HUMP = "\x1f"
MAX_TEXT = 200  # characters of a value that is looked at: far more than any answer has, padded or not


def consent_of(value: object, *, opposite: bool = False) -> Consent:
    """Return what a value of a consent column means.

    Args:
        value: true, false, yes, no, y, n, t, f, 1 or 0 in any case, as text, boolean or number; empty, null and NaN
            are no answer.
        opposite: Whether the column says who has opted out.

    Raises:
        ValueError: if it means nothing.

    Example:
        >>> consent_of("Yes"), consent_of(None), consent_of(1, opposite=True)
        (<Consent.SUBSCRIBED: 'subscribed'>, <Consent.NO_ANSWER: 'no answer'>, <Consent.NOT_SUBSCRIBED: 'not subscribed'>)
    """
    try:
        found = _VALUES.get(value)  # as most are written
    except TypeError:  # a list or an object
        found = None
    if found is None:
        found = _consent_of_other(value)
    return _OPPOSITE[found] if opposite else found


def _consent_of_other(value: object) -> Consent:
    if isinstance(value, str) and len(value) <= MAX_TEXT:
        found = _VALUES.get(fold(value))
    else:
        found = Consent.NO_ANSWER if _is_nan(value) else None  # how pandas writes an empty cell
    if found is None:
        raise ValueError("neither yes nor no")
    return found


def _is_nan(value: object) -> bool:
    """Whether it is NaN or NaT, which alone differ from themselves, or pandas' NA, which does not say."""
    try:
        return bool(value != value)
    except (ArithmeticError, TypeError, ValueError):
        return type(value).__name__ == "NAType"


def stricter(first: Consent, second: Consent) -> Consent:
    """Return the one that keeps more people from being asked.

    Example:
        >>> stricter(Consent.SUBSCRIBED, Consent.NO_ANSWER).value
        'no answer'
    """
    return min(first, second, key=_STRICTEST_FIRST.index)


def fold(name: str) -> str:
    """Return a column's name without what people vary: case, blanks around it, characters that cannot be seen.

    Example:
        >>> fold(" Subscribed ")
        'subscribed'
    """
    text = unicodedata.normalize("NFKC", name)
    return "".join(c for c in text if unicodedata.category(c) != "Cf").strip().casefold()


_NO_CONSENT = (
    "at|on|date|time|since|id|url|link|plan|source"  # subscribed_at says when, and not who may be asked
)
_CONTACT = r"e?\ ?mail|contact|call|send|phone|sms|text|fax"
_LOOKS_LIKE_CONSENT = re.compile(
    rf"""
      (?<!over) (?<!over\ ) (?<!under) (?<!under\ ) subscribed (?! \ (?:{_NO_CONSENT})\b | (?:{_NO_CONSENT}) )
    | unsubscribe (?! r) (?! d) (?! \ (?:{_NO_CONSENT})\b | (?:{_NO_CONSENT}) ) | \bunsub\b
      # opt_in, optOut, emailoptin, opted, has opted out; but no option, adoption, adopting, laptop_in, optinfo.
    | (?<!ad) (?<!co) opt (?:s|ed)? \ (?:in|out)\b | (?<!co\ ) \bopted
    | (?<!ad) opt (?:s|ed)? (?: out | in\b | in (?=flag|status|email|sms|phone|date|time|at\b|ip\b|source|to) )
    | opted (?:in|out) | \boptin (?!al|d|f|g)
    | consent | suppressed | bl(?:ock|ack)listed | gdpr | mailable | accepts? (?:\ ?\w+){{0,2}}? \ ?marketing
      # do_not_email, DoNotCall, donotmail, don't contact, DoNotBulkEMail
    | (?: \bdo\ not | \bdon\ ?t ) (?:\ \w+){{0,2}}? \ ? (?:{_CONTACT}) | donot \w{{0,12}}? \ ? (?:{_CONTACT})
    """,
    re.VERBOSE,
)
_OPTED_OUT = re.compile(
    r"unsubscribed?(?: from .*)?|not subscribed|opt(?:ed)? ?out|suppressed|bl(?:ock|ack)listed"
    r"|do ?not ?(?:email|mail|contact|call)"
)


@lru_cache(maxsize=4096)
def looks_like_consent(name: str) -> bool:
    """Return whether a column of this name is likely to say who may be asked.

    Example:
        >>> names = "isSubscribed", "OPT-OUT", "Do Not Email", "adoption", "subscribed_at"
        >>> [name for name in names if looks_like_consent(name)]
        ['isSubscribed', 'OPT-OUT', 'Do Not Email']
    """
    name = name[:MAX_NAME]
    if _LOOKS_LIKE_CONSENT.search(_words(_split_camel(name))):
        return True
    # In any case too: PostgreSQL makes issubscribed of isSubscribed, and people write oPt_oUt. Only what begins in the
    # middle of a word and goes on in the next one, as in beaconSent, is nothing.
    plain, humps = _without_humps(name)
    found = (_LOOKS_LIKE_CONSENT.match(plain, at) for at in range(len(plain)))
    return any(match and _is_whole(match, humps) for match in found)


def _without_humps(name: str) -> tuple[str, set[int]]:
    """The words of a name as if it were not in camelCase, and where its humps are in them."""
    plain, humps = "", set()
    for word in _words(_split_camel(name, HUMP), keep=HUMP).split(HUMP):
        humps.add(len(plain))
        plain += word
    return plain, humps


def _is_whole(match: re.Match[str], humps: set[int]) -> bool:
    at = match.start()
    if not match[0].startswith(("consent", "opt", "mailable")):  # no two words make the others
        return True
    return (
        match.string[at - 1 : at] in ("", " ") or at in humps or humps.isdisjoint(range(at + 1, match.end()))
    )


@lru_cache(maxsize=4096)
def looks_like_status(name: str) -> bool:
    """Return whether a column of this name may hold a word on consent among others, such as Mailchimp's `status`.

    Example:
        >>> looks_like_status("emailStatus"), looks_like_status("status_page")
        (True, False)
    """
    return _words(_split_camel(name)).endswith(("status", "state"))


def says_opted_out(value: object) -> bool:
    """Return whether the word in a status column says that somebody has opted out.

    Example:
        >>> says_opted_out("Unsubscribed"), says_opted_out("active")
        (True, False)
    """
    return isinstance(value, str) and len(value) <= MAX_TEXT and bool(_OPTED_OUT.fullmatch(_words(value)))


def _split_camel(name: str, separator: str = " ") -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", separator, name)


def _words(name: str, keep: str = "") -> str:
    """The words of a name, in lower case, with one blank between them."""
    return re.sub(rf"(?:[^\w{keep}]|[_\d])+", " ", fold(name)).strip()
