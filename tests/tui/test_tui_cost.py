from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from tui.cost import Cost, Usage, probe, process_usage, report, rss_bytes


class Meter:
    """A process that uses as much as it is told to."""

    def __init__(self) -> None:
        self.usage = Usage(0.0, 50_000_000)

    def __call__(self) -> Usage:
        return self.usage

    def use(self, cpu: float, written: int = 0, waited: float = 0.0) -> None:
        now = self.usage
        self.usage = Usage(now.cpu_seconds + cpu, now.rss_bytes, now.written_bytes + written, now.waited_seconds + waited)


def test_rates_are_over_the_window() -> None:
    meter = Meter()
    cost = Cost(meter, window=10)
    for second in range(30):
        cost.sample(float(second))
        meter.use(0.5 if second < 15 else 0.08, 1000 if second < 15 else 30_000, 0.002)
        for _ in range(2):
            cost.note_frame(0.030 if second < 15 else 0.010)
    now = cost.snapshot(30.0)
    assert now.cpu_percent == pytest.approx(8.0)
    assert now.bytes_per_second == pytest.approx(30_000)
    assert now.waited_ms_per_second == pytest.approx(2.0)
    assert now.hertz == pytest.approx(2.0, rel=0.1)
    assert [now.frame_ms, now.frame_ms_p99] == pytest.approx([10.0, 10.0])
    assert (now.frames, now.rss_bytes) == (60, 50_000_000)


def test_before_anything_happened_all_is_nothing() -> None:
    now = Cost(Meter()).snapshot(5.0)
    assert (now.cpu_percent, now.hertz, now.frame_ms, now.lag_ms_p99, now.dropped) == (0, 0, 0, 0, 0)


def test_a_rare_slow_frame_is_told_apart_from_the_usual_one() -> None:
    cost = Cost(Meter(), window=1000)
    cost.sample(0.0)
    for i in range(200):
        cost.note_frame(0.090 if i % 60 == 7 else 0.005)
        cost.note_lag(0.200 if i % 60 == 7 else 0.001)
    now = cost.snapshot(100.0)
    assert [now.frame_ms, now.frame_ms_p99] == pytest.approx([5.0, 90.0])
    assert [now.lag_ms, now.lag_ms_p99] == pytest.approx([1.0, 200.0])


def test_drops_are_counted_from_the_start() -> None:
    cost = Cost(Meter())
    cost.note_dropped(3)
    cost.note_dropped(4)
    assert cost.snapshot(0.0).dropped == 7


@given(st.lists(st.tuples(st.floats(0, 3), st.floats(0, 1), st.integers(0, 10_000)), max_size=60))
def test_whatever_happens_no_figure_is_negative_nor_memory_unbounded(steps: list[tuple[float, float, int]]) -> None:
    meter, now = Meter(), 0.0
    cost = Cost(meter)
    for seconds, cpu, written in steps:
        now += seconds
        meter.use(cpu, written)
        cost.note_frame(cpu)
        cost.note_lag(seconds - 1)
        cost.sample(now)
        said = cost.snapshot(now)
        figures = (said.cpu_percent, said.hertz, said.bytes_per_second, said.lag_ms, said.lag_ms_p99, said.frame_ms)
        assert min(figures) >= 0
        assert said.frame_ms <= said.frame_ms_p99


async def test_the_probe_sees_a_loop_that_was_blocked_and_costs_next_to_nothing() -> None:
    cost = Cost(process_usage)
    task = asyncio.create_task(probe(cost))
    used, passed = time.thread_time(), time.monotonic()
    await asyncio.sleep(1.5)
    used, passed = time.thread_time() - used, time.monotonic() - passed
    time.sleep(0.3)  # noqa: ASYNC251 - what is being measured
    await asyncio.sleep(0.1)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    said = cost.snapshot(asyncio.get_running_loop().time())
    assert 230 < said.lag_ms_p99 < 2000
    assert said.lag_ms < said.lag_ms_p99
    assert used / passed < 0.02  # 0.1 % is usual; a machine that is busy gets room


async def test_the_report_is_a_json_line_a_second(tmp_path: Path) -> None:
    cost = Cost(lambda: process_usage(lambda: (123, 0.5)))
    cost.note_frame(0.004)
    path = tmp_path / "stats.jsonl"
    task = asyncio.create_task(report(cost, path))
    limit = time.monotonic() + 20
    while not path.exists() or path.read_bytes().count(b"\n") < 2:
        assert time.monotonic() < limit
        await asyncio.sleep(0.05)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    first, second, *_ = (json.loads(line) for line in path.read_text().splitlines())
    assert first["written_bytes"] == 123
    assert first["frames"] == 1
    assert second["time"] > first["time"]
    assert first["rss_bytes"] > 1_000_000


def test_memory_is_that_of_this_process() -> None:
    before = rss_bytes()
    block = bytearray(b"x" * 64_000_000)
    assert rss_bytes() - before > 40_000_000
    del block
