"""The connection against a real nats-server: watching, verdicts, control, and what others publish."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from qraft.bus import Bus, BusRejected, BusUnavailable, Publisher, ensure_streams, serve_control
from qraft.bus.client import translated
from qraft.bus.codec import decode_message
from qraft.bus.subjects import EVENTS_STREAM, PATTERNS_STREAM
from qraft.config import NatsAddress
from qraft.model import Contributor, DeadLetter, Details, EngineStats, Event, Feedback, Pattern, Scope, pattern_id


@pytest.fixture
async def bus(nats_url: str) -> AsyncIterator[Bus]:
    connected = await Bus.connect(NatsAddress(nats_url), name="test")
    await ensure_streams(connected, partitions=4, max_bytes=64 * 1024**2)
    yield connected
    await connected.close()


def pattern(number: int = 0) -> Pattern:
    return Pattern(
        pattern_id=pattern_id(str(number), "forest", "anomaly"),
        type="anomaly",
        timestamp="2026-11-22T10:00:00.000000Z",
        source="host",
        details=Details(prev_state={"mean": 1.0}, new_state={"mean": 2.0}, metrics={"z": 4.0}, confidence=0.9),
        contributors=[Contributor(field="cpu", score=1.0)],
        detector="forest",
        event_id=str(number),
    )


def verdict(**changes: Any) -> Feedback:
    base: dict[str, Any] = {"feedback_id": "f1", "pattern_id": "p1", "verdict": "confirmed", "source": "host"}
    base["timestamp"] = "2026-11-22T10:00:00Z"
    return Feedback(**(base | changes))


async def until(condition: Callable[[], object], seconds: float = 5.0) -> None:
    async def wait() -> None:
        while not condition():
            await asyncio.sleep(0.01)

    await asyncio.wait_for(wait(), seconds)


async def test_watchers_see_patterns_statistics_and_verdicts(bus: Bus, nats_url: str) -> None:
    watcher = await Bus.connect(NatsAddress(nats_url), name="watcher")
    patterns: list[Pattern] = []
    stats: list[EngineStats] = []
    verdicts: list[Feedback] = []
    await watcher.watch_patterns(patterns.extend)
    await watcher.watch_stats(stats.append)
    await watcher.watch_feedback(verdicts.append)
    sent = [pattern(n) for n in range(20)]
    await Publisher(bus).patterns(sent)
    await bus.publish_stats(EngineStats(engine="main", timestamp="2026-11-22T10:00:00Z", state="running"))
    await bus.send_feedback(verdict())
    await until(lambda: len(patterns) == 20 and stats and verdicts)
    assert patterns == sent
    assert stats[0].engine == "main"
    assert verdicts == [verdict()]
    await watcher.close()


async def test_garbage_on_a_watched_subject_harms_nobody(bus: Bus) -> None:
    patterns: list[Pattern] = []
    await bus.watch_patterns(patterns.extend)
    await bus.client.publish("qraft.patterns.anomaly.host", b"\xff{not json\n")
    await Publisher(bus).patterns([pattern()])
    await until(lambda: patterns)
    assert patterns == [pattern()]


async def test_a_pattern_published_again_stands_once(bus: Bus) -> None:
    for _ in range(2):
        await Publisher(bus).patterns([pattern()])
    assert (await bus.jetstream().stream_info(PATTERNS_STREAM)).state.messages == 1


async def test_what_is_on_its_way_to_the_store_is_found_by_source_in_order(bus: Bus) -> None:
    assert await bus.pending_feedback("host") == []
    for number in range(3):
        await bus.send_feedback(verdict(feedback_id=f"f{number}"))
    await bus.send_feedback(verdict(feedback_id="other", source="other"))
    assert [one.feedback_id for one in await bus.pending_feedback("host")] == ["f0", "f1", "f2"]
    assert [one.feedback_id for one in await bus.pending_feedback("other")] == ["other"]
    assert await bus.pending_feedback("none") == []


async def test_a_verdict_sent_again_stands_once_and_needs_a_source(bus: Bus) -> None:
    for _ in range(2):
        await bus.send_feedback(verdict())
    assert (await bus.jetstream().stream_info(EVENTS_STREAM)).state.messages == 1
    with pytest.raises(BusRejected, match="source"):
        await bus.send_feedback(verdict(source=""))
    with pytest.raises(BusRejected, match="a mute needs a scope"):
        await bus.send_feedback(verdict(verdict="mute"))


async def test_control_answers_refuses_and_is_missed(bus: Bus) -> None:
    async def pause(asked: dict[str, Any]) -> Any:
        if asked.get("source") != "host":
            raise ValueError('no source "x" is configured; configured: host')
        return {"state": "paused"}

    with pytest.raises(BusUnavailable, match="is the engine running"):
        await bus.request("pause", {"source": "host"})
    service = await serve_control(bus, {"pause": pause}, version="1.0.0")
    assert await bus.request("pause", {"source": "host"}) == {"state": "paused"}
    with pytest.raises(BusRejected, match="configured: host"):
        await bus.request("pause", {"source": "x"})
    await service.stop()


async def test_no_server_is_said_plainly() -> None:
    with pytest.raises(BusUnavailable, match=r"no NATS server answers at nats://127\.0\.0\.1:1"):
        await Bus.connect(NatsAddress("nats://127.0.0.1:1"), name="test", timeout=0.5)


def test_one_line_of_any_program_is_an_event() -> None:
    subject = "qraft.lane.3.events.mine"
    [event] = decode_message(subject, b'{"payload":{"x":1}}', sequence=5, arrived_us=1_700_000_000_000_000)
    assert isinstance(event, Event)
    assert (event.source, event.payload, event.timestamp) == ("mine", {"x": 1}, "2023-11-14T22:13:20.000000Z")
    [again] = decode_message(subject, b'{"payload":{"x":1}}', sequence=5, arrived_us=1_700_000_000_000_000)
    assert again == event
    [other] = decode_message(subject, b'{"payload":{"x":1}}', sequence=6, arrived_us=1_700_000_000_000_000)
    assert isinstance(other, Event)
    assert other.event_id != event.event_id


def test_a_broken_line_is_a_dead_letter_and_its_neighbours_are_not() -> None:
    data = b'{"payload":{"x":1}}\n{"payload":\n\xff\xfe\n{"payload":[1]}\n{"payload":{"x":2}}\n'
    items = list(decode_message("qraft.lane.0.events.mine", data, sequence=5, arrived_us=0))
    assert [type(item) for item in items] == [Event, DeadLetter, DeadLetter, DeadLetter, Event]
    broken = items[1]
    assert isinstance(broken, DeadLetter)
    assert broken.original == b'{"payload":'
    assert broken.stage == "bus"
    assert broken.reason
    assert len({item.dead_id for item in items if isinstance(item, DeadLetter)}) == 3


def test_verdicts_and_dead_letters_pass_the_stream_unchanged() -> None:
    from qraft.model import encode

    letter = DeadLetter(dead_id="d", source="s", timestamp="t", stage="ingest", reason="r", original=b"\x00\xff")
    assert list(decode_message("qraft.lane.0.dead.s", encode(letter), sequence=1, arrived_us=0)) == [letter]
    [bare] = decode_message("qraft.lane.0.feedback.host", encode(verdict(source="")), sequence=1, arrived_us=0)
    assert bare == verdict(source="host")
    mute = verdict(verdict="mute", scope=Scope(source="host"), until="2026-11-22T11:00:00Z")
    assert list(decode_message("qraft.lane.0.feedback.host", encode(mute), sequence=1, arrived_us=0)) == [mute]


def test_feedback_that_breaks_the_contract_is_a_dead_letter() -> None:
    from qraft.model import encode

    endless = verdict(verdict="mute", scope=Scope(source="host"))
    data = encode(endless) + b"\n" + encode(verdict())
    dead, good = decode_message("qraft.lane.0.feedback.host", data, sequence=1, arrived_us=0)
    assert good == verdict()
    assert isinstance(dead, DeadLetter)
    assert (dead.stage, dead.reason, dead.original) == ("bus", "a mute needs an end", encode(endless))


async def test_a_cancellation_in_the_moment_of_an_answer_is_not_lost() -> None:
    answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    went_on = False

    async def ask() -> None:
        nonlocal went_on
        async with translated():
            await asyncio.wait_for(answer, 5)
        went_on = True

    task = asyncio.create_task(ask())
    await asyncio.sleep(0)
    answer.set_result(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not went_on
