"""Streams copied and put back against a real nats-server, and the hold of an engine's lanes."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator

import pytest

from qraft.bus import Bus, BusRejected, BusUnavailable, Recovery, Snapshot, ensure_streams, serve_control
from qraft.bus.backup import (
    BUCKETS,
    STREAMS,
    StreamCopy,
    copy_stream,
    delete_streams,
    engine_answers,
    last_sequence,
    mark_restore,
    restore_stream,
    server_version,
    stream_states,
    unmark_restore,
)
from qraft.bus.holding import Holding
from qraft.bus.pattern_stream import PatternStream, Published
from qraft.bus.subjects import EVENTS_STREAM, PATTERNS_STREAM
from qraft.config import NatsAddress
from qraft.engine.hold import Halt, Hold
from qraft.model import Details, Pattern, encode

PARTITIONS = 4
MAX_BYTES = 64 * 1024**2


@pytest.fixture
async def bus(nats_url: str) -> AsyncIterator[Bus]:
    connected = await Bus.connect(NatsAddress(nats_url), name="test")
    await ensure_streams(connected, partitions=PARTITIONS, max_bytes=MAX_BYTES)
    yield connected
    await connected.close()


async def copied(bus: Bus, name: str) -> tuple[StreamCopy, list[bytes]]:
    chunks: list[bytes] = []

    async def take(chunk: bytes) -> None:
        chunks.append(chunk)

    return await copy_stream(bus, name, take), chunks


async def pieces(data: bytes, size: int = 1_000_003) -> AsyncIterator[bytes]:
    for at in range(0, len(data), size):
        yield data[at : at + size]


def pattern(number: int) -> Pattern:
    return Pattern(
        pattern_id=f"00000000-0000-4000-8000-{number:012d}",
        type="anomaly",
        timestamp="2026-11-22T10:00:00.000000Z",
        source="a",
        details=Details(prev_state={}, new_state={}, metrics={}, confidence=0.9),
        contributors=[],
    )


async def test_a_stream_comes_back_with_its_sequences_gaps_times_and_headers(bus: Bus) -> None:
    jetstream = bus.jetstream()
    bodies = {}
    for number in range(1, 201):
        bodies[number] = os.urandom(60_000)  # several windows of the server's flow control
        await jetstream.publish("qraft.events.a", bodies[number], headers={"Nats-Msg-Id": str(number)})
    for number in (*range(1, 50), 77, 200):
        await jetstream.delete_msg(EVENTS_STREAM, number)
        del bodies[number]
    before = {number: await jetstream.get_msg(EVENTS_STREAM, number) for number in bodies}
    copy, chunks = await copied(bus, EVENTS_STREAM)
    assert (copy.messages, copy.last) == (len(bodies), 200)
    await jetstream.delete_stream(EVENTS_STREAM)
    assert await restore_stream(bus, copy, pieces(b"".join(chunks))) == len(bodies)
    for number, message in before.items():
        again = await jetstream.get_msg(EVENTS_STREAM, number)
        assert (again.subject, again.data, again.time) == (message.subject, message.data, message.time)
        assert (again.headers or {})["Nats-Msg-Id"] == str(number)
    await ensure_streams(bus, partitions=PARTITIONS, max_bytes=MAX_BYTES)
    assert (await jetstream.publish("qraft.events.a", b"{}")).seq == 201


async def test_an_empty_queue_goes_on_with_its_sequence(bus: Bus) -> None:
    """What was all processed must not be numbered anew: messages below a snapshot's last would be skipped."""
    for _ in range(5):
        await bus.jetstream().publish("qraft.events.a", b"{}")
    await bus.jetstream().purge_stream(EVENTS_STREAM)
    copy, chunks = await copied(bus, EVENTS_STREAM)
    await bus.jetstream().delete_stream(EVENTS_STREAM)
    assert await restore_stream(bus, copy, pieces(b"".join(chunks))) == 0
    assert (await bus.jetstream().publish("qraft.events.a", b"{}")).seq == 6


async def test_buckets_and_a_place_in_the_patterns_outlive_a_restore(bus: Bus) -> None:
    recovery, jetstream = Recovery(bus), bus.jetstream()
    snapshot = Snapshot(7, os.urandom(400_000))
    await recovery.save_snapshot(2, Snapshot(3, b"older"))
    await recovery.save_snapshot(2, snapshot)
    await recovery.save_cursor("a", "12")
    await recovery.save_paused({"b"})
    for number in range(3):
        await jetstream.publish("qraft.patterns.anomaly.a", encode(pattern(number)))
    follower = PatternStream(bus, None)
    await follower.open()
    await jetstream.publish("qraft.patterns.anomaly.a", encode(pattern(3)))
    taken = await follower.next(10)
    await follower.close()
    copies = [await copied(bus, name) for name in STREAMS]
    await delete_streams(bus)
    assert await stream_states(bus) == {}
    for copy, chunks in copies:
        await restore_stream(bus, copy, pieces(b"".join(chunks)))
    await ensure_streams(bus, partitions=PARTITIONS, max_bytes=MAX_BYTES)
    assert await recovery.load_snapshot(2) == snapshot
    assert await recovery.load_cursor("a", PARTITIONS) == "12"
    assert await recovery.load_paused() == {"b"}
    assert all([await last_sequence(bus, name) == copy.last for (copy, _), name in zip(copies, STREAMS, strict=True)])
    assert set(BUCKETS) < set(STREAMS)

    await jetstream.publish("qraft.patterns.anomaly.a", encode(pattern(4)))
    follower = PatternStream(bus, taken[-1].place)
    [one] = await follower.next(10)
    await follower.close()
    assert isinstance(one, Published), "the place is one of the restored stream, not of another"
    assert one.pattern == pattern(4)


