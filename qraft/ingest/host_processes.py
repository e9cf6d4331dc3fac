"""The busiest processes of this machine; those of one name count as one."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import psutil

MOST_PROCESSES: Final = 4096
"""Processes looked at in one reading; where there are more, each reading takes the next of them in turn."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What the processes of one name use.

    Attributes:
        cpu_percent: 100 is one core.
        memory_percent: share of the machine's memory that is resident; pages they share count for each.
    """

    name: str
    cpu_percent: float
    memory_bytes: int
    memory_percent: float
    processes: int


@dataclass(frozen=True, slots=True)
class _Seen:
    """One process when it was looked at last: CPU seconds then, and its use since the time before."""

    created: float
    moment: float
    cpu: float
    name: str
    percent: float
    memory: int


class Processes:
    """Reads all processes again and again; a process's CPU share is that since it was looked at before."""

    def __init__(self, most: int = MOST_PROCESSES) -> None:
        self._most = most
        self._seen: dict[int, _Seen] = {}
        self._next = 0
        self._before = time.time()
        self._memory = psutil.virtual_memory().total

    def read(self) -> list[Usage]:
        """What runs now, by name. It takes some 0.1 ms a process, so it belongs into a thread."""
        pids = sorted(psutil.pids())
        alive = set(pids)
        self._seen = {pid: seen for pid, seen in self._seen.items() if pid in alive}
        started = time.time()
        for pid in self._turn(pids):
            seen = self._look(pid)
            if seen is None:
                self._seen.pop(pid, None)
            else:
                self._seen[pid] = seen
        self._before = started
        return self._by_name()

    def _turn(self, pids: Sequence[int]) -> Sequence[int]:
        if len(pids) <= self._most:
            return pids
        first = self._next % len(pids)
        self._next = first + self._most
        return [*pids, *pids][first : first + self._most]

    def _look(self, pid: int) -> _Seen | None:
        try:
            process = psutil.Process(pid)
            with process.oneshot():
                times, name = process.cpu_times(), process.name()
                memory, created = process.memory_info().rss, process.create_time()
        except (psutil.Error, OSError):
            return None  # it has ended, or it is not ours to look at
        if not memory:
            name = name.partition("/")[
                0
            ]  # a thread of Linux's kernel: kworker/u8:0-events is called otherwise a second later
        now, cpu, old = time.monotonic(), times.user + times.system, self._seen.get(pid)
        percent = 0.0
        if old is not None and old.created == created:
            percent = 100.0 * max(0.0, cpu - old.cpu) / max(now - old.moment, 1e-3)
        elif created >= self._before:
            percent = 100.0 * cpu / max(time.time() - self._before, 1e-3)
        return _Seen(created, now, cpu, name, percent, memory)

    def _by_name(self) -> list[Usage]:
        groups: dict[str, list[_Seen]] = {}
        for seen in self._seen.values():
            groups.setdefault(seen.name, []).append(seen)
        return [
            Usage(
                name=name,
                cpu_percent=round(sum(one.percent for one in group), 3),
                memory_bytes=(memory := sum(one.memory for one in group)),
                memory_percent=round(100.0 * memory / self._memory, 3),
                processes=len(group),
            )
            for name, group in groups.items()
        ]


def busiest(usages: Sequence[Usage], top: int, by: Literal["cpu", "memory"]) -> list[Usage]:
    """The names that use most, the most first and ``top`` at most; names decide between equals. Who uses nothing is none."""
    ranked = sorted((-(one.cpu_percent if by == "cpu" else one.memory_bytes), one.name, one) for one in usages)
    return [one for used, _, one in ranked[:top] if used]
