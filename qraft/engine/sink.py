"""Where an adapter's events go: the bus, counted, and held back while the engine is behind."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Final, TypeVar

from qraft.bus import BusRejected, Publisher, oversized_letter
from qraft.config import Settings
from qraft.config.sources import WhenFull
from qraft.engine.meters import Meters
from qraft.engine.notices import Notices
from qraft.engine.ticker import interruption
from qraft.model import DeadLetter, Event, us_from_iso

PATIENCE_SECONDS: Final = 5.0
"""A source that can wait waits so long a batch, then goes on: others' events must not starve it."""
LOOK_SECONDS: Final = 0.02
LEAST_AHEAD: Final = 2_000
"""So many events may always be on their way: enough to keep the pipeline busy until its rate is known."""


QUIET_SECONDS: Final = 30.0
"""Drops further apart than this are two incidents, and the operator is told of each."""

Item = TypeVar("Item", Event, DeadLetter)


class BusSink:
    """One adapter's way to the bus. `send` and `dead` count an item once the bus has it.

    Attributes:
        sent: events the bus has taken, of whatever source.
    """

    def __init__(self, source: str, settings: Settings, publisher: Publisher, meters: Meters, notices: Notices) -> None:
        own = settings.source(source)
        self.when_full: WhenFull = own.when_full
        self._can_wait = own.can_wait
        self._pressure = settings.pressure
        self._source, self._publisher, self._meters, self._notices = source, publisher, meters, notices
        self._meter = meters.source(source)
        self.sent = 0
        self._last_us: dict[str, int] = {}
        self._stream_full = False
        self._dropped_at = -QUIET_SECONDS

    @property
    def pressed(self) -> bool:
        """Whether the stream is full or the engine further behind than drop_seconds."""
        return self._stream_full or self._meters.lag > self._pressure.drop_seconds

    def ready(self) -> None:
        """Notes that the source is there, though nothing may have come yet."""
        self._running()

    async def send(self, events: Sequence[Event]) -> None:
        """Returns once all are stored; one that the bus refuses for good becomes a dead letter."""
        ingest = self._meters.ingest
        ingest.received += len(events)
        ingest.depth += len(events)
        self._running()
        self._meters.sending[self._source] = self._meters.monotonic()
        try:
            if self._can_wait:
                await self._until_relieved()
            with self._meters.timed(ingest):
                for source, run in _runs(events):
                    await self._publish(source, run)
        finally:
            ingest.depth -= len(events)
            self._meters.sending.pop(self._source, None)
        ingest.sent += len(events)
        self.sent += len(events)

    async def dead(self, letters: Sequence[DeadLetter]) -> None:
        """Returns once all are stored."""
        self._meters.ingest.received += len(letters)
        self._meters.ingest.dropped["dead"] += len(letters)
        for source, run in _runs(letters):
            await self._publisher.dead(source, run, self._waiting)

    def dropped(self, reason: str, count: int = 1) -> None:
        """Counts events that were given up; the operator is told once an incident."""
        self._meters.dropped(self._source, reason, count)
        now = self._meters.monotonic()
        if now - self._dropped_at > QUIET_SECONDS:
            why = "the event stream is full" if self._stream_full else f"the engine is {self._meters.lag:.0f} s behind"
            self.notice("dropping", f"events are given up (when_full = {self.when_full}): {why}")
        self._dropped_at = now

    def missing(self, count: int) -> None:
        """Counts events that never came."""
        self._meter.missing += count

    def notice(self, kind: str, text: str) -> None:
        """Tells the operator."""
        self._notices.say(self._source, kind, text)

    async def _publish(self, source: str, events: Sequence[Event]) -> None:
        told = self._with_stalls(source, events)
        try:
            await self._publisher.events(source, told, self._waiting)
        except BusRejected:
            for event in told:
                try:
                    await self._publisher.events(source, [event], self._waiting)
                except BusRejected as error:
                    await self._publisher.dead(source, [oversized_letter(event, error)], self._waiting)
        self._meters.source(source).read += len(events)

    def _with_stalls(self, source: str, events: Sequence[Event]) -> Sequence[Event]:
        """The events, with a tick before each that is late only because the engine stood still."""
        try:
            last, end = self._last_us.get(source), us_from_iso(events[-1].timestamp)
            self._last_us[source] = end
            if last is None or not self._meters.stalls.between(last, end):
                return events
            told = []
            for event in events:
                time_us = us_from_iso(event.timestamp)
                if self._meters.stalls.explain(last, time_us):
                    told.append(interruption(source, time_us))
                told.append(event)
                last = time_us
            return told
        except ValueError:  # a time that is none makes a dead letter later on
            return events

    async def _until_relieved(self) -> None:
        """Waits while the engine is behind, or would be once it comes to these events."""
        meters, seconds = self._meters, self._pressure.wait_seconds
        until = meters.monotonic() + PATIENCE_SECONDS
        while meters.monotonic() < until:
            ahead = meters.outstanding > max(LEAST_AHEAD, meters.rate * seconds)
            if not ahead and meters.lag <= seconds:
                break
            self._meter.detail = f"waiting: the engine is {meters.lag:.0f} s behind" if meters.lag > seconds else ""
            await asyncio.sleep(LOOK_SECONDS)
        self._meter.detail = ""

    def _running(self) -> None:
        if self._meter.state != "running":
            self._meter.state, self._meter.detail = "running", ""

    def _waiting(self, reason: str) -> None:
        self._stream_full = bool(reason)
        self._meter.detail = reason
        self._meters.wait(f"source {self._source}", reason)


def _runs(items: Iterable[Item]) -> Iterable[tuple[str, list[Item]]]:
    """Neighbours of one source, in order."""
    return ((source, list(run)) for source, run in groupby(items, key=lambda item: item.source))
