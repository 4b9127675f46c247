"""The report of an endpoint's test: whatever an API answers, it stays the text that it is."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadpush_prefect.endpoints.endpoint_test import EndpointTest
from leadpush_prefect.errors import BlockInvalid, Problem, Reason
from leadpush_prefect.model.outcome import Failure
from leadpush_prefect.network.timed_transport import Phase
from leadpush_prefect.reports.endpoint_test import refused_test, report_test
from leadpush_prefect.reports.endpoint_test_page import endpoint_test_page, refused_test_page
from leadpush_prefect.text.pretty_json import pretty_json
from leadpush_prefect.text.redaction import Masker

HOSTILE = "```\n# owned\n````\n<script>alert(1)</script> | [x](javascript:1) `"


def made(**facts: Any) -> EndpointTest:
    facts = {
        "failure": None,
        "request": "GET https://api.example.com/",
        "curl": "curl https://api.example.com/",
        "status": 200,
        "seconds": 0.1,
        "bytes": 2,
        "bytes_read": 2,
        "output": "{}",
        "phases": {Phase.CONNECT: 0.01, Phase.FIRST_BYTE: 0.02},
        "failed_in": None,
        "retry_seconds": None,
    } | facts
    return EndpointTest(**facts)


def page_of(**facts: Any) -> str:
    return endpoint_test_page(report_test("crm", made(**facts)))


def outside(page: str) -> list[str]:
    """The lines outside of code, as CommonMark reads fences."""
    lines, fence = [], ""
    for line in page.splitlines():
        ticks = len(line) - len(line.lstrip("`"))
        if fence:
            fence = "" if line.strip() == "`" * ticks and ticks >= len(fence) else fence
        elif ticks >= 3:
            fence = "`" * ticks
        else:
            lines.append(line)
    assert not fence
    return lines


@pytest.mark.parametrize("place", ["request", "curl", "output", "excerpt"])
def test_nothing_breaks_out_of_its_code(place: str) -> None:
    """What the API or a contact says stays inside of its block of code."""
    fields: dict[str, Any] = {place: HOSTILE}
    if place == "excerpt":
        failure = Failure(Reason.RESPONSE_NOT_JSON, "The response is not JSON.", excerpt=HOSTILE)
        fields = {"failure": failure, "output": ""}
    page = page_of(**fields)
    assert HOSTILE in page
    assert [] == [line for line in outside(page) if "owned" in line or "script" in line]


def test_text_is_escaped() -> None:
    """Names and messages are text in the heading and the verdict, on one line."""
    failure = Failure(Reason.TEMPLATE_MISSING, "There is no <b>x</b> | *y*\n# z.", "query.a|b")
    page = page_of(failure=failure, request="", curl="", status=None, output="", phases={})
    verdict = page.splitlines()[2]
    assert r"There is no \<b\>x\</b\> \| \*y\* \# z." in verdict
    assert r"a\|b" in verdict
    problem = Problem("error", "headers.X|Y", "It is <i>.\n# No", "Mend it.")
    refused = refused_test_page(refused_test("crm", BlockInvalid("endpoint crm", [problem])))
    assert r"- **headers.X\|Y**: It is \<i\>. \# No Mend it." in refused


def test_long_answers_are_cut() -> None:
    """Of a long answer the beginning is shown, and its size said; the block of code is whole."""
    page = page_of(output='"' + "x" * 9_998 + '"')
    assert "The first 4,000 of 10,000 characters." in page
    assert page.count("x") < 4_100
    assert outside(page)


def test_phases_and_retry() -> None:
    """The phase that failed is marked, and it is said whether a campaign would have tried again."""
    failure = Failure(Reason.TIMEOUT, "There was no whole response.")
    facts = {
        "failure": failure,
        "status": None,
        "output": "",
        "failed_in": Phase.FIRST_BYTE,
        "retry_seconds": 0.25,
    }
    page = page_of(**facts)
    assert "| connect | 10.0 |  |" in page
    assert "| first byte | 20.0 | failed here |" in page
    assert "A campaign would have tried again, after 0.25 s at most." in page


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(values, st.booleans())
def test_pretty_json_is_the_same_json(value: Any, spaced: bool) -> None:
    """Indented text has the same value, and the standard library's layout."""
    text = json.dumps(value, indent=3 if spaced else None, ensure_ascii=False)
    assert json.dumps(value, indent=2, ensure_ascii=False) == pretty_json(text, Masker([]))


def test_pretty_json_keeps_digits_and_masks() -> None:
    """Digits stay as received; secrets are masked however they are written, and what is left is JSON."""
    mask = Masker(["s3cr3t/key", "777777"])
    text = r'{"price": 1.10, "id": 12345678901234567890123, "a": "s3cr\u0033t\/key", "s3cr3t%2Fkey": 777777}'
    pretty = pretty_json(text, mask)
    assert "1.10" in pretty
    assert {
        "price": 1.1,
        "id": 12345678901234567890123,
        "a": "********",
        "********": "********",
    } == json.loads(pretty)
    deep = "[" * 900 + "]" * 900
    assert deep == "".join(pretty_json(deep, mask).split())
