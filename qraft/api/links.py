"""The ways to ClickHouse and NATS, opened when they are needed and there, so that the server stays up without them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Protocol

from qraft.bus import Bus, BusError, BusUnavailable
from qraft.config import ClickHouseAddress, NatsAddress
from qraft.model import EngineStats
from qraft.store import Store, StoreError, StoreRejected, StoreUnavailable

log = logging.getLogger(__name__)

CONNECT_SECONDS = 2.0
RETRY_SECONDS = 1.0
REFUSED_SECONDS = 5.0
STALE_SECONDS = 5.0
"""An engine speaks once a second; one that was silent for so long is gone."""


class Backend(Protocol):
    """What the REST interface stands on."""

    async def store(self) -> Store:
        """The database; StoreUnavailable while ClickHouse is away."""
        ...

    async def bus(self) -> Bus:
        """The connection to NATS; BusUnavailable while it is away."""
        ...

    def engines(self) -> list[EngineStats]:
        """What each engine that runs now said last."""
        ...

    async def clickhouse_answers(self) -> bool:
        """Whether ClickHouse answers now."""
        ...


@dataclass(slots=True)
class Links:
    """Both connections of one server. Use :func:`links`."""

    nats: NatsAddress
    clickhouse: ClickHouseAddress
    database: str
    _bus: Bus | None = None
    _why: str = ""
    _store: Store | None = None
    _opening: asyncio.Lock = field(default_factory=asyncio.Lock)
    _heard: dict[str, tuple[float, EngineStats]] = field(default_factory=dict)

    async def store(self) -> Store:
        """The database.

        Raises:
            StoreUnavailable: ClickHouse does not answer, or refuses this server's login.
        """
        async with self._opening:
            if self._store is None:
                try:
                    self._store = await Store.connect(self.clickhouse, database=self.database)
                except StoreRejected as error:  # this server's login, not the request
                    raise StoreUnavailable(str(error)) from None
            return self._store

    async def bus(self) -> Bus:
        """The connection to NATS.

        Raises:
            BusUnavailable: there is none now.
        """
        if self._bus is None or not self._bus.connected:
            raise BusUnavailable(f"NATS at {self.nats.url} does not answer{self._why}")
        return self._bus

    def engines(self) -> list[EngineStats]:
        """What each engine that runs now said last."""
        now = time.monotonic()
        return [stats for heard, stats in self._heard.values() if now - heard < STALE_SECONDS]

    async def clickhouse_answers(self) -> bool:
        """Whether ClickHouse answers now."""
        try:
            return await (await self.store()).ping()
        except StoreError:
            return False

    async def listen(self) -> None:
        """Connects to NATS, however long that takes, and follows the engines' statistics."""
        while self._bus is None:
            try:
                bus = await Bus.connect(self.nats, name="api", timeout=CONNECT_SECONDS)
            except BusError as error:
                await self._wait(error)
                continue
            try:
                await bus.watch_stats(self._hear)
            except BusError as error:
                await bus.close()
                await self._wait(error)
                continue
            self._bus = bus

    async def _wait(self, error: BusError) -> None:
        """Before the next attempt; what is refused is not mended in a moment."""
        log.warning("waiting for NATS: %s", error)
        self._why = "" if isinstance(error, BusUnavailable) else f": {error}"
        await asyncio.sleep(RETRY_SECONDS if isinstance(error, BusUnavailable) else REFUSED_SECONDS)

    async def close(self) -> None:
        """Closes what was opened."""
        if self._bus is not None:
            await self._bus.close()
        if self._store is not None:
            await self._store.close()

    def _hear(self, stats: EngineStats) -> None:
        self._heard[stats.engine] = (time.monotonic(), stats)


@contextlib.asynccontextmanager
async def links(*, nats: NatsAddress, clickhouse: ClickHouseAddress, database: str) -> AsyncIterator[Links]:
    """Both connections for as long as the context lasts; neither server need be there yet."""
    opened = Links(nats, clickhouse, database)
    listener = asyncio.create_task(opened.listen())
    try:
        yield opened
    finally:
        listener.cancel()
        await asyncio.gather(listener, return_exceptions=True)
        await opened.close()
