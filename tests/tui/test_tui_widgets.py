from __future__ import annotations

import pytest
from hypothesis import given, strategies as st
from rich.cells import cell_len
from rich.style import Style
from textual.app import App, ComposeResult
from textual.geometry import Region
from textual.pilot import Pilot

from tui import theme
from tui.theme import NAMES, load, textual_theme
from tui.views.text import TONES, Line, Tone, plain
from tui.widgets.line_view import LineView
from tui.widgets.row_table import WHEEL_ROWS, RowTable
from tui.widgets.strips import changed_part, strip_of
from tui.widgets.text_pane import WHEEL_LINES, TextPane

WORDS = st.text(alphabet="ab ─模▁ ", max_size=6)
LINES: st.SearchStrategy[Line] = st.lists(st.tuples(WORDS, st.sampled_from(TONES)), max_size=8).map(tuple)
HEAD: list[Line] = [(("head", "title"),), (("NAME", "dim"),)]


def look(char: str, style: Style | None) -> list[tuple[str, object]]:
    """The cells of a character, each with what can be seen of its style."""
    assert style is not None
    ground = (style.bgcolor, bool(style.reverse) and style.color, bool(style.underline))
    seen: object = ground if char == " " else style
    return [(char, seen)] + [("", seen)] * (cell_len(char) - 1)


def cells(line: Line, width: int, name: str, *, cursor: bool) -> list[tuple[str, object]]:
    """Each cell as a screen shows it."""
    strip = strip_of(line, width, theme.styles(name), cursor=cursor)
    return [cell for text, style, _ in strip for char in text for cell in look(char, style)]


@given(LINES, st.integers(0, 30), st.sampled_from(NAMES), st.booleans())
def test_a_strip_shows_every_cell_as_its_tone_says(line: Line, width: int, name: str, cursor: bool) -> None:
    shown = cells(line, width, name, cursor=cursor)
    styles = theme.styles(name)
    expected: list[tuple[str, object]] = []
    for text, tone in line:
        before, after = len(text) - len(text.lstrip()), len(text.rstrip())
        for i, char in enumerate(text):
            around = i < before or i >= after
            plain_space = around and styles[tone, cursor].underline
            expected += look(char, styles["text" if plain_space else tone, cursor])
    expected += look(" ", styles["text", cursor]) * max(0, width - len(expected))
    if len(expected) > width and expected[width][0] == "":  # a wide character was cut in two
        expected[width - 1] = shown[width - 1]
    assert shown == expected[:width]


@given(LINES, LINES, st.integers(1, 30), st.sampled_from(NAMES))
def test_outside_the_changed_part_nothing_changed(old: Line, new: Line, width: int, name: str) -> None:
    left, right = changed_part(old, new, width)
    before, after = (cells(line, width, name, cursor=False) for line in (old, new))
    assert before[:left] == after[:left]
    assert before[max(left, right) :] == after[max(left, right) :]


def test_neighbours_and_spaces_join() -> None:
    line: Line = (("a", "dim"), (" ", "text"), ("b", "dim"), ("  ", "strong"), ("c", "alert"), (" ", "text"), ("d", "good"))
    strip = strip_of(line, 12, theme.styles("dark"), cursor=False)
    assert [segment.text for segment in strip] == ["a b  ", "c", " d    "]
    assert strip.cell_length == 12


def test_spaces_around_what_is_underlined_are_not() -> None:
    strip = strip_of(((" a b ", "warn"),), 6, theme.styles("mono"), cursor=False)
    assert [(text, bool(style and style.underline)) for text, style, _ in strip] == [
        (" ", False),
        ("a b", True),
        ("  ", False),
    ]


def test_only_the_part_that_differs_is_named() -> None:
    old: Line = (("name ", "text"), ("1.0", "dim"), (" tail", "text"))
    assert changed_part(old, (("name ", "text"), ("2.0", "dim"), (" tail", "text")), 40) == (5, 8)
    assert changed_part(old, (("name ", "text"), ("10.0", "dim"), (" tail", "text")), 40) == (5, 40)
    assert changed_part(old, (("模 ", "text"), ("1.0", "dim"), (" tail", "text")), 40) == (0, 40)


class Desk(App[None]):
    """One widget, and the messages that came from it."""

    CSS = "LineView { width: 1fr; height: 1fr; }"

    def __init__(self, widget: LineView) -> None:
        super().__init__()
        self.widget = widget
        self.picked: list[tuple[int, object]] = []
        self.wheeled: list[int] = []

    def compose(self) -> ComposeResult:
        yield self.widget

    def on_row_table_picked(self, event: RowTable.Picked) -> None:
        assert event.control is self.widget
        self.picked.append((event.index, event.row))

    def on_row_table_wheel(self, event: RowTable.Wheel) -> None:
        assert event.control is self.widget
        self.wheeled.append(event.steps)


def draw(row: str) -> Line:
    return ((row, "text"),)


async def shown(pilot: Pilot[None], table: RowTable[str], rows: list[str], cursor: int) -> list[str]:
    table.show_rows(HEAD, rows, cursor, draw, active=True, between=lambda r: r.startswith("-"), marked=lambda r: "m" in r)
    await pilot.pause()
    return table.text.splitlines()[2:]


