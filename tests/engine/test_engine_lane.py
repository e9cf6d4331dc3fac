"""A lane ended at every step of its barrier, over real servers: what the tables hold is what one undisturbed lane leaves."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from qraft.bus import Bus, LaneReader, Publisher, Recovery, ensure_streams, partition_of
from qraft.config import ClickHouseAddress, NatsAddress, Settings
from qraft.config.detect import DetectSettings, ForestSettings
from qraft.config.settings import EngineSettings
from qraft.config.store import StoreSettings
from qraft.engine.lane import Lane
from qraft.engine.meters import Meters
from qraft.engine.notices import Notices
from qraft.engine.taps import Taps
from qraft.ingest.base import wall_clock
from qraft.model import DeadLetter, Event, Feedback, event_id, iso_from_us
from qraft.store import Block, Store
from tests.e2e.harness import TABLES, count, ids

SOURCE = "rows"
PARTITIONS = 4
LANE = partition_of(SOURCE, PARTITIONS)
EVENTS = 1500
SETTINGS = Settings(
    engine=EngineSettings(partitions=PARTITIONS, barrier_seconds=0.2, barrier_rows=300),
    detect=DetectSettings(forest=ForestSettings(trees=3, height=5, window=100)),
)
MOMENT = "2026-11-22T10:00:00.000000Z"
VERDICT = Feedback(
    feedback_id="f-1", pattern_id="p-1", verdict="false_positive", timestamp=MOMENT, source=SOURCE, detector="forest"
)
CALLS = ["save_barrier before", "save_barrier after", "write", "save_snapshot before", "save_snapshot after"]


class Killed(BaseException):
    """Ends a lane where a kill would."""


def events() -> list[Event]:
    rng = random.Random(5)
    return [
        Event(
            event_id=event_id(SOURCE, str(n)),
            source=SOURCE,
            type="row",
            timestamp=iso_from_us(1_700_000_000_000_000 + n * 1_000_000),
            payload={"a": rng.gauss(0 if n < 900 else 15, 1), "b": rng.gauss(0, 1) if n % 400 != 399 else 90.0},
            meta={"version": "1.0", "cursor": str(n + 1)},
        )
        for n in range(EVENTS)
    ]


async def publish(bus: Bus) -> None:
    publisher, rows = Publisher(bus), events()
    for start in range(0, EVENTS, 50):
        await publisher.events(SOURCE, rows[start : start + 50])
        if start == 500:
            letter = DeadLetter(dead_id="d-1", source=SOURCE, timestamp=MOMENT, stage="ingest", reason="r", original=b"\xff")
            await publisher.dead(SOURCE, [letter])
            await bus.send_feedback(VERDICT)
            await publisher.events(SOURCE, rows[start - 50 : start - 40])


@pytest.fixture
async def bus(nats_url: str) -> AsyncIterator[Bus]:
    connected = await Bus.connect(NatsAddress(nats_url), name="test")
    await ensure_streams(connected, partitions=PARTITIONS, max_bytes=64 * 1024**2)
    await publish(connected)
    yield connected
    await connected.close()


def lane(bus: Bus, store: Store, recovery: Recovery, executor: ThreadPoolExecutor) -> Lane:
    meters, publisher = Meters("test", monotonic=time.monotonic, now_us=wall_clock), Publisher(bus)
    return Lane(
        LANE,
        settings=SETTINGS,
        reader=LaneReader(bus, LANE),
        publisher=publisher,
        recovery=recovery,
        store=store,
        meters=meters,
        taps=Taps(SETTINGS, bus, time.monotonic),
        notices=Notices(publisher, meters),
        executor=executor,
        monotonic=time.monotonic,
    )


async def run_to_the_end(bus: Bus, clickhouse_url: str, database: str, recovery: Recovery | None = None) -> None:
    with ThreadPoolExecutor(1) as executor:
        async with await Store.connect(ClickHouseAddress(clickhouse_url), database=database) as store:
            await store.migrate(StoreSettings())
            worker = lane(bus, store, recovery or Recovery(bus), executor)
            task = asyncio.create_task(worker.run())
            async with asyncio.timeout(60):
                while await asyncio.to_thread(count, clickhouse_url, database, "raw_events") < EVENTS:
                    assert not task.done() or task.result() is None
                    await asyncio.sleep(0.05)
            worker.stop()
            await task


class _DyingStore(Store):
    """A real store after whose n-th write the lane is killed."""

    left = 2

    async def write(self, block: Block) -> None:
        await super().write(block)
        self.left -= 1
        if self.left == 0:
            raise Killed


class _DyingRecovery(Recovery):
    """Real recovery whose named call kills the lane, before or after it took effect."""

    def __init__(self, bus: Bus, call: str, *, after: bool, nth: int) -> None:
        super().__init__(bus)
        self._call, self._after, self._left = call, after, nth

    async def _maybe(self, call: str, done: Any) -> None:
        dies = call == self._call
        self._left -= dies
        if dies and self._left == 0 and not self._after:
            done.close()
            raise Killed
        await done
        if dies and self._left == 0:
            raise Killed

    async def save_barrier(self, *args: Any) -> None:
        await self._maybe("save_barrier", super().save_barrier(*args))

    async def save_snapshot(self, *args: Any) -> None:
        await self._maybe("save_snapshot", super().save_snapshot(*args))

    async def save_cursor(self, *args: Any) -> None:
        await self._maybe("save_cursor", super().save_cursor(*args))


async def run_until_killed(bus: Bus, clickhouse_url: str, database: str, where: str, nth: int) -> None:
    kind = _DyingStore if where == "write" else Store
    call, _, when = where.partition(" ")
    recovery = _DyingRecovery(bus, call, after=when == "after", nth=nth)
    with ThreadPoolExecutor(1) as executor:
        async with await kind.connect(ClickHouseAddress(clickhouse_url), database=database) as store:
            await store.migrate(StoreSettings())
            if isinstance(store, _DyingStore):
                store.left = nth
            with pytest.raises(BaseExceptionGroup) as caught:
                async with asyncio.timeout(60):
                    await lane(bus, store, recovery, executor).run()
            assert caught.value.subgroup(Killed) is not None


@pytest.mark.parametrize("nth", [1, 3])
@pytest.mark.parametrize(
    "where",
    [
        "save_barrier before",
        "save_barrier after",
        "write",
        "save_snapshot before",
        "save_snapshot after",
        "save_cursor after",
    ],
)
async def test_killed_at_any_step_the_tables_end_up_the_same(
    bus: Bus, clickhouse_url: str, database: str, where: str, nth: int
) -> None:
    await run_until_killed(bus, clickhouse_url, database, where, nth)
    await run_to_the_end(bus, clickhouse_url, database)
    stored = {table: ids(clickhouse_url, database, table) for table in TABLES}
    assert stored["raw_events"] == sorted(event.event_id for event in events())
    assert stored["clean_events"] == stored["raw_events"]
    assert len(stored["dead_letters"]) == len(stored["pattern_feedback"]) == 1
    assert stored["pattern_events"]
    assert len(set(stored["pattern_events"])) == len(stored["pattern_events"])
    expected = await undisturbed_patterns()
    assert stored["pattern_events"] == expected


async def undisturbed_patterns() -> list[str]:
    """Pattern ids of the same stream through a pipeline alone."""
    from qraft.pipeline import Pipeline

    pipeline, found = Pipeline(SETTINGS), []
    rows: list[Event | Feedback] = list(events())
    for item in [*rows[:550], VERDICT, *rows[550:]]:
        found += pipeline.step([item]).patterns
    return sorted(pattern.pattern_id for pattern in found)
