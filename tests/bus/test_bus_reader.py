"""A partition's reader against a real nats-server: order, acknowledgement, restarts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given, strategies as st
from msgspec import structs

from qraft.bus import (
    Bus,
    BusRejected,
    BusUnavailable,
    LaneReader,
    Publisher,
    Recovery,
    Snapshot,
    ensure_streams,
    partition_of,
)
from qraft.bus.codec import decode_message
from qraft.bus.subjects import EVENTS_STREAM
from qraft.config import NatsAddress
from qraft.embedded.nats import start_nats
from qraft.model import Event, event_id, iso_from_us

SOURCE = "shuttle"
PARTITIONS = 16


def events(first: int, last: int, source: str = SOURCE) -> list[Event]:
    return [
        Event(
            event_id=event_id(source, str(n)),
            source=source,
            type="row",
            timestamp=iso_from_us(n * 1_000_000),
            payload={"n": n},
            meta={"version": "1.0", "cursor": str(n + 1)},
        )
        for n in range(first, last)
    ]


async def read(reader: LaneReader, count: int, timeout: float = 20.0) -> list[int]:
    """The numbers of the next ``count`` events."""
    numbers: list[int] = []

    async def collect() -> None:
        while len(numbers) < count:
            try:
                deliveries = await reader.next(1.0)
            except BusUnavailable:
                await asyncio.sleep(0.1)
                continue
            for d in deliveries:
                for item in decode_message(d.subject, d.data, sequence=d.sequence, arrived_us=d.arrived_us):
                    assert isinstance(item, Event)
                    numbers.append(item.payload["n"])

    await asyncio.wait_for(collect(), timeout)
    return numbers


async def left_over(bus: Bus, messages: int) -> None:
    """Waits until the event stream holds so many messages: acknowledgements are worked off in the background."""
    async with asyncio.timeout(5):
        while (await bus.jetstream().stream_info(EVENTS_STREAM)).state.messages != messages:
            await asyncio.sleep(0.02)


@pytest.fixture
async def bus(nats_url: str) -> AsyncIterator[Bus]:
    connected = await Bus.connect(NatsAddress(nats_url), name="test")
    await ensure_streams(connected, partitions=PARTITIONS, max_bytes=64 * 1024**2)
    yield connected
    await connected.close()


def lane() -> int:
    return partition_of(SOURCE, PARTITIONS)


async def test_everything_arrives_once_and_in_order(bus: Bus) -> None:
    publisher, reader = Publisher(bus), LaneReader(bus, lane())
    for start in range(0, 5000, 250):
        await publisher.events(SOURCE, events(start, start + 250))
    assert await read(reader, 5000) == list(range(5000))
    assert await reader.next(0.2) == []


async def test_the_server_routes_as_partition_of_says(bus: Bus) -> None:
    names = [f"source-{n}" for n in range(40)]
    for name in names:
        await Publisher(bus).events(name, events(0, 1, name))
    for partition in range(PARTITIONS):
        expected = [name for name in names if partition_of(name, PARTITIONS) == partition]
        reader = LaneReader(bus, partition)
        seen: list[str] = []
        while len(seen) < len(expected):
            seen += [d.subject.rsplit(".", 1)[1] for d in await reader.next(5.0)]
        assert seen == expected


async def test_what_is_acknowledged_is_gone_and_the_rest_comes_again(bus: Bus) -> None:
    publisher = Publisher(bus)
    for n in range(10):
        await publisher.events(SOURCE, events(n, n + 1))
    first = LaneReader(bus, lane())
    deliveries = []
    while len(deliveries) < 10:
        deliveries += await first.next(5.0)
    await first.acknowledge(deliveries[5].sequence)
    await first.close()
    second = LaneReader(bus, lane())
    second.start_after(deliveries[5].sequence)
    assert await read(second, 4) == [6, 7, 8, 9]
    assert await second.next(0.3) == []
    await left_over(bus, 4)


async def test_a_reader_that_starts_behind_the_queue_acknowledges_what_it_skips(bus: Bus) -> None:
    """A crash after the snapshot and before the acknowledgement leaves messages that nobody needs any more."""
    for n in range(6):
        await Publisher(bus).events(SOURCE, events(n, n + 1))
    reader = LaneReader(bus, lane())
    reader.start_after(4)
    assert await read(reader, 2) == [4, 5]
    await reader.next(0.3)
    await left_over(bus, 2)


async def test_killed_server_comes_back_and_nothing_is_missing_or_twice(tmp_path: Path) -> None:
    server = await start_nats(tmp_path / "nats", max_store=1024**3, log=tmp_path / "log")
    port = int(server.url.rsplit(":", 1)[1])
    changes: list[bool] = []
    bus = await Bus.connect(NatsAddress(server.url), name="test", on_change=changes.append)
    try:
        await ensure_streams(bus, partitions=PARTITIONS, max_bytes=64 * 1024**2)
        publisher, reader = Publisher(bus), LaneReader(bus, lane())
        await publisher.events(SOURCE, events(0, 100))
        assert await read(reader, 100) == list(range(100))
        await server.kill()
        sending = asyncio.create_task(publisher.events(SOURCE, events(100, 200)))
        reading = asyncio.create_task(read(reader, 100, 40.0))
        await asyncio.sleep(1.0)
        assert not sending.done()
        server = await start_nats(tmp_path / "nats", port=port, max_store=1024**3, log=tmp_path / "log")
        await sending
        assert await reading == list(range(100, 200))
        assert changes == [False, True]
    finally:
        await bus.close()
        await server.stop()


async def test_a_full_stream_makes_the_publisher_wait_and_keeps_order(nats_url: str) -> None:
    bus = await Bus.connect(NatsAddress(nats_url), name="test")
    await ensure_streams(bus, partitions=PARTITIONS, max_bytes=200_000)
    publisher, reader = Publisher(bus), LaneReader(bus, lane())
    waits: list[str] = []

    async def publish() -> None:
        for start in range(0, 4000, 100):
            await publisher.events(SOURCE, events(start, start + 100), waits.append)

    publishing = asyncio.create_task(publish())
    numbers: list[int] = []
    while len(numbers) < 4000:
        for d in await reader.next(2.0):
            numbers += [e.payload["n"] for e in decode_message(d.subject, d.data, sequence=1, arrived_us=0)]  # type: ignore[union-attr]
            await asyncio.sleep(0.01)
            await reader.acknowledge(d.sequence)
    await publishing
    assert numbers == list(range(4000))
    assert "the event stream is full; sources wait" in waits
    await bus.close()


async def test_another_number_of_partitions_is_refused_in_plain_words(bus: Bus) -> None:
    with pytest.raises(BusRejected, match=r"set engine\.partitions back"):
        await ensure_streams(bus, partitions=8, max_bytes=64 * 1024**2)


async def test_snapshots_and_cursors_survive(bus: Bus) -> None:
    recovery = Recovery(bus)
    assert await recovery.load_snapshot(3) is None
    assert await recovery.load_cursor(SOURCE, PARTITIONS) is None
    for last, size in ((7, 3_000_000), (9, 10), (11, 0)):
        await recovery.save_snapshot(3, Snapshot(last, b"x" * size))
        assert await recovery.load_snapshot(3) == Snapshot(last, b"x" * size)


async def test_the_cursor_is_that_of_the_last_event_wherever_it_is(bus: Bus) -> None:
    recovery, publisher, reader = Recovery(bus), Publisher(bus), LaneReader(bus, lane())
    await publisher.events(SOURCE, events(0, 50))
    await publisher.events(SOURCE, events(50, 80))
    assert await recovery.load_cursor(SOURCE, PARTITIONS) == "80"
    deliveries = []
    while len(deliveries) < 2:
        deliveries += await reader.next(5.0)
    await recovery.save_cursor(SOURCE, "80")
    await reader.acknowledge(deliveries[-1].sequence)
    await left_over(bus, 0)
    assert await recovery.load_cursor(SOURCE, PARTITIONS) == "80"


async def test_the_same_batch_published_twice_stands_once(bus: Bus) -> None:
    for _ in range(3):
        await Publisher(bus).events(SOURCE, events(0, 10))
    assert (await bus.jetstream().stream_info(EVENTS_STREAM)).state.messages == 1


async def test_a_batch_larger_than_a_message_goes_in_parts(bus: Bus) -> None:
    large = [structs.replace(e, payload={**e.payload, "x": "y" * 50_000}) for e in events(0, 40)]
    await Publisher(bus).events(SOURCE, large)
    assert await read(LaneReader(bus, lane()), 40) == list(range(40))


@given(st.binary(max_size=200))
def test_any_bytes_decode_to_something_deterministic(data: bytes) -> None:
    subject = f"qraft.lane.3.events.{SOURCE}"
    once = list(decode_message(subject, data, sequence=9, arrived_us=1))
    assert once == list(decode_message(subject, data, sequence=9, arrived_us=1))
    assert len(once) == sum(1 for line in data.splitlines() if line.strip())
