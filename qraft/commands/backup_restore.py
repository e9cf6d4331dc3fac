"""Puts a backup back onto an instance that is empty and does not run."""

from __future__ import annotations

import asyncio
import itertools
import os
import re
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec
import zstandard

from qraft.api.tokens import tokens_path
from qraft.bus import Bus, BusError
from qraft.bus.backup import (
    StreamCopy,
    delete_streams,
    engine_answers,
    mark_restore,
    restore_stream,
    stream_states,
    unmark_restore,
)
from qraft.bus.subjects import EVENTS_STREAM
from qraft.commands.backup_file import BackupReader, parts_of
from qraft.commands.backup_make import FILE, IN_FORCE, KEPT, TOKENS, Place, Say, connected
from qraft.commands.backup_manifest import MANIFEST, BackupError, Manifest
from qraft.config import Settings, alive, load, read_run
from qraft.store import Store, StoreError
from qraft.store.schema import migrations

RESTORED: Final = "restored"
"""Folder of the data directory that gets the configuration of a backup."""

_PARTITIONS: Final = re.compile(r"partition\((\d+),")
_SAY_SECONDS: Final = 5.0

File = tuple[str, bytes]


def settings_of(reader: BackupReader) -> Settings:
    """The configuration that was in force when the backup was made.

    Raises:
        BackupError: the backup has none.
        ConfigError: this Qraft does not understand it.
    """
    with tempfile.TemporaryDirectory() as folder:
        for name, data in reader.files():
            if name == IN_FORCE:
                path = Path(folder) / "in-force.toml"
                path.write_bytes(data)
                return load(path)
    raise BackupError(f"{reader.path} holds no configuration; name one with --config")


def check_fit(manifest: Manifest, settings: Settings) -> None:
    """Refuses a backup that this Qraft, or this configuration, cannot take.

    Raises:
        BackupError: which of them.
    """
    newest = migrations()[-1][0]
    if manifest.schema > newest:
        raise BackupError(
            f"the backup is of Qraft {manifest.qraft}, whose tables have version {manifest.schema}; "
            f"this Qraft knows {newest}: restore it with the newer one"
        )
    events = next((stream for stream in manifest.streams if stream.name == EVENTS_STREAM), None)
    found = _PARTITIONS.search(str(events.config.get("subject_transform"))) if events is not None else None
    if found is not None and int(found[1]) != settings.engine.partitions:
        raise BackupError(
            f"the backup is of an engine with {found[1]} partitions; set engine.partitions to that, "
            f"not {settings.engine.partitions}"
        )


async def restore_backup(
    reader: BackupReader, manifest: Manifest, place: Place, agree: Callable[[str], None] | None, say: Say
) -> list[str]:
    """Restores everything; what the operator should know beside, a sentence each.

    Args:
        reader: the backup, checked.
        manifest: its manifest.
        place: the instance.
        agree: asked before what is there is deleted, and raises when that is not wanted; None refuses.
        say: told what is being done.

    Raises:
        BackupError: the instance runs or is not empty, or the restore broke off.
    """
    if (run := read_run(place.data_dir)) is not None:
        pids = ", ".join(f"{part} {pid}" for part, pid in run.pids.items() if alive(pid))
        raise BackupError(f"an instance runs on {place.data_dir} (process ids: {pids}); end it first")
    async with connected(place) as (bus, store):
        if await engine_answers(bus):
            raise BackupError(f"an engine runs on {bus.url}; end it first")
        if there := await _there(bus, store):
            if agree is None:
                raise BackupError(f"the instance is not empty: {there}; --replace deletes that first")
            agree(there)
        try:
            await mark_restore(bus)
            await delete_streams(bus)
            await store.backup.drop_tables()
            told = await _restore(reader, manifest, place, (bus, store), say)
            await unmark_restore(bus)
        except (BusError, StoreError, BackupError, OSError) as error:
            raise BackupError(f"{error}. The restore broke off; do it again with --replace") from None
    return told


