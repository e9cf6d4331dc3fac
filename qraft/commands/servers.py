"""What commands ask of the running servers: the store opened and closed, and what engines say."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from qraft.commands.common import Instance, UserError

if TYPE_CHECKING:
    from qraft.bus import Bus
    from qraft.model import EngineStats
    from qraft.store import Store

HEAR_SECONDS = 3.0
"""How long to wait: an engine speaks once a second, a server answers at once."""
NO_TABLES = frozenset({60, 81})
"""ClickHouse's codes for an unknown table and an unknown database."""


@contextlib.asynccontextmanager
async def open_store(found: Instance) -> AsyncIterator[Store]:
    """The instance's store for as long as the context lasts.

    Raises:
        StoreUnavailable: ClickHouse does not answer.
        StoreRejected: it refuses.
        UserError: it holds no tables of Qraft's.
    """
    from qraft.store import Store, StoreRejected

    store = await Store.connect(found.clickhouse, database=found.database)
    try:
        async with store:
            yield store
    except StoreRejected as error:
        if error.code not in NO_TABLES:
            raise
        raise UserError(
            f'the database "{found.database}" at {found.clickhouse.url} holds no tables of Qraft\'s; '
            "the engine makes them when it starts"
        ) from None


@contextlib.asynccontextmanager
async def open_bus(found: Instance) -> AsyncIterator[Bus]:
    """A connection to the instance's NATS for as long as the context lasts.

    Raises:
        BusUnavailable: NATS does not answer.
        BusRejected: it refuses the login.
    """
    from qraft.bus import Bus

    bus = await Bus.connect(found.nats, name="cli", timeout=HEAR_SECONDS)
    try:
        yield bus
    finally:
        await bus.close()


async def hear(bus: Bus, engine: str) -> list[EngineStats]:
    """What each engine said last, as soon as ``engine`` has spoken; whatever came where it stays silent."""
    heard: dict[str, EngineStats] = {}
    spoken = asyncio.Event()

    def take(stats: EngineStats) -> None:
        heard[stats.engine] = stats
        if stats.engine == engine:
            spoken.set()

    await bus.watch_stats(take)
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(spoken.wait(), HEAR_SECONDS)
    return list(heard.values())
