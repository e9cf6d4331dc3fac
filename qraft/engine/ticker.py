"""Lets time pass for sources that bring nothing: ticks in the event stream, since the pipeline reads no clock.

A tick's time is event time: that of the source's last row, plus how long it has brought nothing, beyond what is usual. So a
feed whose event time lags lags on, one that comes in batches is not missed between two of them, and one whose event time
does not run with the clock (history that somebody publishes) gets no ticks.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import Final

from qraft.bus import BusError, Publisher
from qraft.config import Settings
from qraft.config.sources import SourceSettings
from qraft.engine.meters import Meters
from qraft.model import SELF, TICK, Event, event_id, iso_from_us

LOOK_SECONDS: Final = 0.5
"""How often sources are looked at."""
ARRIVALS: Final = 8
"""Rows must have come at so many looks before the time without any counts."""

_PAUSES: Final = 64
_LEAST_PACE, _MOST_PACE = 0.5, 2.0
_GROWTH: Final = 0.1
_LAG_SECONDS: Final = 1.0
_LATEST: Final = 1.5
_TICKED: Final = frozenset({"running", "retrying", "failed", "external"})

log = logging.getLogger(__name__)


def loses_while_away(settings: SourceSettings) -> bool:
    """Whether what a source says is lost while the engine does not listen, so that a gap may be the engine's own."""
    return settings.adapter != "file" and not getattr(settings, "stream", "")


def interruption(source: str, now_us: int) -> Event:
    """The tick that says that nobody listened to the source until now."""
    return _tick(source, now_us, now_us, {"interrupted": True})


class _Watch:
    """When one source's rows arrived of late. Seconds are of the monotonic clock, ``last_us`` is event time."""

    __slots__ = ("arrivals", "at", "last_us", "pauses", "ticked", "times")

    def __init__(self, now: float, last_us: int) -> None:
        self.at, self.last_us = now, last_us
        self.times: deque[tuple[float, int]] = deque([(now, last_us)], maxlen=_PAUSES)
        self.pauses: deque[float] = deque(maxlen=_PAUSES)
        self.arrivals = 1
        self.ticked = 0.0

    def arrived(self, now: float, last_us: int) -> None:
        """Rows have come since the last look."""
        self.pauses.append(now - self.at)
        self.times.append((now, last_us))
        self.at, self.last_us = now, last_us
        self.arrivals += 1
        self.ticked = 0.0

    def hold(self, seconds: float) -> None:
        """These seconds do not count: rows may stand before the pipeline."""
        self.at += seconds

    def beyond(self, now: float) -> float:
        """Seconds without a row beyond the longest usual pause (the longest but one); 0 while none is known."""
        if self.arrivals < ARRIVALS:
            return 0.0
        (begun, begun_us), (ended, ended_us) = self.times[0], self.times[-1]
        pace = (ended_us - begun_us) / 1e6 / (ended - begun)
        if not _LEAST_PACE <= pace <= _MOST_PACE:
            return 0.0
        return now - self.at - sorted(self.pauses)[-2]


class Ticker:
    """Watches the rows that pipelines take, and publishes ticks for the live sources that bring none."""

    def __init__(self, settings: Settings, publisher: Publisher, meters: Meters) -> None:
        self._settings, self._publisher, self._meters = settings, publisher, meters
        self._watches: dict[str, _Watch] = {}
        self._looked = meters.monotonic()

    def configure(self, settings: Settings) -> None:
        """Takes new settings."""
        self._settings = settings

    async def run(self) -> None:
        """Ticks until it is cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            for source, time_us in self.look():
                try:
                    await self._publisher.events(source, [_tick(source, self._meters.now_us(), time_us, {})])
                except BusError as error:
                    log.debug("a tick of %s could not be published: %s", source, error)

    def look(self) -> list[tuple[str, int]]:
        """The sources that are due a tick now, each with its event time."""
        meters, now = self._meters, self._meters.monotonic()
        passed, self._looked = now - self._looked, now
        stood = max(0.0, passed - _LATEST * LOOK_SECONDS)  # the engine stood still: rows may wait where nobody read
        held = meters.waiting or meters.lag > _LAG_SECONDS or meters.level == "archive"
        due = []
        for name, meter in meters.sources.items():
            if name == SELF or not meter.last_us:
                continue
            watch = self._watches.get(name)
            if watch is None:
                self._watches[name] = _Watch(now, meter.last_us)
                continue
            watch.hold(stood)
            if meter.last_us != watch.last_us:
                watch.arrived(now, meter.last_us)
            elif held or not self._is_heard(name):
                watch.hold(passed - stood)
            elif self._is_due(name, watch, beyond := watch.beyond(now)):
                watch.ticked = beyond
                due.append((name, watch.last_us + round(1e6 * beyond)))
        self._watches = {name: watch for name, watch in self._watches.items() if name in meters.sources}
        return due

    def _is_due(self, name: str, watch: _Watch, beyond: float) -> bool:
        step = self._settings.detect_for(name).silence.tick_seconds
        return beyond >= watch.ticked + max(step, _GROWTH * watch.ticked)

    def _is_heard(self, name: str) -> bool:
        """Whether the source is live, and nothing of it is on its way to the pipeline."""
        meters = self._meters
        meter, reader = meters.sources[name], self._reader(name)
        settings = self._settings.source(reader)
        if getattr(settings, "mode", "") == "replay" or not self._settings.detect_for(name).silence.enabled:
            return False
        state = meters.sources[reader].state if reader in meters.sources else "external"
        return state in _TICKED and meter.read <= meter.processed and reader not in meters.sending

    def _reader(self, name: str) -> str:
        """The configured source whose adapter brings the rows of this one."""
        sources = self._settings.sources
        if name in sources:
            return name
        return next((parent for parent, source in sources.items() if name in source.feeds(parent)), name)


def _tick(source: str, now_us: int, time_us: int, payload: dict[str, object]) -> Event:
    return Event(
        event_id=event_id(source, f"tick:{now_us}"),
        source=source,
        type=TICK,
        timestamp=iso_from_us(time_us),
        payload=dict(payload),
    )
