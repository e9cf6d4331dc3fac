"""The whole interface under a pilot: what is shown of what arrives, panes, sizes, leaving."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from textual.widgets import Input

from qraft.model import EngineStats, Feedback, Pattern
from tests.tui.desk import Desk
from tui.actions import ACTIONS, Action
from tui.language import use
from tui.screens.help import HelpScreen
from tui.state.inbox import Past
from tui.state.pages import Page, Pane
from tui.views.text import width_of
from tui.widgets.line_view import LineView
from tui.wiring import speaks_utf8

MakePattern = Callable[..., Pattern]
SCREEN_KEY = {Page.LIVE: "L", Page.SOURCES: "O", Page.HISTORY: "H", Page.FEEDBACK: "B", Page.PIPE: "P"}
MODAL = {"mute", "filters", "palette", "help"}
"""Actions that open a screen over the main one, or may."""


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


@pytest.fixture
def chinese() -> Iterator[None]:
    use("zh")
    yield
    use("en")


# --- every action is reached


async def test_every_action_is_reached_by_each_of_its_keys_and_by_its_names(
    desk: Desk, make_pattern: MakePattern, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every key on every screen where the action has a place; every name as a command."""
    reached: list[tuple[str, str]] = []

    def note(action: Action) -> Callable[..., None]:
        return lambda self, argument="": reached.append((action.name, argument))

    for action in ACTIONS:
        if action.name != "command":
            monkeypatch.setattr(type(desk.main), f"do_{action.name}", note(action))
    monkeypatch.setattr("tui.state.session.reason", lambda session, name: "")
    monkeypatch.setattr("tui.pages.base.PageView.act", lambda *_: False)
    for page in desk.main._views.values():
        monkeypatch.setattr(type(page), "act", lambda *_: False)
    async with desk.app.run_test(size=(120, 36)) as pilot:
        await desk.fold(pilot, make_pattern(), link=True)
        for action in ACTIONS:
            if action.name == "command":
                continue
            for key in action.keys:
                reached.clear()
                await desk.press(pilot, key)
                assert reached == [(action.name, "")], key
            for name in (action.name, *action.aliases):
                reached.clear()
                words = f"{name} dark" if action.argument else name
                await desk.command(pilot, words)
                assert reached == [(action.name, "dark" if action.argument else "")], name


@pytest.mark.parametrize("page", SCREEN_KEY)
async def test_on_every_screen_every_key_does_something_or_says_why_not(
    tmp_path: Path, make_pattern: MakePattern, page: Page
) -> None:
    """Every action as it is, one after the other; none fails, and what has a reason against it says the reason."""
    desk = Desk(tmp_path, past=[Past(make_pattern(-60 * i, source=f"s{i}")) for i in range(9)])
    async with desk.app.run_test(size=(120, 36)) as pilot:
        for action in ACTIONS:
            if not action.keys or action.name in ("quit", "leave", "suspend"):
                continue
            await desk.fold(pilot, make_pattern(), link=True)
            desk.session.message = None
            desk.session.show_window(None, desk.now_us)
            await desk.press(pilot, SCREEN_KEY[page])
            assert desk.session.page is page
            reason = desk.session.reason(action.name)
            await desk.press(pilot, action.keys[-1])
            if reason:
                assert desk.session.message is not None, action.name
                assert desk.session.message.text == reason
                assert desk.session.message.bad
            if len(desk.app.screen_stack) > 2:
                assert action.name in MODAL
                await desk.press(pilot, "escape")
            await desk.press(pilot, "escape")
            assert desk.app.screen is desk.main, action.name
    assert desk.app.return_code in (None, 0)


async def test_an_operators_keys_work_and_show(tmp_path: Path, make_pattern: MakePattern) -> None:
    changes = {"confirm": ["f6", "ctrl+x"], "false_positive": "c", "quit": ["ctrl+c", "f9"], "redo": "ctrl+q"}
    desk = Desk(tmp_path, keys=changes)
    async with desk.app.run_test(size=(160, 50)) as pilot:
        await desk.fold(pilot, make_pattern(), link=True)
        assert " f6 confirm " in desk.text("keys")
        assert " c false pos " in desk.text("keys")
        await desk.press(pilot, "question_mark")
        assert "f6 ctrl+x" in desk.text("help")
        await desk.press(pilot, "escape", "ctrl+x")
        await desk.press(pilot, "x")
        assert [f.verdict for f in desk.unsent()] == ["confirmed"]
        await desk.press(pilot, "c", "u", "ctrl+q")
        assert [f.verdict for f in desk.unsent()] == ["confirmed", "false_positive", "undo", "false_positive"]
        await desk.press(pilot, "f9")
    assert desk.app.return_value == 0


# --- what arrives


