"""Looks now and then how full the streams and the database are, for the metrics."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from qraft.bus import Bus, BusError
from qraft.bus.usage import stream_usage
from qraft.engine.meters import Meters
from qraft.store import Store, StoreError

STREAM_SECONDS: Final = 5.0
"""How often the streams are looked at."""
DISK_EVERY: Final = 6
"""So many looks at the streams, one at the database; while it is empty it is looked at each time."""

log = logging.getLogger(__name__)


class UsageWatch:
    """Keeps what the metrics say of streams, disks and tables up to date. While a server is away its figures stay."""

    def __init__(self, bus: Bus, store: Store, meters: Meters) -> None:
        self._bus, self._store, self._tally = bus, store, meters.tally
        self._filled = False

    async def run(self) -> None:
        """Looks until it is cancelled."""
        looks = 0
        while True:
            await self.look(database=looks % DISK_EVERY == 0 or not self._filled)
            looks += 1
            await asyncio.sleep(STREAM_SECONDS)

    async def look(self, *, database: bool) -> None:
        """Looks once at the connection and the streams, and at the database where asked for."""
        self._tally.set("qraft_nats_reconnects_total", value=self._bus.reconnects)
        try:
            await self._look_at_streams()
            if database:
                await self._look_at_database()
        except (BusError, StoreError) as error:
            log.debug("usage: %s", error)

    async def _look_at_streams(self) -> None:
        for stream, messages, size, limit in await stream_usage(self._bus):
            self._tally.set("qraft_nats_stream_messages", stream, value=messages)
            self._tally.set("qraft_nats_stream_bytes", stream, value=size)
            self._tally.set("qraft_nats_stream_limit_bytes", stream, value=limit)

    async def _look_at_database(self) -> None:
        for name, free, size in await self._store.usage.disks():
            self._tally.set("qraft_clickhouse_disk_free_bytes", name, value=free)
            self._tally.set("qraft_clickhouse_disk_size_bytes", name, value=size)
        for table, size in (await self._store.usage.tables()).items():
            self._tally.set("qraft_clickhouse_table_bytes", table, value=size)
            self._filled = True
