"""Which columns of an audience say who may be asked: found while it is read, and refused where nobody named them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from typing import Any

from leadpush_prefect.errors import AudienceInvalid
from leadpush_prefect.model.consent import (
    Consent,
    consent_of,
    fold,
    looks_like_consent,
    looks_like_status,
    says_opted_out,
    stricter,
)
from leadpush_prefect.text.display import shortened

__all__ = [
    "NONE_ON_PURPOSE",
    "NO_CONSENT_COLUMN",
    "SUBSCRIBED",
    "ConsentColumns",
    "ConsentUnclear",
    "UnclearAnswer",
    "named_problems",
]

SUBSCRIBED = "subscribed"
NO_COLUMN = "*"
NONE_ON_PURPOSE = 'no consent column, as the audience says (subscribed="*")'
NO_CONSENT_COLUMN = "no consent column, so everybody is taken for subscribed"
MAX_KNOWN_NAMES = 10_000


class UnclearAnswer(ValueError):
    """A value of a consent column that means nothing, as a sentence."""


class ConsentUnclear(AudienceInvalid):
    """It is not clear which column of an audience says who may be asked.

    Attributes:
        sentence: What is unclear.
        remedy: What to do, with the lines to choose from.
    """

    def __init__(self, sentence: str, remedy: str) -> None:
        super().__init__(sentence, remedy)
        self.sentence = sentence
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.sentence} {self.remedy}"


class _Kind(Enum):
    SUBSCRIBED = 1  # true: may be asked
    UNSUBSCRIBED = 2  # true: has opted out
    STATUS = 3  # may hold the word "unsubscribed"


class ConsentColumns:
    """The consent columns of one audience, for one reading of it.

    A column counts that is called `subscribed`, in any case and with blanks around it, or that the audience names.
    Of several, the strictest wins. A column that looks like consent and is not named ends the reading; where the audience
    names one, others are left alone.

    Args:
        subscribed: The column that says who may be asked; `*` for an audience that has none; empty to look for one.
        unsubscribed: The column that says who has opted out.
        source: The audience, for messages.
        refuse: Whether look-alikes end the reading; not where everybody takes part anyway.

    Attributes:
        is_table: Whether all columns were met before the first row.
        found: The consent columns that were met, by name.
        ignored: Look-alikes that were left alone.

    Example:
        >>> columns = ConsentColumns()
        >>> columns.of_keys({"id": 7, "Subscribed": "no"}).value, columns.describe()
        ('not subscribed', 'column Subscribed')
    """

    def __init__(
        self,
        subscribed: str = "",
        unsubscribed: str = "",
        *,
        source: str = "not named",
        refuse: bool = True,
    ) -> None:
        self.has_none = fold(subscribed) == NO_COLUMN
        named = {fold(subscribed): _Kind.SUBSCRIBED, fold(unsubscribed): _Kind.UNSUBSCRIBED}
        self._named = {} if self.has_none else {name: kind for name, kind in named.items() if name}
        self._source = source
        self._refuses = refuse
        self._known: dict[str, _Kind | None] = {}
        self.is_table = False
        self.found: dict[str, _Kind] = {}
        self.ignored: dict[str, None] = {}

    def names(self, name: str) -> bool:
        """Whether the audience names this column for consent."""
        return fold(name) in self._named

    def leave_out(self, name: str) -> None:
        """Take a column for what it is used as, such as the contact's id, whatever its name looks like."""
        self._known[name] = None

    def of_table(self, names: Sequence[str]) -> _TableConsent:
        """Find the columns of a table, once for all of its rows.

        Raises:
            AudienceInvalid: if a column that the audience names is not there, or one looks like consent.
        """
        order = sorted(range(len(names)), key=lambda index: fold(names[index]) != SUBSCRIBED)
        kinds = [(index, names[index], kind) for index in order if (kind := self._kind_of(names[index]))]
        self.refuse_missing()
        self.is_table = True
        return _TableConsent(self, kinds)

    def of_keys(self, *mappings: Mapping[Any, Any]) -> Consent:
        """Return the consent of a row whose keys may be others than the last one's.

        Args:
            mappings: The contact's own keys, and its attributes.

        Raises:
            AudienceInvalid: if a key looks like consent.
            UnclearAnswer: if the value of a key means nothing.
        """
        consent, met, known = Consent.NO_COLUMN, set(), self._known
        for mapping in mappings:
            for name in mapping:
                kind = known[name] if name in known else self._kind_of(name)
                if kind is not None:
                    met.add(fold(name))
                    consent = stricter(consent, self.of_value(name, kind, mapping[name]))
        if self._named and self._named.keys() - met:
            consent = stricter(consent, Consent.NO_ANSWER)
        return self.without_column if consent is Consent.NO_COLUMN else consent

    def take_from(self, row: dict[str, Any]) -> None:
        """Take the consent columns out of a flat row, whose other keys are attributes."""
        for name in self.found.keys() & row.keys():
            del row[name]

    @property
    def without_column(self) -> Consent:
        """The consent of a row that has none of the columns: as soon as one row has one, that is no answer."""
        return Consent.NO_ANSWER if self.found else Consent.NO_COLUMN

    def of_value(self, name: str, kind: _Kind, value: object) -> Consent:
        """Return what a column's value means.

        Raises:
            AudienceInvalid: if it is a status that says that somebody has opted out.
            UnclearAnswer: if it means nothing.
        """
        if kind is _Kind.STATUS:
            if says_opted_out(value):
                self._meet_look_alike(name, is_status=True)
            return Consent.NO_COLUMN
        try:
            return consent_of(value, opposite=kind is _Kind.UNSUBSCRIBED)
        except ValueError:
            sentence = f"Its {shortened(name.strip())} is none of true, false, yes, no, y, n, 1 and 0."
            raise UnclearAnswer(sentence) from None

    def refuse_missing(self) -> None:
        """See that the columns that the audience names were met.

        Raises:
            AudienceInvalid: naming the one that was not.
        """
        for name in self._named.keys() - set(map(fold, self.found)):
            raise ConsentUnclear(
                f"The audience ({self._source}) has no column {shortened(name)}, which is named for consent.",
                'Correct subscribed= or unsubscribed=, or write subscribed="*" if it has no such column.',
            )

    def describe(self) -> str:
        """Return which columns say who may be asked, in words."""
        if self.has_none:
            return NONE_ON_PURPOSE
        if not self.found:
            return NO_CONSENT_COLUMN
        opposite = ", where true means no"
        return " and ".join(
            f"column {shortened(name.strip())}{opposite if kind is _Kind.UNSUBSCRIBED else ''}"
            for name, kind in self.found.items()
        )

    def _kind_of(self, name: object) -> _Kind | None:
        if not isinstance(name, str):
            return None
        if name in self._known:
            return self._known[name]
        kind = self._classified(name)
        if len(self._known) < MAX_KNOWN_NAMES:  # keys may be data
            self._known[name] = kind
        if kind in (_Kind.SUBSCRIBED, _Kind.UNSUBSCRIBED):
            self.found[name] = kind
        return kind

    def _classified(self, name: str) -> _Kind | None:
        plain = fold(name)
        if plain in self._named:
            return self._named[plain]
        if plain == SUBSCRIBED:
            if self.has_none and self._refuses:
                raise self._has_one_after_all(name)
            return _Kind.SUBSCRIBED
        if looks_like_consent(name):
            self._meet_look_alike(name)
            return None
        return _Kind.STATUS if looks_like_status(name) else None

    def _meet_look_alike(self, name: str, *, is_status: bool = False) -> None:
        if self._refuses and not self.has_none and not self._named:
            raise self._looks_like_consent(name, is_status=is_status)
        self.ignored[name] = None

    def _looks_like_consent(self, name: str, *, is_status: bool = False) -> ConsentUnclear:
        name = shortened(name)
        what = f"has a column {name!r} that "
        what += "says of contacts that they opted out" if is_status else "looks like consent"
        lines = [
            ("subscribed", name, "true, yes or 1 means: may be asked"),
            ("unsubscribed", name, "true, yes or 1 means: has opted out"),
        ]
        lines = [("subscribed", "COLUMN", "another column, of yes and no")] if is_status else lines
        lines += [("subscribed", SUBSCRIBED, "this one alone")] if any(self.found) else []
        lines += [("subscribed", NO_COLUMN, "there is no consent column: everybody may be asked")]
        shown = "\n".join(f'  {field}="{column}"    {meaning}' for field, column, meaning in lines)
        return ConsentUnclear(
            f"The audience ({self._source}) {what}, and nothing says what it means.",
            f"Give the audience one of these lines:\n{shown}",
        )

    def _has_one_after_all(self, name: str) -> ConsentUnclear:
        return ConsentUnclear(
            f'The audience ({self._source}) has a column {shortened(name)!r}, and subscribed="*" says that it has no '
            "consent column.",
            "Leave subscribed= empty to use the column; include_unsubscribed=True of the run asks everybody.",
        )


