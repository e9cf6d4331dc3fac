"""The stream of patterns: its places, and its consumers. More of it is tested over REST (tests/api/test_api_stream.py)."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, strategies as st

from qraft.bus import Bus, BusUnavailable, Gap, PatternStream, Published, Publisher, StreamPlace, ensure_streams
from qraft.config import NatsAddress
from qraft.model import Contributor, Details, Pattern

STREAM = "QRAFT_PATTERNS"


def pattern(n: int) -> Pattern:
    return Pattern(
        pattern_id=f"p{n}",
        type="drift",
        timestamp="2026-11-22T14:00:00Z",
        source="host",
        details=Details(prev_state={}, new_state={}, metrics={}, confidence=0.9),
        contributors=[Contributor(field="x", score=1.0)],
    )


@given(st.integers(0, 2**64 - 1), st.integers(0, 10**18 - 1))
def test_a_place_is_read_as_it_was_written(stream: int, sequence: int) -> None:
    place = StreamPlace(f"{stream:x}", sequence)
    assert StreamPlace.read(str(place)) == place


@given(st.text())
def test_whatever_else_names_none(text: str) -> None:
    assert StreamPlace.read(text) is None


async def test_before_the_stream_is_there_it_says_so_and_then_begins(nats_url: str) -> None:
    bus = await Bus.connect(NatsAddress(nats_url), name="test")
    stream = PatternStream(bus)
    with pytest.raises(BusUnavailable, match="no stream of patterns yet"):
        await stream.next(0.1)
    await ensure_streams(bus, partitions=1, max_bytes=1024**2)
    assert await stream.next(0.1) == []
    await Publisher(bus).patterns([pattern(1)])
    (one,) = await stream.next(30)
    assert isinstance(one, Published)
    assert (one.pattern, stream.place) == (pattern(1), one.place)
    await stream.close()
    assert (await bus.jetstream().stream_info(STREAM)).state.consumer_count == 0
    await bus.close()


async def test_a_consumer_that_is_deleted_is_made_anew_and_nothing_is_lost(nats_url: str) -> None:
    bus = await Bus.connect(NatsAddress(nats_url), name="test")
    await ensure_streams(bus, partitions=1, max_bytes=1024**2)
    stream = PatternStream(bus)
    await stream.open()
    found: list[Published | Gap] = []
    for n in range(200):
        await Publisher(bus).patterns([pattern(n)])
        if n % 50 == 25:
            found += await stream.next(30)
            while not (consumers := await bus.jetstream().consumers_info(STREAM)):
                found += await stream.next(1)  # what had come before the last one went was enough so far
            (consumer,) = consumers
            await bus.jetstream().delete_consumer(STREAM, consumer.name)
    async with asyncio.timeout(60):
        while len(found) < 200:
            found += await stream.next(1)
    assert [one.pattern for one in found if isinstance(one, Published)] == [pattern(n) for n in range(200)]
    await stream.close()
    await bus.close()
