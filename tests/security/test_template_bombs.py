"""What would take all time or memory ends early, each case in a process of its own that has limits."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from leadpush_prefect.errors import Reason
from leadpush_prefect.templates import (
    TEXT,
    Condition,
    Template,
    TemplateFailed,
    compile_condition,
    compile_template,
)
from tests.security.bombs import CASES, PARTS, SAMPLE
from tests.support.rendering import DATA, failure, render

ROOT = Path(__file__).parents[2]

SECONDS = 5.0
"""Of the processor. Most cases take a fraction of one; a busy machine may double it."""

BYTES = 120_000_000

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="each case is tried in a fork")


@cache
def results(first: int, step: int) -> dict[str, dict[str, Any]]:
    """How every so-many-th case ends; all of them in one process."""
    command = [sys.executable, "-m", "tests.security.bombs", str(first), str(step)]
    child = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=110)
    assert child.returncode == 0, child.stderr[-2000:]
    return {row["name"]: row for row in map(json.loads, child.stdout.splitlines())}


@pytest.mark.parametrize(
    ("first", "step", "name"),
    [
        *(pytest.param(0, SAMPLE, name, id=f"sample-{name}") for name in list(CASES)[::SAMPLE]),
        *(
            pytest.param(number % PARTS, PARTS, name, id=name, marks=pytest.mark.slow)
            for number, name in enumerate(CASES)
        ),
    ],
)
def test_bomb(first: int, step: int, name: str) -> None:
    """It ends as `template_invalid` or `template_too_large`, or is done, within time and memory."""
    result = results(first, step)[name]
    ended = ["template_invalid", "template_too_large"]
    if name.startswith(("bounded", "saving", "missing")):
        ended += ["", "template_missing"]
    assert result["ended"] in ended, result
    assert "MemoryError" not in result["said"], result
    assert result["seconds"] < SECONDS
    assert result["bytes"] < BYTES


DEEP = {
    "dots": "{{ contact" + ".a" * 6_000 + " }}",
    "filters": "{{ contact._id" + "|upper" * 6_000 + " }}",
    "lists": "{{ " + "[" * 9_000 + "1" + "]" * 9_000 + " }}",
    "nots": "{{ " + "not " * 9_000 + "1 }}",
    "sums": "{{ 1" + "+1" * 9_000 + " }}",
    "ifs": "{% if 1 %}" * 1_500 + "{% endif %}" * 1_500,
}


@pytest.mark.parametrize("source", DEEP.values(), ids=DEEP)
def test_where_the_recursion_limit_is_high(source: str) -> None:
    """A program that has raised Python's limit is not ended by a deep template."""
    code = (
        "import sys; sys.setrecursionlimit(10**6)\n"
        "from tests.support.rendering import failure\n"
        "print(failure(sys.stdin.read()).reason)"
    )
    child = subprocess.run(
        [sys.executable, "-c", code], input=source, cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert child.stdout.strip() == "template_invalid", (child.returncode, child.stderr[-500:])


def at_depth(frames: int, action: Callable[[], Any]) -> Any:
    return action() if frames == 0 else at_depth(frames - 1, action)


def depth() -> int:
    frame, frames = sys._getframe(), 0
    while frame := frame.f_back:  # type: ignore[assignment]
        frames += 1
    return frames


SOURCES = [
    "{{ contact._id }}",
    "{% for a in [1] %}{{ a ~ 1.5 }}{% endfor %}",
    "{{ contact.nope }}",
    "{{ contact.attributes.first_name | upper | default('x') }}",
    "{% macro m(n) %}{{ m(n) }}{% endmacro %}{{ m(1) }}",
]


@pytest.mark.parametrize("source", SOURCES)
def test_where_the_stack_is_deep(source: str) -> None:
    """However little of the stack is left, but for a few frames: the result, or a `TemplateFailed`."""
    template = compile_template(source, TEXT, field="field", roots=DATA)
    condition = compile_condition("contact._id == '7'", roots=DATA)

    def compiled() -> Template:
        return compile_template(source, TEXT, field="field", roots=DATA)

    def compiled_condition() -> Condition:
        return compile_condition("contact._id == '7'", roots=DATA)

    deepest = sys.getrecursionlimit() - depth()
    failed = 0
    for frames in range(deepest - 150, deepest - 12, 3):
        for action in (
            compiled,
            compiled_condition,
            lambda: template.render(DATA),
            lambda: condition.holds(DATA),
        ):
            try:
                at_depth(frames, action)
            except TemplateFailed:  # a RecursionError would end the test
                failed += 1
    assert failed


def test_in_threads() -> None:
    """Templates that end early in some threads do not spend what those in other threads have."""
    good = "{% set a = 'a' * 1000000 %}{{ a | upper | lower | length }}{{ 1.5 }}"
    ended: list[str] = []

    def work(number: int) -> None:
        for _ in range(20):
            if number % 2:
                ended.append(
                    str(
                        failure(
                            "{% for a in range(10000) %}{% for b in range(10000) %}{% endfor %}{% endfor %}"
                        ).reason
                    )
                )
            else:
                ended.append(render(good))

    threads = [threading.Thread(target=work, args=[number]) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(ended) == ["10000001.5"] * 40 + ["template_too_large"] * 40


def test_floats_are_read_without_pythons_parser(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python's parser may fail in a thread of 3.11 while another one parses, so no template needs it."""

    def parser(*_: object) -> None:
        raise SystemError("AST constructor recursion depth mismatch")

    monkeypatch.setattr("ast.parse", parser)
    monkeypatch.setattr("jinja2.lexer.literal_eval", parser)
    assert render("{{ 1_0.5 + 2e3 }} {{ 1.25 }}") == "2010.5 1.25"


def test_any_error_of_the_compiler_is_mapped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever Jinja or Python's compiler raises, the template is refused."""
    for error in (SystemError, MemoryError, RecursionError, AssertionError, KeyError, UnicodeError):

        def broken(*_: object, error: type[Exception] = error, **__: object) -> None:
            raise error("a value")

        with monkeypatch.context() as patch:
            patch.setattr("leadpush_prefect.templates.sandbox.DataEnvironment.compile", broken)
            failed = failure("{{ contact._id | upper }}")
        assert failed.reason is Reason.TEMPLATE_INVALID
        assert "a value" not in failed.message