class _TableConsent:
    """The consent columns of a table, by their places in a row."""

    def __init__(self, columns: ConsentColumns, kinds: Sequence[tuple[int, str, _Kind]]) -> None:
        self._columns = columns
        self._kinds = kinds
        self.places = {index for index, _, kind in kinds if kind is not _Kind.STATUS}

    def of_row(self, row: Sequence[Any]) -> Consent:
        """Return the consent of a row.

        Raises:
            AudienceInvalid, UnclearAnswer: as in `ConsentColumns.of_value`.
        """
        consent = Consent.NO_COLUMN
        for index, name, kind in self._kinds:
            consent = stricter(consent, self._columns.of_value(name, kind, row[index]))
        return consent


def named_problems(subscribed: str, unsubscribed: str) -> Iterable[tuple[str, str, str]]:
    """Yield what is wrong with the names that an audience gives: field, sentence, remedy."""
    subscribed, unsubscribed = fold(subscribed), fold(unsubscribed)
    if unsubscribed and subscribed == NO_COLUMN:
        yield (
            "subscribed",
            "It says that there is no consent column, and unsubscribed names one.",
            "Leave one out.",
        )
    if unsubscribed == NO_COLUMN:
        yield "unsubscribed", "It is no column's name.", 'Write subscribed="*" if there is no consent column.'
    if unsubscribed and unsubscribed == subscribed:
        yield "unsubscribed", "It names the same column as subscribed.", "Leave one of them out."
