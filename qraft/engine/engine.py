"""The engine as one object: sources, lanes, statistics and control over a bus and a store that are already there."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
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
from qraft.config import Settings
from qraft.engine.intake import Intake
from qraft.engine.lane import Lane
from qraft.engine.meters import Meters
from qraft.ingest.base import wall_clock
from qraft.store import Store, StoreError

log = logging.getLogger(__name__)

STATS_SECONDS = 1.0
PING_SECONDS = 2.0
STOP_SECONDS = 20.0
"""How long a stop waits for the last block to be stored; what is not stays in the stream."""
SETUP_RETRY_SECONDS = 1.0


class Engine:
    """ingest → bus → pipeline → store, for all partitions."""

    def __init__(self, settings: Settings, bus: Bus, store: Store) -> None:
        self._settings, self._bus, self._store = settings, bus, store
        self.meters = Meters(settings.engine.name, monotonic=time.monotonic, now_us=wall_clock)
        self._publisher, self._recovery = Publisher(bus), Recovery(bus)
        self._executor = ThreadPoolExecutor(1, "pipeline")
        self._intake = Intake(
            settings, publisher=self._publisher, recovery=self._recovery, meters=self.meters, clock=wall_clock
        )
        self._lanes = [self._lane(partition) for partition in range(settings.engine.partitions)]

    async def run(self, stop: asyncio.Event) -> None:
        """Works until ``stop`` is set, then stores what was processed and returns.

        Raises:
            BusRejected: the event stream was made for another number of partitions, or another engine works on it.
        """
        observers = [asyncio.create_task(self._say()), asyncio.create_task(self._ping())]
        stopped = asyncio.create_task(stop.wait())
        try:
            if not await self._until(stopped, self._set_up()):
                return
            service = await serve_control(self._bus, self._verbs(), version=qraft.__version__)
            lanes = [asyncio.create_task(lane.run(), name=f"lane {n}") for n, lane in enumerate(self._lanes)]
            self._intake.start()
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
        await ensure_streams(self._bus, partitions=self._settings.engine.partitions, max_bytes=self._settings.nats.max_bytes)

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
            self._intake.resume(_name(asked))
            return {"source": _name(asked), "state": "starting"}

        async def status(_: dict[str, Any]) -> Any:
            return self.meters.stats()

        async def snapshot(_: dict[str, Any]) -> Any:
            await asyncio.gather(*(lane.barrier() for lane in self._lanes))
            return {"stored": True}

        async def threshold(_: dict[str, Any]) -> Any:
            return {source: lines for lane in self._lanes for source, lines in lane.lines().items()}

        return {"pause": pause, "resume": resume, "status": status, "snapshot": snapshot, "threshold": threshold}


def _name(asked: dict[str, Any]) -> str:
    source = asked.get("source")
    if not isinstance(source, str):
        raise ValueError('expected {"source": "<name>"}')
    return source