async def _there(bus: Bus, store: Store) -> str:
    """What stands in an instance; empty for one that nothing was ever done with."""
    found = [f"stream {name} holds {held:,} messages" for name, (held, ever) in (await stream_states(bus)).items() if ever]
    found += [f"table {name} {rows:,} rows" for name, rows in (await store.backup.row_counts()).items() if rows]
    return ", ".join(found)


async def _restore(
    reader: BackupReader, manifest: Manifest, place: Place, servers: tuple[Bus, Store], say: Say
) -> list[str]:
    bus, store = servers
    streams = {stream.name: stream for stream in manifest.streams}
    tables = {table.name: table for table in manifest.tables}
    told = _expired(manifest, place.settings)
    await store.backup.make_tables(manifest.tables, manifest.schema, manifest.database, place.settings.store)
    run = uuid.uuid4().hex  # of this restore: an earlier one's pieces are gone with its tables
    groups = itertools.groupby(reader.files(), key=lambda file: parts_of(file[0])[:2])
    while (found := await asyncio.to_thread(next, groups, None)) is not None:
        key, files = found
        match key:
            case ("nats", name) if name in streams:
                copy = _for_here(streams.pop(name), place.settings)
                say(f"stream {name}: {await restore_stream(bus, copy, _data(files)):,} messages")
            case ("clickhouse", name) if name in tables:
                said = time.monotonic()
                async for file, piece in _each(files):
                    rows = await asyncio.to_thread(_unpacked, piece)
                    await store.backup.fill(tables[name], rows, f"restore:{run}:{file}")
                    if time.monotonic() - said > _SAY_SECONDS:
                        said = time.monotonic()
                        say(f"table {name}: piece {Path(file).name.partition('.')[0].lstrip('0')}")
                say(f"table {name}: {tables[name].rows:,} rows")
            case (name,) if name == MANIFEST:
                continue
            case _:
                async for file, data in _each(files):
                    told += await asyncio.to_thread(_put, file, data, place)
    if streams:
        raise BackupError(f"{reader.path} lacks the stream {min(streams)}")
    await store.migrate(place.settings.store)
    return told


def _for_here(copy: StreamCopy, settings: Settings) -> StreamCopy:
    """A stream as this instance's servers are to hold it."""
    return msgspec.structs.replace(copy, config={**copy.config, "num_replicas": settings.nats.stream_replicas})


def _expired(manifest: Manifest, settings: Settings) -> list[str]:
    """What will not stay, because it is older than rows are kept."""
    age = datetime.now(UTC) - datetime.fromisoformat(manifest.made)
    days = settings.store.retention_days
    if age <= timedelta(days=days):
        return []
    sentence = (
        f"the backup is {age.days} days old and store.retention_days is {days}: its events go soon; "
        "set it higher before the restore to keep them"
    )
    return [sentence]


def _put(name: str, data: bytes, place: Place) -> list[str]:
    """Writes one file of the configuration or the data directory; what the operator should know of it."""
    parts = parts_of(name)
    if name in (IN_FORCE, FILE):
        path = place.data_dir / RESTORED / parts[1]
    elif parts == ("data", TOKENS):
        path = tokens_path(place.data_dir, place.settings.api.tokens_file)
    elif len(parts) > 1 and parts[0] == "data" and parts[1] in KEPT and ".." not in parts:
        path = place.data_dir.joinpath(*parts[1:])
    else:
        return [f"{name} of the backup is not known to this Qraft and was left out"]
    kept = []
    if path.is_file() and path.read_bytes() != data and parts[0] == "data":
        beside = path.with_name(f"{path.name}.before-restore")
        path.replace(beside)
        kept = [f"{path} was there; it is {beside.name} now"]
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(data)
    draft.replace(path)
    return kept


def _unpacked(data: bytes) -> bytes:
    try:
        return zstandard.ZstdDecompressor().decompress(data)
    except zstandard.ZstdError as error:
        raise BackupError(f"the backup is damaged: {error}") from None


async def _each(files: Iterator[File]) -> AsyncIterator[File]:
    while (file := await asyncio.to_thread(next, files, None)) is not None:
        yield file


async def _data(files: Iterator[File]) -> AsyncIterator[bytes]:
    async for _, data in _each(files):
        yield data
