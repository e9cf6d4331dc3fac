"""The chart: bands, windows, moments, gaps; in braille, half blocks and ASCII."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from tui.views.braille_chart import Dots, Stretch, chart
from tui.views.text import TONES, ascii_line, plain, width_of

SECOND = 1_000_000
STEP = [(i * SECOND, 1.0 if i < 50 else 3.0) for i in range(100)]
WINDOWS = [Stretch("reference", 0, 39 * SECOND), Stretch("current", 40 * SECOND, 60 * SECOND, "drift")]


@given(
    st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=60),
    st.tuples(st.integers(24, 300), st.integers(3, 40)),
    st.sampled_from(["braille", "block", "ascii"]),
    st.tuples(st.integers(-20, 80), st.integers(-20, 80), st.booleans()),
    st.lists(st.tuples(st.integers(-30, 90), st.integers(0, 60)), max_size=4),
)
def test_it_fills_its_place_exactly_whatever_it_draws(
    values: list[float],
    size: tuple[int, int],
    dots: Dots,
    moments: tuple[int, int, bool],
    spans: list[tuple[int, int]],
) -> None:
    (width, height), (mark, began, banded) = size, moments
    points = [(i * SECOND, v) for i, v in enumerate(values)]
    lines = chart(
        points,
        width,
        height,
        mark_us=mark * SECOND,
        before=values[0],
        after=values[-1],
        dots=dots,
        band=[(us, v - 1, v + 1) for us, v in points] if banded else (),
        window=(0, 60 * SECOND) if banded else None,
        began_us=began * SECOND,
        stretches=[Stretch("现在", since * SECOND, (since + long) * SECOND) for since, long in spans],
        gap_us=3 * SECOND,
        at="14:00:00",
    )
    assert len(lines) == height
    for line in lines:
        assert width_of(line) == width
        assert {tone for _, tone in line} <= set(TONES)
    if dots == "ascii":
        assert all(plain(ascii_line(line)).isascii() for line in lines)


def test_the_windows_stand_below_the_axis_where_they_lie() -> None:
    *_, axis, named = chart(STEP, 107, 8, mark_us=60 * SECOND, stretches=WINDOWS, window=(0, 100 * SECOND), dots="ascii")
    text = plain(named)
    gutter = len(text) - len(text.lstrip())
    assert text[gutter] == "├"
    assert " reference " in text
    assert " current " in text
    assert abs(text.index("┤├") - gutter - 39) <= 2
    assert abs(text.rindex("┤") - plain(axis).index("^")) <= 1
    assert [tone for part, tone in named if "current" in part] == ["drift"]


def test_a_window_that_reaches_beyond_the_chart_is_open_there() -> None:
    line = plain(chart(STEP, 80, 8, mark_us=60 * SECOND, stretches=[Stretch("reference", -SECOND, 30 * SECOND)])[-1])
    assert line.strip().startswith("─")
    assert line.strip().endswith("┤")


def test_a_current_window_of_one_row_is_named_beside_its_sign() -> None:
    moment = 60 * SECOND
    line = plain(chart(STEP, 80, 8, mark_us=moment, stretches=[Stretch("current", moment, moment)])[-1])
    assert line.strip() == "┴ current"


def test_the_moment_and_the_begin_are_marked_and_the_levels_end_at_the_begin() -> None:
    lines = chart(STEP, 80, 9, mark_us=80 * SECOND, began_us=40 * SECOND, before=1.2, after=2.8, dots="ascii", at="14:00:00")
    body = [plain(line) for line in lines[:-1]]
    mark = plain(lines[-1]).index("^")
    began = next(row.index("'") for row in body if "'" in row)
    assert began < mark
    assert all(row[mark] in ":*" for row in body)
    assert "^ 14:00:00" in plain(lines[-1])
    dashed = [i for row in body for i, char in enumerate(row) if char == "-"]
    assert min(dashed) < began
    assert max(dashed) > mark


def test_a_moment_outside_of_the_window_is_not_marked() -> None:
    lines = chart(STEP, 80, 8, mark_us=500 * SECOND, window=(0, 100 * SECOND), dots="ascii")
    assert "^" not in plain(lines[-1])
    assert all(":" not in plain(line) for line in lines)


def test_a_band_lies_behind_the_line_and_differs_from_it_without_colour() -> None:
    points = [(i * SECOND, 5.0) for i in range(60)]
    lines = chart(points, 70, 9, mark_us=0, band=[(us, 1.0, 9.0) for us, _ in points], dots="ascii")
    rows = [plain(line).split(" ", 1)[1] for line in lines[:-1]]
    assert sum(row.count("*") for row in rows) >= 60
    assert rows[0].count(".") >= 55
    assert rows[7].count(".") >= 55
    assert plain(lines[0]).startswith("9 ")
    assert plain(lines[7]).startswith("1 ")


@pytest.mark.parametrize(("gap_us", "joined"), [(0, True), (5 * SECOND, False)])
def test_points_far_apart_are_not_connected(gap_us: int, joined: bool) -> None:
    points = [(0, 1.0), (SECOND, 1.0), (80 * SECOND, 1.0), (81 * SECOND, 1.0)]
    lines = chart(points, 90, 5, mark_us=81 * SECOND, gap_us=gap_us, dots="ascii")
    assert (max(plain(line).count("*") for line in lines) > 60) is joined


def test_half_blocks_serve_fonts_without_braille() -> None:
    text = "".join(plain(line) for line in chart(STEP, 60, 8, mark_us=50 * SECOND, dots="block"))
    assert set(text) & set("▀▄█")
    assert not any(0x2800 <= ord(char) < 0x2900 for char in text)


def test_a_tall_scale_is_labelled_in_its_middle_too() -> None:
    lines = chart(STEP, 60, 12, mark_us=50 * SECOND)
    assert [plain(line).split(" ")[0] for line in lines[:-1] if plain(line)[0] != " "] == ["3", "2", "1"]
