"""One fetch, in its verbs: render, limit, send, read, parse. It gives an Outcome, and raises only when it is
cancelled.

A fetch that fails in a way that may pass is not repeated here: the attempt says after how many seconds it may
be, so that whoever drives it can let another contact go first.
"""

from __future__ import annotations

import codecs
import re
from codecs import BOM_UTF8
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from random import random
from time import perf_counter
from typing import Any

from leadpush_prefect.endpoints.idempotency import (
    CONFLICT,
    NOTHING_ANSWERED,
    Answered,
    answered_again,
    with_key,
)
from leadpush_prefect.endpoints.prepared import PreparedEndpoint
from leadpush_prefect.endpoints.redirects import MAX_REDIRECTS, REDIRECTS, RedirectRefused, redirected
from leadpush_prefect.endpoints.retries import retry_delay
from leadpush_prefect.errors import Reason
from leadpush_prefect.model.context import CampaignContext, workspace_values
from leadpush_prefect.model.effects import IDEMPOTENT_METHODS, Effect, effect_of
from leadpush_prefect.model.outcome import Failure, Outcome, Status
from leadpush_prefect.model.step import node_values
from leadpush_prefect.network.body import EXCERPT_BYTES
from leadpush_prefect.network.hosts import host_allowed
from leadpush_prefect.network.wire import RenderedRequest, Response, Transport, TransportFailed
from leadpush_prefect.templates import TemplateFailed
from leadpush_prefect.text.display import in_one_line
from leadpush_prefect.text.json_text import MAX_DEPTH, NestedTooDeeply, check_json, to_text
from leadpush_prefect.text.projection import kept
from leadpush_prefect.text.redaction import Masker

__all__ = ["Call", "Retry", "attempt", "has_no_body", "new_call", "public_message", "render_failure"]

_WITHOUT_BODY = frozenset({204, 205})

EXCERPT_LENGTH = 300
"""How many characters of a response that is no output are kept."""

FILE_WAIT_SECONDS = 120.0
"""So long a request waits for this process to have a file left for it."""

FILE_RETRY_SECONDS = 0.5

SHOWN_REQUEST_LENGTH = 4_000
"""How many characters of a request are kept with a failure."""


@dataclass(slots=True)
class Call:
    """One contact's fetch on its way: `attempt` counts what was sent, `request` is rendered once.

    Under a `key` (see `endpoints.idempotency`), `answered` is what the last refusals under it were.
    """

    target: PreparedEndpoint
    values: Mapping[str, Any] = field(repr=False)  # asyncio's debug log shows what its loop calls
    attempt: int = 0
    request: RenderedRequest | None = None
    followed: bool = False  # a redirect, in this attempt
    may_be_done: bool = False  # what must not be done twice, by any attempt so far
    key: str = ""
    answered: Answered = NOTHING_ANSWERED
    waited_seconds: float = 0.0  # for a file to be free


@dataclass(frozen=True, slots=True)
class Retry:
    """The attempt failed in a way that may pass; the next one may begin after a while."""

    after_seconds: float


async def attempt(
    call: Call, transport: Transport, wait_for_turn: Callable[[], Awaitable[None]]
) -> Outcome | Retry:
    """Make one attempt.

    Args:
        call: The contact's fetch; its counts are kept up.
        transport: What sends the request.
        wait_for_turn: The endpoint's limit of requests per second.
    """
    started = perf_counter()
    endpoint = call.target.endpoint
    try:
        request = call.request or render(call)
        await wait_for_turn()
        started = perf_counter()
        call.attempt, call.followed = call.attempt + 1, False
        response = await transport.send(
            request,
            timeout_seconds=endpoint.config.timeout_seconds,
            max_response_bytes=call.target.workspace.max_response_bytes,
        )
        if endpoint.config.follow_redirects and response.status in REDIRECTS:
            response = await _follow(call, request, response, transport, started)
        output = kept(read_output(response, endpoint.config.method), call.target.keep)
        seconds, size = perf_counter() - started, 0 if has_no_body(response) else len(response.body)
        return Outcome(Status.FETCHED, output, None, seconds, call.attempt, size)
    except TemplateFailed as failed:
        return _failed(call, started, render_failure(failed))
    except TransportFailed as failed:
        failure = Failure(failed.reason, public_message(call, failed.message))
        return _wait_for_us(call, failed) or _again_or_failed(call, started, failure, sent=failed.sent)
    except _NoOutput as failed:
        failure = Failure(failed.reason, failed.message, http_status=failed.response.status)
        return _again_or_failed(call, started, failure, failed.response)
    except Exception as error:
        # Its text may hold anything; its kind and place are what the report of a fault needs.
        failure = Failure(Reason.UNEXPECTED_ERROR, f"{type(error).__name__} while the request was made.")
        return _again_or_failed(call, started, failure, sent=call.attempt > 0)


