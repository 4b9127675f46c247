"""Why there is no output, and what to do about it.

    LeadpushError
    ├── FetchFailed           one contact's request or template failed, with a Reason
    ├── BlockInvalid          a Block has problems, or cannot be loaded
    ├── StepRefused           a step of a campaign is wrong for every contact
    ├── AudienceInvalid       rows of an audience cannot be used
    ├── RunIncomplete         a campaign ended before each contact reached the end of its workflow
    ├── RunStopped            a campaign was cancelled, or left by an exception
    ├── RunBusy               a second execution of a run began while the first still works
    ├── StoreFailed           the database of contacts and outcomes is away, or refuses what it is asked
    └── PrefectAway           Prefect's server does not answer for longer than a run can wait

This module imports nothing of the package.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

__all__ = [
    "AudienceInvalid",
    "BlockInvalid",
    "FetchFailed",
    "LeadpushError",
    "PrefectAway",
    "Problem",
    "Reason",
    "RunBusy",
    "RunIncomplete",
    "RunStopped",
    "StepRefused",
    "StoreFailed",
]


class Reason(StrEnum):
    """Why a step has no output for a contact: a closed set of stable codes.

    Each has a `sentence` (what happened), a `remedy` (what to do), `retryable` (whether the same request may succeed
    if it is sent again), and `of_the_api` (whether it is a sign of a failing API, which no single contact can be to blame
    for). Of `HTTP_STATUS`, the status decides both.

    Example:
        >>> Reason("timeout").remedy
        'Raise timeout_seconds, or ask the API for a faster response.'
        >>> Reason.TIMEOUT.retryable, Reason.RESPONSE_NOT_JSON.retryable
        (True, False)
    """

    sentence: str
    remedy: str
    retryable: bool

    def __new__(cls, code: str, sentence: str = "", remedy: str = "", retryable: bool = False) -> Reason:
        member = str.__new__(cls, code)
        member._value_ = code
        member.sentence = sentence
        member.remedy = remedy
        member.retryable = retryable
        return member

    @property
    def of_the_api(self) -> bool:
        """Whether it is a sign of a failing API."""
        return self in _OF_THE_API

    ENDPOINT_DISABLED = (
        "endpoint_disabled",
        "The endpoint is switched off.",
        "Enable it, or remove the step.",
    )
    ENDPOINT_INVALID = ("endpoint_invalid", "The endpoint has problems.", "Mend what problems() lists.")
    WORKSPACE_MISMATCH = (
        "workspace_mismatch",
        "The endpoint belongs to another workspace than the campaign.",
        "Run the campaign in the endpoint's workspace, or move the endpoint.",
    )
    NOT_SUBSCRIBED = (
        "not_subscribed",
        "The contact is not subscribed.",
        "Ask context.is_subscribed first; include_unsubscribed=True is for what needs no consent.",
    )
    TEMPLATE_MISSING = (
        "template_missing",
        "A template reads a value that is not there.",
        "Correct the path, give it a default(...), or see that the contact has the value.",
    )
    TEMPLATE_INVALID = (
        "template_invalid",
        "A template cannot be rendered, or not for this place.",
        "Correct the template, or the value that it prints.",
    )
    TEMPLATE_TOO_LARGE = (
        "template_too_large",
        "A template renders to more than its place may hold.",
        "Print less.",
    )
    CONDITION_MISSING = (
        "condition_missing",
        "The when= condition reads a value that is not there.",
        "Ask `is defined` first, or give the path a default(...).",
    )
    OUTPUT_KEY_TAKEN = (
        "output_key_taken",
        "An earlier step has already stored an output under this key.",
        "Give the step an output_key of its own.",
    )
    HOST_NOT_ALLOWED = (
        "host_not_allowed",
        "The workspace does not allow this host.",
        "Add the host to the workspace's allowed_hosts.",
    )
    ADDRESS_BLOCKED = (
        "address_blocked",
        "The host's address is not a public one.",
        "If the API is your own, add its network to the workspace's allowed_networks.",
    )
    DNS_FAILED = ("dns_failed", "The host's name has no address.", "Check the host in the URL.", True)
    CONNECT_FAILED = (
        "connect_failed",
        "No connection could be made.",
        "Check the host and port, and that the API is up.",
        True,
    )
    TLS_FAILED = ("tls_failed", "The TLS handshake failed.", "Check the API's certificate and host name.")
    DISCONNECTED = (
        "disconnected",
        "The connection ended before the response was complete.",
        "Try again; if it stays, ask the API's owner.",
        True,
    )
    PROTOCOL_ERROR = ("protocol_error", "The response is not valid HTTP.", "Ask the API's owner.")
    TIMEOUT = (
        "timeout",
        "The response did not arrive in time.",
        "Raise timeout_seconds, or ask the API for a faster response.",
        True,
    )
    REDIRECT = (
        "redirect",
        "The API redirects to another URL, which is not followed.",
        "Put the final URL into the endpoint, or switch its follow_redirects on.",
    )
    HTTP_STATUS = (
        "http_status",
        "The API answered with a status that is not 2xx.",
        "Read the response's beginning: `leadpush runs show RUN --contact ID`, or FetchFailed.excerpt.",
        True,
    )
    RESPONSE_TOO_LARGE = (
        "response_too_large",
        "The response is larger than the workspace allows.",
        "Ask the API for less, or raise max_response_bytes.",
    )
    RESPONSE_ENCODING_UNSUPPORTED = (
        "response_encoding_unsupported",
        "The response is compressed in a way that was not asked for.",
        "Ask the API to send gzip, deflate or no encoding.",
    )
    RESPONSE_EMPTY = (
        "response_empty",
        "The API answered a GET without a body.",
        "Check the URL: a GET is asked for data. Where there may be none, ask the API for an empty object.",
    )
    RESPONSE_NOT_JSON = (
        "response_not_json",
        "The response is not JSON (RFC 8259).",
        "Check the URL; the response may be an HTML page, or none at all.",
    )
    RESPONSE_NOT_OBJECT_OR_ARRAY = (
        "response_not_object_or_array",
        "The response is JSON, but neither an object nor an array.",
        "Use an endpoint that answers with an object or an array.",
    )
    OUTCOME_UNKNOWN = (
        "outcome_unknown",
        "The API may have done what it was asked, and its answer was lost.",
        "Look in the API's own data. It is not sent again by itself; an idempotency_header makes that safe.",
    )
    MOCK_MISSING = (
        "mock_missing",
        "The run is simulated and the step has no mock_response.",
        "Give the step a mock_response.",
    )
    UNEXPECTED_ERROR = (
        "unexpected_error",
        "Something unforeseen happened.",
        "Please report it, with the run's id.",
    )


_OF_THE_API = frozenset({
    Reason.DNS_FAILED, Reason.CONNECT_FAILED, Reason.TLS_FAILED, Reason.DISCONNECTED, Reason.PROTOCOL_ERROR,
    Reason.TIMEOUT, Reason.REDIRECT, Reason.RESPONSE_TOO_LARGE, Reason.RESPONSE_ENCODING_UNSUPPORTED,
    Reason.RESPONSE_NOT_JSON, Reason.RESPONSE_NOT_OBJECT_OR_ARRAY, Reason.RESPONSE_EMPTY, Reason.OUTCOME_UNKNOWN,
    Reason.ADDRESS_BLOCKED, Reason.HOST_NOT_ALLOWED,
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a Block, for the person who must mend it.

    Attributes:
        severity: `"error"` (the Block is refused) or `"warning"`.
        field: The field, such as `url` or `headers.X-Plan`.
        sentence: What is wrong.
        remedy: What to do.

    Example:
        >>> print(Problem("warning", "body", "Many servers ignore the body of a GET.", "Use POST."))
        body: Many servers ignore the body of a GET. Use POST.
    """

    severity: Literal["error", "warning"]
    field: str
    sentence: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.field}: {self.sentence} {self.remedy}"


