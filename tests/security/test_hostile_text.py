"""Text of somebody who means harm, where people read it: terminals, pages, pictures, and commands to copy."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from leadpush_prefect.campaigns.task_bodies import run_name
from leadpush_prefect.cli import output
from leadpush_prefect.errors import LeadpushError
from leadpush_prefect.model.context import CampaignContext
from leadpush_prefect.reports.campaign import ContactFailure, campaign_report, reason_of
from leadpush_prefect.reports.campaign_page import Links, campaign_page
from leadpush_prefect.store.runs import RunRecord
from leadpush_prefect.store.summary import RunSummary, StepSummary
from leadpush_prefect.text.display import shell_word, visible
from leadpush_prefect.text.markdown import cell, code, code_block, table

HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "![x](https://evil.example/x.png)",
    "[x](javascript:alert(1))",
    "[x]: https://evil.example",
    "<https://evil.example>",
    "a|b|c",
    "a\n\n# b\n\n- c",
    "```\nx",
    "`x` ``y``",
    "&lt;b&gt;",
    "\\",
    "\\`",
    '"];click step0 href "javascript:alert(1)"',
    '%%{init: {"securityLevel":"loose"}}%%',
    "\x1b[31m\x9b31m\x1b]8;;https://evil.example\x07x",
    "a\u202eb\u2066c",
    "[red]x[/red] [/] :smile:",
    "{{ 7*7 }} ${HOME} $(id) `id`",
]
ANY = st.text(st.characters(exclude_categories=["Cs"]), max_size=40) | st.sampled_from(HOSTILE)

_PAGE = MarkdownIt("commonmark").enable("table")
_HARMFUL = {"html_inline", "html_block", "image", "link_open"}
_OBEYED = "\x1b\x07\x9b\u202e\u2066"


def tokens(page: str) -> list[Any]:
    return [each for block in _PAGE.parse(page) for each in (block, *(block.children or []))]


def line(text: str) -> str:
    return visible(" ".join(text.split()))


@given(ANY)
def test_a_cell_is_text(text: str) -> None:
    """In a table it stays one cell, says what it said, and holds no HTML, link or image."""
    found = tokens(table(("a", "b"), [(cell(text), "x")]))
    assert not _HARMFUL & {each.type for each in found}
    assert 2 == sum(each.type == "td_open" for each in found)
    inline = next(each for number, each in enumerate(found) if found[number - 1].type == "td_open")
    assert line(text) == "".join(each.content for each in inline.children)


@given(ANY)
def test_code_is_code(text: str) -> None:
    """Nothing in it ends it, within a line and as a block."""
    found = tokens(f"a {code(text)} b") if text.split() else []
    assert {each.type for each in found} <= {
        "paragraph_open",
        "inline",
        "text",
        "code_inline",
        "paragraph_close",
    }
    [block] = tokens(code_block(text))
    assert "fence" == block.type


def hostile_report(text: str) -> str:
    record = RunRecord(
        1, text, text, text, "finished", "2026-01-01T00:00:00", None, text, False, False, 2, 2, 0, 0, 1, 2, text
    )  # fmt: skip
    step = StepSummary(text, "fetch", text, fetched=1, failed={"timeout": 1}, requests=2, p50=0.1)
    summary = RunSummary(text, text, text, False, 2, 0, 0, 1, 1, (step,))
    examples = [ContactFailure(text, text, "timeout", text)]
    earlier = [replace(record, key=0)]
    report = campaign_report(record, summary, text, examples=examples, earlier=earlier)
    return campaign_page(report, Links({}, {}))


@pytest.mark.parametrize("text", HOSTILE)
def test_a_report_is_text(text: str) -> None:
    """Names, ids and messages, all of them hostile, add no part to the page and none to the picture."""
    page, plain = hostile_report(text), hostile_report("x")
    assert not any(sign in page for sign in _OBEYED)
    assert not _HARMFUL & {each.type for each in tokens(page)}
    kinds = [[each.type for each in _PAGE.parse(one)] for one in (page, plain)]
    assert kinds[0] == kinds[1]
    pictures = [
        next(each.content for each in _PAGE.parse(one) if each.type == "fence") for one in (page, plain)
    ]
    assert pictures[0].count("\n") == pictures[1].count("\n")
    assert pictures[0].count('"') == pictures[1].count('"')
    assert "%" not in pictures[0]


@pytest.mark.parametrize("text", [*HOSTILE, "'", "a'b\\", "", "a\tb", "\n\\n'"])
def test_a_command_to_copy(text: str) -> None:
    """A shell takes it for one word, in one line, and runs nothing of it."""
    word = shell_word(text)
    assert "\n" not in word
    assert not any(sign in word for sign in _OBEYED)
    shown = subprocess.run(["bash", "-c", f"printf %s {word}"], capture_output=True, check=True)
    assert text.isascii() is False or text == shown.stdout.decode()


@pytest.mark.parametrize("text", HOSTILE)
def test_a_terminal_shows_it(
    text: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it is, in sentences, tables and errors: no markup, no emoji, nothing that is obeyed."""
    monkeypatch.setenv("COLUMNS", "200")
    output.say(text, (text, "bold"))
    output.print_table(("a", "b"), [(text, text)], title=text)
    output.print_error(text)
    output.print_json({text: text})
    printed = "".join(capsys.readouterr())
    assert not any(sign in printed for sign in _OBEYED)
    for part in visible(text).splitlines():
        assert 5 <= printed.count(part)


def test_json_is_the_same_value(capsys: pytest.CaptureFixture[str]) -> None:
    """What is escaped for a terminal is read back as it was."""
    output.print_json({"a": "\x9b\x7f\u202e\u2028é"})
    printed = capsys.readouterr().out
    assert {"a": "\x9b\x7f\u202e\u2028é"} == json.loads(printed)
    assert "\x9b" not in printed


def test_a_task_run_is_named_visibly() -> None:
    """A contact's id is part of the name that the UI and the log show."""
    context = CampaignContext(workspace="a", campaign="b", contact={"id": "\x1b[31m\u202e"})
    assert r"\x1b[31m\u202e" in run_name({"target": context, "node": "n"})


@pytest.mark.parametrize(
    "reason", ["no_such", "http_status_", "http_status_x", "http_status_1`|", "\x1b[31m"]
)
def test_an_unknown_reason(reason: str) -> None:
    """It is none of ours, and is not shown as one."""
    with pytest.raises(LeadpushError, match="has not written") as refused:
        reason_of(reason)
    assert "\x1b" not in str(refused.value)
