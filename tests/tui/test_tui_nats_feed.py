"""The live feed against a real nats-server, which is killed and started again under it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from qraft.bus import Bus, Publisher, ensure_streams
from qraft.config import NatsAddress
from qraft.embedded.nats import start_nats
from qraft.embedded.process import free_port
from qraft.model import EngineStats, Feedback, Pattern
from tui.app import QraftApp
from tui.feed.base import FeedDown, FeedRefused
from tui.feed.nats import NatsFeed
from tui.history.fake import FakeHistory
from tui.screens.main import MainScreen
from tui.state.inbox import Batch, Inbox, LinkChange, Past
from tui.state.journal import Journal
from tui.state.verdicts import Delivery
from tui.widgets.line_view import LineView
from tui.wiring import Wiring

MakePattern = Callable[..., Pattern]


@contextlib.asynccontextmanager
async def running(feed: NatsFeed, inbox: Inbox) -> AsyncIterator[None]:
    task = asyncio.create_task(feed.run(inbox))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@contextlib.asynccontextmanager
async def engine(url: str) -> AsyncIterator[Bus]:
    """A connection that says what an engine says, with the streams set up."""
    bus = await Bus.connect(NatsAddress(url), name="engine")
    try:
        await ensure_streams(bus, partitions=4, max_bytes=64 * 1024**2)
        yield bus
    finally:
        await bus.close()


async def collect(inbox: Inbox, enough: Callable[[Batch], object]) -> Batch:
    """What arrives until it is enough."""
    seen = Batch()
    async with asyncio.timeout(30):
        while not enough(seen):
            batch = inbox.drain()
            seen.patterns += batch.patterns
            seen.stats += batch.stats
            seen.feedback += batch.feedback
            seen.links += batch.links
            await asyncio.sleep(0.02)
    return seen


def verdict(pattern: Pattern, **changes: str) -> Feedback:
    return Feedback(
        **{
            "feedback_id": f"on-{pattern.pattern_id}",
            "pattern_id": pattern.pattern_id,
            "verdict": "confirmed",
            "timestamp": pattern.timestamp,
            "source": pattern.source,
            "detector": pattern.detector,
            "user": "me",
            **changes,
        }  # type: ignore[arg-type]  # all are text
    )


async def test_patterns_statistics_and_verdicts_arrive(nats_url: str, make_pattern: MakePattern) -> None:
    inbox = Inbox()
    async with engine(nats_url) as bus, running(NatsFeed(NatsAddress(nats_url)), inbox):
        await collect(inbox, lambda seen: LinkChange(True) in seen.links)
        patterns = [make_pattern(i) for i in range(20)]
        await Publisher(bus).patterns(patterns)
        await bus.publish_stats(EngineStats(engine="main", timestamp="", state="running"))
        await bus.send_feedback(verdict(patterns[0], user="ann"))
        seen = await collect(inbox, lambda seen: len(seen.patterns) >= 20 and seen.stats and seen.feedback)
    assert sorted(p.pattern_id for p in seen.patterns) == sorted(p.pattern_id for p in patterns)
    assert seen.stats[0].engine == "main"
    assert seen.feedback == [verdict(patterns[0], user="ann")]


async def test_a_verdict_is_stored_once_and_comes_back(nats_url: str, make_pattern: MakePattern) -> None:
    inbox, feed = Inbox(), NatsFeed(NatsAddress(nats_url))
    async with engine(nats_url) as bus, running(feed, inbox):
        await collect(inbox, lambda seen: seen.links)
        feedback = verdict(make_pattern())
        await feed.send(feedback)
        await feed.send(feedback)
        await collect(inbox, lambda seen: seen.feedback)
        info = await bus.jetstream().stream_info("QRAFT_EVENTS")
    assert info.state.messages == 1


async def test_a_verdict_without_a_source_is_refused_and_without_a_stream_it_waits(
    nats_url: str, make_pattern: MakePattern
) -> None:
    inbox, feed = Inbox(), NatsFeed(NatsAddress(nats_url))
    with pytest.raises(FeedDown, match="no connection"):
        await feed.send(verdict(make_pattern()))
    async with running(feed, inbox):
        await collect(inbox, lambda seen: seen.links)
        with pytest.raises(FeedRefused, match="source"):
            await feed.send(verdict(make_pattern(), source=""))
        with pytest.raises(FeedDown, match=r"in time|no stream"):
            await feed.send(verdict(make_pattern()))


async def test_it_waits_for_a_server_that_is_not_there_yet(tmp_path: Path, make_pattern: MakePattern) -> None:
    port, inbox = free_port(), Inbox()
    async with running(NatsFeed(NatsAddress(f"nats://127.0.0.1:{port}")), inbox):
        seen = await collect(inbox, lambda seen: any(change.reason for change in seen.links))
        assert not any(change.up for change in seen.links)
        server = await start_nats(tmp_path / "nats", port=port, max_store=1024**3, log=tmp_path / "nats.log")
        try:
            await collect(inbox, lambda seen: LinkChange(True) in seen.links)
            async with engine(server.url) as bus:
                await Publisher(bus).patterns([make_pattern()])
                await collect(inbox, lambda seen: seen.patterns)
        finally:
            await server.stop()


async def test_what_is_stored_shows_before_nats_answers(tmp_path: Path, make_pattern: MakePattern) -> None:
    history = FakeHistory([Past(make_pattern(source="stored"))])
    wiring = Wiring(NatsFeed(NatsAddress(f"nats://127.0.0.1:{free_port()}")), history, data_dir=tmp_path, user="me")
    app = QraftApp(wiring.session, wiring.outside(engine="main", nats_url="nats://nowhere"))

    async def front() -> int:
        async with app.run_test(size=(120, 36)) as pilot, asyncio.timeout(30):
            while not any(e.source == "stored" for e in wiring.session.board.rows):
                await pilot.pause(0.05)
        return 0

    assert await wiring.beside(front()) == 0


async def test_the_server_is_killed_and_comes_back_under_the_interface(tmp_path: Path, make_pattern: MakePattern) -> None:
    """Lost: a banner, verdicts kept. Back: verdicts stored, patterns go on, the list is filled from history."""
    folder, log = tmp_path / "nats", tmp_path / "nats.log"
    server = await start_nats(folder, max_store=1024**3, log=log)
    port = int(server.url.rsplit(":", 1)[1])
    wiring = Wiring(NatsFeed(NatsAddress(server.url)), FakeHistory(), data_dir=tmp_path / "data", user="me")
    app = QraftApp(wiring.session, wiring.outside(engine="main", nats_url=server.url))
    journal = Journal(tmp_path / "data" / "unsent")

    async def until(condition: Callable[[], object]) -> None:
        async with asyncio.timeout(30):
            while not condition():
                await asyncio.sleep(0.05)

    def text(name: str) -> str:
        screen = app.screen_stack[-1] if app.screen_stack else None
        return screen.query_one(f"#{name}", LineView).text if isinstance(screen, MainScreen) else ""

    async def scenario() -> None:
        nonlocal server
        await until(lambda: "● nats" in text("status"))
        async with engine(server.url) as bus:
            await Publisher(bus).patterns([make_pattern(0, source="before")])
        await until(lambda: "before" in text("episodes"))
        await server.kill()
        await until(lambda: "NATS lost" in text("banner"))
        app.simulate_key("c")
        await until(lambda: "CONFIRMED ◌ unsent" in text("episodes"))
        await until(lambda: "1 verdict queued" in text("banner"))
        assert len(journal.unsent()) == 1
        server = await start_nats(folder, port=port, max_store=1024**3, log=log)
        await until(lambda: "CONFIRMED ● stored" in text("episodes"))
        assert text("banner") == ""
        async with engine(server.url) as bus:
            info = await bus.jetstream().stream_info("QRAFT_EVENTS")
            assert info.state.messages == 1
            await Publisher(bus).patterns([make_pattern(1, source="after")])
        await until(lambda: "after" in text("episodes"))
        assert journal.unsent() == []

    async def front() -> int:
        shown = asyncio.create_task(app.run_async(headless=True, size=(120, 36)))
        try:
            await scenario()
        finally:
            app.exit(0)
            status = await shown
        return status or 0

    try:
        assert await wiring.beside(front()) == 0
    finally:
        await server.stop()
    (episode,) = [e for e in wiring.session.board.rows if e.source == "before"]
    assert wiring.session.mark(episode).delivery is Delivery.STORED
