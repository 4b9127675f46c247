"""Turns: one thread at a time, and it is told when others wait."""

from __future__ import annotations

import threading

import pytest

from leadpush_prefect.system import fair_lock as module
from leadpush_prefect.system.fair_lock import Turns


def test_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight threads have it in turns, each as often as it wants, and nobody else in between."""
    monkeypatch.setattr(module, "TURN_SECONDS", 0.0)
    turns = Turns()
    inside: list[int] = []
    together: list[list[int]] = []
    had = dict.fromkeys(range(8), 0)

    def work(number: int) -> None:
        while had[number] < 50:
            with turns:
                while had[number] < 50 and not turns.is_over():
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
    turns = Turns()
    other_has_it = threading.Event()

    def wait() -> None:
        with turns:
            other_has_it.set()

    thread = threading.Thread(target=wait)
    with turns:
        monkeypatch.setattr(turns, "_until", 0.0)
        assert not turns.is_over()
        thread.start()
        while not turns.is_over():
            pass
        monkeypatch.setattr(turns, "_until", float("inf"))
        assert not turns.is_over()
        assert not other_has_it.is_set()
    thread.join()
    assert other_has_it.is_set()
    assert not turns.is_over()
