from __future__ import annotations

import pytest
from hypothesis import given, strategies as st
from rich.cells import cell_len

from qraft.model import us_from_iso
from tui.views.braille_chart import chart
from tui.views.sparkline import sparkline
from tui.views.text import (
    TONES,
    ascii_line,
    bar,
    brief,
    centre,
    change,
    clean,
    clip,
    clock,
    count,
    duration,
    fit,
    fit_middle,
    joint,
    plain,
    quantity,
    rule,
    score,
    spread,
    value,
    width_of,
    wrap,
)

NUMBERS = st.floats(allow_nan=False, allow_infinity=False, width=32)
TEXTS = st.text(alphabet=st.sampled_from("abc de…é漢字▲≈·"), max_size=30)


@given(TEXTS, st.integers(0, 40))
def test_cut_or_padded_text_has_exactly_its_width(text: str, width: int) -> None:
    assert cell_len(fit(text, width)) == width
    assert cell_len(fit(text, width, right=True)) == width
    assert cell_len(fit_middle(text, width)) == width
    assert width_of(clip([(text, "text"), (text, "dim")], width)) == width
    assert width_of(spread([(text, "text")], [("right", "dim")], width)) == width


@given(TEXTS)
def test_ascii_is_as_wide(text: str) -> None:
    line = ascii_line(((text, "text"),))
    assert plain(line).isascii()
    assert width_of(line) == cell_len(text)


@given(st.integers(4, 120), TEXTS)
def test_a_rule_is_as_wide_as_asked(width: int, text: str) -> None:
    assert width_of(rule([(f" {text} ", "title")], [("remark", "dim")], width)) == width


def test_a_joint_replaces_a_rule_but_no_text() -> None:
    line = rule([(" 漢字 ", "title")], [], 20)
    assert plain(joint(line, 12, "┴"))[10] == "┴"
    assert joint(line, 3, "┴") == line


@given(st.text(max_size=30))
def test_nothing_from_outside_moves_the_terminals_cursor(text: str) -> None:
    assert clean(text).isprintable()


@given(NUMBERS)
def test_numbers_stay_short(number: float) -> None:
    assert len(value(number)) <= 9
    assert len(brief(number)) <= 9
    if abs(number) < 1e12:
        assert len(quantity(number)) <= 6


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (63412.5, "63412.5"),
        (1.0, "1"),
        (0.12345, "0.1235"),
        (1_234_567, "1.235M"),
        (2.5e9, "2.5e+09"),
        (1e-5, "1.0e-05"),
    ],
)
def test_values(number: float, text: str) -> None:
    assert value(number) == text


@pytest.mark.parametrize(
    ("before", "after", "text"),
    [
        (100, 112, "+12 %"),
        (100, 88, "-12 %"),
        (1000, 1005, "+0.5 %"),
        (2, 16.6, "×8.3"),
        (0, 5, "+5"),
        (83, 83, "same"),
        (-1, 2, "+3"),
        (None, 2, ""),
        (float("nan"), 2, ""),
    ],
)
def test_changes(before: float | None, after: float, text: str) -> None:
    assert change(before, after) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0ms"), (0.012, "12ms"), (1.25, "1.2s"), (42, "42s"), (190, "3m10s"), (7500, "2h05m"), (4 * 86400, "4d")],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_small_forms() -> None:
    assert (score(0.974), score(0.999), count(3120), quantity(63_120), quantity(20.1)) == (
        ".97",
        "1.0",
        "3 120",
        "63.1k",
        "20.1",
    )
    assert (bar(1, 4), bar(0.5, 4), bar(0.01, 4), bar(0, 4), bar(7, 2)) == ("━━━━", "━━  ", "╸   ", "    ", "━━")


def test_a_moment_is_told_as_shortly_as_it_can_be() -> None:
    now = us_from_iso("2026-11-22T14:08:20Z")
    assert clock(us_from_iso("2026-11-22T03:04:05Z"), now) == "03:04:05"
    assert clock(us_from_iso("2026-06-01T03:04:05Z"), now, 11) == "06-01 03:04"
    assert clock(us_from_iso("2026-06-01T03:04:05Z"), now, 8) == "01 Jun"
    assert clock(3_600_000_000, now, 11) == "1970-01-01"
    assert clock(3_600_000_000, now, 8) == "70-01-01"
    assert clock(10**18, now) == "—"


def test_wrapping() -> None:
    assert wrap("one two three four", 9, 5) == ["one two", "three", "four"]
    assert wrap("one two three four", 9, 2) == ["one two", "three fo…"]
    assert wrap("", 9, 2) == []


@given(TEXTS, st.integers(8, 40))
def test_wrapping_loses_nothing_where_there_is_room(text: str, width: int) -> None:
    rows = wrap(text, width, 40)
    assert all(cell_len(row) <= width for row in rows)
    assert "".join("".join(rows).split()) == "".join(text.split()) or any(row.endswith("…") for row in rows)


@given(TEXTS, st.integers(0, 40))
def test_text_stands_in_the_middle(text: str, width: int) -> None:
    left, _, right = centre(f"<{text}>", width).partition(f"<{text}>")
    assert not (left + right).strip()
    assert abs(len(left) - len(right)) <= 1
    assert cell_len(left + right) == max(0, width - cell_len(text) - 2)


def test_of_a_name_too_long_both_ends_stay() -> None:
    assert fit_middle("orders-eu-west-1", 11) == "order…est-1"
    assert fit_middle("上海机房温度传感器三号", 13) == "上海机…器三号"
    assert fit_middle("温度a-sensor-01", 12) == "温度a-…or-01"


def test_a_sparkline_tells_a_pause_from_nought() -> None:
    assert sparkline([0, 0, None, None, 4, 8], 6) == "▁▁··▄█"
    assert sparkline([1, 3, None, 8], 2) == "▂█"
    assert sparkline([], 3) == "···"
    assert sparkline([5], 0) == ""


POINTS = st.lists(st.tuples(st.integers(0, 10**9), NUMBERS), max_size=60).map(sorted)


@given(POINTS, st.integers(10, 90), st.integers(2, 20), st.integers(0, 10**9), st.booleans())
def test_a_chart_fits_its_place_whatever_it_draws(
    points: list[tuple[int, float]], width: int, height: int, mark: int, ascii_only: bool
) -> None:
    lines = chart(points, width, height, mark_us=mark, before=1.0, after=-3.0, ascii_only=ascii_only)
    assert len(lines) in (0, height)
    assert (len(lines) == height) is (bool(points) and width >= 24 and height >= 3)
    for line in lines:
        assert width_of(line) <= width
        assert {tone for _, tone in line} <= set(TONES)
        if ascii_only:
            assert plain(ascii_line(line)).isascii()


def test_a_chart_of_a_step_shows_it_at_the_mark() -> None:
    points = [(t * 1_000_000, 1.0 if t < 50 else 3.0) for t in range(100)]
    lines = chart(points, 57, 7, mark_us=50_000_000, before=1.0, after=3.0, tone="drift", ascii_only=True)
    assert plain(lines[0]).startswith("3 ")
    assert plain(lines[5]).startswith("1 **********")
    assert plain(lines[6]).split() == ["-50s", "^", "+49s"]
    top = plain(lines[0]).index("*")
    assert abs(top - plain(lines[6]).index("^")) <= 1
