"""What a step did for a contact."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field as data_field
from enum import IntEnum, StrEnum

from leadpush_prefect.errors import FetchFailed, Reason, reason_code

__all__ = ["WITHDRAWN", "Failure", "Outcome", "Resend", "Status", "resend_of"]


class Status(StrEnum):
    """What a step did for a contact."""

    FETCHED = "fetched"  # there is an output: fetched, rendered, or stored by a task of the user's own
    SKIPPED = "skipped"  # its when= was not met, or the contact is no longer subscribed
    FAILED = "failed"


class Resend(IntEnum):
    """Who may send again what failed: decided when the failure is written, and stored with it."""

    IF_NAMED = 0  # only who names the contact, or asks for what is unknown: the API may have done it
    IF_ASKED = 1  # who asks for the failed ones: later steps have acted on the failure
    BY_ITSELF = 2  # any later execution of the run


def resend_of(on_failure: str) -> Resend:
    """Who may send again what may be: where the workflow goes on, later steps have acted on the failure."""
    return Resend.IF_ASKED if on_failure == "continue" else Resend.BY_ITSELF


@dataclass(frozen=True, slots=True)
class Failure:
    """Why there is no output.

    Attributes:
        reason: The stable code.
        message: What happened; no secret, and no attribute of the contact.
        field: The template's field, such as `url` or `headers.X-Plan`; empty where none is to blame.
        http_status: The response's status, where there was one.
        request: The rendered request as text, secrets masked.
        excerpt: The first 300 characters of the response, cleaned, secrets masked.
    """

    reason: Reason
    message: str
    field: str = ""
    http_status: int | None = None
    request: str = data_field(default="", repr=False)
    excerpt: str = data_field(default="", repr=False)

    @property
    def code(self) -> str:
        """The reason as it is shown and filtered: `http_status_404`, `timeout`."""
        return reason_code(self.reason, self.http_status)

    def as_error(self, *, endpoint: str, contact_id: str) -> FetchFailed:
        """The failure as an exception, for a flow of one contact."""
        message = f"{self.message} (in {self.field})" if self.field else self.message
        return FetchFailed(
            self.reason,
            message,
            endpoint=endpoint,
            contact_id=contact_id,
            status=self.http_status,
            request=self.request,
            excerpt=self.excerpt,
        )


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a step did for a contact.

    Attributes:
        status: `fetched`, `skipped` or `failed`.
        output: The JSON text as received; None unless fetched.
        failure: Why it failed; None unless failed.
        skipped_for: Why it was skipped; None if its condition was not met.
        may_resend: Of a failure: whether the same request may be sent again. False where the API may have done what it
            was asked, and twice is not as good as once.
        is_open: Of a failure of a write under a key: whether the API may have done it, so that it may be sent again while
            the API knows the key.
        seconds: The time from the last attempt's beginning to its end.
        attempts: How many requests were sent.
        bytes: The size of the response's body, decompressed.
    """

    status: Status
    output: str | None = data_field(default=None, repr=False)
    failure: Failure | None = None
    seconds: float = 0.0
    attempts: int = 0
    bytes: int = 0
    skipped_for: Reason | None = None
    may_resend: bool = True
    is_open: bool = False

    @property
    def code(self) -> str | None:
        """Why there is no output, as it is stored and counted; None if there is, or its condition was not met."""
        return self.failure.code if self.failure else self.skipped_for


WITHDRAWN = Outcome(Status.SKIPPED, skipped_for=Reason.NOT_SUBSCRIBED)
"""Of a contact that is no longer subscribed, at a step that it had not reached."""