async def _follow(
    call: Call, request: RenderedRequest, response: Response, transport: Transport, started: float
) -> Response:
    """The response at the end of redirects, within the deadline of the attempt."""
    config, workspace = call.target.endpoint.config, call.target.workspace
    for _ in range(MAX_REDIRECTS):
        where = response.headers.get("location")
        if response.status not in REDIRECTS or where is None:
            return response
        try:
            request = redirected(request, response.status, where, call.target.endpoint.mask)
        except RedirectRefused as refused:
            message = f"The API redirects (HTTP {response.status}) {refused}."
            raise _NoOutput(Reason.REDIRECT, message, response) from None
        call.followed = True
        try:
            _check_host(call, request)
            response = await transport.send(
                request,
                timeout_seconds=max(0.0, started + config.timeout_seconds - perf_counter()),
                max_response_bytes=workspace.max_response_bytes,
            )
        except TransportFailed as failed:  # whatever became of this one, the first request was sent
            message = (
                _unnamed(failed.message, request.host) if _is_told(call, request.host) else failed.message
            )
            raise TransportFailed(failed.reason, message, sent=True, is_ours=failed.is_ours) from None
    if response.status in REDIRECTS:
        raise _NoOutput(Reason.REDIRECT, f"The API redirects more than {MAX_REDIRECTS} times.", response)
    return response


def render(call: Call) -> RenderedRequest:
    """The call's request, if its host may be called.

    Raises:
        TemplateFailed: if a template cannot be rendered for this contact.
        TransportFailed: `host_not_allowed`.
    """
    endpoint = call.target.endpoint
    request = call.request = with_key(endpoint.render(call.values), endpoint.config, call.key)
    _check_host(call, request)
    return request


def _check_host(call: Call, request: RenderedRequest) -> None:
    allowed = call.target.workspace.allowed_hosts
    if allowed and not host_allowed(request.host, allowed):
        message = f"{request.host} is not among the workspace's allowed_hosts."
        raise TransportFailed(Reason.HOST_NOT_ALLOWED, message, sent=False)


def public_message(call: Call, message: str) -> str:
    """A message without secrets, and without a host that tells something about the contact."""
    if call.request is not None and not call.target.endpoint.is_host_fixed:
        message = _unnamed(message, call.request.host)
    return call.target.endpoint.mask(message)


def _is_told(call: Call, host: str) -> bool:
    """Whether a host to which an API redirects tells an attribute of the contact."""
    attributes = call.values["contact"].get("attributes", {})
    texts = [to_text(value).lower() for value in attributes.values()]
    return any(len(text) > 2 and text in host for text in texts)


def _unnamed(message: str, host: str) -> str:
    """
    >>> _unnamed("ana.example:443 has the address 10.0.0.1.", "ana.example")
    'The host has the address 10.0.0.1.'
    """
    name = re.compile(rf"(?<![\w.\-])\[?{re.escape(host)}\]?(?::\d+)?(?![\w\-]|\.\w)", re.IGNORECASE)
    text = name.sub("the host", message)
    return text[:1].upper() + text[1:]


def render_failure(failed: TemplateFailed) -> Failure:
    """The failure of a contact whose template cannot be rendered."""
    return Failure(failed.reason, failed.message, failed.field)


class _NoOutput(Exception):
    """The response is whole, but no output."""

    def __init__(self, reason: Reason, message: str, response: Response) -> None:
        super().__init__(reason)
        self.reason = reason
        self.message = message
        self.response = response


def has_no_body(response: Response) -> bool:
    """Whether a response says nothing: its status has no body (RFC 9110, section 15.3), or it is blank.

    >>> [has_no_body(Response(status, {}, body)) for status, body in ((204, b""), (201, b"\\n"), (200, b"{}"))]
    [True, True, False]
    """
    body = response.body.removeprefix(BOM_UTF8)
    return not body or body.isspace() or response.status in _WITHOUT_BODY


def read_output(response: Response, method: str) -> str:
    """The response's JSON text as received, if it is an object or an array (RFC 8259).

    Whoever asks for something to be done may be told nothing but that it was: that is an empty object. The method
    is the endpoint's, also where a redirect has made a GET of it. A byte order mark is no part of the text (RFC
    8259, section 8.1).
    """
    if not 200 <= response.status < 300:
        if 300 <= response.status < 400:
            raise _NoOutput(Reason.REDIRECT, f"The API redirects (HTTP {response.status}).", response)
        raise _NoOutput(Reason.HTTP_STATUS, f"The API answered with HTTP {response.status}.", response)
    if has_no_body(response):
        if method.upper() != "GET":
            return "{}"
        what = f"The API answered a GET with HTTP {response.status} and no body."
        raise _NoOutput(Reason.RESPONSE_EMPTY, what, response)
    try:
        body = response.body.removeprefix(BOM_UTF8)
        value, text = check_json(body), body.decode()
    except NestedTooDeeply:
        what = f"The response is nested more deeply than {MAX_DEPTH} levels."
        raise _NoOutput(Reason.RESPONSE_NOT_JSON, what, response) from None
    except ValueError:
        raise _NoOutput(Reason.RESPONSE_NOT_JSON, "The response is not JSON.", response) from None
    if type(value) is not dict and type(value) is not list:
        raise _NoOutput(Reason.RESPONSE_NOT_OBJECT_OR_ARRAY, "The response is a single value.", response)
    return text


