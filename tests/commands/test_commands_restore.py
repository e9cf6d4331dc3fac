"""Backup and restore over real servers that no engine works on: what is refused, what is deleted, what breaks off."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import msgspec
import pytest

from qraft.bus import Bus, BusRejected, Recovery, Snapshot, ensure_streams, serve_control
from qraft.commands.backup import _asker
from qraft.commands.backup_file import BackupReader, BackupWriter
from qraft.commands.backup_make import Place, make_backup
from qraft.commands.backup_manifest import BackupError, Manifest
from qraft.commands.backup_restore import restore_backup, settings_of
from qraft.commands.common import UserError
from qraft.config import ClickHouseAddress, NatsAddress, Settings
from qraft.config.store import StoreSettings
from qraft.model import Event, event_id
from qraft.store import Block, RawRow, Store

ROWS = 300


@pytest.fixture
def place(nats_url: str, clickhouse_url: str, database: str, tmp_path: Path) -> Place:
    settings = Settings.model_validate(
        {"nats": {"url": nats_url, "max_bytes": "64 MiB"}, "clickhouse": {"url": clickhouse_url, "database": database}}
    )
    return Place(settings, None, tmp_path / "data")


@pytest.fixture
async def bus(place: Place) -> AsyncIterator[Bus]:
    connected = await Bus.connect(NatsAddress(place.settings.nats.url), name="test")
    yield connected
    await connected.close()


@pytest.fixture
async def path(place: Place, bus: Bus, tmp_path: Path) -> Path:
    """A backup of an instance with some messages and rows, which is still there."""
    await ensure_streams(bus, partitions=16, max_bytes=64 * 1024**2)
    await Recovery(bus).save_snapshot(3, Snapshot(5, b"state"))
    for _ in range(7):
        await bus.jetstream().publish("qraft.events.a", os.urandom(100_000))
    at_us = 1_000_000 * int((await asyncio.to_thread(os.stat, tmp_path)).st_mtime)
    events = [
        Event(event_id=event_id("a", str(n)), source="a", type="t", timestamp="2026-11-22T10:00:00Z", payload={"x": n})
        for n in range(ROWS)
    ]
    store = await Store.connect(
        ClickHouseAddress(place.settings.clickhouse.url), database=place.settings.clickhouse.database
    )
    async with store:
        await store.migrate(StoreSettings())
        rows = [RawRow(event, 0, n, at_us) for n, event in enumerate(events)]
        await store.write(Block(token="QRAFT_EVENTS:0:1-9", ingested_at=at_us, raw=rows))
    await make(place, tmp_path / "backup")
    return tmp_path / "backup"


async def make(place: Place, path: Path, said: list[str] | None = None) -> Manifest:
    with BackupWriter(path, replace=False) as writer:
        return await make_backup(place, writer, said.append if said is not None else print)


async def restore(place: Place, path: Path, agreed: list[str] | None = None) -> list[str]:
    reader = BackupReader(path)
    return await restore_backup(reader, reader.check(), place, agreed.append if agreed is not None else None, print)


def rows(place: Place) -> int:
    sql = f"SELECT count() FROM {place.settings.clickhouse.database}.raw_events FINAL"
    return int(httpx.post(place.settings.clickhouse.url, content=sql, timeout=30).raise_for_status().text)


async def test_an_instance_that_is_not_empty_is_kept_or_deleted_on_demand(place: Place, path: Path, bus: Bus) -> None:
    with pytest.raises(
        BackupError, match=r"not empty: stream QRAFT_EVENTS holds 7 messages, .*raw_events 300 rows; --replace"
    ):
        await restore(place, path)
    await bus.jetstream().publish("qraft.events.a", b"{}")
    await restore(place, path, agreed := [])
    assert "holds 8 messages" in agreed[0]
    assert (await bus.jetstream().stream_info("QRAFT_EVENTS")).state.last_seq == 7
    assert await Recovery(bus).load_snapshot(3) == Snapshot(5, b"state")
    assert rows(place) == ROWS
    with pytest.raises(UserError, match="--replace --yes"):
        _asker(yes=False)(agreed[0])
    _asker(yes=True)(agreed[0])


async def test_a_restore_that_broke_off_is_done_again(place: Place, path: Path, bus: Bus) -> None:
    reader = BackupReader(path)
    manifest = reader.check()
    piece = path / "clickhouse" / "raw_events" / "000001.native.zst"
    whole = piece.read_bytes()
    piece.write_bytes(whole[: len(whole) // 2])  # after the check, as a disk may
    with pytest.raises(BackupError, match=r"broke off; do it again with --replace"):
        await restore_backup(reader, manifest, place, [].append, print)
    with pytest.raises(BusRejected, match="broke off"):
        await ensure_streams(bus, partitions=16, max_bytes=64 * 1024**2)
    piece.write_bytes(whole)
    await restore(place, path, [])
    await ensure_streams(bus, partitions=16, max_bytes=64 * 1024**2)
    assert rows(place) == ROWS


async def test_the_engine_s_next_block_is_stored_after_a_restore(place: Place, path: Path) -> None:
    """Tokens begin anew with the tables: neither is a new block taken for one of before, nor one of before for a new one."""
    await restore(place, path, [])
    store = await Store.connect(
        ClickHouseAddress(place.settings.clickhouse.url), database=place.settings.clickhouse.database
    )
    at_us = 1_000_000 * int((await asyncio.to_thread(os.stat, path)).st_mtime)
    async with store:
        await store.migrate(StoreSettings())
        for token, number in (("QRAFT_EVENTS:0:10-19", ROWS), ("QRAFT_EVENTS:0:10-19", ROWS), ("QRAFT_EVENTS:0:1-9", 0)):
            event = Event(
                event_id=event_id("a", str(number)), source="a", type="t", timestamp="2026-11-22T10:00:00Z", payload={}
            )
            await store.write(Block(token=token, ingested_at=at_us, raw=[RawRow(event, 0, number, at_us)]))
    assert rows(place) == ROWS + 1


@contextlib.asynccontextmanager
async def engine_on(bus: Bus) -> AsyncIterator[None]:
    """Something that answers as an engine does."""

    async def status(_: dict[str, object]) -> object:
        return {"engine": "main"}

    service = await serve_control(bus, {"status": status}, version="1.0.0")
    try:
        yield
    finally:
        await service.stop()


async def test_nothing_is_restored_beneath_an_engine(place: Place, path: Path, bus: Bus) -> None:
    async with engine_on(bus):
        with pytest.raises(BackupError, match=r"an engine runs on nats://.*; end it first"):
            await restore(place, path, [])


async def test_an_engine_that_starts_in_the_midst_spoils_the_cut(place: Place, path: Path, bus: Bus, tmp_path: Path) -> None:
    started: list[asyncio.Task[object]] = []
    held = contextlib.AsyncExitStack()

    class Starter(list[str]):
        def append(self, said: str) -> None:
            if not started:
                started.append(asyncio.create_task(held.enter_async_context(engine_on(bus))))

    try:
        with pytest.raises(BackupError, match="started in the midst"):
            await make(place, tmp_path / "other", Starter())
    finally:
        await asyncio.gather(*started)
        await held.aclose()
    assert not (tmp_path / "other").exists()


async def test_where_no_engine_ever_ran_there_is_nothing_to_back_up(place: Place, tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="nothing to back up: no engine has ever run on nats://"):
        await make(place, tmp_path / "backup")


async def test_the_backup_s_own_configuration_is_in_force_elsewhere(place: Place, path: Path) -> None:
    assert settings_of(BackupReader(path)).clickhouse == place.settings.clickhouse


async def test_what_is_older_than_rows_are_kept_is_said(place: Place, path: Path) -> None:
    reader = BackupReader(path)
    old = msgspec.structs.replace(reader.check(), made="2026-01-01T00:00:00.000000Z")
    [said] = await restore_backup(reader, old, place, [].append, print)
    assert "store.retention_days is 7: its events go soon" in said
