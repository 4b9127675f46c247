"""Random examples for a bounded time: a fixed number by default, or as long as `LEADPUSH_FUZZ_SECONDS` says."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis.strategies import SearchStrategy

__all__ = ["fuzz", "long_enough"]

SECONDS = float(os.environ.get("LEADPUSH_FUZZ_SECONDS", "0"))
SEED = os.environ.get("LEADPUSH_FUZZ_SEED", "")

long_enough = pytest.mark.timeout(120 + 2 * SECONDS)
"""For tests that fuzz: the time after which one hangs."""


def fuzz(test: Callable[..., None], *strategies: SearchStrategy[Any], examples: int) -> None:
    """Call a test with random examples, in rounds of new seeds until the time is over; the seed of a failure is told."""
    end = time.monotonic() + SECONDS
    while True:
        number = int(SEED) if SEED else random.SystemRandom().getrandbits(32)
        checks = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
        bounded = settings(max_examples=examples, database=None, suppress_health_check=checks)
        try:
            bounded(seed(number)(given(*strategies)(test)))()
        except BaseException as error:
            error.add_note(f"LEADPUSH_FUZZ_SEED={number} repeats it.")
            raise
        if time.monotonic() >= end:
            return