async def test_what_is_not_whole_is_refused_and_leaves_no_stream(bus: Bus) -> None:
    await bus.jetstream().publish("qraft.patterns.anomaly.a", os.urandom(300_000))
    copy, chunks = await copied(bus, PATTERNS_STREAM)
    data = b"".join(chunks)
    with pytest.raises(BusRejected, match="in use"):
        await restore_stream(bus, copy, pieces(data))
    await bus.jetstream().delete_stream(PATTERNS_STREAM)
    with pytest.raises(BusRejected, match="restore failed"):
        await restore_stream(bus, copy, pieces(data[:200_000]))
    assert PATTERNS_STREAM not in await stream_states(bus)


async def test_a_stream_that_is_not_there_cannot_be_copied(bus: Bus) -> None:
    with pytest.raises(BusRejected, match="not found"):
        await copied(bus, "QRAFT_NONE")
    assert server_version(bus).startswith("2.")


async def test_nothing_works_on_a_bus_that_is_half_restored(bus: Bus) -> None:
    await mark_restore(bus)
    with pytest.raises(BusRejected, match=r"broke off.*qraft restore"):
        await ensure_streams(bus, partitions=PARTITIONS, max_bytes=MAX_BYTES)
    await unmark_restore(bus)
    await unmark_restore(bus)
    await ensure_streams(bus, partitions=PARTITIONS, max_bytes=MAX_BYTES)


class Laggard:
    """A lane that stands still when it is let."""

    def __init__(self) -> None:
        self.may = asyncio.Event()
        self.stood = 0
        self.tasks: list[asyncio.Task[None]] = []

    def hold(self, halt: Halt) -> None:
        async def stand() -> None:
            await self.may.wait()
            self.stood += 1
            await halt.stand()

        self.tasks.append(asyncio.create_task(stand()))


@pytest.fixture
async def held(bus: Bus) -> AsyncIterator[tuple[Hold, list[Laggard], dict[str, str]]]:
    """The engine's side of a hold over two lanes, behind a real control service; and what it told of waiting."""
    lanes, told = [Laggard(), Laggard()], {}
    hold = Hold(lanes, told.__setitem__)

    async def status(_: dict[str, object]) -> object:
        return {"engine": "main"}

    service = await serve_control(bus, {"hold": hold.take, "release": hold.release, "status": status}, version="1.0.0")
    yield hold, lanes, told
    hold.end()
    for lane in lanes:
        lane.may.set()
        await asyncio.gather(*lane.tasks)
    await service.stop()


Held = tuple[Hold, list[Laggard], dict[str, str]]


async def test_a_hold_begins_when_every_lane_stands_and_ends_by_release(bus: Bus, held: Held) -> None:
    _, lanes, told = held
    assert await engine_answers(bus)
    lanes[0].may.set()
    entering = asyncio.create_task(Holding(bus).__aenter__())
    while not lanes[0].stood:
        await asyncio.sleep(0.01)
    assert not entering.done()
    assert told["hold"]
    lanes[1].may.set()
    holding = await entering
    assert not any(task.done() for lane in lanes for task in lane.tasks)
    with pytest.raises(BusRejected, match="another backup"):
        await Holding(bus).__aenter__()
    await holding.release()
    assert told["hold"] == ""
    await asyncio.gather(*(task for lane in lanes for task in lane.tasks))
    with pytest.raises(BusRejected, match="has ended"):
        await bus.request("hold", {"client": "x", "renew": True})


async def test_a_hold_whose_client_died_ends_by_itself(bus: Bus, held: Held) -> None:
    _, lanes, told = held
    for lane in lanes:
        lane.may.set()
    while not (await bus.request("hold", {"client": "x", "seconds": 0.5}))["held"]:
        await asyncio.sleep(0.01)
    await asyncio.gather(*(task for lane in lanes for task in lane.tasks))
    assert told["hold"] == ""
    with pytest.raises(BusRejected, match="has ended"):
        await bus.request("release", {"client": "x"})


async def test_a_hold_is_renewed_for_as_long_as_it_is_needed(bus: Bus, held: Held) -> None:
    _, lanes, _ = held
    for lane in lanes:
        lane.may.set()
    async with Holding(bus, lease=1.0) as holding:
        await asyncio.sleep(2.5)
        assert not any(task.done() for lane in lanes for task in lane.tasks)
        await holding.release()


async def test_lanes_that_never_come_to_a_barrier_are_let_go(bus: Bus, held: Held) -> None:
    _, _, told = held
    with pytest.raises(BusUnavailable, match="did not come to a barrier"):
        await Holding(bus, patience=0.2).__aenter__()
    assert told["hold"] == ""


async def test_a_hold_that_was_cut_off_is_no_hold(bus: Bus, held: Held) -> None:
    hold, lanes, _ = held
    for lane in lanes:
        lane.may.set()
    async with Holding(bus) as holding:
        hold.end()
        with pytest.raises(BusRejected, match="has ended"):
            await holding.release()


async def test_without_an_engine_nobody_answers(bus: Bus) -> None:
    assert not await engine_answers(bus)
    with pytest.raises(BusUnavailable, match="nobody answers"):
        await Holding(bus).__aenter__()


@pytest.mark.parametrize("asked", [{}, {"client": ""}, {"client": "x", "seconds": 3600}, {"client": 5}])
async def test_what_is_no_request_for_a_hold_is_refused(asked: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="no request for a hold"):
        await Hold([], lambda *_: None).take(asked)
