"""An engine that stood still: noticed by its own beat, and told apart from a source that brought nothing."""

from __future__ import annotations

import asyncio
import time

from qraft.engine.stalls import BEAT_SECONDS, Stalls
from qraft.ingest.base import wall_clock

SECOND = 1_000_000


class Clock:
    """A clock that is set by the test."""

    def __init__(self) -> None:
        self.now = 1000 * SECOND
        self.stalls = Stalls(lambda: self.now)

    def beats(self, seconds: float) -> None:
        """The engine beats as it should."""
        for _ in range(round(seconds / BEAT_SECONDS)):
            self.now += round(BEAT_SECONDS * SECOND)
            self.stalls.look()


async def started() -> Clock:
    clock = Clock()
    task = asyncio.create_task(clock.stalls.run())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return clock


async def test_a_gap_that_is_mostly_a_stall_is_the_engines_and_another_the_sources() -> None:
    clock = await started()
    clock.beats(10)
    begun = clock.now
    clock.now += 4 * SECOND
    assert clock.stalls.between(begun - SECOND, clock.now), "also before the beat comes"
    assert clock.stalls.explain(begun - SECOND // 10, clock.now)
    assert clock.stalls.explain(begun - 3 * SECOND, clock.now)
    assert not clock.stalls.explain(begun - 5 * SECOND, clock.now), "most of it the engine listened"
    clock.beats(10)
    assert not clock.stalls.between(clock.now - 5 * SECOND, clock.now)
    assert not clock.stalls.explain(clock.now - 5 * SECOND, clock.now)


async def test_several_stalls_within_one_gap_add_up() -> None:
    clock = await started()
    begun = clock.now
    for _ in range(3):
        clock.now += SECOND
        clock.stalls.look()
        clock.beats(0.5)
    assert clock.stalls.explain(begun, clock.now)


async def test_a_clock_set_forward_is_a_gap_of_nobody_and_one_set_back_is_nothing() -> None:
    clock = await started()
    before = clock.now
    clock.now += 3600 * SECOND
    assert clock.stalls.between(before, clock.now)
    assert clock.stalls.explain(before, clock.now)
    clock.now -= 7200 * SECOND
    begun = clock.now
    clock.beats(5)
    assert not clock.stalls.between(begun, clock.now)


async def test_what_has_not_begun_to_beat_knows_of_no_stall() -> None:
    clock = Clock()
    clock.now += 60 * SECOND
    assert not clock.stalls.between(0, clock.now)


async def test_a_loop_that_is_blocked() -> None:
    stalls = Stalls(wall_clock)
    task = asyncio.create_task(stalls.run())
    await asyncio.sleep(0.1)
    begun = wall_clock()
    time.sleep(0.6)  # noqa: ASYNC251 - what is looked for
    ended = wall_clock()
    assert stalls.explain(begun, ended) is False, "asked before anybody looked"
    assert stalls.between(begun, ended)
    assert stalls.explain(begun, ended)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
