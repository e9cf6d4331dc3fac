"""The engine as one object: sources, lanes, statistics and control over a bus and a store that are already there."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import qraft
from qraft.bus import (
    Bus,
    BusError,
    BusRejected,
    BusUnavailable,
    LaneReader,
    Publisher,
    Recovery,
    ensure_streams,
    serve_control,
)
from qraft.config import Changes, ConfigError, Settings, changes, load
from qraft.engine.alerting import Alerting
from qraft.engine.hold import Hold
from qraft.engine.intake import Intake
from qraft.engine.ladder import Ladder
from qraft.engine.lane import Lane
from qraft.engine.lifecycle import Lifecycle
from qraft.engine.meters import Meters
from qraft.engine.notices import Notices
from qraft.engine.taps import Taps
from qraft.engine.ticker import Ticker
from qraft.engine.usage import UsageWatch
from qraft.ingest.base import wall_clock
from qraft.store import Store, StoreError

log = logging.getLogger(__name__)

STATS_SECONDS = 1.0
PING_SECONDS = 2.0
LAG_SECONDS = 0.25
"""How often the lag is looked at."""
STOP_SECONDS = 20.0
"""How long a stop waits for the last block to be stored; what is not stays in the stream."""
SETUP_RETRY_SECONDS = 1.0

_LEVEL_TEXTS = {
    "full": "full detection again",
    "light": "only the cheap detectors judge for now",
    "archive": "events are only stored for now, not judged",
}


class Engine:
    """ingest → bus → pipeline → store, for all partitions."""

    def __init__(
        self,
        settings: Settings,
        bus: Bus,
        store: Store,
        *,
        config: Path | None = None,
        applied: Callable[[Settings], None] = lambda _: None,
        data_dir: Path | None = None,
    ) -> None:
        """An engine that does not run yet.

        Args:
            settings: the configuration in force.
            bus: the connection to NATS.
            store: the connection to ClickHouse.
            config: the file the settings came from, followed for edits; None for none.
            applied: told each configuration that is put in force.
            data_dir: the data directory in force, where that is not the configuration's.
        """
        self.config, self._applied = config, applied
        self._reloading = asyncio.Lock()
        self._settings, self._bus, self._store = settings, bus, store
        self.meters = Meters(settings.engine.name, monotonic=time.monotonic, now_us=wall_clock)
        self._publisher, self._recovery = Publisher(bus), Recovery(bus)
        self._executor = ThreadPoolExecutor(1, "pipeline")
        self._ladder = Ladder(settings.pressure)
        self._notices = Notices(self._publisher, self.meters)
        self._taps = Taps(settings, bus, time.monotonic)
        self._ticker = Ticker(settings, self._publisher, self.meters)
        self._intake = Intake(
            settings,
            publisher=self._publisher,
            recovery=self._recovery,
            meters=self.meters,
            notices=self._notices,
            clock=wall_clock,
        )
        self._lanes = [self._lane(partition) for partition in range(settings.engine.partitions)]
        self._alerting = Alerting(settings, bus, store, self._notices, self.meters)
        self._lifecycle = Lifecycle(
            settings, store, self.meters, self._notices, work=(data_dir or settings.data_dir) / "archive-work"
        )
        self._hold = Hold(self._lanes, self.meters.wait)

    async def run(self, stop: asyncio.Event) -> None:
        """Works until ``stop`` is set, then stores what was processed and returns.

        Raises:
            BusRejected: the event stream was made for another number of partitions, or another engine works on it.
        """
        observers = [_observe(work) for work in (self._say(), self._ping(), self._follow_lag(), self.meters.stalls.run())]
        stopped = asyncio.create_task(stop.wait())
        try:
            if not await self._until(stopped, self._set_up()):
                return
            service = await serve_control(self._bus, self._verbs(), version=qraft.__version__)
            observers += [_observe(work) for work in (self._notices.publish(), self._taps.publish(), self._ticker.run())]
            observers.append(_observe(self._alerting.run()))
            observers.append(_observe(self._lifecycle.run()))
            observers.append(_observe(UsageWatch(self._bus, self._store, self.meters).run()))
            lanes = [asyncio.create_task(lane.run(), name=f"lane {n}") for n, lane in enumerate(self._lanes)]
            await self._when_there("NATS", self._intake.start)
            self._applied(self._settings)
            if self.config is not None:
                observers.append(_observe(self._follow_config(self.config)))
            self.meters.ready = True
            log.info("engine %s runs: %d sources", self._settings.engine.name, len(self._settings.sources))
            try:
                await asyncio.wait([stopped, *lanes], return_when=asyncio.FIRST_COMPLETED)
            finally:
                self.meters.stopping = True
                await self._end(lanes)
                with contextlib.suppress(BusError, Exception):
                    await service.stop()
        finally:
            for task in (*observers, stopped):
                task.cancel()
            await asyncio.gather(*observers, stopped, return_exceptions=True)
            self._executor.shutdown(wait=False, cancel_futures=True)

    async def _set_up(self) -> None:
        """Streams and tables; waits for the servers as long as it takes."""
        await self._when_there("NATS", self._ensure_streams)
        await self._alone()
        await self._when_there("ClickHouse", lambda: self._store.migrate(self._settings.store))

    async def _alone(self) -> None:
        """Refuses to work on a stream beside another engine: two would take each other's messages."""
        try:
            other = await self._bus.request("status", timeout=STATS_SECONDS)
        except BusError:
            return  # nobody answers, which is as it should be
        raise BusRejected(f"engine {other['engine']} works on the stream at {self._bus.url} already; end it first")

    async def _ensure_streams(self) -> None:
        nats = self._settings.nats
        await ensure_streams(
            self._bus,
            partitions=self._settings.engine.partitions,
            max_bytes=nats.max_bytes,
            replicas=nats.stream_replicas,
        )

    async def _when_there(self, part: str, act: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await act()
            except (BusUnavailable, StoreError) as error:
                log.warning("waiting for %s: %s", part, error)
                self.meters.wait(part, str(error))
                await asyncio.sleep(SETUP_RETRY_SECONDS)
            else:
                self.meters.wait(part, "")
                return

    @staticmethod
    async def _until(stopped: asyncio.Task[Any], work: Awaitable[None]) -> bool:
        """Whether ``work`` was done before ``stopped``; its fault is raised."""
        task = asyncio.ensure_future(work)
        await asyncio.wait([stopped, task], return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()
            return True
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return False

    async def _end(self, lanes: list[asyncio.Task[None]]) -> None:
        await self._intake.stop()
        self._hold.end()
        for lane in self._lanes:
            lane.stop()
        _, late = await asyncio.wait(lanes, timeout=STOP_SECONDS)
        for task in late:
            log.warning("%s did not finish in time; the stream keeps what is not stored", task.get_name())
            task.cancel()
        results = await asyncio.gather(*lanes, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception):
                raise result

    def _lane(self, partition: int) -> Lane:
        return Lane(
            partition,
            settings=self._settings,
            reader=LaneReader(self._bus, partition),
            publisher=self._publisher,
            recovery=self._recovery,
            store=self._store,
            meters=self.meters,
            taps=self._taps,
            notices=self._notices,
            executor=self._executor,
            monotonic=time.monotonic,
        )

    async def _say(self) -> None:
        """Statistics, once a second; where the bus is away they are not sent, but the metrics tell."""
        while True:
            self.meters.nats = self._bus.connected
            self.meters.wait("NATS", "" if self._bus.connected else "no connection")
            self.meters.tick()
            with contextlib.suppress(BusError):
                if self._bus.connected:
                    await self._bus.publish_stats(self.meters.stats())
            await asyncio.sleep(STATS_SECONDS)

    async def reload(self, settings: Settings) -> Changes:
        """Puts other settings in force: only what they change restarts."""
        async with self._reloading:
            changed = changes(self._settings, settings)
            self.meters.reloaded("")
            if not changed:
                return changed
            before, self._settings = self._settings, settings
            logging.getLogger().setLevel(settings.engine.log_level.upper())
            self._ladder.configure(settings.pressure)
            self._taps.configure(settings)
            self._ticker.configure(settings)
            self._alerting.configure(settings)
            for lane in self._lanes:
                lane.reconfigure(settings)
            await self._intake.reconfigure(settings, changed)
            if settings.store != before.store:
                await self._when_there("ClickHouse", lambda: self._store.migrate(settings.store))
                await self._lifecycle.configure(settings.store)
            self._applied(settings)
            self._notices.say("", "config", f"configuration in force: {changed}")
            return changed

    def _refuse(self, error: ConfigError) -> None:
        more = f" (and {len(error.problems) - 1} more)" if len(error.problems) > 1 else ""
        self.meters.reloaded(f"{error.problems[0]}{more}")
        self._notices.say("", "config", f"refused, the configuration before stays in force: {self.meters.config_error}")

    async def _follow_config(self, path: Path) -> None:
        """Takes up every edit of the configuration file that has no mistake."""
        from qraft.config.watch import watch

        async with contextlib.aclosing(watch(path)) as edits:
            async for edit in edits:
                if isinstance(edit, ConfigError):
                    self._refuse(edit)
                else:
                    await self.reload(edit)

    async def _follow_lag(self) -> None:
        """Lets detection give way while the engine falls behind, and says so."""
        while True:
            meters, before = self.meters, self._ladder.level
            lag = meters.lag
            meters.level = self._ladder.update(time.monotonic(), lag, sum(meters.pending.values()), waiting=meters.waiting)
            if meters.level != before:
                self._notices.say("", "level", f"{_LEVEL_TEXTS[meters.level]} (the engine is {lag:.1f} s behind)")
            await asyncio.sleep(LAG_SECONDS)

    async def _ping(self) -> None:
        while True:
            try:
                self.meters.clickhouse = await self._store.ping()
            except StoreError:
                self.meters.clickhouse = False
            await asyncio.sleep(PING_SECONDS)

    def _verbs(self) -> dict[str, Callable[[dict[str, Any]], Awaitable[Any]]]:
        async def pause(asked: dict[str, Any]) -> Any:
            await self._intake.pause(_name(asked))
            return {"source": _name(asked), "state": "paused"}

        async def resume(asked: dict[str, Any]) -> Any:
            await self._intake.resume(_name(asked))
            return {"source": _name(asked), "state": "starting"}

        async def reload(_: dict[str, Any]) -> Any:
            if self.config is None:
                raise ValueError("this engine runs with the built-in defaults: there is no file to read again")
            try:
                changed = await self.reload(await asyncio.to_thread(load, self.config))
            except ConfigError as error:
                self._refuse(error)
                raise ValueError(str(error)) from None
            return {"changed": str(changed)}

        async def status(_: dict[str, Any]) -> Any:
            return self.meters.stats()

        async def snapshot(_: dict[str, Any]) -> Any:
            await asyncio.gather(*(lane.barrier() for lane in self._lanes))
            return {"stored": True}

        async def threshold(_: dict[str, Any]) -> Any:
            return {source: lines for lane in self._lanes for source, lines in lane.lines().items()}

        return {
            "pause": pause,
            "resume": resume,
            "reload": reload,
            "status": status,
            "snapshot": snapshot,
            "threshold": threshold,
            "tap": self._taps.lease,
            "alerts": self._alerting.report,
            "archive": self._lifecycle.report,
            "hold": self._hold.take,
            "release": self._hold.release,
        }


def _observe(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    """A task beside the work proper: its fault is logged and ends nothing else."""

    def ended(task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("%s ended by a fault", task.get_coro(), exc_info=error)

    task = asyncio.create_task(work)
    task.add_done_callback(ended)
    return task


def _name(asked: dict[str, Any]) -> str:
    source = asked.get("source")
    if not isinstance(source, str):
        raise ValueError('expected {"source": "<name>"}')
    return source