def _wait_for_us(call: Call, failed: TransportFailed) -> Retry | None:
    """The same attempt once more, where this process has no file left: that is nobody's failure, unless it lasts."""
    again = not failed.sent or (call.request is not None and call.request.method in IDEMPOTENT_METHODS)
    if not failed.is_ours or not again or call.waited_seconds >= FILE_WAIT_SECONDS:
        return None
    call.attempt -= 1
    seconds = FILE_RETRY_SECONDS * (0.5 + random())
    call.waited_seconds += seconds
    return Retry(seconds)


def _again_or_failed(
    call: Call, started: float, failure: Failure, response: Response | None = None, *, sent: bool = True
) -> Outcome | Retry:
    """Another attempt where there is to be one, else the failure."""
    effect = _effect(call, failure, response, sent)
    # Under a key, a 409 says that the API is still at work on it.
    is_at_work = bool(call.key) and failure.http_status == CONFLICT
    call.may_be_done |= effect is not Effect.NONE or is_at_work
    retry = None if _is_replayed(call, failure, response) else _retry(call, failure, response, effect)
    return retry or _failed(call, started, failure, response, effect)


def _retry(call: Call, failure: Failure, response: Response | None, effect: Effect) -> Retry | None:
    config = call.target.endpoint.config
    if call.attempt >= config.max_attempts or call.request is None:
        return None
    seconds = retry_delay(
        method=call.request.method,
        has_key=bool(call.key),
        reason=failure.reason,
        status=failure.http_status,
        effect=effect,
        attempt=call.attempt,
        retry_after=None if response is None else response.headers.get("retry-after"),
        now=datetime.now(UTC),
        random=random,
    )
    return None if seconds is None else Retry(seconds)


def _is_replayed(call: Call, failure: Failure, response: Response | None) -> bool:
    """Whether the next response would be the same: under a key, an API may give what it has given again."""
    if not call.key or response is None or failure.reason is not Reason.HTTP_STATUS:
        return False
    call.answered, is_replayed = answered_again(call.answered, response.status, response.body)
    return is_replayed


def _failed(
    call: Call,
    started: float,
    failure: Failure,
    response: Response | None = None,
    effect: Effect = Effect.NONE,
) -> Outcome:
    mask = call.target.endpoint.mask
    request = call.request.masked(mask).as_text()[:SHOWN_REQUEST_LENGTH] if call.request else ""
    excerpt = _excerpt(mask, failure.reason, response) if response else ""
    size = len(response.body) if response else 0
    is_unknown = effect is Effect.UNKNOWN and not call.key
    reason = Reason.OUTCOME_UNKNOWN if is_unknown else failure.reason
    failure = replace(failure, reason=reason, request=request, excerpt=excerpt)
    outcome = Outcome(Status.FAILED, None, failure, perf_counter() - started, call.attempt, size)
    is_keyed, may_be_done = bool(call.key), call.may_be_done
    return replace(outcome, may_resend=is_keyed or not may_be_done, is_open=is_keyed and may_be_done)


def _effect(call: Call, failure: Failure, response: Response | None, sent: bool) -> Effect:
    """What the API may have done that must not be done twice."""
    if call.target.endpoint.config.method.upper() in IDEMPOTENT_METHODS:
        return Effect.NONE
    may_come_later = response is not None and "retry-after" in response.headers
    return effect_of(
        failure.reason, failure.http_status, sent=sent, may_come_later=may_come_later, followed=call.followed
    )


def _excerpt(mask: Masker, reason: Reason, response: Response) -> str:
    """The beginning of an error page, or where a redirect leads, on one line and without what steers a terminal."""
    if reason is Reason.REDIRECT and "location" in response.headers:
        where = response.headers["location"].encode("utf-8", "surrogateescape")
        text = mask(f"Location: {_readable(where)}")
    else:
        text = mask.beginning(_readable(response.body[:EXCERPT_BYTES]))
    return in_one_line(text)[:EXCERPT_LENGTH]


def _readable(page: bytes) -> str:
    """A page as text, whatever it says of its encoding, so that secrets are seen in it.

    >>> _readable("Größe".encode("latin-1")), _readable("Größe".encode()[:-4]), _readable("ab".encode("utf-16-le"))
    ('Größe', 'Gr', 'ab')
    """
    return page.replace(b"\0", b"").decode("utf-8", "leadpush-latin-1")


def _as_latin_1(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    if error.reason == "unexpected end of data":  # it is cut off there
        return "", error.end
    return error.object[error.start : error.end].decode("latin-1"), error.end


codecs.register_error("leadpush-latin-1", _as_latin_1)


def new_call(
    target: PreparedEndpoint,
    context: CampaignContext,
    node: Mapping[str, str] | None = None,
    *,
    key: str = "",
) -> Call:
    """The call of an endpoint for one contact."""
    node = node or node_values(endpoint=target.name)
    return Call(target, context.values(workspace_values(target.workspace), node), key=key)
