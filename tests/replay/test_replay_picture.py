"""Pictures: well-formed, whatever is drawn; few points that show the extremes; axes that can be read."""

import math
from xml.etree import ElementTree

import pytest
from hypothesis import given, strategies as st

from qraft.replay.axes import number_marks, scale_over, time_marks
from qraft.replay.decimate import MinMax
from qraft.replay.picture import Mark, Picture, svg_of

SVG = "{http://www.w3.org/2000/svg}"
FINITE = st.floats(-1e15, 1e15, allow_nan=False)


@given(st.lists(FINITE, max_size=300), st.integers(1, 8))
def test_few_points_with_the_extremes_in_order(values: list[float], half: int) -> None:
    line = MinMax(2 * half)
    for x, y in enumerate(values):
        line.add(x, y)
    points = line.points()
    assert len(points) <= min(len(values), 4 * half)
    assert all((x, y) == (x, values[int(x)]) for x, y in points)
    assert [x for x, _ in points] == sorted({x for x, _ in points})
    if values:
        assert min(y for _, y in points) == min(values)
        assert max(y for _, y in points) == max(values)


def test_a_short_line_is_kept_whole() -> None:
    line = MinMax()
    for x in range(1000):
        line.add(x, math.sin(x))
    assert line.points() == [(x, math.sin(x)) for x in range(1000)]
    for number in (0, 1, 7):
        with pytest.raises(ValueError, match="must be even"):
            MinMax(number)


@given(FINITE, FINITE)
def test_marks_lie_within_and_differ(a: float, b: float) -> None:
    scale = scale_over(min(a, b), max(a, b), 0.0, 100.0, margin=0.05)
    assert math.isfinite(scale(scale.low))
    marks = number_marks(scale.low, scale.high)
    width = scale.high - scale.low
    if width > 1e-6 * max(abs(scale.low), abs(scale.high)):
        assert 1 <= len(marks) <= 8
        assert all(scale.low - 1e-6 * width <= at <= scale.high + 1e-6 * width for at, _ in marks)
        assert len({text for _, text in marks}) == len(marks)


@pytest.mark.parametrize(
    ("low", "high", "texts"),
    [
        (0.0, 1.0, ["0", "0.5", "1.0"]),
        (-3.2, 3.1, ["-2", "0", "2"]),
        (0.0, 48_000.0, ["0", "20k", "40k"]),
        (100_000.0, 100_003.0, ["100000", "100001", "100002", "100003"]),
        (0.0, 2.5e9, ["0", "1000M", "2000M"]),
        (0.0, 3e-7, ["0", "1e-7", "2e-7", "3e-7"]),
    ],
)
def test_numbers_are_short(low: float, high: float, texts: list[str]) -> None:
    assert [text for _, text in number_marks(low, high, 3)] == texts


def test_moments_are_round() -> None:
    start = 1_767_225_600_000_000  # 2026-01-01
    assert [text for _, text in time_marks(start, start + 40 * 1_000_000, 4)] == [
        "2026-01-01 00:00:00",
        "00:00:10",
        "00:00:20",
        "00:00:30",
        "00:00:40",
    ]
    day = [text for _, text in time_marks(start + 20 * 3_600_000_000, start + 30 * 3_600_000_000, 6)]
    assert day == ["2026-01-01 20:00", "22:00", "2026-01-02", "02:00", "04:00", "06:00"]
    assert [text for _, text in time_marks(start, start + 3 * 86_400_000_000, 4)] == [f"2026-01-0{n}" for n in range(1, 5)]
    assert len(time_marks(start, start + 100 * 365 * 86_400_000_000)) <= 9


def picture(**changes: object) -> Picture:
    points = [(float(n), math.sin(n)) for n in range(50)]
    base: dict[str, object] = {
        "title": "a <b> & c",
        "axis": "row number",
        "values": {"x<1>": points, "y": [(x, 0.0) for x, _ in points]},
        "scores": {name: [(x, abs(y)) for x, y in points] for name in ("anomaly_score", "abnormal", "change_score")},
        "marks": [Mark(10.0, "anomaly", 'forest 0.9: "a" < 3 & more'), Mark(20.0, "drift", "ddm")],
        "windows": [(5.0, 12.0), (30.0, 30.0)],
        "line": 0.5,
    }
    return Picture(**{**base, **changes})  # type: ignore[arg-type]  # the keys are those above


def texts(svg: str) -> list[str]:
    return [one.text or "" for one in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def test_a_picture_has_everything_that_is_to_be_seen() -> None:
    svg = svg_of(picture(note="8 of 9 fields"))
    root = ElementTree.fromstring(svg)
    said = texts(svg)
    for text in ("a <b> & c", "x<1>", "y", "row number", "scores (confidence)", "labelled window", "8 of 9 fields"):
        assert text in said
    assert "anomaly pattern" in said
    assert "drift pattern" in said
    assert "cluster change pattern" not in said
    assert "alert line 0.5" in said
    windows = [one for one in root.iter(f"{SVG}rect") if one.get("class") == "w"]
    assert len(windows) == 2
    assert all(float(one.get("width", "0")) > 0 for one in windows)
    lines = [one for one in root.iter(f"{SVG}path") if one.get("class") == "l"]
    assert len(lines) == 4
    titles = [one.text for one in root.iter(f"{SVG}title")]
    assert titles == ["a <b> & c", 'forest 0.9: "a" < 3 & more', "ddm"]


def test_nothing_to_draw_is_drawn_too() -> None:
    svg = svg_of(picture(values={}, scores={}, marks=[], windows=None))
    assert "labelled window" not in texts(svg)
    one = svg_of(picture(values={"a": [(3.0, 7.0)]}, scores={"abnormal": [(3.0, 0.0)]}, marks=[]))
    assert "nan" not in one


def test_a_line_breaks_where_the_stream_was_away() -> None:
    whole = [(float(n), 1.0) for n in range(100)]
    away = [*whole, *((x + 5000.0, y) for x, y in whole)]
    moves = []
    for points in (whole, away):
        root = ElementTree.fromstring(svg_of(picture(values={"a": points}, scores={}, marks=[])))
        line = next(one for one in root.iter(f"{SVG}path") if one.get("class") == "l")
        moves.append((line.get("d") or "").count("M"))
    assert moves == [1, 2]


@given(st.lists(st.tuples(FINITE, FINITE), max_size=30), st.booleans())
def test_any_values_make_a_well_formed_picture(points: list[tuple[float, float]], timed: bool) -> None:
    line = sorted((abs(x), y) for x, y in points)
    svg = svg_of(picture(values={"a": line}, scores={}, axis="time, UTC" if timed else "n", marks=[], windows=[]))
    ElementTree.fromstring(svg)
    assert "nan" not in svg
    assert "inf" not in svg
