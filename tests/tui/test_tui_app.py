from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from qraft.model import EngineStats, Feedback, Pattern, SourceStats, us_from_iso
from tui.actions import ACTIONS
from tui.app import QraftApp, Wiring, speaks_utf8
from tui.feed.fake import FakeFeed, World
from tui.history.fake import FakeHistory
from tui.screens.help import HelpScreen
from tui.screens.live import LiveScreen
from tui.state.session import Pane, Session
from tui.widgets.line_view import LineView

NOW_US = us_from_iso("2026-11-22T14:00:00Z")
MakePattern = Callable[..., Pattern]


class Desk:
    """An application with nothing behind it but what the test puts into its inbox."""

    def __init__(self, folder: Path, *, ascii_only: bool = False) -> None:
        self.now_us = NOW_US
        self.world = World()
        self.history = FakeHistory()
        self.wiring = Wiring(FakeFeed(self.world, rate=0), self.history, data_dir=folder, user="me")
        outside = self.wiring.outside(engine="main", nats_url="nats://nowhere:4222", now_us=lambda: self.now_us)
        self.app = QraftApp(self.wiring.session, outside, ascii_only=ascii_only)
        self.folder = folder

    @property
    def session(self) -> Session:
        return self.wiring.session

    def text(self, *names: str) -> str:
        views = self.app.screen.query(LineView)
        return "\n".join(v.text for v in views if v.display and (not names or v.id in names))

    async def fold(self, pilot: Pilot[int], *patterns: Pattern, link: bool | None = None) -> None:
        if link is not None:
            self.wiring.inbox.link(link)
        self.wiring.inbox.patterns(list(patterns))
        source = SourceStats(source="host", state="running", rate=3.0, read=10, processed=10, warm=1.0)
        self.wiring.inbox.stats(EngineStats(engine="main", timestamp="", state="running", rate=3.0, sources=[source]))
        await self.tick(pilot)

    async def tick(self, pilot: Pilot[int]) -> None:
        screen = self.app.screen_stack[-1]
        for candidate in self.app.screen_stack:
            if isinstance(candidate, LiveScreen):
                screen = candidate
        assert isinstance(screen, LiveScreen)
        screen.tick()
        await pilot.pause()
        await pilot.pause()

    def unsent(self) -> list[Feedback]:
        from tui.state.journal import Journal

        return Journal(self.folder / "unsent").unsent()


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


