"""Leases and samples of taps over a real bus, with a pipeline's own results."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from qraft.bus import Bus, TapSample, TapStage, watch_tap
from qraft.config import NatsAddress, Settings
from qraft.config.sources import ExternalSource
from qraft.engine.taps import MOST_LEASES, Taps
from qraft.model import DeadLetter, Event, iso_from_us
from qraft.pipeline import Pipeline, Result

SETTINGS = Settings(sources={"rows": ExternalSource(adapter="external", entity="symbol", time="at")})


class Clock:
    """Time that a test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def event(n: int, **payload: Any) -> Event:
    values = {"at": 1_700_000_000 + n, "symbol": "BTC", "price": str(100 + n)} | payload
    return Event(event_id=f"e-{n}", source="rows", type="row", timestamp=iso_from_us(0), payload=values)


def step(events: list[Event]) -> Result:
    return Pipeline(SETTINGS).step(events)


def asked(stage: str, **changes: Any) -> dict[str, Any]:
    return {"client": "one", "source": "rows", "stage": stage, "rate": 1000.0, "seconds": 30.0} | changes


@pytest.fixture
async def bus(nats_url: str) -> AsyncIterator[Bus]:
    connected = await Bus.connect(NatsAddress(nats_url), name="test")
    yield connected
    await connected.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def taps(bus: Bus, clock: Clock) -> AsyncIterator[Taps]:
    made = Taps(SETTINGS, bus, clock)
    task = asyncio.create_task(made.publish())
    yield made
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def shown(bus: Bus, taps: Taps, clock: Clock, stage: TapStage, events: list[Event]) -> TapSample:
    """What a watcher of a stage sees of one step."""
    got: asyncio.Queue[TapSample] = asyncio.Queue()
    await watch_tap(bus, stage, "rows", got.put_nowait)
    await taps.lease(asked(stage))
    clock.now += 5
    taps.step(events, step(events))
    return await asyncio.wait_for(got.get(), 5)


async def test_features_are_the_rows_the_detectors_see(bus: Bus, taps: Taps, clock: Clock) -> None:
    sample = await shown(bus, taps, clock, "features", [event(1), event(2, symbol="ETH")])
    assert sample.seen == 2
    assert [(row.entity, row.fields["price"], row.timestamp) for row in sample.rows] == [
        ("BTC", 101.0, "2023-11-14T22:13:21.000000Z"),
        ("ETH", 102.0, "2023-11-14T22:13:22.000000Z"),
    ]


async def test_clean_shows_late_rows_too_and_why_one_cannot_be_used(bus: Bus, taps: Taps, clock: Clock) -> None:
    events = [event(9000), event(9001), event(1), event(9002, at="never")]
    sample = await shown(bus, taps, clock, "clean", events)
    assert [row.event_id for row in sample.rows] == ["e-9000", "e-9001", "e-1", "e-9002"]
    assert sample.rows[2].fields["price"] == 101.0
    assert sample.rows[3].reason == "time field 'at': 'never' is neither ISO 8601 nor a number"


async def test_clean_leaves_repeats_out(bus: Bus, taps: Taps, clock: Clock) -> None:
    sample = await shown(bus, taps, clock, "clean", [event(1), event(1)])
    assert sample.seen == 1


async def test_scores_stand_beside_the_row_they_are_of(bus: Bus, taps: Taps, clock: Clock) -> None:
    events = [event(1), event(1), event(2, at="never"), event(3)]
    sample = await shown(bus, taps, clock, "scores", events)
    assert [row.event_id for row in sample.rows] == ["e-1", "e-3"]
    assert set(sample.rows[0].scores) == {"anomaly", "abnormal", "change", "warm"}
    assert sample.rows[1].fields["price"] == 103.0


