"""A real lane that is held: what it took is stored and acknowledged, what comes meanwhile waits; nothing is lost."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

from qraft.bus import Bus, Publisher, Recovery, ensure_streams
from qraft.config import ClickHouseAddress, NatsAddress
from qraft.config.store import StoreSettings
from qraft.engine.hold import Hold
from qraft.store import Store
from tests.e2e.harness import count, ids
from tests.engine.test_engine_lane import LANE, PARTITIONS, SOURCE, events, lane


async def test_a_held_lane_has_stored_what_it_took_and_takes_nothing_more(
    nats_url: str, clickhouse_url: str, database: str
) -> None:
    bus = await Bus.connect(NatsAddress(nats_url), name="test")
    await ensure_streams(bus, partitions=PARTITIONS, max_bytes=64 * 1024**2)
    publisher, recovery, rows = Publisher(bus), Recovery(bus), events()

    async def left() -> tuple[int, int]:
        """Messages that wait, and the number of the last one taken out."""
        state = (await bus.jetstream().stream_info("QRAFT_EVENTS")).state
        return state.messages, state.last_seq - state.messages

    async def stored() -> int:
        return await asyncio.to_thread(count, clickhouse_url, database, "raw_events")

    with ThreadPoolExecutor(1) as executor:
        async with await Store.connect(ClickHouseAddress(clickhouse_url), database=database) as store:
            await store.migrate(StoreSettings())
            worker = lane(bus, store, recovery, executor)
            hold = Hold([worker], lambda *_: None)
            task = asyncio.create_task(worker.run())
            async with asyncio.timeout(60):
                for start in range(0, 500, 50):
                    await publisher.events(SOURCE, rows[start : start + 50])
                while not await stored():
                    await asyncio.sleep(0.02)
                while not (await hold.take({"client": "test", "seconds": 60}))["held"]:
                    await asyncio.sleep(0.02)
                snapshot = await recovery.load_snapshot(LANE)
                assert snapshot is not None
                while (await left())[1] < snapshot.last:  # acknowledgements travel on their own
                    await asyncio.sleep(0.02)
                assert await stored() == 50 * snapshot.last

                for start in range(500, 1500, 50):
                    await publisher.events(SOURCE, rows[start : start + 50])
                await asyncio.sleep(1.5)  # several barriers long
                assert await recovery.load_snapshot(LANE) == snapshot
                assert await left() == (30 - snapshot.last, snapshot.last)
                assert await stored() == 50 * snapshot.last

                assert await hold.release({"client": "test"}) == {"held": True}
                while await stored() < len(rows):
                    await asyncio.sleep(0.02)
            worker.stop()
            await task
    await bus.close()
    assert ids(clickhouse_url, database, "raw_events") == sorted(event.event_id for event in rows)
