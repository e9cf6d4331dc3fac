from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from itertools import count, pairwise
from typing import Any

import pytest

from qraft.config.sources import HostSource
from qraft.ingest import make_adapter
from qraft.ingest.host import Counters, counters, gauges, rates
from qraft.model import us_from_iso


async def test_readings_of_this_machine(sink: Any) -> None:
    ticks = count(1_700_000_000_000_000, 1000)
    source = HostSource(adapter="host", interval_seconds=0.1)
    task = asyncio.create_task(make_adapter("h", source, sink, resume=None, clock=lambda: next(ticks)).run())
    loop = asyncio.get_running_loop()
    begun = loop.time()
    await sink.until(lambda: len(sink.events) >= 4)
    assert loop.time() - begun > 0.3
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    events = sink.events
    assert len({event.event_id for event in events}) == len(events)
    times = [us_from_iso(event.timestamp) for event in events]
    assert times == sorted(times)
    for event in events:
        assert event.source == "h"
        assert {"memory_used_percent", "memory_available_percent", "processes"} <= set(event.payload)
        assert all(isinstance(value, int | float) and value >= 0 for value in event.payload.values())
        assert event.payload["processes"] >= 1
        assert event.payload["memory_used_percent"] < 100
    assert any("cpu_percent" in event.payload and event.payload["cpu_percent"] <= 100 for event in events)


async def test_the_cadence_does_not_drift_and_missed_readings_are_left_out(sink: Any) -> None:
    """The sink blocks for some intervals; the readings after that stand at whole intervals again."""
    loop = asyncio.get_running_loop()
    begun = loop.time()
    source = HostSource(adapter="host", interval_seconds=0.1)
    clock = lambda: int((loop.time() - begun) * 1e6)  # noqa: E731
    task = asyncio.create_task(make_adapter("h", source, sink, resume=None, clock=clock).run())
    await sink.until(lambda: len(sink.events) >= 2)
    time.sleep(0.35)  # noqa: ASYNC251 - the whole loop stands still, as when a machine is suspended
    seen = len(sink.events)
    await sink.until(lambda: len(sink.events) >= seen + 3)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    times = [us_from_iso(event.timestamp) / 1e6 for event in sink.events]
    assert max(b - a for a, b in pairwise(times)) > 0.25
    assert len(times) < times[-1] / 0.1


BEFORE = Counters(moment=10.0, cpu_busy=100.0, cpu_total=1000.0, disk_read=1000, disk_write=2000, net_rx=3000, net_tx=4000)


def test_counters_become_rates() -> None:
    now = Counters(moment=12.0, cpu_busy=101.0, cpu_total=1004.0, disk_read=1200, disk_write=2000, net_rx=5000, net_tx=4002)
    assert rates(BEFORE, now) == {
        "cpu_percent": 25.0,
        "disk_read_bytes_per_second": 100.0,
        "disk_write_bytes_per_second": 0.0,
        "net_rx_bytes_per_second": 1000.0,
        "net_tx_bytes_per_second": 1.0,
    }


def test_what_a_platform_lacks_or_reset_is_left_out() -> None:
    now = replace(BEFORE, moment=11.0, disk_read=None, disk_write=5, net_rx=3001)
    assert rates(BEFORE, now) == {"net_rx_bytes_per_second": 1.0, "net_tx_bytes_per_second": 0.0}


def test_this_machine_has_counters_and_gauges() -> None:
    first, second = counters(), counters()
    assert second.moment >= first.moment
    assert second.cpu_total >= first.cpu_total > 0
    found = gauges()
    assert 0 < found["memory_available_percent"] <= 100
