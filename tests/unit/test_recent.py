"""A dict of the entries that were set last."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from leadpush_prefect.system.recent import Recent


@given(st.lists(st.integers(0, 9)), st.integers(1, 5))
def test_the_last_ones_are_kept(keys: list[int], most: int) -> None:
    """As many as there may be, in the order in which they were set last, each with its last value."""
    recent = Recent[int, int](most)
    for place, key in enumerate(keys):
        recent[key] = place
    last = list(dict.fromkeys(reversed(keys)))[:most]
    assert list(reversed(last)) == list(recent)
    assert all(keys[place] == key and key not in keys[place + 1 :] for key, place in recent.items())