async def test_a_verdict_is_shown_at_once_journaled_and_stored_when_acknowledged(
    desk: Desk, make_pattern: MakePattern
) -> None:
    async with desk.app.run_test(size=(120, 36)) as pilot:
        await desk.fold(pilot, make_pattern(), link=True)
        await desk.press(pilot, "c")
        assert "CONFIRMED ◌ unsent" in desk.text("episodes")
        assert "◌ 1 unsent" in desk.text("status")
        (kept,) = desk.unsent()
        assert (kept.verdict, kept.source, kept.detector, kept.user) == ("confirmed", "host", "drift", "me")
        desk.wiring.inbox.delivered(kept.feedback_id)
        await desk.tick(pilot)
        assert "CONFIRMED ● stored" in desk.text("episodes")
        assert "unsent" not in desk.text("status")
        await desk.press(pilot, "u")
        assert "NEW ◌ unsent" in desk.text("episodes")
        assert desk.unsent()[-1].undoes == kept.feedback_id


async def test_what_was_not_sent_is_there_again_after_a_restart(
    desk: Desk, tmp_path: Path, make_pattern: MakePattern
) -> None:
    pattern = make_pattern()
    async with desk.app.run_test(size=(120, 36)) as pilot:
        await desk.fold(pilot, pattern, link=True)
        await desk.press(pilot, "c")
    again = Desk(tmp_path)
    again.wiring._feed.up = False  # type: ignore[attr-defined]  # a FakeFeed

    async def front() -> int:
        async with again.app.run_test(size=(120, 36)) as pilot:
            await again.fold(pilot, pattern, link=True)
            assert "CONFIRMED ◌ unsent" in again.text("episodes")
        return 0

    assert await again.wiring.beside(front()) == 0


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
        await desk.press(pilot, "B")
        await desk.answered(pilot)
        assert "@ann·[2J" in desk.text("feedback")


async def test_a_lost_connection_is_told_the_gap_is_marked_and_nothing_ends(desk: Desk, make_pattern: MakePattern) -> None:
    async with desk.app.run_test(size=(120, 36)) as pilot:
        await desk.fold(pilot, make_pattern(source="before"), link=True)
        assert not desk.app.screen.query_one("#banner").display
        desk.now_us += 10_000_000
        desk.wiring.inbox.link(False)
        await desk.tick(pilot)
        desk.now_us += 5_000_000
        await desk.press(pilot, "c")
        await desk.tick(pilot)
        assert "NATS lost 5s ago, retrying · data as of 14:00:00 · 1 verdict queued" in desk.text("banner")
        assert "nats LOST" in desk.text("status")
        assert "stale" in desk.text("sources")
        assert "gap since 14:00:00 · NATS lost for 15s" in desk.text("episodes")
        await desk.fold(pilot, make_pattern(16, source="after"), link=True)
        assert not desk.app.screen.query_one("#banner").display
        assert "gap 14:00:00–14:00:15 · NATS lost 15s · nothing was missed" in desk.text("episodes")
        desk.wiring.inbox.past([Past(make_pattern(at, source=f"missed-{at}")) for at in (7, 8)])
        desk.now_us += 5_000_000
        await desk.tick(pilot)
        assert "2 patterns filled in from ClickHouse" in desk.text("episodes")
        rows = desk.text("episodes").split("\n")
        order = [next(i for i, row in enumerate(rows) if word in row) for word in ("after", "gap ", "missed-8", "before")]
        assert order == sorted(order)
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


async def test_frozen_counts_what_arrives_and_steps(desk: Desk, make_pattern: MakePattern) -> None:
    async with desk.app.run_test(size=(120, 36)) as pilot:
        await desk.fold(pilot, make_pattern(source="alpha"), link=True)
        await desk.press(pilot, "full_stop")
        assert "the picture is not frozen" in desk.text("keys")
        await desk.press(pilot, "space")
        await desk.fold(pilot, make_pattern(source="beta"), make_pattern(source="beta"))
        assert "■ FROZEN +2" in desk.text("status")
        assert "beta" not in desk.text("episodes")
        desk.now_us += 1_000_000
        await desk.press(pilot, "full_stop")
        assert "beta" in desk.text("episodes")
        await desk.fold(pilot, make_pattern(source="gamma"))
        assert "■ FROZEN +3" in desk.text("status")
        assert "gamma" not in desk.text("episodes")
        await desk.press(pilot, "space")
        await desk.tick(pilot)
        assert "gamma" in desk.text("episodes")
        assert "FROZEN" not in desk.text("status")


# --- panes and screens