async def test_every_action_is_reached_by_each_of_its_keys(
    desk: Desk, make_pattern: MakePattern, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached: list[str] = []
    for action in ACTIONS:
        monkeypatch.setattr(LiveScreen, f"action_{action.name}", lambda self, name=action.name: reached.append(name))
    async with desk.app.run_test(size=(120, 36)) as pilot:
        await desk.fold(pilot, make_pattern(), link=True)
        for action in ACTIONS:
            for key in action.keys:
                reached.clear()
                await pilot.press(key)
                assert reached == [action.name], key


async def test_a_verdict_is_shown_at_once_journaled_and_stored_when_acknowledged(
    desk: Desk, make_pattern: MakePattern
) -> None:
    async with desk.app.run_test(size=(120, 36)) as pilot:
        await desk.fold(pilot, make_pattern(), link=True)
        await pilot.press("c")
        await pilot.pause()
        assert "CONFIRMED ◌ unsent" in desk.text("episodes")
        assert "◌ 1 unsent" in desk.text("status")
        (kept,) = desk.unsent()
        assert (kept.verdict, kept.source, kept.detector, kept.user) == ("confirmed", "host", "drift", "me")
        desk.wiring.inbox.delivered(kept.feedback_id)
        await desk.tick(pilot)
        assert "CONFIRMED ● stored" in desk.text("episodes")
        assert "unsent" not in desk.text("status")
        await pilot.press("u")
        await pilot.pause()
        assert "NEW ◌ unsent" in desk.text("episodes")
        assert desk.unsent()[-1].undoes == kept.feedback_id


async def test_another_operators_verdict_shows_with_the_name(desk: Desk, make_pattern: MakePattern) -> None:
    pattern = make_pattern()
    async with desk.app.run_test(size=(120, 36)) as pilot:
        await desk.fold(pilot, pattern, link=True)
        desk.wiring.inbox.feedback(
            Feedback(
                feedback_id="f",
                pattern_id=pattern.pattern_id,
                verdict="false_positive",
                timestamp=pattern.timestamp,
                user="ann\x1b[2J",
            )
        )
        await desk.tick(pilot)
        assert "FALSE POS @ann·[2J" in desk.text("episodes")


async def test_a_lost_connection_is_told_and_nothing_ends(desk: Desk, make_pattern: MakePattern) -> None:
    async with desk.app.run_test(size=(120, 36)) as pilot:
        await desk.fold(pilot, make_pattern(), link=True)
        assert not desk.app.screen.query_one("#banner").display
        desk.now_us += 10_000_000
        desk.wiring.inbox.link(False)
        await desk.tick(pilot)
        desk.now_us += 5_000_000
        await pilot.press("c")
        await desk.tick(pilot)
        assert "NATS lost 5s ago, retrying · data as of 14:00:00 · 1 verdict queued" in desk.text("banner")
        assert "nats LOST" in desk.text("status")
        assert "stale" in desk.text("sources")
        await desk.fold(pilot, link=True)
        assert not desk.app.screen.query_one("#banner").display
        assert desk.app.is_running


async def test_a_silent_or_waiting_engine_is_told(desk: Desk, make_pattern: MakePattern) -> None:
    async with desk.app.run_test(size=(120, 36)) as pilot:
        await desk.fold(pilot, make_pattern(), link=True)
        desk.now_us += 8_000_000
        await desk.tick(pilot)
        assert "engine main silent for 8s" in desk.text("banner")
        desk.wiring.inbox.stats(
            EngineStats(
                engine="main", timestamp="", state="waiting", detail="store: ClickHouse does not answer", clickhouse=False
            )
        )
        await desk.tick(pilot)
        assert "engine main waits: store: ClickHouse does not answer" in desk.text("banner")
        assert "clickhouse LOST" in desk.text("status")


async def test_the_filter_narrows_as_it_is_typed(desk: Desk, make_pattern: MakePattern) -> None:
    async with desk.app.run_test(size=(120, 36)) as pilot:
        await desk.fold(pilot, make_pattern(source="alpha"), make_pattern(source="beta", type="anomaly"), link=True)
        await pilot.press("slash", *"kind:anom")
        await pilot.pause()
        assert "beta" in desk.text("episodes")
        assert "alpha" not in desk.text("episodes")
        assert "1 of 2" in desk.text("filter-remark")
        await pilot.press("enter")
        await pilot.pause()
        assert not desk.app.screen.query_one("#filter-row").display
        assert "/kind:anom" in desk.text("episodes")
        await pilot.press("slash", *"x:y")
        await pilot.pause()
        assert 'unknown word "anomx"' not in desk.text("filter-remark")
        assert "unknown kind" in desk.text("filter-remark")
        await pilot.press("escape")
        await pilot.pause()
        assert "alpha" in desk.text("episodes")
        await pilot.press("slash", "q", "q")
        assert desk.app.screen.query_one("#filter", Input).value == "qq", "keys are text while a filter is typed"
        await pilot.press("escape")


async def test_frozen_counts_what_arrives(desk: Desk, make_pattern: MakePattern) -> None:
    async with desk.app.run_test(size=(120, 36)) as pilot:
        await desk.fold(pilot, make_pattern(source="alpha"), link=True)
        await pilot.press("space")
        await desk.fold(pilot, make_pattern(source="beta"), make_pattern(source="beta"))
        assert "■ FROZEN +2" in desk.text("status")
        assert "beta" not in desk.text("episodes")
        await pilot.press("space")
        await desk.tick(pilot)
        assert "beta" in desk.text("episodes")
        assert "FROZEN" not in desk.text("status")


async def test_panes_zoom_and_detail(desk: Desk, make_pattern: MakePattern) -> None:
    def shown() -> set[str]:
        return {name for name in ("sources", "detail", "episodes") if desk.app.screen.query_one(f"#{name}").region.area}

    async with desk.app.run_test(size=(120, 36)) as pilot:
        await desk.fold(pilot, make_pattern(), link=True)
        assert shown() == {"sources", "detail", "episodes"}
        await pilot.press("z")
        await pilot.pause()
        assert shown() == {"episodes"}
        await pilot.press("escape", "enter")
        await desk.app.workers.wait_for_complete()
        await desk.tick(pilot)
        assert shown() == {"detail"}
        assert "cpu_percent moved for good" in desk.text("detail")
        assert "240 events" in desk.text("detail"), "the chart is drawn from history"
        await pilot.press("escape", "1")
        assert desk.session.pane is Pane.SOURCES
        await pilot.press("c")
        assert "press 2 first" in desk.text("keys")
        await pilot.resize_terminal(80, 24)
        await pilot.pause()
        await pilot.pause()
        assert shown() == {"sources"}
        await pilot.press("tab")
        await pilot.pause()
        assert shown() == {"episodes"}


async def test_without_a_database_the_detail_says_why_there_is_no_chart(desk: Desk, make_pattern: MakePattern) -> None:
    desk.history.up = False
    async with desk.app.run_test(size=(120, 36)) as pilot:
        await desk.fold(pilot, make_pattern(), link=True)
        await desk.app.workers.wait_for_complete()
        await desk.tick(pilot)
        assert "ClickHouse does not answer: switched off" in " ".join(desk.text("detail").replace("│", " ").split())


async def test_help_opens_over_everything_and_data_goes_on(desk: Desk, make_pattern: MakePattern) -> None:
    async with desk.app.run_test(size=(80, 24)) as pilot:
        await desk.fold(pilot, make_pattern(source="alpha"), link=True)
        await pilot.press("question_mark")
        await pilot.pause()
        assert isinstance(desk.app.screen, HelpScreen)
        assert "confirm the episode" in desk.text()
        await desk.fold(pilot, make_pattern(source="beta"))
        await pilot.press("j", "escape")
        await pilot.pause()
        assert "beta" in desk.text("episodes")


@pytest.mark.parametrize("size", [(120, 36), (100, 22), (80, 24), (60, 20), (50, 8), (30, 6), (20, 2)])
async def test_no_size_is_too_small(desk: Desk, make_pattern: MakePattern, size: tuple[int, int]) -> None:
    async with desk.app.run_test(size=size) as pilot:
        await desk.fold(pilot, *(make_pattern(source=f"source-{i}") for i in range(30)), link=True)
        for key in ("1", "2", "3", "enter", "escape", "j", "c", "space", "z", "question_mark", "escape", "slash", "escape"):
            await pilot.press(key)
            await pilot.pause()
        for view in desk.app.screen.query(LineView):
            if view.region.area:
                assert all(len(row) <= view.size.width for row in view.text.split("\n")), view.id
        assert "unsent" in desk.text("status")


@pytest.mark.parametrize("keys", ["q", "ctrl+c"])
async def test_leaving(desk: Desk, keys: str) -> None:
    async with desk.app.run_test(size=(80, 24)) as pilot:
        await pilot.press(keys)
        await pilot.pause()
    assert desk.app.return_code == 0
    assert desk.app.return_value == 0


async def test_leaving_while_a_filter_is_typed_or_help_is_open(tmp_path: Path) -> None:
    for key in ("slash", "question_mark"):
        desk = Desk(tmp_path)
        async with desk.app.run_test(size=(80, 24)) as pilot:
            await pilot.press(key, "ctrl+c")
            await pilot.pause()
        assert desk.app.return_value == 0


async def test_in_ascii_every_cell_is_ascii(tmp_path: Path, make_pattern: MakePattern) -> None:
    desk = Desk(tmp_path, ascii_only=True)
    async with desk.app.run_test(size=(120, 36)) as pilot:
        await desk.fold(pilot, make_pattern(source="alpha", entity="Zürich"), link=True)
        await pilot.press("c")
        for key in ("1", "2", "enter", "question_mark"):
            await pilot.press(key)
            await pilot.pause(0.05)
            screen = desk.app.screen
            for y in range(36):
                row = "".join(s.text for s in screen._compositor.render_strips()[y])
                assert row.isascii(), row


async def test_only_lines_that_changed_are_painted_again(desk: Desk, make_pattern: MakePattern) -> None:
    async with desk.app.run_test(size=(120, 36)) as pilot:
        await desk.fold(pilot, *(make_pattern(source=f"source-{i}") for i in range(10)), link=True)
        table = desk.app.screen.query_one("#episodes", LineView)
        lines = list(table._lines)
        assert table.show(lines, table._cursor_y) == 0
        changed = [*lines[:3], (("another row", "text"),), *lines[4:]]
        assert table.show(changed, table._cursor_y) == 1


def test_the_locale_decides_on_ascii() -> None:
    assert speaks_utf8({"LANG": "en_US.UTF-8"})
    assert not speaks_utf8({"LANG": "C"})
    assert not speaks_utf8({"LANG": "en_US.UTF-8", "LC_ALL": "POSIX"})
