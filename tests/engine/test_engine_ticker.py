"""When time passes for a source that brings nothing: live sources only, and beyond what is usual of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from qraft.bus import Bus, Publisher, ensure_streams
from qraft.config import NatsAddress, Settings
from qraft.config.detect import DetectSettings, SilenceSettings
from qraft.config.sources import FileSource, HostSource, NatsSource, RestSource, WebSocketSource
from qraft.engine.meters import Meters, SourceState
from qraft.engine.ticker import LOOK_SECONDS, Ticker, interruption, loses_while_away
from qraft.ingest.base import wall_clock
from qraft.model import TICK, Event, decode_event, us_from_iso

START_US = 1_700_000_000_000_000
SETTINGS = Settings(
    detect=DetectSettings(silence=SilenceSettings(tick_seconds=5.0)),
    sources={
        "feed": HostSource(adapter="host", per=["disk"]),
        "history": FileSource(adapter="file", path="rows.csv", mode="replay"),
        "log": FileSource(adapter="file", path="rows.csv"),
    },
)


@pytest.fixture
async def bus(nats_url: str) -> AsyncIterator[Bus]:
    connected = await Bus.connect(NatsAddress(nats_url), name="test")
    await ensure_streams(connected, partitions=1, max_bytes=16 * 1024**2)
    yield connected
    await connected.close()


class Time:
    """A clock that stands still unless it is moved, and a ticker that looks at it as often as the engine's does."""

    def __init__(self, bus: Bus, settings: Settings = SETTINGS) -> None:
        self.now = 100.0
        self.meters = Meters("test", monotonic=lambda: self.now, now_us=lambda: START_US + round(self.now * 1e6))
        self.ticker = Ticker(settings, Publisher(bus), self.meters)

    def arrive(self, seconds: float, every: float, *, source: str = "feed", pace: float = 1.0, rows: int = 1) -> None:
        """Rows come for so long, ``rows`` at once; their event time goes ``pace`` times as fast as the clock."""
        meter, end = self.meters.source(source), self.now + seconds
        begun, begun_us = self.now, meter.last_us or START_US
        while self.now < end:
            self.pass_by(every)
            meter.last_us = begun_us + round((self.now - begun) * pace * 1e6)
            meter.read += rows
            meter.processed += rows
            assert self.ticker.look() == []

    def pass_by(self, seconds: float) -> list[tuple[float, str, float]]:
        """Nothing comes for so long: the ticks, each with when it came, its source and its seconds beyond the last row."""
        ticks, begun = [], self.now
        for _ in range(round(seconds / LOOK_SECONDS)):
            self.now += LOOK_SECONDS
            ticks += [
                (self.now - begun, name, (time_us - self.meters.source(name).last_us) / 1e6)
                for name, time_us in self.ticker.look()
            ]
        return ticks

    def state(self, state: SourceState, source: str = "feed") -> None:
        self.meters.source(source).state = state


async def test_event_time_goes_on_with_the_idle_time(bus: Bus) -> None:
    time = Time(bus)
    time.state("running")
    time.arrive(30, every=1.0)
    ticks = time.pass_by(60)
    assert [name for _, name, _ in ticks] == ["feed"] * len(ticks)
    assert len(ticks) >= 6
    assert all(after == pytest.approx(passed - 1.0) for passed, _, after in ticks)
    assert ticks[0][2] >= 5.0
    time.arrive(10, every=1.0)
    assert time.pass_by(4) == []


async def test_ticks_grow_rare_as_a_silence_grows_long(bus: Bus) -> None:
    time = Time(bus)
    time.state("running")
    time.arrive(30, every=1.0)
    assert 20 < len(time.pass_by(12 * 3600)) < 100


@pytest.mark.parametrize("state", ["paused", "finished", "starting"])
async def test_no_ticks_for_a_source_that_is_not_live(bus: Bus, state: SourceState) -> None:
    time = Time(bus)
    time.arrive(30, every=1.0)
    time.state(state)
    assert time.pass_by(60) == []


@pytest.mark.parametrize("state", ["running", "retrying", "failed"])
async def test_a_source_that_is_gone_is_silent(bus: Bus, state: SourceState) -> None:
    time = Time(bus)
    time.arrive(30, every=1.0)
    time.state(state)
    assert time.pass_by(60)


