"""Under a pilot: what is asked on the last line, the past, labels of several rows, what is taken away."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from textual.widgets import Input

from qraft.model import Pattern, Scope
from tests.tui.desk import NOW_US, SECOND, Desk
from tui.actions import ACTIONS
from tui.language import use
from tui.screens.choose import ChoiceScreen
from tui.screens.confirm import ConfirmScreen
from tui.screens.palette import Actions
from tui.state.mutes import ends_us
from tui.state.past import PAGE_ROWS
from tui.state.saved import SavedFilters
from tui.state.window import DEFAULT_US, Window, last

MakePattern = Callable[..., Pattern]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


@pytest.fixture
def english() -> Iterator[None]:
    yield
    use("en")


def typed(desk: Desk) -> str:
    return desk.main.query_one("#prompt-text", Input).value


def copied(desk: Desk) -> str:
    """What the terminal was told to put on the clipboard (OSC 52)."""
    sequence = desk.written[-1]
    start = sequence.index("]52;c;") + len("]52;c;")
    return base64.b64decode(sequence[start:].split("\x07")[0].split("\x1b")[0]).decode()


# --- the filter


async def test_the_filter_narrows_as_it_is_typed(desk: Desk, make_pattern: MakePattern) -> None:
    async with desk.app.run_test(size=(120, 36)) as pilot:
        await desk.fold(pilot, make_pattern(source="alpha"), make_pattern(source="beta", type="anomaly"), link=True)
        await desk.press(pilot, "slash", *"kind:anom")
        assert "beta" in desk.text("episodes")
        assert "alpha" not in desk.text("episodes")
        assert "1 of 2" in desk.text("prompt-remark")
        await desk.press(pilot, "enter")
        assert not desk.main.query_one("#prompt").display
        assert "/kind:anom" in desk.text("episodes")
        await desk.press(pilot, "slash", *"x")
        assert "unknown kind" in desk.text("prompt-remark")
        await desk.press(pilot, "enter")
        assert desk.main.query_one("#prompt").display, "what cannot be read stays to be mended"
        await desk.press(pilot, "escape")
        assert "alpha" in desk.text("episodes")
        await desk.press(pilot, "slash", "up")
        assert typed(desk) == "kind:anom"
        assert "alpha" not in desk.text("episodes")
        await desk.press(pilot, "escape")


async def test_tab_completes_the_last_word_and_leaves_those_before(desk: Desk, make_pattern: MakePattern) -> None:
    async with desk.app.run_test(size=(120, 36)) as pilot:
        await desk.fold(pilot, make_pattern(source="alpha"), link=True)
        await desk.press(pilot, "slash", *"src:alpha kin", "tab")
        assert typed(desk) == "src:alpha kind:"
        await desk.press(pilot, "d", "tab")
        assert typed(desk) == "src:alpha kind:drift"
        await desk.press(pilot, "enter")
        assert desk.session.filter.text == "src:alpha kind:drift"


async def test_filters_are_saved_under_a_name_and_recalled(desk: Desk, make_pattern: MakePattern) -> None:
    async with desk.app.run_test(size=(120, 36)) as pilot:
        await desk.fold(pilot, make_pattern(source="alpha"), link=True)
        await desk.press(pilot, "F")
        assert "no filter is saved" in desk.text("keys")
        await desk.command(pilot, "filter src:alpha")
        await desk.press(pilot, "F", "1", *"mine", "enter")
        assert SavedFilters(desk.folder).load() == {"mine": "src:alpha"}
        await desk.press(pilot, "escape")
        assert not desk.session.filter
        await desk.press(pilot, "F")
        assert isinstance(desk.app.screen, ChoiceScreen)
        await desk.press(pilot, "enter")
        assert desk.session.filter.text == "src:alpha"
        SavedFilters(desk.folder).path.write_text("broken")
        await desk.press(pilot, "F")
        assert "filters.toml" in desk.text("keys")


# --- labels


async def test_several_rows_want_a_y_and_enter_does_not_do(desk: Desk, make_pattern: MakePattern) -> None:
    async with desk.app.run_test(size=(120, 36)) as pilot:
        await desk.fold(pilot, *(make_pattern(source=s) for s in "abc"), link=True)
        await desk.press(pilot, "v", "v", "x")
        assert isinstance(desk.app.screen, ConfirmScreen)
        assert "2 marked episodes?" in desk.text("confirm")
        await desk.press(pilot, "enter")
        assert desk.unsent() == []
        assert len(desk.session.board.marked) == 2
        await desk.press(pilot, "x", "x")
        assert desk.unsent() == [], "nor does the key that asked"
        await desk.press(pilot, "x", "y")
        assert [(f.source, f.verdict) for f in desk.unsent()] == [("c", "false_positive"), ("b", "false_positive")]
        await desk.press(pilot, "u", "U")
        assert [f.verdict for f in desk.unsent()][2:] == ["undo", "undo", "false_positive", "false_positive"]


async def test_a_mute_asks_what_and_how_long(desk: Desk, make_pattern: MakePattern) -> None:
    async with desk.app.run_test(size=(120, 36)) as pilot:
        await desk.fold(pilot, make_pattern(source="a"), make_pattern(source="b"), link=True)
        await desk.press(pilot, "m")
        assert "everything of b" in desk.text("choices")
        await desk.press(pilot, "2")
        await desk.tick(pilot)
        assert typed(desk) == "1h"
        assert "everything of b · until 15:00" in desk.text("prompt-remark")
        await desk.press(pilot, "x", "enter")
        assert "no length of time" in desk.text("prompt-remark")
        assert desk.unsent() == []
        await desk.press(pilot, "backspace", "enter")
        (mute,) = desk.unsent()
        assert (mute.verdict, mute.scope, ends_us(mute)) == ("mute", Scope(source="b"), NOW_US + 3600 * SECOND)
        desk.now_us += 5 * SECOND
        await desk.tick(pilot)
        assert "· 1 muted" in desk.text("episodes")
        assert [e.source for e in desk.session.board.rows] == ["a"]
        await desk.press(pilot, "M")
        assert [e.source for e in desk.session.board.rows] == ["b", "a"]
        await desk.press(pilot, "M", "u")
        desk.now_us += 5 * SECOND
        await desk.tick(pilot)
        assert [e.source for e in desk.session.board.rows] == ["b", "a"]
        await desk.press(pilot, "m", "escape")
        assert len(desk.unsent()) == 2


async def test_a_note_is_written(desk: Desk, make_pattern: MakePattern) -> None:
    async with desk.app.run_test(size=(120, 36)) as pilot:
        await desk.fold(pilot, make_pattern(), link=True)
        await desk.press(pilot, "i", *"a b", "enter", "i", "escape")
        assert [(f.verdict, f.note) for f in desk.unsent()] == [("note", "a b")]


# --- time


async def test_the_past_on_the_same_screens(desk: Desk, make_pattern: MakePattern) -> None:
    async with desk.app.run_test(size=(120, 36)) as pilot:
        await desk.fold(pilot, make_pattern(source="live-only"), link=True)
        await desk.press(pilot, "left_square_bracket")
        await desk.answered(pilot)
        assert desk.session.window == Window(NOW_US - 3 * DEFAULT_US // 2, NOW_US - DEFAULT_US // 2)
        assert "« 13:37:30–13:52:30 UTC" in desk.text("status")
        assert desk.session.board.rows
        assert "live-only" not in desk.text("episodes", "sources")
        assert "market" in desk.text("sources")
        await desk.press(pilot, "space")
        assert "the past stands still" in desk.text("keys")
        await desk.press(pilot, "plus")
        assert desk.session.window is not None
        assert desk.session.window.length_us == 2 * DEFAULT_US
        await desk.press(pilot, "minus", "minus", "left_curly_bracket")
        await desk.answered(pilot)
        bounds = await desk.history.bounds()
        assert bounds is not None
        assert desk.session.window.since_us == bounds[0]
        await desk.press(pilot, "right_curly_bracket")
        assert "live-only" in desk.text("episodes")
        await desk.press(pilot, "t", *"nonsense", "enter")
        assert '"nonsense" is no time' in desk.text("prompt-remark")
        assert desk.session.window is None
        await desk.press(pilot, "escape", "t", *"-1h", "enter")
        assert desk.session.window == last(4 * DEFAULT_US, NOW_US)
        await desk.press(pilot, "escape")
        assert desk.session.window is None


async def test_the_sources_of_the_past_are_there_on_their_own_screen_too(desk: Desk, make_pattern: MakePattern) -> None:
    async with desk.app.run_test(size=(120, 36)) as pilot:
        await desk.fold(pilot, make_pattern(), link=True)
        await desk.press(pilot, "O", "left_square_bracket")
        await desk.answered(pilot)
        assert "sensor-hall-3" in desk.text("source-list")


async def test_without_a_database_the_past_says_so(desk: Desk, make_pattern: MakePattern) -> None:
    desk.history.up = False
    async with desk.app.run_test(size=(160, 36)) as pilot:
        await desk.fold(pilot, make_pattern(), link=True)
        await desk.press(pilot, "left_square_bracket")
        await desk.answered(pilot)
        assert "switched off" in desk.text("episodes")
        await desk.press(pilot, "H")
        await desk.answered(pilot)
        assert "switched off" in desk.text("history")
        desk.history.up = True
        await desk.press(pilot, "r")
        await desk.answered(pilot)
        assert desk.session.pages.board.rows


async def test_history_pages_on_as_the_cursor_comes_near_the_end(desk: Desk, make_pattern: MakePattern) -> None:
    async with desk.app.run_test(size=(120, 36)) as pilot:
        await desk.fold(pilot, make_pattern(), link=True)
        await desk.press(pilot, "H")
        await desk.command(pilot, "time -7d")
        await desk.answered(pilot)
        pages = desk.session.pages
        assert len(pages.board.rows) == PAGE_ROWS
        assert pages.total is not None
        assert pages.total > PAGE_ROWS
        await desk.press(pilot, "G")
        await desk.answered(pilot)
        assert len(pages.board.rows) > PAGE_ROWS
        await desk.press(pilot, "c")
        assert len(desk.unsent()) == 1
        await desk.press(pilot, "ctrl+y")
        assert copied(desk).startswith("SELECT")


# --- away with it, and the whole


async def test_ids_patterns_and_queries_are_copied(desk: Desk, make_pattern: MakePattern) -> None:
    async with desk.app.run_test(size=(120, 36)) as pilot:
        one, two = make_pattern(source="a"), make_pattern(source="b")
        await desk.fold(pilot, one, two, link=True)
        await desk.press(pilot, "y")
        assert copied(desk) == two.pattern_id
        await desk.press(pilot, "v", "v", "y")
        assert copied(desk) == f"{two.pattern_id}\n{one.pattern_id}"
        await desk.press(pilot, "Y")
        assert copied(desk).count("\n") == 1
        await desk.press(pilot, "ctrl+y")
        assert "SELECT" in copied(desk)
        await desk.press(pilot, "escape", "j", "c", "B")
        await desk.answered(pilot)
        await desk.press(pilot, "y")
        assert copied(desk) == one.pattern_id, "on FEEDBACK the pattern that was judged"


async def test_the_palette_finds_actions_and_sources(desk: Desk, make_pattern: MakePattern) -> None:
    async with desk.app.run_test(size=(120, 36)) as pilot:
        await desk.fold(pilot, make_pattern(), link=True)
        provider = Actions(desk.main)
        offered = [hit async for hit in provider.discover()]
        wanted = [a.name for a in ACTIONS if a.name not in ("palette", "command") and not desk.session.reason(a.name)]
        assert len(offered) == len(wanted)
        hits = [hit async for hit in provider.search("redo")]
        assert any("not now: nothing was taken back" in (hit.help or "") for hit in hits)
        (best, *_) = sorted([h async for h in provider.search("HISTORY")], key=lambda h: -h.score)
        best.command()
        assert desk.session.page.name == "HISTORY"
        (source,) = [h async for h in provider.search("source host") if "episodes" in (h.help or "")]
        source.command()
        assert (desk.session.page.name, desk.session.filter.text) == ("LIVE", "src:host")
        await desk.press(pilot, "ctrl+p")
        assert len(desk.app.screen_stack) == 3
        await desk.press(pilot, "escape")


async def test_theme_and_language_change_while_it_runs(desk: Desk, make_pattern: MakePattern, english: None) -> None:
    async with desk.app.run_test(size=(120, 36)) as pilot:
        await desk.fold(pilot, make_pattern(), link=True)
        await desk.command(pilot, "theme deuteranopia")
        assert desk.app.theme == "deuteranopia"
        await desk.command(pilot, "theme pink")
        assert "no theme “pink”" in desk.text("keys")
        await desk.press(pilot, "colon", *"theme", "enter")
        assert "theme needs NAME" in desk.text("prompt-remark")
        await desk.press(pilot, "escape")
        await desk.command(pilot, "language zh")
        await desk.tick(pilot)
        assert "来源" in desk.text("sources") or not desk.text("sources").isascii()
        assert "DRIFT" not in desk.text("episodes")
        await desk.command(pilot, "lang en")
        assert "DRIFT" in desk.text("episodes")
        await desk.press(pilot, "colon", *"nosuch", "enter")
        assert "no command “nosuch”" in desk.text("prompt-remark")
        await desk.press(pilot, "escape")
