"""Runs the adapters of the configured sources: starts them where they left off, reconnects them, pauses and resumes them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable, Sequence

from qraft.bus import BusRejected, BusUnavailable, Publisher, Recovery, oversized_letter
from qraft.config import Settings
from qraft.engine.meters import Meters, SourceMeter
from qraft.ingest import make_adapter
from qraft.ingest.base import Clock, NotConnected, SourceError, backoff
from qraft.model import DeadLetter, Event

log = logging.getLogger(__name__)

FAILED_RETRY_SECONDS = 30.0
"""A fault only the user can mend is looked at again this often: he may have mended it."""


class _BusSink:
    """Where an adapter's events go: the bus, counted."""

    def __init__(self, source: str, publisher: Publisher, meters: Meters) -> None:
        self._source, self._publisher, self._meters = source, publisher, meters
        self._meter = meters.source(source)

    async def send(self, events: Sequence[Event]) -> None:
        """Returns once all are stored; one that the bus refuses for good becomes a dead letter."""
        ingest = self._meters.ingest
        ingest.received += len(events)
        ingest.depth += len(events)
        self._running()
        self._meters.sending[self._source] = self._meters.monotonic()
        try:
            with self._meters.timed(ingest):
                try:
                    await self._publisher.events(self._source, events, self._waiting)
                except BusRejected:
                    await self._one_by_one(events)
        finally:
            ingest.depth -= len(events)
            self._meters.sending.pop(self._source, None)
        ingest.sent += len(events)
        self._meter.read += len(events)

    async def dead(self, letters: Sequence[DeadLetter]) -> None:
        """Returns once all are stored."""
        self._meters.ingest.received += len(letters)
        self._meters.ingest.dropped["dead"] += len(letters)
        await self._publisher.dead(self._source, letters, self._waiting)

    async def _one_by_one(self, events: Sequence[Event]) -> None:
        for event in events:
            try:
                await self._publisher.events(self._source, [event], self._waiting)
            except BusRejected as error:
                await self._publisher.dead(self._source, [oversized_letter(event, error)], self._waiting)

    def _running(self) -> None:
        if self._meter.state != "running":
            self._meter.state, self._meter.detail = "running", ""

    def _waiting(self, reason: str) -> None:
        self._meter.detail = reason
        self._meters.wait(f"source {self._source}", reason)


class Intake:
    """The adapters of all configured sources."""

    def __init__(
        self, settings: Settings, *, publisher: Publisher, recovery: Recovery, meters: Meters, clock: Clock
    ) -> None:
        self._settings = settings
        self._publisher, self._recovery, self._meters, self._clock = publisher, recovery, meters, clock
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def start(self) -> None:
        """Starts every enabled source."""
        for name, source in self._settings.sources.items():
            meter = self._meters.source(name)
            meter.adapter = source.adapter
            if source.enabled:
                self.resume(name)
            else:
                meter.state = "paused"

    def resume(self, name: str) -> None:
        """Starts a source that does not run; it goes on where it left off.

        Raises:
            ValueError: no such source is configured.
        """
        self._known(name)
        task = self._tasks.get(name)
        if task is None or task.done():
            self._meters.source(name).state = "starting"
            self._tasks[name] = asyncio.create_task(self._run(name), name=f"source {name}")

    async def pause(self, name: str) -> None:
        """Stops a source until it is resumed.

        Raises:
            ValueError: no such source is configured.
        """
        self._known(name)
        await self._cancel(name)
        self._meters.source(name).state = "paused"

    async def stop(self) -> None:
        """Stops every source."""
        await asyncio.gather(*(self._cancel(name) for name in list(self._tasks)))

    async def _cancel(self, name: str) -> None:
        task = self._tasks.pop(name, None)
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        self._meters.wait(f"source {name}", "")

    def _known(self, name: str) -> None:
        if name not in self._settings.sources:
            known = ", ".join(self._settings.sources) or "none"
            raise ValueError(f'no source "{name}" is configured; configured: {known}')

    async def _run(self, name: str) -> None:
        meter, attempt, rng = self._meters.source(name), 0, random.Random()
        while True:
            before = meter.read
            delay = await self._attempt(name, meter, lambda n=attempt: backoff(n + 1, rng))  # type: ignore[misc]
            if delay is None:
                return
            attempt = 0 if meter.read > before else attempt + 1
            await asyncio.sleep(delay)

    async def _attempt(self, name: str, meter: SourceMeter, next_delay: Callable[[], float]) -> float | None:
        """Runs the adapter once; seconds until the next attempt, None when the source has ended."""
        sink = _BusSink(name, self._publisher, self._meters)
        try:
            resume = await self._recovery.load_cursor(name, self._settings.engine.partitions)
            adapter = make_adapter(name, self._settings.sources[name], sink, resume=resume, clock=self._clock)
            await adapter.run()
        except (NotConnected, BusUnavailable) as error:
            delay = next_delay()
            meter.state, meter.detail = "retrying", f"{error}; trying again in {delay:.0f} s"
            log.info("source %s: %s", name, meter.detail)
            return delay
        except SourceError as error:
            meter.state, meter.detail = "failed", str(error)
            log.warning("source %s: %s", name, error)
            return FAILED_RETRY_SECONDS
        except Exception as error:  # one source's fault must not end the engine
            log.exception("source %s", name)
            meter.state, meter.detail = "failed", f"internal fault: {error!r}"
            return FAILED_RETRY_SECONDS
        meter.state, meter.detail = "finished", ""
        log.info("source %s: finished", name)
        return None
