"""How deep a test looks that could look for ever: a quick sample by default, and all of it where `slow` is asked for."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis.strategies import SearchStrategy

__all__ = ["at_two_depths", "catalogue", "explored", "sample_of"]

SHARE = 8
"""A sample is one in so many."""

AT_LEAST = 20


def sample_of(examples: int) -> int:
    """How many examples a quick look takes."""
    return min(examples, max(AT_LEAST, examples // SHARE))


def at_two_depths(examples: int, sample: int = 0) -> pytest.MarkDecorator:
    """Give a test its `examples` twice: few by default, and all of them under the marker `slow`.

    Args:
        examples: How many, in depth.
        sample: How many are few; by default one in eight.
    """
    return pytest.mark.parametrize(
        "examples",
        [
            pytest.param(sample or sample_of(examples), id="sample"),
            pytest.param(examples, id="in depth", marks=pytest.mark.slow),
        ],
    )


def catalogue(cases: Iterable[Any], every: int = 4) -> list[Any]:
    """The parameters of a catalogue: every so-many-th case by default, and the others under the marker `slow`."""
    return [
        pytest.param(
            *(case if isinstance(case, tuple) else [case]),
            marks=[pytest.mark.slow] if number % every else [],
        )
        for number, case in enumerate(cases)
    ]


def explored(
    *strategies: SearchStrategy[Any],
    examples: int,
    sample: int = 0,
    rules: settings | None = None,
    **named: SearchStrategy[Any],
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Decorate a test as Hypothesis's `given` does, to run at two depths.

    Args:
        strategies: For `given`.
        examples: How many, in depth.
        sample: How many are few; by default one in eight.
        rules: Further settings of Hypothesis.
        named: For `given`.
    """

    def decorate(test: Callable[..., None]) -> Callable[..., None]:
        # One for each depth: Hypothesis keeps a test's settings with the test.
        tests = {
            depth: settings(rules, max_examples=depth)(given(*strategies, **named)(test))
            for depth in (sample or sample_of(examples), examples)
        }

        @wraps(test)
        def explore(*, examples: int, **fixtures: Any) -> None:
            tests[examples](**fixtures)

        fixtures = inspect.signature(tests[examples]).parameters.values()
        depth = inspect.Parameter("examples", inspect.Parameter.KEYWORD_ONLY)
        explore.__signature__ = inspect.Signature([*fixtures, depth])  # type: ignore[attr-defined]
        marked: Callable[..., None] = at_two_depths(examples, sample)(explore)
        return marked

    return decorate
