"""A fair lock: one thread at a time, and it is told when others wait."""

from __future__ import annotations

import threading

import pytest

from leadpush_prefect.system import fair_lock as module
from leadpush_prefect.system.fair_lock import FairLock


def test_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight threads have it in turns, each as often as it wants, and nobody else in between."""
    monkeypatch.setattr(module, "TURN_SECONDS", 0.0)
    lock = FairLock()
    inside: list[int] = []
    together: list[list[int]] = []
    had = dict.fromkeys(range(8), 0)

    def work(number: int) -> None:
        while had[number] < 50:
            with lock:
                while had[number] < 50 and not lock.is_over():
                    inside.append(number)
                    together.append(inside.copy())
                    had[number] += 1
                    inside.remove(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in had]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(had.values()) == {50}
    assert {len(some) for some in together} == {1}


def test_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not as long as nobody waits, and not before its time."""
    lock = FairLock()
    other_has_it = threading.Event()

    def wait() -> None:
        with lock:
            other_has_it.set()

    thread = threading.Thread(target=wait)
    with lock:
        monkeypatch.setattr(lock, "_until", 0.0)
        assert not lock.is_over()
        thread.start()
        while not lock.is_over():
            pass
        monkeypatch.setattr(lock, "_until", float("inf"))
        assert not lock.is_over()
        assert not other_has_it.is_set()
    thread.join()
    assert other_has_it.is_set()
    assert not lock.is_over()
