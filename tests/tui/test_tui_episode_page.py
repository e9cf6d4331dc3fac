"""The EPISODE screen by its keys: panes, chart, labels, raw events, those alike, with and without a database."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from textual.pilot import Pilot

from qraft.config import ClickHouseAddress
from qraft.config.store import StoreSettings
from qraft.model import CleanEvent, Event, Feedback, Pattern, Scope, event_id, iso_from_us, us_from_iso
from qraft.store import Block, EpisodeQuery, RawRow, Store
from tui.app import QraftApp
from tui.feed.fake import FakeFeed, World
from tui.history.base import EpisodePage, History, HistoryUnavailable
from tui.history.clickhouse import ClickHouseHistory
from tui.history.fake import FakeHistory
from tui.state.pages import Page
from tui.state.session import Session
from tui.state.story import Part
from tui.widgets.line_view import LineView
from tui.wiring import Wiring

NOW_US = us_from_iso("2026-11-22T14:00:00Z")
MakePattern = Callable[..., Pattern]


class AskedHistory(FakeHistory):
    """Notes the windows and filters of what it is asked."""

    def __init__(self) -> None:
        super().__init__(now_us=NOW_US)
        self.told: list[EpisodeQuery] = []

    def sql(self, query: EpisodeQuery) -> str:
        self.told.append(query)
        return super().sql(query)

    async def episodes(self, query: EpisodeQuery) -> EpisodePage:
        self._check()
        return EpisodePage()


class Bench:
    """The application over one pattern and an invented past."""

    def __init__(self, folder: Path, *, ascii_only: bool = False, history: History | None = None) -> None:
        self.now_us = NOW_US
        self.history = AskedHistory()
        self.wiring = Wiring(FakeFeed(World(), rate=0), history or self.history, data_dir=folder, user="me")
        outside = self.wiring.outside(engine="main", nats_url="nats://nowhere:4222", now_us=lambda: self.now_us)
        self.app = QraftApp(self.wiring.session, outside, ascii_only=ascii_only)

    @property
    def session(self) -> Session:
        return self.wiring.session

    def part(self) -> Part:
        return self.session.story.part

    def page(self) -> Page:
        return self.session.page

    def text(self, name: str = "") -> str:
        views = [v for v in self.app.main.query(LineView) if v.display and v.size.width and v.region.height]
        return "\n".join(v.text for v in views if not name or v.id == f"episode-{name}")

    async def tick(self, pilot: Pilot[int], seconds: float = 0.0) -> None:
        self.now_us += round(seconds * 1e6)
        for _ in range(3):
            self.app.main.tick()
            await pilot.pause()

    async def open(self, pilot: Pilot[int], *patterns: Pattern) -> None:
        self.wiring.inbox.link(True)
        self.wiring.inbox.patterns(list(patterns))
        await self.tick(pilot)
        await pilot.press("enter")
        await self.tick(pilot)
        await self.tick(pilot)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


async def test_all_panes_stand_side_by_side_where_there_is_room(bench: Bench, make_pattern: MakePattern) -> None:
    async with bench.app.run_test(size=(120, 36)) as pilot:
        await bench.open(pilot, make_pattern(began=iso_from_us(NOW_US - 30_000_000)))
        assert bench.page() is Page.EPISODE
        head = bench.text("head")
        assert "DRIFT host" in head
        assert "cpu_percent moved for good" in head
        assert "alert line .50" in head
        assert "began 13:59:30, 30s before" in head
        chart = bench.text("chart")
        assert "1 CHART" in chart
        assert "cpu_percent  240 events" in chart
        assert "reference" in chart
        assert "current" in chart
        assert "BEFORE" in bench.text("why")
        assert '{"cpu_percent":' in bench.text("raw")
        assert "taken back by @bo" in bench.text("labels")
        assert "false positives" in bench.text("like")


@pytest.mark.parametrize("size", [(80, 24), (60, 20), (48, 9)])
async def test_on_a_small_screen_one_pane_at_a_time(bench: Bench, make_pattern: MakePattern, size: tuple[int, int]) -> None:
    async with bench.app.run_test(size=size) as pilot:
        await bench.open(pilot, make_pattern())
        shown = {"1": "chart", "2": "why", "3": "raw", "4": "labels", "5": "like"}
        for key, name in shown.items():
            await pilot.press(key)
            await bench.tick(pilot)
            assert bench.text(name)
            assert not any(bench.text(other) for other in shown.values() if other != name)
            assert f"▸{key} " in bench.text(name)
        await pilot.press("tab")
        assert bench.part() is Part.CHART
        await pilot.press("shift+tab")
        assert bench.part() is Part.LIKE


async def test_the_chart_follows_the_cursor_among_the_fields(bench: Bench, make_pattern: MakePattern) -> None:
    async with bench.app.run_test(size=(120, 36)) as pilot:
        await bench.open(pilot, make_pattern())
        await pilot.press("j")
        await bench.tick(pilot)
        assert "load1  240 events" in bench.text("chart")
        await pilot.press("2", "g")
        await bench.tick(pilot)
        assert "cpu_percent  240 events" in bench.text("chart")


async def test_plus_shows_a_longer_stretch_and_minus_a_shorter(bench: Bench, make_pattern: MakePattern) -> None:
    async with bench.app.run_test(size=(120, 36)) as pilot:
        await bench.open(pilot, make_pattern())
        await pilot.press("plus", "plus")
        await bench.tick(pilot)
        assert "1 hour" in bench.text("chart")
        assert "least to greatest" in bench.text("chart")
        assert bench.session.past is None
        await pilot.press("minus", "minus", "minus")
        await bench.tick(pilot)
        assert "event by event" in bench.text("chart")
        await pilot.press("3", "plus")
        assert bench.session.past is not None


async def test_raw_events_are_loaded_further_as_one_scrolls(bench: Bench, make_pattern: MakePattern) -> None:
    async with bench.app.run_test(size=(120, 36)) as pilot:
        await bench.open(pilot, make_pattern())
        raws = bench.session.story.raws
        assert (len(raws.rows), raws.selected and raws.selected.event.event_id) == (120, "event")
        assert "▌≈ 14:00:00.000        0 event" in bench.text("raw")
        await pilot.press("3", "g")
        await bench.tick(pilot)
        assert len(raws.rows) == 180
        assert raws.index == 60
        await pilot.press("G")
        await bench.tick(pilot)
        assert len(raws.rows) == 240


@pytest.mark.parametrize("height", [30, 60])
async def test_the_event_of_the_pattern_stands_in_the_middle_whatever_the_height(
    bench: Bench, make_pattern: MakePattern, height: int
) -> None:
    def from_the_middle() -> int:
        rows = bench.text("raw").split("\n")[2:]
        return next(n for n, row in enumerate(rows) if row.startswith("▌")) - len(rows) // 2

    async with bench.app.run_test(size=(120, 40)) as pilot:
        await bench.open(pilot, make_pattern())
        assert from_the_middle() == 0
        await pilot.resize_terminal(120, height)
        await bench.tick(pilot)
        assert from_the_middle() == 0


async def test_verdicts_go_to_the_open_episode_and_stand_among_the_labels(bench: Bench, make_pattern: MakePattern) -> None:
    async with bench.app.run_test(size=(120, 36)) as pilot:
        pattern = make_pattern()
        await bench.open(pilot, pattern)
        await pilot.press("x")
        await bench.tick(pilot)
        assert "FALSE POS" in bench.text("head")
        rows = bench.text("labels").splitlines()
        assert any("◌" in row and "@me" in row and "false positive" in row for row in rows)
        bench.wiring.inbox.feedback(
            Feedback(
                feedback_id="f",
                pattern_id=pattern.pattern_id,
                verdict="note",
                timestamp=iso_from_us(NOW_US + 5_000_000),
                user="carl",
                note="seen it too",
            )
        )
        await bench.tick(pilot)
        assert "seen it too" in bench.text("labels")


async def test_a_mute_that_covers_it_is_told_with_its_end(bench: Bench, make_pattern: MakePattern) -> None:
    async with bench.app.run_test(size=(120, 36)) as pilot:
        await bench.open(pilot, make_pattern())
        scope = Scope(source="host")
        bench.session.labels.mute(bench.session.targets[0], scope, NOW_US + 3_600_000_000, "host", NOW_US)
        await bench.tick(pilot)
        assert "MUTED by @me until 15:00 (1h00m)" in bench.text("head")


async def test_enter_opens_one_alike_and_back_returns(bench: Bench, make_pattern: MakePattern) -> None:
    async with bench.app.run_test(size=(120, 36)) as pilot:
        pattern = make_pattern()
        await bench.open(pilot, pattern)
        assert "this is as deep as it goes" in bench.session.reason("enter")
        await pilot.press("5", "j")
        assert bench.session.reason("enter") == ""
        alike = bench.session.story.similar[1].pattern
        await pilot.press("enter")
        await bench.tick(pilot)
        assert bench.session.opened is not None
        assert bench.session.opened.peak.pattern_id == alike.pattern_id
        assert bench.page() is Page.EPISODE
        await bench.tick(pilot)
        await pilot.press("5", "enter")
        await bench.tick(pilot)
        await pilot.press("escape")
        await bench.tick(pilot)
        assert bench.session.opened.peak.pattern_id == alike.pattern_id
        await pilot.press("escape")
        await bench.tick(pilot)
        assert bench.session.opened.peak.pattern_id == pattern.pattern_id
        await pilot.press("escape")
        assert bench.page() is Page.LIVE


async def test_without_a_database_what_is_known_here_stands(bench: Bench, make_pattern: MakePattern) -> None:
    bench.history.up = False
    async with bench.app.run_test(size=(120, 36)) as pilot:
        await bench.open(pilot, make_pattern())
        for name in ("chart", "raw", "labels", "like"):
            assert "ClickHouse does not answer: switched off" in " ".join(bench.text(name).split()), name
        assert "cpu_percent" in bench.text("why")
        await pilot.press("c")
        await bench.tick(pilot)
        assert "CONFIRMED" in bench.text("head")
        assert "heard here only" in bench.text("labels")
        bench.history.up = True
        await bench.tick(pilot, 6)
        await bench.tick(pilot, 1)
        assert "240 events" in bench.text("chart")
        assert "taken back" in bench.text("labels")


async def test_the_query_finds_its_patterns(bench: Bench, make_pattern: MakePattern) -> None:
    async with bench.app.run_test(size=(120, 36)) as pilot:
        pattern = make_pattern()
        await bench.open(pilot, pattern)
        assert bench.app.main.front.sql().startswith("SELECT")
        (query,) = bench.history.told
        assert query.filter.text == pattern.pattern_id
        assert (query.since_us, query.until_us) == (NOW_US, NOW_US + 1)


async def test_a_query_that_cannot_be_told_is_said(
    bench: Bench, make_pattern: MakePattern, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(query: EpisodeQuery) -> str:
        raise HistoryUnavailable("ClickHouse was not reached yet")

    async with bench.app.run_test(size=(120, 36)) as pilot:
        await bench.open(pilot, make_pattern())
        monkeypatch.setattr(bench.history, "sql", away)
        await pilot.press("ctrl+y")
        assert bench.session.message is not None
        assert bench.session.message.text == "ClickHouse was not reached yet"


async def test_zoom_gives_a_pane_the_screen_and_an_event_its_full_text(bench: Bench, make_pattern: MakePattern) -> None:
    async with bench.app.run_test(size=(120, 36)) as pilot:
        await bench.open(pilot, make_pattern())
        await pilot.press("3", "z")
        await bench.tick(pilot)
        assert '{"cpu_percent": ' in bench.text("raw")
        assert not bench.text("chart")
        await pilot.press("escape")
        await bench.tick(pilot)
        assert bench.text("chart")
        assert bench.page() is Page.EPISODE


async def test_refresh_asks_again(bench: Bench, make_pattern: MakePattern) -> None:
    async with bench.app.run_test(size=(120, 36)) as pilot:
        await bench.open(pilot, make_pattern())
        bench.history.up = False
        await pilot.press("r")
        await bench.tick(pilot)
        assert bench.session.story.problem == "ClickHouse does not answer: switched off"
        assert "heard here only" in bench.text("labels")


@pytest.mark.parametrize("size", [(120, 36), (60, 20)])
async def test_in_ascii_every_character_is(tmp_path: Path, make_pattern: MakePattern, size: tuple[int, int]) -> None:
    bench = Bench(tmp_path, ascii_only=True)
    async with bench.app.run_test(size=size) as pilot:
        await bench.open(pilot, make_pattern(began=iso_from_us(NOW_US - 30_000_000)))
        for key in ("1", "2", "3", "4", "5", "1", "plus"):
            await pilot.press(key)
            await bench.tick(pilot)
            assert bench.text().isascii()
            assert "?" not in bench.text("chart") + bench.text("head") + bench.text("raw") + bench.text("labels")


async def fill(url: str, database: str, pattern: Pattern, earlier: list[Pattern], labels: list[Feedback]) -> None:
    """Stores what an engine would have: events of some minutes, an earlier run of patterns, what was said."""
    clean = [
        CleanEvent(
            event_id=event_id("host", str(i)),
            source="host",
            entity="",
            time_us=NOW_US + i * 1_000_000,
            fields={"cpu_percent": 10.0 + (i % 7) + (40 if i >= -30 else 0), "load1": 1.0},
        )
        for i in range(-400, 120)
    ]
    raw = [
        RawRow(
            Event(event_id=e.event_id, source="host", type="row", timestamp=iso_from_us(e.time_us), payload=e.fields),
            0,
            i + 1,
            time.time_ns() // 1000,
        )
        for i, e in enumerate(clean)
    ]
    async with await Store.connect(ClickHouseAddress(url), database=database) as store:
        await store.migrate(StoreSettings(retention_days=3650, important_days=3650))
        block = Block(
            token="t:0:1-9",
            ingested_at=time.time_ns() // 1000,
            raw=raw,
            clean=clean,
            patterns=[*earlier, pattern],
            feedback=labels,
        )
        await store.write(block)


async def test_over_a_real_database(tmp_path: Path, make_pattern: MakePattern, clickhouse_url: str, database: str) -> None:
    earlier = [make_pattern(-3 * 86_400 + i, confidence=0.6 + i / 100) for i in range(3)]
    pattern = make_pattern(event_id=event_id("host", "0"), began=iso_from_us(NOW_US - 30_000_000))

    def said(name: str, on: Pattern, word: str, **more: object) -> Feedback:
        values = {
            "feedback_id": name,
            "pattern_id": on.pattern_id,
            "verdict": word,
            "timestamp": on.timestamp,
            "user": "ann",
        }
        return Feedback(source="host", detector="drift", **{**values, **more})  # type: ignore[arg-type]  # by name

    labels = [said("f0", earlier[1], "false_positive"), said("f1", pattern, "note", note="the cable")]
    await fill(clickhouse_url, database, pattern, earlier, labels)
    history = ClickHouseHistory(ClickHouseAddress(clickhouse_url), database=database)
    bench = Bench(tmp_path, history=history)

    async def until_shown(pilot: Pilot[int], text: str, name: str) -> None:
        async with asyncio.timeout(20):
            while text not in bench.text(name):
                await asyncio.sleep(0.05)
                await bench.tick(pilot, 0.05)

    try:
        async with bench.app.run_test(size=(120, 36)) as pilot:
            await bench.open(pilot, pattern)
            await until_shown(pilot, "cpu_percent  ", "chart")
            await until_shown(pilot, "the cable", "labels")
            await until_shown(pilot, "1 like it: 1 false positive", "like")
            await until_shown(pilot, '{"cpu_percent":', "raw")
            assert "▌≈ 14:00:00.000        0 " in bench.text("raw")
            assert "current" in bench.text("chart")
            await pilot.press("3", "g")
            async with asyncio.timeout(20):
                while len(bench.session.story.raws.rows) < 180:
                    await asyncio.sleep(0.05)
                    await bench.tick(pilot, 0.05)
            await pilot.press("1", "plus")
            await until_shown(pilot, "least to greatest", "chart")
            await pilot.press("5", "enter")
            await until_shown(pilot, "3 patterns", "head")
            assert "FALSE POS @ann" in bench.text("head")
            assert "first–last" in bench.text("head")
            await pilot.press("escape")
            await until_shown(pilot, "began 13:59:30", "head")
            answer = await asyncio.to_thread(httpx.post, clickhouse_url, content=bench.app.main.front.sql(), timeout=30)
            assert pattern.pattern_id in answer.raise_for_status().text
    finally:
        await history.close()