async def test_while_the_engine_stands_still_no_time_passes(bus: Bus) -> None:
    time = Time(bus)
    time.state("running")
    time.arrive(30, every=1.0)
    time.now += 60.0
    assert time.ticker.look() == []
    assert time.pass_by(4) == []
    (passed, _, after), *_ = time.pass_by(60)
    assert after == pytest.approx(passed + 4, abs=1.0)


async def test_what_others_publish_ticks_too(bus: Bus) -> None:
    time = Time(bus)
    time.arrive(30, every=1.0, source="ticks")
    assert {name for _, name, _ in time.pass_by(60)} == {"ticks"}


async def test_a_source_that_another_feeds_is_as_live_as_that(bus: Bus) -> None:
    time = Time(bus)
    time.arrive(30, every=1.0, source="feed-disks")
    time.state("paused")
    assert time.pass_by(60) == []
    time.state("retrying")
    assert {name for _, name, _ in time.pass_by(60)} == {"feed-disks"}


async def test_files_that_are_replayed_do_not_tick_and_those_that_grow_do(bus: Bus) -> None:
    time = Time(bus)
    for source in ("history", "log"):
        time.state("running", source)
        time.arrive(30, every=1.0, source=source)
    assert {name for _, name, _ in time.pass_by(60)} == {"log"}


async def test_batches_are_not_missed_between_two(bus: Bus) -> None:
    time = Time(bus)
    time.state("running")
    time.arrive(1200, every=60.0, rows=60)
    assert time.pass_by(60) == []
    ((passed, _, after), *_) = time.pass_by(60)
    assert after == pytest.approx(passed, abs=1.0)


async def test_history_that_somebody_publishes_does_not_tick(bus: Bus) -> None:
    time = Time(bus)
    time.arrive(30, every=1.0, source="ticks", pace=50.0)
    assert time.pass_by(60) == []


async def test_a_few_rows_are_no_rhythm(bus: Bus) -> None:
    time = Time(bus)
    time.state("running")
    time.arrive(3, every=1.0)
    assert time.pass_by(60) == []


async def test_the_engine_s_own_delay_is_no_idle_time(bus: Bus) -> None:
    time = Time(bus)
    time.state("running")
    time.arrive(30, every=1.0)
    meters, feed = time.meters, time.meters.source("feed")
    meters.wait("ClickHouse", "away")
    assert time.pass_by(60) == []
    meters.wait("ClickHouse", "")
    meters.sending["feed"] = 1.0
    assert time.pass_by(60) == []
    meters.sending.clear()
    feed.read += 1000
    assert time.pass_by(60) == []
    feed.read -= 1000
    meters.level = "archive"
    assert time.pass_by(60) == []
    meters.level = "full"
    assert time.pass_by(4) == []
    assert time.pass_by(10)


async def test_ticks_stand_in_the_stream(bus: Bus) -> None:
    settings = Settings(detect=DetectSettings(silence=SilenceSettings(tick_seconds=0.1)))
    heard: list[Event] = []

    async def hear(message: object) -> None:
        heard.append(decode_event(message.data))  # type: ignore[attr-defined]  # a NATS message

    await bus.client.subscribe("qraft.events.ticks", cb=hear)
    time = Time(bus, settings)
    time.arrive(30, every=1.0, source="ticks")

    def look() -> float:
        time.now += LOOK_SECONDS
        return time.now

    time.meters.monotonic = look
    running = asyncio.create_task(time.ticker.run())
    async with asyncio.timeout(60):
        while not heard:
            await asyncio.sleep(0.05)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert (heard[0].type, heard[0].source) == (TICK, "ticks")
    assert us_from_iso(heard[0].timestamp) == time.meters.source("ticks").last_us + 500_000


def test_who_loses_rows_while_the_engine_is_away() -> None:
    assert loses_while_away(HostSource(adapter="host"))
    assert loses_while_away(WebSocketSource(adapter="websocket", url="wss://stream.example.org"))
    assert loses_while_away(RestSource(adapter="rest", url="https://api.example.org"))
    assert loses_while_away(NatsSource(adapter="nats", url="nats://nats.example.org", subject="a"))
    assert not loses_while_away(NatsSource(adapter="nats", url="nats://nats.example.org", subject="a", stream="s"))
    assert not loses_while_away(FileSource(adapter="file", path="rows.csv"))


def test_an_interruption_is_a_tick_of_its_own() -> None:
    now = wall_clock()
    one, other = interruption("a", now), interruption("a", now + 1)
    assert one.event_id != other.event_id
    assert one.type == TICK
    assert one.payload == {"interrupted": True}
