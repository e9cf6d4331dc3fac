"""What a restart needs, kept on the bus: snapshots, the barrier under way, and each source's cursor."""

from __future__ import annotations

import asyncio

import msgspec
from nats.js.errors import NotFoundError, ObjectNotFoundError

from qraft.bus import subjects
from qraft.bus.client import Bus, translated
from qraft.bus.codec import decode_message
from qraft.model import Event, Level

SNAPSHOT_SECONDS = 30.0


class Snapshot(msgspec.Struct, frozen=True):
    """A partition's pipeline after the message with sequence ``last``."""

    last: int
    state: bytes


class Barrier(msgspec.Struct, frozen=True):
    """The messages ``first`` to ``last`` are being stored as one block, judged at ``level``.

    Noted before, so that a restart cuts and judges alike.
    """

    first: int
    last: int
    level: Level = "full"


class Recovery:
    """Reads and writes what a restart of one engine needs. Every call raises BusUnavailable when NATS does not answer."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def load_snapshot(self, partition: int) -> Snapshot | None:
        """The partition's last snapshot, or None."""
        async with translated():
            bucket = await self._bus.jetstream(SNAPSHOT_SECONDS).object_store(subjects.SNAPSHOTS_BUCKET)
            try:
                found = await asyncio.wait_for(bucket.get(subjects.lane_name(partition)), SNAPSHOT_SECONDS)
            except ObjectNotFoundError:
                return None
        return msgspec.msgpack.decode(found.data or b"", type=Snapshot)

    async def save_snapshot(self, partition: int, snapshot: Snapshot) -> None:
        """Replaces the partition's snapshot; a crash in between leaves the one before."""
        async with translated():
            bucket = await self._bus.jetstream(SNAPSHOT_SECONDS).object_store(subjects.SNAPSHOTS_BUCKET)
            await bucket.put(subjects.lane_name(partition), msgspec.msgpack.encode(snapshot))

    async def load_barrier(self, partition: int) -> Barrier | None:
        """The barrier that was under way last, or None."""
        found = await self._get(f"barrier.{partition}")
        return msgspec.msgpack.decode(found, type=Barrier) if found else None

    async def save_barrier(self, partition: int, barrier: Barrier) -> None:
        """Notes a barrier before its block is stored."""
        await self._put(f"barrier.{partition}", msgspec.msgpack.encode(barrier))

    async def save_cursor(self, source: str, cursor: str) -> None:
        """Notes the cursor after the last processed event of a source; to be called before its message is acknowledged."""
        await self._put(f"cursor.{source}", cursor.encode())

    async def load_cursor(self, source: str, partitions: int) -> str | None:
        """The cursor after the last event of ``source`` the stream ever took, or None when it had none.

        That event either still waits in the stream, or was processed and its cursor noted before it was taken out.
        """
        subject = subjects.lane_subject(subjects.partition_of(source, partitions), subjects.EVENTS, source)
        async with translated():
            try:
                message = await self._bus.jetstream().get_last_msg(subjects.EVENTS_STREAM, subject)
            except NotFoundError:
                message = None
        if message is not None and message.data:
            events = [e for e in decode_message(subject, message.data, sequence=0, arrived_us=0) if isinstance(e, Event)]
            if events and (cursor := events[-1].meta.get("cursor")) is not None:
                return str(cursor)
        noted = await self._get(f"cursor.{source}")
        return noted.decode() if noted else None

    async def save_paused(self, sources: set[str]) -> None:
        """Notes which sources an operator paused, so that they stay so over a restart."""
        await self._put("paused", msgspec.json.encode(sorted(sources)))

    async def load_paused(self) -> set[str]:
        """Which sources an operator paused."""
        found = await self._get("paused")
        return set(msgspec.json.decode(found, type=list[str])) if found else set()

    async def _get(self, key: str) -> bytes | None:
        async with translated():
            bucket = await self._bus.jetstream().key_value(subjects.STATE_BUCKET)
            try:
                return (await bucket.get(key)).value
            except NotFoundError:
                return None

    async def _put(self, key: str, value: bytes) -> None:
        async with translated():
            bucket = await self._bus.jetstream().key_value(subjects.STATE_BUCKET)
            await bucket.put(key, value)