async def test_panes_zoom_and_detail(desk: Desk, make_pattern: MakePattern) -> None:
    def shown() -> set[str]:
        return {name for name in ("sources", "detail", "episodes") if desk.app.screen.query_one(f"#{name}").region.area}

    async with desk.app.run_test(size=(120, 36)) as pilot:
        await desk.fold(pilot, make_pattern(), link=True)
        assert shown() == {"sources", "detail", "episodes"}
        await desk.press(pilot, "z")
        assert shown() == {"episodes"}
        await desk.press(pilot, "3")
        await desk.answered(pilot)
        assert shown() == {"detail"}
        assert "cpu_percent moved for good" in desk.text("detail")
        assert "240 events" in desk.text("detail"), "the chart is drawn from history"
        await desk.press(pilot, "escape", "1")
        assert desk.session.pane is Pane.SOURCES
        await desk.press(pilot, "c")
        assert "press 2 first" in desk.text("keys")
        await pilot.resize_terminal(80, 24)
        await desk.tick(pilot)
        assert shown() == {"sources"}
        await desk.press(pilot, "tab")
        assert shown() == {"episodes"}


async def test_without_a_database_the_detail_says_why_there_is_no_chart(desk: Desk, make_pattern: MakePattern) -> None:
    desk.history.up = False
    async with desk.app.run_test(size=(120, 36)) as pilot:
        await desk.fold(pilot, make_pattern(), link=True)
        await desk.answered(pilot)
        assert "ClickHouse does not answer: switched off" in " ".join(desk.text("detail").replace("│", " ").split())


async def test_every_screen_opens_by_its_key_and_the_way_back_is_the_way_there(
    desk: Desk, make_pattern: MakePattern
) -> None:
    async with desk.app.run_test(size=(120, 36)) as pilot:
        await desk.fold(pilot, make_pattern(), link=True)
        for page, key in SCREEN_KEY.items():
            await desk.press(pilot, key)
            await desk.answered(pilot)
            assert desk.session.page is page
            assert page.name in desk.text("status")
            visible = [view.id for view in desk.main.query(".page") if view.region.area]
            assert visible == [f"page-{page.value}"]
        await desk.press(pilot, "L", "O", "H", "B")
        assert "SOURCES ▸ HISTORY ▸ FEEDBACK" in desk.text("status")
        await desk.press(pilot, "escape", "escape")
        assert desk.session.page is Page.SOURCES
        await desk.press(pilot, "ctrl+o")
        assert desk.session.page is Page.HISTORY
        await desk.press(pilot, "q")
        assert desk.session.page is Page.LIVE
        assert desk.app.is_running


async def test_the_machinery_shows_what_is_stored_and_what_it_costs(desk: Desk, make_pattern: MakePattern) -> None:
    async with desk.app.run_test(size=(120, 50)) as pilot:
        await desk.fold(pilot, make_pattern(), link=True)
        await desk.press(pilot, "P")
        await desk.answered(pilot)
        assert "pattern_events" in desk.text("pipe")
        assert "nats://nowhere:4222" in desk.text("pipe")
        desk.history.up = False
        await desk.press(pilot, "r")
        await desk.answered(pilot)
        assert "switched off" in desk.text("pipe")


async def test_sources_are_searched_by_words(desk: Desk, make_pattern: MakePattern) -> None:
    async with desk.app.run_test(size=(120, 36)) as pilot:
        desk.wiring.inbox.stats(desk.world.stats(desk.now_us))
        await desk.fold(pilot, link=True)
        desk.wiring.inbox.stats(desk.world.stats(desk.now_us))
        await desk.tick(pilot)
        await desk.press(pilot, "O", "slash", *"orders")
        assert "orders-eu" in desk.text("source-list")
        assert "shuttle" not in desk.text("source-list")
        await desk.press(pilot, "enter", "j", "enter")
        assert (desk.session.page, desk.session.filter.text) == (Page.LIVE, "src:orders-us")


async def test_help_opens_over_everything_and_data_goes_on(desk: Desk, make_pattern: MakePattern) -> None:
    async with desk.app.run_test(size=(80, 24)) as pilot:
        await desk.fold(pilot, make_pattern(source="alpha"), link=True)
        await desk.press(pilot, "question_mark")
        assert isinstance(desk.app.screen, HelpScreen)
        assert "it is real: tell me sooner next time" in desk.text()
        await desk.fold(pilot, make_pattern(source="beta"))
        await desk.press(pilot, "j", "escape")
        assert "beta" in desk.text("episodes")


# --- sizes, characters, colours


SIZES = [(300, 90), (160, 50), (120, 36), (100, 22), (80, 24), (60, 20), (50, 8), (48, 8), (30, 6), (20, 2)]


