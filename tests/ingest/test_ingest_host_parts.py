from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from typing import Any

import pytest

from qraft.config.sources import HostSource
from qraft.ingest import make_adapter
from qraft.ingest.host_parts import MOST_PARTS, PartTotals, part_rates, part_totals
from qraft.ingest.host_processes import Processes, Usage, busiest


async def test_each_part_is_an_event_of_a_source_of_its_own(sink: Any) -> None:
    source = HostSource(adapter="host", interval_seconds=0.2, per=["disk", "interface", "core"], top=3, top_by="memory")
    adapter = make_adapter("h", source, sink, resume=None, clock=lambda: 1_700_000_000_000_000)
    task = asyncio.create_task(adapter.run())
    await sink.until(lambda: sum(event.source == "h" for event in sink.events) >= 4)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    by_source: dict[str, list[dict[str, Any]]] = {}
    for event in sink.events:
        by_source.setdefault(event.source, []).append(event.payload)
    assert set(by_source) <= {"h", *source.feeds("h")}
    assert {"h", "h-cores", "h-processes"} <= set(by_source)
    assert len({event.event_id for event in sink.events}) == len(sink.events)
    for name, payloads in by_source.items():
        if name != "h":
            assert len({tuple(payload) for payload in payloads}) == 1, "rows of one source have the same fields"
            assert all(isinstance(payload["part"], str) and payload["part"] for payload in payloads)
    assert len({payload["part"] for payload in by_source["h-cores"]}) == os.cpu_count()
    assert all(0 <= payload["cpu_percent"] <= 100 for payload in by_source["h-cores"])


def test_totals_become_rates() -> None:
    before = PartTotals(10.0, {"sda": {"reads_per_second": 5, "busy_percent": 10.0}, "gone": {}})
    now = PartTotals(12.0, {"sda": {"reads_per_second": 9, "busy_percent": 500.0}, "new": {"reads_per_second": 1}})
    assert part_rates(before, now) == {"sda": {"reads_per_second": 2.0, "busy_percent": 100.0}}
    assert part_rates(now, before) == {}


def test_a_part_that_was_reset_is_left_out_once() -> None:
    first = PartTotals(1.0, {"a": {"x": 5}, "b": {"x": 5}})
    assert part_rates(first, PartTotals(2.0, {"a": {"x": 1}, "b": {"x": 6}})) == {"b": {"x": 1.0}}


def test_this_machine_has_cores() -> None:
    totals = part_totals("core")
    assert list(totals.parts) == [f"cpu{n}" for n in range(min(MOST_PARTS, os.cpu_count() or 1))]


def test_a_busy_process_is_found_by_its_cpu() -> None:
    code = "import time\nend = time.monotonic() + 20\nwhile time.monotonic() < end: pass"
    child = subprocess.Popen([sys.executable, "-c", code])
    try:
        processes = Processes()
        processes.read()
        time.sleep(0.5)
        processes.read()
        seen = processes._seen[child.pid]
        assert seen.percent > 5
        name, usages = seen.name, {usage.name: usage for usage in processes.read()}
        assert usages[name].processes >= 1
        assert usages[name].memory_bytes > 1_000_000
    finally:
        child.kill()
        child.wait()
    processes.read()
    assert child.pid not in processes._seen


def test_where_there_are_many_processes_each_reading_takes_the_next() -> None:
    processes = Processes(most=3)
    processes.read()
    first = set(processes._seen)
    assert len(first) <= 3
    processes.read()
    assert len(processes._seen) > len(first)


def test_the_busiest_first_and_who_uses_nothing_is_none() -> None:
    usages = [Usage("a", 1.0, 50, 0.1, 1), Usage("b", 9.0, 10, 0.1, 2), Usage("c", 0.0, 90, 0.1, 1)]
    assert [usage.name for usage in busiest(usages, 5, "cpu")] == ["b", "a"]
    assert [usage.name for usage in busiest(usages, 2, "memory")] == ["c", "a"]
