"""What the test of an endpoint says, for whoever shows it: a page, a terminal, a script."""

from __future__ import annotations

from dataclasses import dataclass

from leadpush_prefect.endpoints.endpoint_test import EndpointTest
from leadpush_prefect.errors import BlockInvalid, LeadpushError, Problem
from leadpush_prefect.reports.units import milliseconds, milliseconds_text

__all__ = [
    "SHOWN_LENGTH",
    "EndpointTestRefused",
    "EndpointTestReport",
    "PhaseTime",
    "refused_test",
    "report_test",
]

SHOWN_LENGTH = 4_000
"""How many characters of a request, a command and a response people are shown."""

NOT_TESTED = "not_tested"


@dataclass(frozen=True, slots=True)
class PhaseTime:
    """How long a phase of the request took.

    Attributes:
        phase: Such as `first byte`.
        milliseconds: How long.
        has_failed: Whether the request failed in it.
    """

    phase: str
    milliseconds: float
    has_failed: bool


@dataclass(frozen=True, slots=True)
class EndpointTestReport:
    """What came of a test. It holds the contact's data, as the request does, for whoever asked; secrets are masked.

    Attributes:
        name: The endpoint's name.
        verdict: `OK`, or the reason, such as `http_status_404`.
        sentence: What happened, in which field, and what to do.
        retry: Whether a campaign would have tried again, in a sentence; empty where nothing failed.
        has_response: Whether there is anything to say of a response, be it that none came.
        response: Status, time and size in one line.
        phases: Those that have begun, in order.
        body: The response's JSON, indented, or the beginning of what is none; empty without either.
        is_output: Whether the body is JSON.
        test: The test itself.
    """

    name: str
    verdict: str
    sentence: str
    retry: str
    has_response: bool
    response: str
    phases: tuple[PhaseTime, ...]
    body: str
    is_output: bool
    test: EndpointTest


@dataclass(frozen=True, slots=True)
class EndpointTestRefused:
    """A test that could not be made: nothing was sent.

    Attributes:
        name: The endpoint's name.
        verdict: The reason, such as `endpoint_disabled`; `not_tested` if there is none.
        problems: What is wrong with the Block, if that is why.
        sentence: What is wrong, in one text.
    """

    name: str
    verdict: str
    problems: tuple[Problem, ...]
    sentence: str


def report_test(name: str, test: EndpointTest) -> EndpointTestReport:
    """What a test says.

    Args:
        name: The endpoint's name.
        test: What came of it.
    """
    return EndpointTestReport(
        name=name,
        verdict=test.code,
        sentence=test.sentence,
        retry=_retry(test),
        has_response=bool(test.phases) or test.status is not None,
        response=_response(test),
        phases=tuple(
            PhaseTime(phase.value, milliseconds(seconds), phase is test.failed_in)
            for phase, seconds in test.phases.items()
        ),
        body=test.output or (test.failure.excerpt if test.failure else ""),
        is_output=bool(test.output),
        test=test,
    )


def refused_test(name: str, error: LeadpushError) -> EndpointTestRefused:
    """Why a test could not be made.

    Args:
        name: The endpoint's name.
        error: What refused it.
    """
    if not isinstance(error, BlockInvalid):
        return EndpointTestRefused(name, NOT_TESTED, (), str(error))
    sentence = " ".join(map(str, error.problems))
    return EndpointTestRefused(name, str(error.reason or NOT_TESTED), tuple(error.problems), sentence)


def _retry(test: EndpointTest) -> str:
    if test.failure is None:
        return ""
    if test.retry_seconds is None:
        return "A campaign would not have tried again."
    return f"A campaign would have tried again, after {test.retry_seconds:g} s at most."


def _response(test: EndpointTest) -> str:
    took = f"{milliseconds_text(milliseconds(test.seconds))} ms"
    if test.status is None:
        return f"None, after {took}."
    more = "" if test.bytes is not None else "more than "
    size = test.bytes_read if test.bytes is None else test.bytes
    body = f"{more}{size:,} bytes" if test.has_body else "no body"
    return f"HTTP {test.status} in {took}, {body}."
