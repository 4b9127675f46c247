"""The test of an endpoint as Markdown: what came of it first, then what was asked and what came back."""

from __future__ import annotations

from collections.abc import Iterator

from leadpush_prefect.reports.endpoint_test import SHOWN_LENGTH, EndpointTestRefused, EndpointTestReport
from leadpush_prefect.reports.units import milliseconds_text
from leadpush_prefect.text.markdown import cell, code_block, prose, table

__all__ = ["endpoint_test_page", "refused_test_page"]


def endpoint_test_page(report: EndpointTestReport) -> str:
    """Write the page of a test."""
    return "\n\n".join(_parts(report))


def refused_test_page(refused: EndpointTestRefused) -> str:
    """Write the page of a test that could not be made: what is wrong, in sentences.

    >>> from leadpush_prefect.errors import BlockInvalid, Problem
    >>> from leadpush_prefect.reports.endpoint_test import refused_test
    >>> problem = Problem("error", "url", "It is empty.", "Write the URL.")
    >>> print(refused_test_page(refused_test("crm", BlockInvalid("endpoint crm", [problem]))))
    # crm: not tested
    <BLANKLINE>
    Nothing was sent.
    <BLANKLINE>
    - **url**: It is empty. Write the URL.
    """
    found = [f"- **{cell(p.field)}**: {prose(f'{p.sentence} {p.remedy}')}" for p in refused.problems]
    found = found or [prose(refused.sentence)]
    return "\n\n".join([f"# {cell(refused.name)}: not tested", "Nothing was sent.", "\n".join(found)])


def _parts(report: EndpointTestReport) -> Iterator[str]:
    test = report.test
    yield f"# {cell(report.name)}: {cell(report.verdict)}"
    yield f"**{prose(report.sentence)}**"
    if test.request:
        yield "## Request, secrets masked"
        yield _code(test.request, "http")
        yield "As cURL:"
        yield _code(test.curl, "sh")
    if report.has_response:
        yield "## Response"
        yield report.response
    if report.phases:
        rows = [
            (phase.phase, milliseconds_text(phase.milliseconds), "failed here" if phase.has_failed else "")
            for phase in report.phases
        ]
        yield table(("phase", "ms", ""), rows)
    if report.body and not report.is_output:
        yield "Its beginning:"
    if report.body:
        yield _code(report.body, "json" if report.is_output else "text")
    if report.retry:
        yield report.retry


def _code(text: str, language: str) -> str:
    block = code_block(text[:SHOWN_LENGTH], language)
    if len(text) <= SHOWN_LENGTH:
        return block
    return f"{block}\n\nThe first {SHOWN_LENGTH:,} of {len(text):,} characters."
