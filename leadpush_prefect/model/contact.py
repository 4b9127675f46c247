"""A contact: written in Leadpush's shape or flat, and as it is stored, before audience and store know of each other."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from leadpush_prefect.model.consent import Consent
from leadpush_prefect.model.consent_columns import ConsentColumns, UnclearAnswer
from leadpush_prefect.text.display import shortened
from leadpush_prefect.text.json_text import from_json, to_json, to_text

__all__ = ["ID_KEYS", "ContactKeys", "ContactRow", "InvalidRow", "Parts", "Unusable", "read_contact"]


class ContactRow(NamedTuple):
    """A contact that can be used.

    Attributes:
        contact_id: The id, unique in its audience.
        consent: What the audience says on whether the contact may be asked.
        data: The contact as JSON: `_id`, `uuid`, `subscribed`, `attributes`, and what else Leadpush has.
        place: Where it stood, such as `line 12`.
    """

    contact_id: str
    consent: Consent
    data: str
    place: str

    @property
    def subscribed(self) -> bool:
        """Whether the contact may be asked."""
        return self.consent.is_subscribed


class InvalidRow(NamedTuple):
    """A row of an audience that cannot be used.

    Attributes:
        place: Where it stands, such as `line 12`.
        sentence: What is wrong with it; no attribute of the contact.
    """

    place: str
    sentence: str


ID_KEYS = "_id", "uuid", "id"


MAX_ID_LENGTH = 500


class Unusable(Exception):
    """What is wrong with a row, as a sentence."""


class ContactKeys:
    """Where the id and consent stand among the keys of a mapping, each of which may have others."""

    def __init__(self, id: str, consent: ConsentColumns) -> None:
        self._ids = [id] if id else ID_KEYS
        self._consent = consent
        consent.leave_out(id)
        self._read = 0

    def read_json(self, text: bytes) -> Parts:
        try:
            value = from_json(text)
        except ValueError as error:
            raise Unusable(f"It is not JSON: {error}.") from None
        return self.read(value)

    def read(self, value: Any) -> Parts:
        if not isinstance(value, (dict, Mapping)):
            raise Unusable("It is not an object.")
        self._read += 1
        rest = dict(value)
        is_flat = "attributes" not in rest
        attributes = {} if is_flat else _attributes(rest.pop("attributes"))
        consent = self._consent.of_keys(rest, attributes)  # first: a row without id tells of the columns too
        self._consent.take_from(rest)
        key = self._id_key(rest)
        if is_flat:
            return rest.pop(key), consent, rest, {}
        return rest[key], consent, attributes, rest

    def end(self) -> None:
        """All were read.

        Raises:
            AudienceInvalid: if the audience names a key for consent that none had.
        """
        if self._read:
            self._consent.refuse_missing()

    def _id_key(self, value: Mapping[str, Any]) -> str:
        for key in self._ids:
            if key in value:
                return key
        raise Unusable(
            f"It has no key {' or '.join(self._ids) if len(self._ids) == 1 else '_id, uuid or id'}."
        )


# The id, consent, the attributes, and what else Leadpush's shape has; nothing else checked yet.
Parts = tuple[Any, Consent, dict[str, Any], dict[str, Any]]


def _attributes(value: Any) -> dict[str, Any]:
    if isinstance(value, str):
        try:
            value = from_json(value)
        except ValueError as error:
            raise Unusable(f"Its attributes are not JSON: {error}.") from None
    if value is None or value == []:  # how PHP writes an object without keys
        return {}
    if not isinstance(value, (dict, Mapping)):
        raise Unusable("Its attributes are not an object.")
    return dict(value)


def read_contact(parse: Callable[[Any], Parts], raw: Any, place: str) -> ContactRow | InvalidRow:
    try:
        found, consent, attributes, rest = parse(raw)
        contact_id = _id_text(found)
        contact = {
            "_id": contact_id,
            "uuid": contact_id,
            "subscribed": consent.is_subscribed,
            "attributes": attributes,
        }
        return ContactRow(contact_id, consent, _data({**rest, **contact} if rest else contact), place)
    except (Unusable, UnclearAnswer) as error:
        return InvalidRow(place, str(error))


def _id_text(value: Any) -> str:
    if value is None:
        raise Unusable("It has no id.")
    text = value if type(value) is str else _text_or_number(value)
    if not text.strip():
        raise Unusable("It has no id.")
    if len(text) > MAX_ID_LENGTH or "\0" in text:  # PostgreSQL takes neither
        raise Unusable(f"Its id is longer than {MAX_ID_LENGTH} characters, or has a NUL among them.")
    return text


def _text_or_number(value: Any) -> str:
    if type(value) is float and not math.isfinite(value):
        raise Unusable("It has no id.")  # how pandas writes an empty cell
    if isinstance(value, (str, int, float, Decimal, UUID)) and not isinstance(value, bool):
        with suppress(TypeError, ValueError):  # a Decimal that is no number, an int of more than 4,300 digits
            return to_text(value)
    raise Unusable("Its id is neither text nor a number.")


def _data(contact: dict[str, Any]) -> str:
    try:
        return to_json(contact)
    except (TypeError, ValueError) as error:
        raise Unusable(_why_not(contact, error)) from None


def _why_not(contact: dict[str, Any], error: Exception) -> str:
    reason = f"has no JSON form: {error.__cause__ or error}."
    for name, value in {**contact["attributes"], **contact}.items():
        if name != "attributes" and not _has_json(value):
            # Text has a form in JSON unless it holds half of a surrogate pair.
            return f"Its {shortened(str(name))} {'is not UTF-8 text.' if isinstance(value, str) else reason}"
    return f"It {reason}"


def _has_json(value: Any) -> bool:
    try:
        to_json(value)
    except (TypeError, ValueError):
        return False
    return True
