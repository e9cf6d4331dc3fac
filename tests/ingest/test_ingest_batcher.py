from __future__ import annotations

import asyncio
import gc
import logging
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from qraft.ingest.batcher import Batcher
from qraft.model import DeadLetter, Event


def event(number: int) -> Event:
    return Event(event_id=str(number), source="s", type="row", timestamp="", payload={})


def letter(number: int) -> DeadLetter:
    return DeadLetter(dead_id=str(number), source="s", timestamp="", stage="ingest", reason="", original=b"")


def numbers(sink: Any) -> list[int]:
    return [int(found.event_id) for found in sink.events]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(
    items=st.lists(st.tuples(st.integers(min_value=1, max_value=60), st.booleans()), max_size=60),
    waits=st.lists(st.integers(min_value=0, max_value=3), max_size=20),
    max_events=st.integers(min_value=1, max_value=8),
)
def test_order_bounds_and_nothing_lost(items: list[tuple[int, bool]], waits: list[int], max_events: int) -> None:
    sizes = {str(number): size for number, (size, _) in enumerate(items)}
    pauses = iter(waits)
    sent: list[list[str]] = []
    in_flight = 0

    class Slow:
        when_full = "block"

        async def send(self, events: Any) -> None:
            nonlocal in_flight
            in_flight += 1
            assert in_flight == 1
            for _ in range(next(pauses, 0)):
                await asyncio.sleep(0)
            sent.append([f"e{found.event_id}" for found in events])
            in_flight -= 1

        async def dead(self, letters: Any) -> None:
            sent.append([f"d{found.dead_id}" for found in letters])

    async def run() -> None:
        async with Batcher(Slow(), max_events=max_events, max_bytes=100, linger=0.001) as batcher:
            for number, (size, usable) in enumerate(items):
                await batcher.put(event(number) if usable else letter(number), size)
                assert batcher.held <= max_events

    asyncio.run(run())
    flat = [name for batch in sent for name in batch]
    assert [name for name in flat if name[0] == "e"] == [f"e{n}" for n, (_, usable) in enumerate(items) if usable]
    assert [name for name in flat if name[0] == "d"] == [f"d{n}" for n, (_, usable) in enumerate(items) if not usable]
    for batch in sent:
        assert len(batch) <= max_events
        assert len(batch) == 1 or sum(sizes[name[1:]] for name in batch) <= 100


async def test_while_one_batch_is_sent_the_next_one_grows(sink: Any) -> None:
    sink.open.clear()
    async with Batcher(sink, max_events=10) as batcher:
        await batcher.put(event(0), 1)
        await sink.entered.wait()
        for number in range(1, 8):
            await batcher.put(event(number), 1)
        sink.open.set()
        await sink.until(lambda: len(sink.events) == 8)
    assert [len(batch) for batch in sink.batches] == [1, 7]
    assert numbers(sink) == list(range(8))


async def test_a_full_queue_makes_the_adapter_wait(sink: Any) -> None:
    sink.open.clear()
    taken = 0

    async def adapter(batcher: Batcher) -> None:
        nonlocal taken
        for number in range(100):
            await batcher.put(event(number), 1)
            taken += 1

    async with Batcher(sink, max_events=10) as batcher:
        task = asyncio.create_task(adapter(batcher))
        await sink.entered.wait()
        for _ in range(50):
            await asyncio.sleep(0)
        assert taken == 20
        sink.open.set()
        await task
    assert numbers(sink) == list(range(100))
    assert max(len(batch) for batch in sink.batches) == 10


async def test_a_batch_is_bounded_by_bytes_unless_one_event_is_larger(sink: Any) -> None:
    async with Batcher(sink, max_bytes=100) as batcher:
        for number, size in enumerate((40, 40, 40, 500, 40)):
            await batcher.put(event(number), size)
    assert [len(batch) for batch in sink.batches] == [2, 1, 1, 1]
    assert numbers(sink) == list(range(5))


async def test_a_lone_event_goes_without_company(sink: Any) -> None:
    async with Batcher(sink) as batcher:
        await batcher.put(event(0), 1)
        await sink.until(lambda: bool(sink.events), 5.0)


async def test_dead_letters_go_before_the_events_of_their_batch() -> None:
    order: list[str] = []

    class Ordered:
        when_full = "block"

        async def send(self, events: Any) -> None:
            order.append("events")

        async def dead(self, letters: Any) -> None:
            order.append("dead")

    async with Batcher(Ordered()) as batcher:
        await batcher.put(event(0), 1)
        await batcher.put(letter(1), 1)
    assert order == ["dead", "events"]


