"""While a run begins or is open, Python's full garbage collections do not go through what was there before it.

Prefect and what it imports are some 300,000 objects, which stay. To go through them takes 0.15 s, in which nothing is
sent; and the contacts in flight make Python do it again and again: 5 to 6 us a contact. A cycle that was garbage already
is freed after the run.
"""

from __future__ import annotations

import gc

__all__ = ["spare_existing_objects", "spare_no_more"]

_spared = False


def spare_existing_objects() -> None:
    """From now on, leave out the objects that there are; nothing where the program itself has frozen some.

    Its source is [`gc.freeze`](https://docs.python.org/3/library/gc.html#gc.freeze). Whoever calls it sees that no other
    thread does.
    """
    global _spared
    if not gc.get_freeze_count():
        gc.freeze()
        _spared = True


def spare_no_more() -> None:
    """Go through all objects again."""
    global _spared
    if _spared:
        gc.unfreeze()
        _spared = False
