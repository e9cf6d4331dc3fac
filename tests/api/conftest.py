"""A real server over a real ClickHouse with stored patterns and a real NATS with the engine's streams."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from qraft.api.app import create_app
from qraft.api.links import links
from qraft.api.server import ApiServer, certificate_of, guard_of, listen
from qraft.bus import Bus, ensure_streams
from qraft.config import ClickHouseAddress, NatsAddress
from qraft.config.api import ApiSettings
from qraft.config.store import StoreSettings
from qraft.model import Feedback
from qraft.store import Block, Store
from tests.api.sample import NOW, START_US, Serve, make_events, make_pattern, raw, until, until_well

UNLIMITED = ApiSettings(rate_per_minute=0)


@pytest.fixture
async def store(clickhouse_url: str, database: str) -> AsyncIterator[Store]:
    """40 patterns, 200 events, and a verdict of ops1 on pattern 3."""
    one = make_pattern(3)
    events = make_events()
    verdict = Feedback(
        feedback_id="fb-3",
        pattern_id=one.pattern_id,
        verdict="confirmed",
        timestamp=NOW,
        source=one.source,
        detector="test",
        note="seen",
        user="ops1",
    )
    async with await Store.connect(ClickHouseAddress(clickhouse_url), database=database) as connected:
        await connected.migrate(StoreSettings(retention_days=3650, important_days=3650))
        await connected.write(
            Block(
                token="test:0:1-240:api",
                ingested_at=START_US,
                raw=[raw(event, n) for n, event in enumerate(events)],
                clean=events,
                patterns=[make_pattern(n) for n in range(40)],
                feedback=[verdict],
            )
        )
        yield connected


@pytest.fixture
async def bus(nats_url: str) -> AsyncIterator[Bus]:
    """A connection to NATS, with the engine's streams."""
    connected = await Bus.connect(NatsAddress(nats_url), name="test")
    await ensure_streams(connected, partitions=4, max_bytes=64 * 1024**2)
    yield connected
    await connected.close()


@pytest.fixture
def serve() -> Serve:
    """Serves over these addresses of NATS and ClickHouse and this database, and gives a client of it."""

    @contextlib.asynccontextmanager
    async def served(
        nats_url: str,
        clickhouse_url: str,
        database: str = "qraft",
        *,
        settings: ApiSettings = UNLIMITED,
        data_dir: Path = Path("/nowhere"),
        trusting: ssl.SSLContext | bool = True,
    ) -> AsyncIterator[httpx.AsyncClient]:
        nats, clickhouse = NatsAddress(nats_url), ClickHouseAddress(clickhouse_url)
        async with links(nats=nats, clickhouse=clickhouse, database=database) as opened:
            app = create_app(lambda: opened, now=lambda: NOW, guard=guard_of(settings, data_dir))
            server = ApiServer(app, settings, certificate_of(settings))
            with listen(settings) as listener:
                url = settings.url(listener.getsockname()[1])
                running = asyncio.create_task(server.serve([listener]))
                try:
                    async with httpx.AsyncClient(base_url=url, timeout=30, trust_env=False, verify=trusting) as client:
                        await until(lambda: server.started)
                        yield client
                finally:
                    server.should_exit = True
                    await running

    return served


@pytest.fixture
async def client(
    store: Store, bus: Bus, serve: Serve, clickhouse_url: str, database: str
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a server whose ClickHouse and NATS are there."""
    async with serve(bus.url, clickhouse_url, database) as connected:
        await until_well(connected)
        yield connected


@pytest.fixture
async def alone(serve: Serve) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a server that reaches nothing: for what is decided before anything is asked."""
    async with serve("nats://127.0.0.1:1", "http://127.0.0.1:1") as connected:
        yield connected
