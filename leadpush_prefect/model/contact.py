"""A contact on its way from an audience to the store, before either knows of the other."""

from __future__ import annotations

from typing import NamedTuple

from leadpush_prefect.model.consent import Consent

__all__ = ["ContactRow", "InvalidRow"]


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
