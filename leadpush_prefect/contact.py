"""A contact on its way from an audience to the store, before either knows of the other."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["ContactRow", "InvalidRow"]


class ContactRow(NamedTuple):
    """A contact that can be used.

    Attributes:
        contact_id: The id, unique in its audience.
        subscribed: Whether the contact may be written to.
        data: The contact as JSON: `_id`, `uuid`, `subscribed`, `attributes`, and what else Leadpush has.
        place: Where it stood, such as `line 12`.
    """

    contact_id: str
    subscribed: bool
    data: str
    place: str


class InvalidRow(NamedTuple):
    """A row of an audience that cannot be used.

    Attributes:
        place: Where it stands, such as `line 12`.
        sentence: What is wrong with it; no attribute of the contact.
    """

    place: str
    sentence: str
