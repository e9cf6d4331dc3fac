"""When the engine archives: not before all of a day is stored, not without a place, again after a failure."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from qraft.bus import Bus, Publisher, ensure_streams
from qraft.config import ClickHouseAddress, NatsAddress, Settings
from qraft.config.store import ArchiveSettings, StoreSettings
from qraft.engine import lifecycle
from qraft.engine.lifecycle import Lifecycle
from qraft.engine.meters import Meters
from qraft.engine.notices import Notices
from qraft.model import Event, event_id, iso_from_us
from qraft.store import Block, RawRow, Store
from qraft.store.archive_manifest import day_of, end_us

DAY_US = 86_400_000_000
NOW_US = time.time_ns() // 1000


def stored(url: Path | str) -> StoreSettings:
    return StoreSettings(archive=ArchiveSettings(url=str(url)))


class Bench:
    """A lifecycle over a real store whose engine says what the test says."""

    def __init__(self, bus: Bus, store: Store, folder: Path, url: Path | str) -> None:
        self.now_us = NOW_US
        self.meters = Meters("test", monotonic=time.monotonic, now_us=lambda: self.now_us)
        self.meters.ready = True
        self.meters.behind_us[0] = 0
        settings = Settings(store=stored(url)).model_copy(deep=True)
        settings = settings.model_copy(update={"engine": settings.engine.model_copy(update={"partitions": 1})})
        self.lifecycle = Lifecycle(settings, store, self.meters, Notices(Publisher(bus), self.meters), work=folder / "work")
        self.store, self.cold = store, folder / "cold"

    async def fill(self, ago: int, rows: int = 5) -> None:
        at = NOW_US - ago * DAY_US
        events = [
            Event(event_id=event_id("s", f"{ago}:{n}"), source="s", type="row", timestamp=iso_from_us(at), payload={})
            for n in range(rows)
        ]
        await self.store.write(
            Block(token=f"{ago}", ingested_at=at, raw=[RawRow(one, 0, n, at) for n, one in enumerate(events)])
        )

    async def rounds(self, more: int = 1) -> dict[str, Any]:
        """Waits for so many looks that begin from now on; what is reported then."""
        before = await self.lifecycle.report({"run": True})
        until = before["round"] + more + before["working"]
        while (state := await self.lifecycle.report({}))["round"] < until:
            await asyncio.sleep(0.05)
        return state

    def archived(self) -> list[str]:
        return sorted(path.name for path in self.cold.iterdir()) if self.cold.is_dir() else []


@pytest.fixture
async def made(
    nats_url: str, clickhouse_url: str, database: str, tmp_path: Path
) -> AsyncIterator[Callable[[Path | str], Bench]]:
    """Makes a bench whose archive is at a place; its lifecycle runs until the test ends."""
    bus = await Bus.connect(NatsAddress(nats_url), name="test")
    await ensure_streams(bus, partitions=1, max_bytes=16 * 1024**2)
    tasks: list[asyncio.Task[None]] = []
    async with await Store.connect(ClickHouseAddress(clickhouse_url), database=database) as store:
        await store.migrate(stored("somewhere"))

        def make(url: Path | str) -> Bench:
            bench = Bench(bus, store, tmp_path, url)
            tasks.append(asyncio.create_task(bench.lifecycle.run()))
            return bench

        yield make
        for task in tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
    await bus.close()


Make = Callable[[Path | str], Bench]


async def test_a_day_waits_until_all_that_arrived_in_it_is_stored(
    made: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lifecycle, "UNSETTLED_SECONDS", 0.05)
    bench = made(tmp_path / "cold")
    bench.meters.behind_us.clear()  # nothing was read yet
    await bench.fill(2)
    await asyncio.sleep(0.2)
    assert (await bench.lifecycle.report({"run": True}))["round"] == 0
    bench.meters.behind_us[0] = end_us(day_of(NOW_US - 2 * DAY_US)) - 1
    await bench.rounds()
    assert bench.archived() == []
    bench.meters.behind_us[0] = 0
    bench.meters.unstored_us[0] = end_us(day_of(NOW_US - 2 * DAY_US)) - 1
    await bench.rounds()
    assert bench.archived() == []
    bench.meters.unstored_us[0] = NOW_US
    state = await bench.rounds()
    assert bench.archived() == [str(day_of(NOW_US - 2 * DAY_US))]
    assert (state["rows"], state["days"], state["pending_days"], state["error"]) == (5, 1, 0, "")
    assert bench.meters.tally.values("qraft_archive_last_success_timestamp_seconds") == {(): NOW_US / 1e6}
    assert bench.meters.tally.values("qraft_archive_rows_total") == {(): 5.0}


async def test_a_failure_is_told_once_counted_each_time_and_mended_by_itself(
    made: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lifecycle, "RETRY_FIRST", 0.1)
    (tmp_path / "cold").write_text("in the way")
    bench = made(tmp_path / "cold")
    await bench.fill(2)
    state = await bench.rounds(3)
    assert state["error"].startswith(f"{tmp_path}/cold")
    assert state["pending_days"] == 1
    assert bench.meters.tally.values("qraft_archive_failures_total")[()] >= 3
    told = [notice.text for notice in bench.meters.notices if notice.kind == "archive"]
    assert told == [f"{state['error']}; nothing is deleted until the archive can be written"]
    (tmp_path / "cold").unlink()
    while (await bench.lifecycle.report({}))["error"]:
        await asyncio.sleep(0.05)
    assert [notice.text for notice in bench.meters.notices][-1] == "the archive can be written again"
    assert bench.archived() == [str(day_of(NOW_US - 2 * DAY_US))]


async def test_other_settings_hold_from_then_on(made: Make, tmp_path: Path) -> None:
    bench = made("")
    await bench.fill(2)
    with pytest.raises(ValueError, match=r"no archive is configured; set store\.archive\.url"):
        await bench.lifecycle.report({})
    await bench.lifecycle.configure(stored(bench.cold))
    while not bench.archived() or (await bench.lifecycle.report({}))["working"]:
        await asyncio.sleep(0.05)
    bench.now_us += 8 * DAY_US
    await bench.rounds()
    assert await asyncio.to_thread(bench.store.link().query, f"SELECT count() FROM {bench.store.database}.raw_events") == [
        (0,)
    ]
    await bench.fill(0)
    await bench.lifecycle.configure(stored(""))
    bench.now_us += 8 * DAY_US
    await asyncio.sleep(0.2)
    assert len(bench.archived()) == 1