class LeadpushError(Exception):
    """Any error that this package raises on purpose."""


class FetchFailed(LeadpushError):
    """A step has no output for one contact.

    Args:
        reason: The stable code.
        message: What happened, without any secret or attribute of the contact.
        endpoint: The endpoint's name.
        contact_id: The contact's id.
        status: The HTTP status, where there was a response.
        request: The rendered request as text, secrets masked. It holds the contact's data, and so is neither in
            `str()` nor in what is pickled.
        excerpt: The first 300 characters of the response, where there was one; likewise.

    Example:
        >>> error = FetchFailed(Reason.TIMEOUT, "No response within 10 s.", endpoint="crm", contact_id="42")
        >>> print(error)
        timeout at endpoint crm for contact 42: No response within 10 s. Raise timeout_seconds, or ask the API ...
    """

    def __init__(
        self,
        reason: Reason,
        message: str,
        *,
        endpoint: str = "",
        contact_id: str = "",
        status: int | None = None,
        request: str = "",
        excerpt: str = "",
    ) -> None:
        super().__init__(reason, message)
        self.reason = reason
        self.message = message
        self.endpoint = endpoint
        self.contact_id = contact_id
        self.status = status
        self.request = request
        self.excerpt = excerpt

    @property
    def code(self) -> str:
        """The reason as it is shown and filtered: `http_status_404`, `timeout`."""
        return reason_code(self.reason, self.status)

    def __str__(self) -> str:
        where = f" at endpoint {self.endpoint}" if self.endpoint else ""
        whom = f" for contact {self.contact_id}" if self.contact_id else ""
        return f"{self.code}{where}{whom}: {self.message} {self.reason.remedy}"

    def __reduce__(self) -> tuple[object, ...]:
        # Without request and excerpt: where results are persisted, Prefect writes a flow's exception to a file.
        facts = (self.endpoint, self.contact_id, self.status)
        return _rebuild_fetch_failed, (self.reason, self.message, *facts)