async def test_dead_letters_of_any_stage(bus: Bus, taps: Taps, clock: Clock) -> None:
    letter = DeadLetter(
        dead_id="d", source="rows", timestamp=iso_from_us(0), stage="ingest", reason="cut off", original=b"\xff{" * 9999
    )
    got: asyncio.Queue[TapSample] = asyncio.Queue()
    await watch_tap(bus, "dead", "rows", got.put_nowait)
    await taps.lease(asked("dead"))
    clock.now += 5
    taps.dead(letter)
    events = [event(1, at="never")]
    taps.step(events, step(events))
    sample = await asyncio.wait_for(got.get(), 5)
    assert [row.reason.split(":")[0] for row in sample.rows] == ["ingest", "preprocess"]
    assert len(sample.rows[0].original) < 3000


async def test_a_tap_is_sampled_and_counts_what_it_leaves_out(bus: Bus, taps: Taps, clock: Clock) -> None:
    got: asyncio.Queue[TapSample] = asyncio.Queue()
    await watch_tap(bus, "features", "rows", got.put_nowait)
    await taps.lease(asked("features", rate=5.0))
    clock.now += 5
    events = [event(n) for n in range(200)]
    taps.step(events, step(events))
    sample = await asyncio.wait_for(got.get(), 5)
    assert sample.seen == 200
    assert len(sample.rows) == 5
    numbers = [int(row.event_id[2:]) for row in sample.rows]
    assert numbers == sorted(numbers)
    assert numbers[-1] - numbers[0] > 100  # spread over the step


async def test_several_share_a_tap_at_the_highest_rate_asked_for(bus: Bus, taps: Taps, clock: Clock) -> None:
    got: asyncio.Queue[TapSample] = asyncio.Queue()
    await watch_tap(bus, "features", "rows", got.put_nowait)
    await taps.lease(asked("features", rate=2.0))
    await taps.lease(asked("features", client="two", rate=8.0))
    clock.now += 5
    events = [event(n) for n in range(100)]
    taps.step(events, step(events))
    assert len((await asyncio.wait_for(got.get(), 5)).rows) == 8
    await taps.lease(asked("features", client="two", seconds=0))
    assert taps.open
    clock.now += 5
    taps.step(events[:50], step(events[:50]))
    assert len((await asyncio.wait_for(got.get(), 5)).rows) <= 2


async def test_a_lease_ends_when_it_is_not_renewed(bus: Bus, taps: Taps, clock: Clock) -> None:
    got: list[TapSample] = []
    await watch_tap(bus, "features", "rows", got.append)
    await taps.lease(asked("features", seconds=3.0))
    clock.now += 2
    await taps.lease(asked("features", seconds=3.0))
    clock.now += 2
    taps.step([event(1)], step([event(1)]))
    await asyncio.sleep(0.3)
    assert taps.open
    assert len(got) == 1
    clock.now += 2
    await asyncio.sleep(0.3)
    assert not taps.open
    taps.step([event(2)], step([event(2)]))
    await asyncio.sleep(0.3)
    assert len(got) == 1


@pytest.mark.parametrize(
    "wrong",
    [{"stage": "raw"}, {"source": "a.b"}, {"rate": 0}, {"seconds": 1e9}, {"client": ""}, {"source": 3}],
    ids=str,
)
async def test_what_is_no_request_is_refused_in_words(taps: Taps, wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="this is no request for a tap: "):
        await taps.lease(asked("features") | wrong)
    assert not taps.open


async def test_only_so_many_watch_at_once(taps: Taps) -> None:
    for n in range(MOST_LEASES):
        await taps.lease(asked("features", client=str(n)))
    with pytest.raises(ValueError, match="taps are open on this engine already; end one first"):
        await taps.lease(asked("scores", client="late"))
    await taps.lease(asked("features", client="0"))  # who watches already may go on
    await taps.lease(asked("features", client="0", seconds=0))
    await taps.lease(asked("scores", client="late"))


async def test_a_fault_ends_the_taps_and_nothing_else(taps: Taps, caplog: pytest.LogCaptureFixture) -> None:
    await taps.lease(asked("scores"))
    taps.step([event(1)], step([]))  # a result that does not belong to these events
    assert not taps.open
    assert "a tap failed; all are ended" in caplog.text
    await taps.lease(asked("scores"))
    assert taps.open
