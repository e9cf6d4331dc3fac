"""Metrics of the machine the engine runs on, read through psutil at a fixed cadence."""

from __future__ import annotations

import asyncio
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Final

import psutil

from qraft.config.sources import HostSource
from qraft.config.sources.host import PART_FIELD, part_source
from qraft.ingest.base import Clock, Sink
from qraft.ingest.batcher import Batcher
from qraft.ingest.host_parts import part_rates, part_totals
from qraft.ingest.host_processes import Processes, busiest
from qraft.model import Event, event_id, iso_from_us

_EVENT_BYTES: Final = 600
_PART_BYTES: Final = 400


@dataclass(frozen=True, slots=True)
class Counters:
    """What only grows, at one moment of the monotonic clock (seconds); None where the platform has no such counter."""

    moment: float
    cpu_busy: float
    cpu_total: float
    disk_read: int | None
    disk_write: int | None
    net_rx: int | None
    net_tx: int | None


def counters() -> Counters:
    """Reads the counters now. Loopback traffic is left out: it is mostly Qraft's own."""
    cpu = psutil.cpu_times()
    # Linux counts the time of guests in user and nice already.
    total = sum(cpu) - getattr(cpu, "guest", 0.0) - getattr(cpu, "guest_nice", 0.0)
    disk = _or_none(psutil.disk_io_counters)
    cards = _or_none(lambda: psutil.net_io_counters(pernic=True)) or {}
    outside = [card for name, card in cards.items() if not name.lower().startswith("lo")]
    return Counters(
        moment=time.monotonic(),
        cpu_busy=total - cpu.idle - getattr(cpu, "iowait", 0.0),
        cpu_total=total,
        disk_read=disk.read_bytes if disk else None,
        disk_write=disk.write_bytes if disk else None,
        net_rx=sum(card.bytes_recv for card in outside) if cards else None,
        net_tx=sum(card.bytes_sent for card in outside) if cards else None,
    )


def rates(before: Counters, now: Counters) -> dict[str, float]:
    """What happened between two readings: percent, and bytes a second. A counter that was reset is left out."""
    found: dict[str, float] = {}
    total = now.cpu_total - before.cpu_total
    if total > 0:
        found["cpu_percent"] = round(min(100.0, max(0.0, 100.0 * (now.cpu_busy - before.cpu_busy) / total)), 3)
    seconds = now.moment - before.moment
    for name in ("disk_read", "disk_write", "net_rx", "net_tx"):
        old, new = getattr(before, name), getattr(now, name)
        if old is not None and new is not None and new >= old and seconds > 0:
            found[f"{name}_bytes_per_second"] = round((new - old) / seconds, 3)
    return found


def gauges() -> dict[str, float]:
    """What stands at a level now; what the platform lacks is left out."""
    found: dict[str, float] = {}
    load = _or_none(psutil.getloadavg)
    if load is not None:
        found["load1"] = round(load[0], 3)
    memory = psutil.virtual_memory()
    found["memory_used_percent"] = round(100.0 * memory.used / memory.total, 3)
    found["memory_available_percent"] = round(100.0 * memory.available / memory.total, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # where /proc/vmstat lacks the swap-in and -out counts, unused here
        swap = _or_none(psutil.swap_memory)
    if swap is not None:
        found["swap_used_percent"] = float(swap.percent)
    found["processes"] = len(psutil.pids())
    return found


def _or_none(read: Callable[[], Any]) -> Any:
    """What ``read`` gives, or None where this platform cannot say."""
    try:
        return read()
    except (AttributeError, NotImplementedError, OSError, RuntimeError):
        return None


class HostAdapter:
    """One reading an interval, from the second one on: the first only primes the rates.

    Readings stand at whole intervals after the start, so that the cadence does not drift; one that was missed, because the
    machine slept or the sink was full, is left out and not made up for. What is read of parts (processes, disks, interfaces,
    cores) goes to sources of their own, one event a part.
    """

    def __init__(self, name: str, settings: HostSource, sink: Sink, *, clock: Clock) -> None:
        self._name = name
        self._settings = settings
        self._sink = sink
        self._clock = clock

    async def run(self) -> None:
        """Reads until it is cancelled."""
        loop, settings = asyncio.get_running_loop(), self._settings
        interval, kinds = settings.interval_seconds, list(dict.fromkeys(settings.per))
        started, first = self._clock(), loop.time()
        before, parts_before = counters(), {kind: part_totals(kind) for kind in kinds}
        processes = Processes() if settings.top else None
        if processes is not None:
            await asyncio.to_thread(processes.read)
        tick = 0
        self._sink.ready()
        async with Batcher(self._sink) as batcher:
            while True:
                tick = max(tick, int((loop.time() - first) // interval)) + 1
                await asyncio.sleep(first + tick * interval - loop.time())
                now, stamp, place = counters(), iso_from_us(self._clock()), f"{started}:{tick}"
                await batcher.put(self._event(self._name, stamp, place, rates(before, now) | gauges()), _EVENT_BYTES)
                before = now
                for kind in kinds:
                    parts = part_totals(kind)
                    source = part_source(self._name, kind)
                    for part, found in part_rates(parts_before[kind], parts).items():
                        await batcher.put(self._part(source, stamp, place, part, found), _PART_BYTES)
                    parts_before[kind] = parts
                if processes is not None:
                    usages = await asyncio.to_thread(processes.read)
                    source = part_source(self._name, "process")
                    for usage in busiest(usages, settings.top, settings.top_by):
                        used = {name: value for name, value in asdict(usage).items() if name != "name"}
                        await batcher.put(self._part(source, stamp, place, usage.name, used), _PART_BYTES)

    def _part(self, source: str, stamp: str, place: str, part: str, found: dict[str, Any]) -> Event:
        return self._event(source, stamp, f"{place}:{part}", {PART_FIELD: part} | found)

    def _event(self, source: str, stamp: str, place: str, payload: dict[str, Any]) -> Event:
        return Event(event_id=event_id(source, place), source=source, type="reading", timestamp=stamp, payload=payload)