async def test_marks_and_rows_between_others() -> None:
    table = RowTable[str]()
    async with Desk(table).run_test(size=(20, 10)) as pilot:
        assert await shown(pilot, table, ["a", "mb", "--- gap ---", "mc", "d"], 3) == [
            " a",
            "+mb",
            "--- gap ---",
            "■mc",
            " d",
        ]
        assert (await shown(pilot, table, ["a", "mb"], 0)) == ["▌a", "+mb"]


async def test_a_click_tells_the_row_that_was_shown_there() -> None:
    table = RowTable[str]()
    app = Desk(table)
    rows = [f"row {i}" for i in range(30)]
    async with app.run_test(size=(20, 10)) as pilot:
        await shown(pilot, table, rows, 20)
        for y in (0, 1, 2, 9):
            await pilot.click(offset=(3, y))
        assert app.picked == [(13, "row 13"), (20, "row 20")]
        await shown(pilot, table, ["a", "--- gap ---", "b"], 0)
        for y in (2, 3, 4, 5):
            await pilot.click(offset=(3, y))
        assert app.picked[2:] == [(0, "a"), (2, "b")]
        table.show([(("nothing here", "dim"),)])
        await pilot.click(offset=(3, 0))
        assert len(app.picked) == 4


async def test_the_wheel_is_told_in_rows() -> None:
    from textual.events import MouseScrollDown, MouseScrollUp

    table = RowTable[str]()
    app = Desk(table)
    pane = TextPane()
    async with app.run_test(size=(20, 10)) as pilot:
        for kind in (MouseScrollDown, MouseScrollUp):
            table.post_message(kind(table, 1, 1, 0, 0, 0, False, False, False))
        await pilot.pause()
        await pilot.pause()
        assert app.wheeled == [WHEEL_ROWS, -WHEEL_ROWS]
        await app.mount(pane)
        await pilot.pause()
        pane.show_body([], [((str(i), "text"),) for i in range(50)])
        pane.post_message(MouseScrollDown(pane, 1, 1, 0, 0, 0, False, False, False))
        await pilot.pause()
        await pilot.pause()
        assert pane.text.startswith(f"{WHEEL_LINES}\n")


class Painted(LineView):
    """Notes what it asks to be painted again, and draws."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[Region] = []

    def refresh(self, *regions: Region, **options: bool) -> Painted:
        self.asked += regions
        super().refresh(*regions, **options)
        return self


async def test_only_changed_parts_of_changed_lines_are_painted() -> None:
    view = Painted()
    async with Desk(view).run_test(size=(20, 5)) as pilot:
        first: list[Line] = [(("same", "text"),), (("key ", "dim"), ("1", "text"), (" end", "dim"))]
        assert view.show(first) == 2
        await pilot.pause()
        view.asked.clear()
        assert view.show(list(first)) == 0
        assert not view.asked
        assert view.show([first[0], (("key ", "dim"), ("2", "text"), (" end", "dim"))]) == 1
        assert view.asked == [Region(4, 1, 1, 1)]
        view.asked.clear()
        assert view.show([first[0], (("key ", "dim"), ("2", "text"), (" end", "dim"))], 0) == 1
        assert view.asked == [Region(0, 0, 20, 1)]
        view.asked.clear()
        assert view.show([first[0]], 0) == 1
        assert view.asked == [Region(0, 1, 20, 1)]
        await pilot.pause()
        assert view.render_line(1).text == " " * 20


async def test_lines_that_moved_are_not_drawn_again() -> None:
    view = LineView()
    async with Desk(view).run_test(size=(20, 5)) as pilot:
        view.show([(("one", "text"),), (("two", "good"),)])
        await pilot.pause()
        strip = view.render_line(0)
        view.show([(("new", "bad"),), (("one", "text"),)])
        assert view.render_line(1) is strip


@pytest.mark.parametrize("name", NAMES)
async def test_a_theme_is_painted_and_may_change_while_it_runs(name: str) -> None:
    view = LineView()
    app = Desk(view)
    line: Line = tuple((tone, tone) for tone in TONES)
    async with app.run_test(size=(120, 20)) as pilot:
        view.show([line], 0)
        await pilot.pause()
        app.register_theme(textual_theme(load(name)))
        app.theme = name
        await pilot.pause()
        strip = view.render_line(0)
        assert strip.text.rstrip() == plain(line)
        tones: list[Tone] = [t for t in TONES if t != "alert"]
        ground = load(name).style(tones[0], cursor=True).bgcolor
        assert {segment.style.bgcolor for segment in strip if segment.style and segment.text.strip() in tones} == {ground}
        app.action_command_palette()
        await pilot.press("k", "e", "y")
        await pilot.pause(0.3)
        assert "Show&#160;help" in app.export_screenshot()


@pytest.mark.parametrize("value", ["1", ""])
async def test_with_no_color_nothing_fails_and_nothing_is_coloured(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", value)
    view = LineView()
    async with Desk(view).run_test(size=(60, 3)) as pilot:
        view.show([(("warn", "warn"), ("bad", "bad"), ("模", "drift"))], 0)
        await pilot.pause()
        styles = [segment.style for segment in view.render_line(0)]
        assert all(style is not None and style.color is not None and style.color.is_default for style in styles)
