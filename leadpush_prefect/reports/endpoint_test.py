"""A trial as Markdown: what came of it first, then what was asked and what was answered."""

from __future__ import annotations

from collections.abc import Iterator

from leadpush_prefect.endpoints.endpoint_test import Trial
from leadpush_prefect.errors import BlockInvalid, LeadpushError
from leadpush_prefect.network.timed_transport import Phase
from leadpush_prefect.text.markdown import cell, code_block, prose, table

__all__ = ["refusal_report", "retry_sentence", "trial_report"]

SHOWN_LENGTH = 4_000
"""How many characters of a request, a command and an answer are shown."""


def trial_report(name: str, trial: Trial) -> str:
    """The report of a trial.

    It holds the contact's data, as the request does, for whoever asked for the trial; secrets are masked.

    Args:
        name: The endpoint's name.
        trial: What came of it.
    """
    return "\n\n".join(_parts(name, trial))


def refusal_report(name: str, error: LeadpushError) -> str:
    """The report of a trial that could not be made: what is wrong, in sentences.

    >>> from leadpush_prefect.errors import Problem
    >>> problem = Problem("error", "url", "It is empty.", "Write the URL.")
    >>> print(refusal_report("crm", BlockInvalid("endpoint crm", [problem])))
    # crm: not tested
    <BLANKLINE>
    Nothing was sent.
    <BLANKLINE>
    - **url**: It is empty. Write the URL.
    """
    if isinstance(error, BlockInvalid):
        found = [f"- **{cell(p.field)}**: {prose(f'{p.sentence} {p.remedy}')}" for p in error.problems]
    else:
        found = [prose(str(error))]
    return "\n\n".join([f"# {cell(name)}: not tested", "Nothing was sent.", "\n".join(found)])


def retry_sentence(trial: Trial) -> str:
    """Whether a campaign would have tried again; empty where nothing failed."""
    if trial.failure is None:
        return ""
    if trial.retry_seconds is None:
        return "A campaign would not have tried again."
    return f"A campaign would have tried again, after {trial.retry_seconds:g} s at most."


def _parts(name: str, trial: Trial) -> Iterator[str]:
    yield f"# {cell(name)}: {cell(trial.code)}"
    yield f"**{prose(trial.sentence)}**"
    if trial.request:
        yield "## Request, secrets masked"
        yield _code(trial.request, "http")
        yield "As cURL:"
        yield _code(trial.curl, "sh")
    if trial.phases or trial.status is not None:
        yield "## Answer"
        yield _answer(trial)
    if trial.phases:
        yield table(("phase", "ms", ""), [_phase(trial, phase) for phase in trial.phases])
    excerpt = trial.failure.excerpt if trial.failure else ""
    if trial.output:
        yield _code(trial.output, "json")
    elif excerpt:
        yield "Its beginning:"
        yield _code(excerpt, "text")
    if trial.failure:
        yield retry_sentence(trial)


def _answer(trial: Trial) -> str:
    took = f"{trial.seconds * 1000:,.1f} ms"
    if trial.status is None:
        return f"None, after {took}."
    # Of an answer that is no 2xx only the beginning is read, so that its size is not known.
    size = f", {trial.bytes:,} bytes" if 200 <= trial.status < 300 else ""
    return f"HTTP {trial.status} in {took}{size}."


def _phase(trial: Trial, phase: Phase) -> tuple[str, str, str]:
    return (
        phase.value,
        f"{trial.phases[phase] * 1000:,.1f}",
        "failed here" if phase is trial.failed_in else "",
    )


def _code(text: str, language: str) -> str:
    block = code_block(text[:SHOWN_LENGTH], language)
    if len(text) <= SHOWN_LENGTH:
        return block
    return f"{block}\n\nThe first {SHOWN_LENGTH:,} of {len(text):,} characters."
