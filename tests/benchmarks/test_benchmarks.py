"""The benchmarks run, and do the work that they claim to. Speed is not asserted here: machines are noisy."""

import pytest

from tests.benchmarks import throughput

pytestmark = pytest.mark.benchmark


def test_throughput_counts_each_contact_once() -> None:
    """Both sides ask the server once for each contact, and the table is printed."""
    assert throughput.run(contacts=5_000, rounds=2) > 0
