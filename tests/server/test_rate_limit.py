"""How fast requests may go out, by a clock that only sleeping moves."""

from __future__ import annotations

import asyncio

import pytest

from leadpush_prefect.network.rate_limit import RateLimit

pytestmark = pytest.mark.asyncio


class Clock:
    """Time stands still but for who sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0

    async def sleep(self, seconds: float) -> None:
        await _yield_now(0)
        self.now += seconds


_yield_now = asyncio.sleep


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("leadpush_prefect.network.rate_limit.asyncio.sleep", clock.sleep)
    return clock


async def times(clock: Clock, limit: RateLimit, count: int, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """When each of `count` tasks that wait at once may go, from now, in the order in which they go."""
    went: list[float] = []
    start = clock.now
    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: clock.now, raising=False)

    async def go() -> None:
        await limit.wait()
        went.append(round(clock.now - start, 6))

    await asyncio.gather(*(go() for _ in range(count)))
    return went


async def test_rate(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Below 10 per second there is no burst: each waits its turn."""
    assert [0, 0.2, 0.4, 0.6] == await times(clock, RateLimit(5), 4, monkeypatch)


async def test_burst(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a pause, the requests of a tenth of a second go at once, and then the rate holds."""
    limit = RateLimit(50)
    assert [0, 0, 0, 0, 0, 0.02, 0.04, 0.06] == await times(clock, limit, 8, monkeypatch)
    clock.now += 3600
    assert [0, 0, 0, 0, 0, 0.02] == await times(clock, limit, 6, monkeypatch)


async def test_no_limit(clock: Clock) -> None:
    """0 is no limit."""
    limit = RateLimit(0)
    for _ in range(1000):
        await limit.wait()
    assert 1000.0 == clock.now


@pytest.mark.parametrize("rate", [-1, float("nan"), float("inf")])
async def test_refused(rate: float) -> None:
    """A rate that is no rate is refused."""
    with pytest.raises(ValueError, match="per_second"):
        RateLimit(rate)


async def test_fair() -> None:
    """The first to wait is the first to go."""
    limit = RateLimit(1000)
    went: list[int] = []

    async def go(number: int) -> None:
        await limit.wait()
        went.append(number)

    await asyncio.gather(*(go(number) for number in range(150)))
    assert list(range(150)) == went


async def test_cancelled() -> None:
    """A task that is cancelled while it waits takes no turn away from those behind it."""
    limit = RateLimit(20)
    await limit.wait()
    waiting = [asyncio.create_task(limit.wait()) for _ in range(1000)]  # for 50 s
    await asyncio.sleep(0)
    last = asyncio.create_task(limit.wait())
    for task in waiting:
        task.cancel()

    await asyncio.wait_for(last, timeout=5)
