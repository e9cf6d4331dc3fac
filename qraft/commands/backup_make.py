"""Makes a backup of an instance, running or not: one cut through all it keeps, then the tables at leisure."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Final

import zstandard

import qraft
from qraft.api.tokens import tokens_path
from qraft.bus import Bus, BusError
from qraft.bus.backup import (
    BUCKETS,
    STREAMS,
    StreamCopy,
    copy_stream,
    engine_answers,
    last_sequence,
    server_version,
    stream_states,
)
from qraft.bus.holding import Holding
from qraft.commands.backup_file import BackupWriter
from qraft.commands.backup_manifest import FORMAT, BackupError, Manifest
from qraft.config import Settings, last_good_path, read_run
from qraft.config.dump import write_settings
from qraft.engine.servers import start_servers
from qraft.model import iso_from_us, us_from_datetime
from qraft.store import Store
from qraft.store.backup import Frozen

KEPT: Final = ("filters.toml", "unsent", "experiments")
"""What of the data directory is backed up beside the tokens: filters and unsent verdicts of the terminal, experiments."""
TOKENS: Final = "tokens.toml"
IN_FORCE: Final = "config/in-force.toml"
"""The configuration in force, with absolute paths."""
FILE: Final = "config/config.toml"
"""The configuration file as it stands, with its comments."""

_PIECE_BYTES: Final = 8 * 1024**2
_SAY_SECONDS: Final = 5.0
_TRIES: Final = 20

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Place:
    """An instance: its settings, the file they came from, its data directory."""

    settings: Settings
    config: Path | None
    data_dir: Path


@dataclass(frozen=True, slots=True)
class _Cut:
    """What was taken in one moment."""

    streams: list[StreamCopy]
    frozen: Frozen
    engine: str
    held_seconds: float | None
    made_us: int


async def make_backup(place: Place, writer: BackupWriter, say: Say) -> Manifest:
    """Writes everything of an instance into ``writer`` and finishes it.

    Servers that are embedded and do not run are started for as long as it takes.

    Raises:
        BackupError: there is nothing to back up, or the engine did not stand still until the cut was made.
        BusError: NATS does not answer.
        StoreError: ClickHouse does not answer.
    """
    async with connected(place) as (bus, store):
        name = uuid.uuid4().hex
        try:
            cut = await _cut(bus, store, writer, name=name, engine=place.settings.engine.name, say=say)
            await _add_files(writer, place)
            await _add_tables(store, writer, cut.frozen, say)
        finally:
            with contextlib.suppress(Exception):  # what is left goes with the next backup
                await asyncio.shield(store.backup.thaw(name))
        manifest = Manifest(
            format=FORMAT,
            id=name,
            made=iso_from_us(cut.made_us),
            qraft=qraft.__version__,
            nats=server_version(bus),
            clickhouse=cut.frozen.server,
            schema=cut.frozen.schema,
            database=place.settings.clickhouse.database,
            engine=cut.engine,
            held_seconds=cut.held_seconds,
            streams=cut.streams,
            tables=list(cut.frozen.tables.values()),
            files=[],
        )
        await asyncio.to_thread(writer.finish, manifest)
        return manifest


@contextlib.asynccontextmanager
async def connected(place: Place) -> AsyncIterator[tuple[Bus, Store]]:
    """Connections to the servers of an instance; embedded ones that do not run are started and ended here."""
    run = read_run(place.data_dir)
    settings = place.settings
    async with (
        start_servers(
            settings,
            place.data_dir,
            nats_url=run.nats_url if run is not None else "",
            clickhouse_url=run.clickhouse_url if run is not None else "",
        ) as servers,
        contextlib.AsyncExitStack() as held,
    ):
        bus = await Bus.connect(settings.nats.address(servers.nats_url), name="backup")
        held.push_async_callback(bus.close)
        store = await Store.connect(
            settings.clickhouse.address(servers.clickhouse_url), database=settings.clickhouse.database
        )
        held.push_async_callback(store.close)
        yield bus, store


async def _cut(bus: Bus, store: Store, writer: BackupWriter, *, name: str, engine: str, say: Say) -> _Cut:
    """Copies the streams and freezes the tables, while no engine changes either."""
    if not (present := [stream for stream in STREAMS if stream in await stream_states(bus)]):
        raise BackupError(f"there is nothing to back up: no engine has ever run on {bus.url}")

    async def take() -> tuple[list[StreamCopy], Frozen]:
        streams = [await _add_stream(bus, writer, stream, say) for stream in present]
        return streams, await store.backup.freeze(name)

    if not await engine_answers(bus):
        made_us = us_from_datetime(datetime.now(UTC))
        streams, frozen = await take()
        if await engine_answers(bus):
            raise BackupError("an engine was started in the midst of the backup; make it again")
        return _Cut(streams, frozen, engine, None, made_us)
    say("holding the engine at a barrier")
    begun = time.monotonic()
    try:
        async with Holding(bus) as holding:
            made_us = us_from_datetime(datetime.now(UTC))
            streams, frozen = await take()
            await holding.release()
    except BusError as error:
        raise BackupError(f"the engine did not stand still until its streams were copied: {error}") from None
    seconds = time.monotonic() - begun
    say(f"the engine goes on; it stood still for {seconds:.1f} s at most")
    return _Cut(streams, frozen, engine, round(seconds, 3), made_us)


async def _add_stream(bus: Bus, writer: BackupWriter, name: str, say: Say) -> StreamCopy:
    number, piece = 0, bytearray()

    async def flush() -> None:
        nonlocal number
        number += 1
        await asyncio.to_thread(writer.add, f"nats/{name}/{number:06d}", bytes(piece))
        piece.clear()

    async def take(chunk: bytes) -> None:
        piece.extend(chunk)
        if len(piece) >= _PIECE_BYTES:
            await flush()

    if name in BUCKETS:
        copy = await _copy_unchanged(bus, name, take)
    else:
        copy = await copy_stream(bus, name, take)
    if piece:
        await flush()
    say(f"stream {name}: {copy.messages:,} messages")
    return copy


async def _copy_unchanged(bus: Bus, name: str, take: Callable[[bytes], Awaitable[None]]) -> StreamCopy:
    """Copies a bucket again when something (a pause, an alert) was written into it meanwhile, else it could lack that."""
    for _ in range(_TRIES):
        with tempfile.TemporaryFile() as spool:

            async def keep(chunk: bytes, file: IO[bytes] = spool) -> None:
                file.write(chunk)

            copy = await copy_stream(bus, name, keep)
            if await last_sequence(bus, name) == copy.last:
                spool.seek(0)
                while chunk := spool.read(_PIECE_BYTES):
                    await take(chunk)
                return copy
    raise BackupError(f"{name} was written to all the time while it was copied; make the backup again")


async def _add_files(writer: BackupWriter, place: Place) -> None:
    """The configuration, and what of the data directory is kept."""

    def read() -> dict[str, bytes]:
        found: dict[str, bytes] = {}
        last_good = last_good_path(place.data_dir)
        if read_run(place.data_dir) is not None and last_good.is_file():
            found[IN_FORCE] = last_good.read_bytes()
        else:
            with tempfile.TemporaryDirectory() as folder:
                found[IN_FORCE] = write_settings(place.settings, Path(folder) / "config.toml").read_bytes()
        if place.config is not None and place.config.is_file():
            found[FILE] = place.config.read_bytes()
        tokens = tokens_path(place.data_dir, place.settings.api.tokens_file)
        if tokens.is_file():
            found[f"data/{TOKENS}"] = tokens.read_bytes()
        for kept in KEPT:
            path = place.data_dir / kept
            for file in [path] if path.is_file() else sorted(path.rglob("*")):
                if file.is_file() and not file.name.startswith(".") and file.suffix != ".draft":
                    with contextlib.suppress(FileNotFoundError):  # a verdict that was sent meanwhile
                        found[f"data/{file.relative_to(place.data_dir).as_posix()}"] = file.read_bytes()
        return found

    for name, data in (await asyncio.to_thread(read)).items():
        await asyncio.to_thread(writer.add, name, data)


async def _add_tables(store: Store, writer: BackupWriter, frozen: Frozen, say: Say) -> None:
    compressor = zstandard.ZstdCompressor(level=3)
    for copy, table in frozen.tables.items():
        number, size, said = 0, 0, time.monotonic()
        async for piece in store.backup.pieces(copy, table.columns):
            if not piece:
                continue
            number += 1
            size += len(piece)
            packed = await asyncio.to_thread(compressor.compress, piece)
            await asyncio.to_thread(writer.add, f"clickhouse/{table.name}/{number:06d}.native.zst", packed)
            if time.monotonic() - said > _SAY_SECONDS:
                said = time.monotonic()
                say(f"table {table.name}: {size / 1024**2:,.0f} MiB so far")
        say(f"table {table.name}: {table.rows:,} rows")
