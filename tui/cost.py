"""What the interface itself costs: processor time, bytes to the terminal, lag of the event loop, memory.

`Cost` is fed by the frame loop (``note_frame``) and by ``probe``, which also measures the loop's lag; ``snapshot`` says what
the last seconds came to. ``report`` appends it to a file once a second, for benchmarks.
"""

from __future__ import annotations

import asyncio
import os
import resource
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import msgspec

WINDOW_SECONDS: Final = 10.0
PROBE_SECONDS: Final = 0.05
SAMPLE_PROBES: Final = 20
"""Probes between two readings of the process: one second."""
MAX_FRAMES: Final = 400
STATS_VARIABLE: Final = "QRAFT_TUI_STATS"
"""Environment variable that names the file ``report`` writes to."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What the process has used since it started.

    Attributes:
        cpu_seconds: processor time of all threads.
        rss_bytes: resident memory now.
        written_bytes: bytes written to the terminal.
        waited_seconds: time the interface stood still because the terminal took no more.
    """

    cpu_seconds: float
    rss_bytes: int
    written_bytes: int = 0
    waited_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class CostNow:
    """What the last seconds came to.

    Attributes:
        cpu_percent: processor time, as a share of one core.
        frame_ms: processor time of a frame, median.
        frame_ms_p99: the same, of the slowest in a hundred.
        hertz: frames a second.
        bytes_per_second: to the terminal.
        waited_ms_per_second: time lost because the terminal took no more.
        lag_ms: how late the event loop comes to what is due, median.
        lag_ms_p99: the same, of the latest in a hundred.
        rss_bytes: resident memory.
        frames: frames since the start.
        written_bytes: bytes to the terminal since the start.
        dropped: patterns not taken from a full inbox since the start.
    """

    cpu_percent: float
    frame_ms: float
    frame_ms_p99: float
    hertz: float
    bytes_per_second: float
    waited_ms_per_second: float
    lag_ms: float
    lag_ms_p99: float
    rss_bytes: int
    frames: int
    written_bytes: int
    dropped: int


class Cost:
    """Gathers costs over a sliding window. It reads no clock: the caller says what time it is, in seconds of any clock."""

    def __init__(self, usage: Callable[[], Usage], *, window: float = WINDOW_SECONDS) -> None:
        self._usage = usage
        self._window = window
        self._readings: deque[tuple[float, Usage, int]] = deque()
        self._frames: deque[float] = deque(maxlen=MAX_FRAMES)
        self._lags: deque[float] = deque(maxlen=max(1, round(window / PROBE_SECONDS)))
        self._painted = 0
        self._dropped = 0

    def note_frame(self, cpu_seconds: float) -> None:
        """Notes the processor time of one painted frame."""
        self._frames.append(cpu_seconds)
        self._painted += 1

    def note_lag(self, seconds: float) -> None:
        """Notes how late the event loop was."""
        self._lags.append(max(0.0, seconds))

    def note_dropped(self, number: int) -> None:
        """Notes patterns that a full inbox did not take."""
        self._dropped += number

    def sample(self, now: float) -> None:
        """Reads what the process has used; wanted about once a second."""
        self._readings.append((now, self._usage(), self._painted))
        while len(self._readings) > 2 and now - self._readings[1][0] >= self._window:
            self._readings.popleft()

    def snapshot(self, now: float) -> CostNow:
        """What it came to over the window that ends now."""
        usage = self._usage()
        then, before, painted = self._readings[0] if self._readings else (now, usage, self._painted)
        passed = now - then
        rate = 1 / passed if passed > 0 else 0.0
        frames = self._painted - painted
        recent = sorted(list(self._frames)[-frames:] if frames else ())
        lags = sorted(self._lags)
        return CostNow(
            cpu_percent=100 * (usage.cpu_seconds - before.cpu_seconds) * rate,
            frame_ms=1000 * _quantile(recent, 0.5),
            frame_ms_p99=1000 * _quantile(recent, 0.99),
            hertz=frames * rate,
            bytes_per_second=(usage.written_bytes - before.written_bytes) * rate,
            waited_ms_per_second=1000 * (usage.waited_seconds - before.waited_seconds) * rate,
            lag_ms=1000 * _quantile(lags, 0.5),
            lag_ms_p99=1000 * _quantile(lags, 0.99),
            rss_bytes=usage.rss_bytes,
            frames=self._painted,
            written_bytes=usage.written_bytes,
            dropped=self._dropped,
        )


def process_usage(written: Callable[[], tuple[int, float]] = lambda: (0, 0.0)) -> Usage:
    """What this process has used; ``written`` gives the bytes written to the terminal and the seconds waited for it."""
    sent, waited = written()
    return Usage(time.process_time(), rss_bytes(), sent, waited)


def rss_bytes() -> int:
    """Resident memory of this process; where the system has no /proc, the most it ever had."""
    try:
        with Path("/proc/self/statm").open("rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")
    except OSError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024


async def probe(cost: Cost) -> None:
    """Measures, until cancelled, how late the event loop comes to what is due; reads the process once a second.

    A callback, not a task that sleeps: the probe is part of what it measures, and this way it takes a quarter less.
    """
    loop = asyncio.get_running_loop()
    probes = 0
    planned: asyncio.TimerHandle | None = None

    def plan(now: float) -> asyncio.TimerHandle:
        return loop.call_at(now + PROBE_SECONDS, beat, now + PROBE_SECONDS)

    def beat(due: float) -> None:
        nonlocal planned, probes
        now = loop.time()
        planned = plan(now)
        cost.note_lag(now - due)
        probes += 1
        if probes % SAMPLE_PROBES == 0:
            cost.sample(now)

    cost.sample(loop.time())
    planned = plan(loop.time())
    try:
        await loop.create_future()
    finally:
        if planned is not None:
            planned.cancel()


async def report(cost: Cost, path: Path) -> None:
    """Appends, until cancelled, one JSON line a second: ``CostNow`` and ``time``, seconds since 1970.

    Raises:
        OSError: the file cannot be written.
    """
    loop = asyncio.get_running_loop()
    with path.open("ab", buffering=0) as file:
        while True:
            await asyncio.sleep(1.0)
            said = {"time": time.time(), **asdict(cost.snapshot(loop.time()))}
            file.write(msgspec.json.encode(said) + b"\n")


def _quantile(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0