def _rebuild_fetch_failed(
    reason: Reason,
    message: str,
    endpoint: str,
    contact_id: str,
    status: int | None,
) -> FetchFailed:
    return FetchFailed(reason, message, endpoint=endpoint, contact_id=contact_id, status=status)


def reason_code(reason: Reason, status: int | None) -> str:
    """The reason as it is shown and filtered.

    >>> reason_code(Reason.HTTP_STATUS, 404)
    'http_status_404'
    """
    return f"{reason}_{status}" if reason is Reason.HTTP_STATUS else str(reason)


class BlockInvalid(LeadpushError):
    """A Block has problems, or cannot be loaded.

    Args:
        block: The Block's kind and name, such as `endpoint customer-profile`.
        problems: What is wrong with it.
        reason: The stable code of an endpoint that cannot be called; None for any other Block.

    Example:
        >>> print(BlockInvalid("Workspace acme", [Problem("error", "database", "It is not there.", "Save it.")]))
        block_invalid: Workspace acme: database: It is not there. Save it.
    """

    def __init__(self, block: str, problems: Sequence[Problem], reason: Reason | None = None) -> None:
        super().__init__(block, tuple(problems), reason)
        self.block = block
        self.problems = tuple(problems)
        self.reason = reason

    def __str__(self) -> str:
        code = self.reason or "block_invalid"
        return f"{code}: {self.block}: " + " | ".join(map(str, self.problems))


class StepRefused(LeadpushError):
    """A step of a campaign is wrong for every contact, so that none was touched.

    Args:
        reason: The stable code.
        message: What is wrong, where, and what to do.

    Example:
        >>> print(StepRefused(Reason.OUTPUT_KEY_TAKEN, "Two different steps of this run are the node offer."))
        output_key_taken: Two different steps of this run are the node offer.
    """

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(reason, message)
        self.reason = reason
        self.message = message

    def __str__(self) -> str:
        return f"{self.reason}: {self.message}"


class AudienceInvalid(LeadpushError):
    """Rows of an audience cannot be used; the message names their lines."""


class RunIncomplete(LeadpushError):
    """A campaign ended before each contact reached the end of its workflow."""


class RunStopped(LeadpushError):
    """The campaign was cancelled or left by an exception; what had arrived is stored."""


class RunBusy(LeadpushError):
    """A second execution of a run began while the first still works."""


class StoreFailed(LeadpushError):
    """The database of contacts and outcomes is away, or refuses what it is asked; the message says which, why, and what
    to do."""


class PrefectAway(LeadpushError):
    """Prefect's server does not answer, or refuses everybody, for longer than a run can wait.

    Args:
        server: Its host and port.
        what: What it was asked for, such as "the block 'crm' was not read".
        fault: How it answered, such as `HTTP 500`.
        seconds: For how long it was asked.
    """

    def __init__(self, server: str, what: str, fault: str, seconds: float) -> None:
        super().__init__(
            f"Prefect's server at {server} did not answer as it should for {seconds:.0f} s ({fault}), and {what}. See "
            "that it is up, and that PREFECT_API_URL and PREFECT_API_KEY are right; then start the run again: it goes on "
            "where it stopped."
        )
