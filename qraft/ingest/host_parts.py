"""Disks, network interfaces and cores of this machine, each by itself."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psutil

from qraft.config.sources.host import Part

MOST_PARTS: Final = 64
"""Parts of one kind that are read, the first by name: a machine may have thousands of interfaces."""

_BLOCK: Final = Path("/sys/block")
_LEFT_OUT: Final = ("loop", "ram", "zram")
_WORK: Final = ("user", "nice", "system", "irq", "softirq", "steal", "interrupt", "dpc")

Totals = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class PartTotals:
    """What only grows, of each part of a kind, at one moment of the monotonic clock (seconds)."""

    moment: float
    parts: Mapping[str, Totals]


def part_totals(kind: Part) -> PartTotals:
    """Reads the totals of every part of a kind now; none where the platform cannot say."""
    try:
        found = _READERS[kind]()
    except (AttributeError, NotImplementedError, OSError, RuntimeError):
        found = {}
    names = sorted(found, key=lambda name: (len(name), name))[:MOST_PARTS]
    return PartTotals(time.monotonic(), {name: found[name] for name in names})


def part_rates(before: PartTotals, now: PartTotals) -> dict[str, dict[str, float]]:
    """What happened between two readings, a second. A part that was not there before, or was reset, is left out."""
    seconds = now.moment - before.moment
    found: dict[str, dict[str, float]] = {}
    for name, totals in now.parts.items():
        old = before.parts.get(name)
        if old is None or old.keys() != totals.keys() or seconds <= 0 or any(totals[key] < old[key] for key in totals):
            continue
        found[name] = {key: _rate(key, (totals[key] - old[key]) / seconds) for key in totals}
    return found


def _rate(key: str, value: float) -> float:
    """Rounded; a share is cut at 100, which the clocks' grain may pass."""
    return round(min(100.0, value) if key.endswith("_percent") else value, 3)


def _disks() -> dict[str, Totals]:
    counters: Mapping[str, Any] = psutil.disk_io_counters(perdisk=True) or {}
    found: dict[str, Totals] = {}
    for name, counted in counters.items():
        # On Linux partitions are counted beside the disk that holds them.
        if name.startswith(_LEFT_OUT) or (_BLOCK.is_dir() and not (_BLOCK / name).exists()):
            continue
        totals = {
            "read_bytes_per_second": counted.read_bytes,
            "write_bytes_per_second": counted.write_bytes,
            "reads_per_second": counted.read_count,
            "writes_per_second": counted.write_count,
        }
        if hasattr(counted, "busy_time"):
            totals["busy_percent"] = counted.busy_time / 10.0  # milliseconds a second, as percent
        found[name] = totals
    return found


def _interfaces() -> dict[str, Totals]:
    counters: Mapping[str, Any] = psutil.net_io_counters(pernic=True) or {}
    return {
        name: {
            "rx_bytes_per_second": counted.bytes_recv,
            "tx_bytes_per_second": counted.bytes_sent,
            "rx_packets_per_second": counted.packets_recv,
            "tx_packets_per_second": counted.packets_sent,
            "errors_per_second": counted.errin + counted.errout,
            "drops_per_second": counted.dropin + counted.dropout,
        }
        for name, counted in counters.items()
        if not name.lower().startswith("lo")
    }


def _cores() -> dict[str, Totals]:
    found: dict[str, Totals] = {}
    for number, times in enumerate(psutil.cpu_times(percpu=True)):
        # Seconds of work a second, as percent. Linux counts the time of guests in user and nice already.
        worked = sum(getattr(times, kind, 0.0) for kind in _WORK)
        found[f"cpu{number}"] = {"cpu_percent": 100.0 * worked, "system_percent": 100.0 * times.system}
    return found


_READERS: Final[Mapping[Part, Callable[[], dict[str, Totals]]]] = {
    "disk": _disks,
    "interface": _interfaces,
    "core": _cores,
}
