"""What a tap lets through, and that large samples still fit the wire."""

from __future__ import annotations

import asyncio

from hypothesis import given, strategies as st

from qraft.bus import Bus, Pacer, TapRow, TapSample, publish_sample, watch_tap
from qraft.config import NatsAddress

ARRIVALS = st.lists(st.tuples(st.floats(0, 3), st.integers(0, 400)), max_size=60)


@given(ARRIVALS, st.floats(0.1, 200))
def test_no_second_sees_more_than_the_rate(arrivals: list[tuple[float, int]], rate: float) -> None:
    pacer, now, passed = Pacer(rate, 0.0), 0.0, []
    for wait, number in arrivals:
        now += wait
        passed += [now] * len(pacer.take(now, range(number)))
    most, window = max(1, int(rate)), max(1, int(rate)) / rate
    assert all(sum(1 for other in passed if 0 <= other - moment < window - 1e-9) <= most for moment in passed)


@given(st.integers(1, 300), st.floats(0.5, 100))
def test_what_goes_through_is_in_order_and_none_twice(number: int, rate: float) -> None:
    pacer = Pacer(rate, 0.0)
    picked = list(pacer.take(1000.0, range(number)))
    assert picked == sorted(set(picked))
    assert len(picked) == min(number, max(1, int(rate)))


def test_a_slow_source_goes_through_whole() -> None:
    pacer = Pacer(10, 0.0)
    assert sum(len(pacer.take(n * 0.2, [n])) for n in range(100)) == 100


def test_a_fast_source_is_seen_all_the_time_not_in_bursts() -> None:
    pacer = Pacer(10, 0.0)
    seen = [len(pacer.take(n / 100, range(50))) for n in range(500)]
    assert max(seen) == 1
    assert 48 <= sum(seen) <= 50


async def test_a_large_sample_goes_in_parts_and_is_counted_once(nats_url: str) -> None:
    sender, listener = (
        await Bus.connect(NatsAddress(nats_url), name="sender"),
        await Bus.connect(NatsAddress(nats_url), name="listener"),
    )
    got: list[TapSample] = []
    rows = [TapRow(event_id=str(n), timestamp="", original="x" * 2000) for n in range(1000)]
    try:
        await watch_tap(listener, "dead", "rows", got.append)
        await publish_sample(sender, TapSample(source="rows", stage="dead", seen=5000, rows=rows))
        async with asyncio.timeout(60):
            while sum(len(sample.rows) for sample in got) < len(rows):
                await asyncio.sleep(0.01)
    finally:
        await sender.close()
        await listener.close()
    assert len(got) > 1
    assert [row.event_id for sample in got for row in sample.rows] == [row.event_id for row in rows]
    assert sum(sample.seen for sample in got) == 5000
