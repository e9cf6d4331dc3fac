"""What an adapter hands over: counted, held back while the engine is behind, grouped by source; over a real nats-server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from qraft.bus import Bus, Publisher, ensure_streams
from qraft.config import NatsAddress, Settings
from qraft.config.settings import PressureSettings
from qraft.config.sources import FileSource, HostSource
from qraft.engine.meters import Meters
from qraft.engine.notices import Notices
from qraft.engine.sink import BusSink
from qraft.ingest.base import wall_clock
from qraft.model import NOTICE, SELF, TICK, Event, decode_event, event_id, iso_from_us

SETTINGS = Settings(
    pressure=PressureSettings(wait_seconds=0.5, drop_seconds=5.0),
    sources={
        "file": FileSource(adapter="file", path="x.csv"),
        "host": HostSource(adapter="host", when_full="drop_newest"),
    },
)


def events(source: str, count: int) -> list[Event]:
    return [
        Event(event_id=event_id(source, str(n)), source=source, type="row", timestamp=iso_from_us(n), payload={"x": n})
        for n in range(count)
    ]


@pytest.fixture
async def bus(nats_url: str) -> AsyncIterator[Bus]:
    connected = await Bus.connect(NatsAddress(nats_url), name="test")
    await ensure_streams(connected, partitions=2, max_bytes=16 * 1024**2)
    yield connected
    await connected.close()


@pytest.fixture
def meters() -> Meters:
    return Meters("test", monotonic=time.monotonic, now_us=wall_clock)


def sink(source: str, bus: Bus, meters: Meters) -> BusSink:
    publisher = Publisher(bus)
    return BusSink(source, SETTINGS, publisher, meters, Notices(publisher, meters))


async def test_a_source_that_can_wait_waits_while_the_engine_is_behind(bus: Bus, meters: Meters) -> None:
    way = sink("file", bus, meters)
    meters.behind_us[0] = wall_clock() - 3_000_000
    sending = asyncio.create_task(way.send(events("file", 3)))
    while not meters.source("file").detail:
        await asyncio.sleep(0.01)
    assert meters.source("file").detail == "waiting: the engine is 3 s behind"
    assert meters.source("file").read == 0
    assert not sending.done()
    meters.behind_us[0] = 0
    await sending
    assert meters.source("file").read == 3
    assert meters.source("file").detail == ""


async def test_a_source_that_cannot_wait_does_not_and_learns_when_to_drop(bus: Bus, meters: Meters) -> None:
    way = sink("host", bus, meters)
    meters.behind_us[0] = wall_clock() - 3_000_000
    await way.send(events("host", 2))
    assert meters.source("host").read == 2
    assert not way.pressed
    meters.behind_us[0] = wall_clock() - 6_000_000
    assert way.pressed
    for _ in range(10):
        way.dropped("full")
    assert meters.source("host").dropped == 10
    assert meters.ingest.dropped["full"] == 10
    assert meters.ingest.received == 12
    assert [notice.kind for notice in meters.notices] == ["dropping"], "the operator is told once, not ten times"
    assert "when_full = drop_newest" in meters.notices[0].text


async def test_a_source_that_is_there_counts_as_running_before_anything_came(bus: Bus, meters: Meters) -> None:
    meters.source("file").state, meters.source("file").detail = "retrying", "no such file yet"
    sink("file", bus, meters).ready()
    assert (meters.source("file").state, meters.source("file").detail) == ("running", "")


async def test_one_feed_brings_events_of_several_sources_in_order(bus: Bus, meters: Meters) -> None:
    a, b = events("a", 4), events("b", 4)
    heard: list[str] = []

    async def hear(message: Any) -> None:
        name = message.subject.rpartition(".")[2]
        heard.extend(f"{name} {decode_event(line).event_id}" for line in message.data.splitlines())

    await bus.client.subscribe("qraft.events.*", cb=hear)
    await sink("host", bus, meters).send([a[0], a[1], b[0], a[2], b[1], b[2], b[3], a[3]])
    assert (meters.source("a").read, meters.source("b").read, meters.source("host").read) == (4, 4, 0)
    while len(heard) < 8:
        await asyncio.sleep(0.01)
    for name, sent in (("a", a), ("b", b)):
        assert [one for one in heard if one.startswith(name)] == [f"{name} {event.event_id}" for event in sent]


async def test_a_row_that_is_late_because_the_engine_stood_still_comes_after_a_tick_that_says_so(
    bus: Bus, meters: Meters
) -> None:
    heard: list[Event] = []

    async def hear(message: Any) -> None:
        heard.extend(map(decode_event, message.data.splitlines()))

    def row(n: int) -> Event:
        return msgspec.structs.replace(events("host", n + 1)[n], timestamp=iso_from_us(wall_clock()))

    await bus.client.subscribe("qraft.events.host", cb=hear)
    beat = asyncio.create_task(meters.stalls.run())
    way = sink("host", bus, meters)
    await way.send([row(0)])
    await way.send([row(1)])
    before = row(2)
    time.sleep(0.6)  # noqa: ASYNC251 - the engine stands still
    await way.send([before, row(3), row(4)])
    beat.cancel()
    await asyncio.gather(beat, return_exceptions=True)
    while len(heard) < 6:
        await asyncio.sleep(0.01)
    assert [event.payload for event in heard] == [{"x": 0}, {"x": 1}, {"x": 2}, {"interrupted": True}, {"x": 3}, {"x": 4}]
    assert (heard[3].type, heard[3].timestamp) == (TICK, heard[4].timestamp)
    assert meters.source("host").read == 5


async def test_a_notice_is_shown_counted_and_published_as_an_event(bus: Bus, meters: Meters) -> None:
    publisher = Publisher(bus)
    notices = Notices(publisher, meters)
    heard: list[Event] = []

    async def hear(message: Any) -> None:
        heard.append(decode_event(message.data))

    await bus.client.subscribe(f"qraft.events.{SELF}", cb=hear)
    task = asyncio.create_task(notices.publish())
    notices.say("host", "stale", "nothing came for 30 s")
    notices.say("", "level", "full detection again")
    while len(heard) < 2:
        await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert [event.type for event in heard] == [NOTICE, NOTICE]
    assert heard[0].payload == {"source": "host", "kind": "stale", "text": "nothing came for 30 s"}
    stats = meters.stats()
    assert [(n.source, n.kind) for n in stats.notices] == [("host", "stale"), ("", "level")]
    assert stats.notice_counts == {"stale": 1, "level": 1}