async def walk(desk: Desk, make_pattern: MakePattern, check: Callable[[], None]) -> None:
    """Over every screen with everything that may stand on it, in every size."""
    async with desk.app.run_test(size=SIZES[0]) as pilot:
        desk.wiring.inbox.stats(desk.world.stats(desk.now_us))
        await desk.fold(pilot, *(make_pattern(source=f"source-{i}", entity="Zürich 数据") for i in range(30)), link=True)
        await desk.press(pilot, "c", "v", "v")
        for size in SIZES:
            await pilot.resize_terminal(*size)
            for page, key in SCREEN_KEY.items():
                await desk.press(pilot, key)
                if size == SIZES[0]:
                    await desk.answered(pilot)
                await desk.tick(pilot)
                check()
                if page is Page.LIVE:
                    await desk.press(pilot, "enter")
                    await desk.tick(pilot)
                    assert desk.session.page is Page.EPISODE
                    check()
            await desk.press(pilot, "L")
            for keys in (("question_mark",), ("slash", "x"), ("m",), ("left_square_bracket",), ("space",), ("colon",)):
                await desk.press(pilot, *keys)
                check()
                await desk.press(pilot, "escape", "right_curly_bracket")
            desk.session.frozen = None
            desk.session.show_window(None, desk.now_us)
            await desk.press(pilot, "1", "3", "z", "2")
            check()
            desk.session.zoomed = False


async def test_no_size_is_too_small_or_too_large(desk: Desk, make_pattern: MakePattern) -> None:
    def check() -> None:
        for view in desk.app.screen.query(LineView):
            if view.region.area:
                wide = [line for line in view._lines[: view.size.height] if width_of(line) > view.size.width]
                assert not wide, (view.id, desk.app.size, desk.session.page)
        assert desk.main.query_one("#status").region.area

    await walk(desk, make_pattern, check)
    assert desk.app.return_code in (None, 0)


async def test_in_ascii_every_cell_is_ascii(tmp_path: Path, make_pattern: MakePattern) -> None:
    desk = Desk(tmp_path, ascii_only=True)

    def check() -> None:
        for strip in desk.app.screen._compositor.render_strips():
            row = "".join(segment.text for segment in strip)
            assert row.isascii(), (row, desk.app.size, desk.session.page)

    await walk(desk, make_pattern, check)


async def test_in_chinese_on_every_screen_and_size(desk: Desk, make_pattern: MakePattern, chinese: None) -> None:
    def check() -> None:
        for strip in desk.app.screen._compositor.render_strips():
            assert strip.cell_length <= desk.app.size.width

    await walk(desk, make_pattern, check)


async def test_without_colour_on_every_screen_and_size(
    tmp_path: Path, make_pattern: MakePattern, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    desk = Desk(tmp_path)

    def check() -> None:
        for strip in desk.app.screen._compositor.render_strips():
            for segment in strip:
                color = segment.style.color if segment.style else None
                assert color is None or color.is_default, (segment, desk.session.page)

    await walk(desk, make_pattern, check)


async def test_only_lines_that_changed_are_painted_again(desk: Desk, make_pattern: MakePattern) -> None:
    async with desk.app.run_test(size=(120, 36)) as pilot:
        await desk.fold(pilot, *(make_pattern(source=f"source-{i}") for i in range(10)), link=True)
        table = desk.app.screen.query_one("#episodes", LineView)
        lines = list(table._lines)
        assert table.show(lines, table._cursor_y) == 0
        changed = [*lines[:3], (("another row", "text"),), *lines[4:]]
        assert table.show(changed, table._cursor_y) == 1


# --- leaving


@pytest.mark.parametrize("keys", ["q", "ctrl+c"])
async def test_leaving(desk: Desk, keys: str) -> None:
    async with desk.app.run_test(size=(80, 24)) as pilot:
        await desk.press(pilot, keys)
    assert desk.app.return_code == 0
    assert desk.app.return_value == 0


@pytest.mark.parametrize("keys", [("slash",), ("question_mark",), ("colon",), ("m",), ("ctrl+p",)])
async def test_leaving_whatever_is_open(desk: Desk, make_pattern: MakePattern, keys: tuple[str, ...]) -> None:
    async with desk.app.run_test(size=(80, 24)) as pilot:
        await desk.fold(pilot, make_pattern(), link=True)
        await desk.press(pilot, *keys)
        await desk.press(pilot, "ctrl+c")
        assert not desk.app.is_running or desk.app._exit
    assert desk.app.return_value == 0


async def test_keys_are_text_while_something_is_asked(desk: Desk, make_pattern: MakePattern) -> None:
    async with desk.app.run_test(size=(80, 24)) as pilot:
        await desk.fold(pilot, make_pattern(), link=True)
        await desk.press(pilot, "slash", *"qc?")
        assert desk.main.query_one("#prompt-text", Input).value == "qc?"
        assert desk.unsent() == []
        await desk.press(pilot, "escape")
        assert not desk.main.query_one("#prompt").display


def test_the_locale_decides_on_ascii() -> None:
    assert speaks_utf8({"LANG": "en_US.UTF-8"})
    assert not speaks_utf8({"LANG": "C"})
    assert not speaks_utf8({"LANG": "en_US.UTF-8", "LC_ALL": "POSIX"})