async def test_what_the_sink_raises_comes_out(sink: Any) -> None:
    sink.fault = ConnectionError("bus gone")

    async def adapter(events: int) -> None:
        async with Batcher(sink, max_events=2) as batcher:
            for number in range(events):
                await batcher.put(event(number), 1)

    for events in (1, 100):
        with pytest.raises(ConnectionError, match="bus gone"):
            await adapter(events)


async def _cancelled(sink: Any, grace: float) -> None:
    started = asyncio.Event()

    async def adapter() -> None:
        async with Batcher(sink, grace=grace, linger=10.0) as batcher:
            for number in range(5):
                await batcher.put(event(number), 1)
            started.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(adapter())
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_cancelled_adapter_still_sends_what_it_has(sink: Any) -> None:
    await _cancelled(sink, 5.0)
    assert numbers(sink) == list(range(5))


async def test_a_blocked_sink_does_not_hold_up_a_cancellation_for_ever(sink: Any, caplog: pytest.LogCaptureFixture) -> None:
    sink.open.clear()
    with caplog.at_level(logging.WARNING):
        await _cancelled(sink, 0.05)
    assert "5 items that the bus did not take were given up" in caplog.text
    assert sink.events == []


async def test_a_sink_that_fails_on_leaving_does_not_hide_the_cancellation(
    sink: Any, caplog: pytest.LogCaptureFixture
) -> None:
    sink.fault = ConnectionError("bus gone")
    await _cancelled(sink, 5.0)
    gc.collect()
    assert [record.getMessage() for record in caplog.records] == [
        "5 items that the bus did not take were given up on leaving"
    ]
    assert sink.given_up == {"leaving": 5}


async def test_a_source_that_can_resume_drops_its_queue_at_once(sink: Any, caplog: pytest.LogCaptureFixture) -> None:
    sink.open.clear()
    await _cancelled(sink, 0.0)
    assert caplog.text == ""


async def test_drop_newest_keeps_what_came_first_and_counts_the_rest(sink: Any) -> None:
    sink.when_full = "drop_newest"
    sink.open.clear()
    async with Batcher(sink, max_events=10, patience=0.05) as batcher:
        await batcher.put(event(0), 1)
        await sink.entered.wait()
        for number in range(1, 100):
            await batcher.put(event(number), 1)
        sink.open.set()
    assert numbers(sink) == list(range(11))
    assert sink.given_up == {"full": 89}


@pytest.mark.parametrize("when_full", ["drop_newest", "sample"])
async def test_a_burst_that_passes_costs_no_event(sink: Any, when_full: str) -> None:
    sink.when_full = when_full
    async with Batcher(sink, max_events=10) as batcher:
        for number in range(5000):
            await batcher.put(event(number), 1)
    assert numbers(sink) == list(range(5000))
    assert sink.given_up == {}


async def test_drop_newest_gives_up_everything_while_the_engine_is_far_behind_and_nothing_after(sink: Any) -> None:
    sink.when_full = "drop_newest"
    sink.pressed = True
    async with Batcher(sink) as batcher:
        await batcher.put(event(0), 1)
        await batcher.put(letter(1), 1)
        sink.pressed = False
        await batcher.put(event(2), 1)
    assert numbers(sink) == [2]
    assert [found.dead_id for found in sink.letters] == ["1"]
    assert sink.given_up == {"full": 1}


async def test_sampling_thins_out_evenly_counts_the_rest_and_comes_back(sink: Any) -> None:
    sink.when_full = "sample"
    sink.open.clear()
    async with Batcher(sink, max_events=10, linger=0.0005, patience=0.05) as batcher:
        await batcher.put(event(0), 1)
        await sink.entered.wait()
        for number in range(1, 1000):
            await batcher.put(event(number), 1)
        sink.open.set()
        await sink.until(lambda: len(sink.events) == 11)
        for number in range(1000, 6000):
            await batcher.put(event(number), 1)
            if number % 5 == 0:
                await sink.until(lambda: batcher.held == 0)
    kept = numbers(sink)
    assert kept == sorted(kept)
    assert len(kept) + sink.given_up["sampled"] == 6000
    assert sink.given_up.keys() == {"sampled"}
    assert kept[-100:] == list(range(5900, 6000)), "once there is room again, every event is kept"
    assert len([number for number in kept if 1000 <= number < 1500]) < 500, "after a jam the stream is thinned out"


async def test_a_source_that_can_wait_is_given_up_nothing(sink: Any) -> None:
    sink.pressed = True
    async with Batcher(sink) as batcher:
        for number in range(2000):
            await batcher.put(event(number), 1)
    assert numbers(sink) == list(range(2000))


async def test_no_task_is_left(sink: Any) -> None:
    before = asyncio.all_tasks()
    await _cancelled(sink, 0.05)
    async with Batcher(sink):
        pass
    assert asyncio.all_tasks() == before
