"""Runs the adapters of the configured sources: starts them where they left off, reconnects them, pauses and resumes them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable

from qraft.bus import BusError, BusUnavailable, Publisher, Recovery
from qraft.config import Changes, Settings
from qraft.engine.meters import Meters, SourceMeter
from qraft.engine.notices import Notices
from qraft.engine.sink import BusSink
from qraft.engine.ticker import interruption, loses_while_away
from qraft.ingest import is_read, make_adapter
from qraft.ingest.base import Clock, NotConnected, SourceError, backoff

log = logging.getLogger(__name__)

FAILED_RETRY_SECONDS = 30.0
"""A fault only the user can mend is looked at again this often: he may have mended it."""


class Intake:
    """The adapters of all configured sources."""

    def __init__(
        self,
        settings: Settings,
        *,
        publisher: Publisher,
        recovery: Recovery,
        meters: Meters,
        notices: Notices,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._publisher, self._recovery, self._meters, self._clock = publisher, recovery, meters, clock
        self._notices = notices
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._paused: set[str] = set()

    async def start(self) -> None:
        """Starts every source that is enabled and not paused.

        Raises:
            BusError: NATS cannot say which are paused.
        """
        self._paused = await self._recovery.load_paused()
        for name in self._settings.sources:
            self._start(name)

    async def reconfigure(self, settings: Settings, changed: Changes) -> None:
        """Starts, ends and restarts the sources that an edit of the configuration touches, and no other."""
        gone = (*changed.removed, *changed.restarted)
        await asyncio.gather(*(self._cancel(name) for name in gone))
        self._settings = settings
        for name in changed.removed:
            self._meters.forget(name)
        for name in (*changed.added, *changed.restarted):
            self._start(name)

    async def resume(self, name: str) -> None:
        """Starts a source that is paused; it goes on where it left off.

        Raises:
            ValueError: no such source is configured, or there is nothing to start.
            BusError: NATS cannot note it.
        """
        self._known(name)
        if not self._settings.sources[name].enabled:
            raise ValueError(f'source "{name}" is not enabled; set sources.{name}.enabled = true')
        self._paused.discard(name)
        await self._recovery.save_paused(self._paused)
        self._start(name)

    async def pause(self, name: str) -> None:
        """Stops a source until it is resumed, over restarts of the engine too.

        Raises:
            ValueError: no such source is configured.
            BusError: NATS cannot note it.
        """
        self._known(name)
        self._paused.add(name)
        await self._recovery.save_paused(self._paused)
        await self._cancel(name)
        self._meters.source(name).state = "paused"

    def _start(self, name: str) -> None:
        source, meter = self._settings.sources[name], self._meters.source(name)
        meter.adapter, meter.detail = source.adapter, ""
        task = self._tasks.get(name)
        if not source.enabled or name in self._paused:
            meter.state = "paused"
        elif not is_read(source):
            meter.state = "external"
        elif task is None or task.done():
            meter.state = "starting"
            self._tasks[name] = asyncio.create_task(self._run(name), name=f"source {name}")

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
        sink = BusSink(name, self._settings, self._publisher, self._meters, self._notices)
        source = self._settings.sources[name]
        if loses_while_away(source):
            with contextlib.suppress(BusError):
                for one in (name, *source.feeds(name)):
                    await self._publisher.events(one, [interruption(one, self._clock())])
        while True:
            before = sink.sent
            delay = await self._attempt(name, meter, sink, lambda n=attempt: backoff(n + 1, rng))  # type: ignore[misc]
            if delay is None:
                return
            attempt = 0 if sink.sent > before else attempt + 1
            await asyncio.sleep(delay)

    async def _attempt(self, name: str, meter: SourceMeter, sink: BusSink, next_delay: Callable[[], float]) -> float | None:
        """Runs the adapter once; seconds until the next attempt, None when the source has ended."""
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
