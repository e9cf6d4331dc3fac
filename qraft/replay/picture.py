"""A picture of one replayed stream as SVG: its values, the scores, the patterns, the labelled windows.

No background is drawn, and the colours are readable on light and on dark pages.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from typing import Final

from qraft.replay.axes import Scale, number_marks, scale_over, time_marks
from qraft.replay.decimate import Point

WIDTH: Final = 1200
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 16, 76, 40
_GAP: Final = 30
_TALL, _SHORT, _SCORES = 240, 110, 130

_INK: Final = "#7d838c"
_VALUE: Final = "#3f83c8"
_WINDOW: Final = "#d19a1f"
_TYPES: Final = {"anomaly": "#d9534a", "drift": "#8a63d2", "cluster_change": "#2a9d74"}
_SCORE_COLOURS: Final = {"anomaly_score": _TYPES["anomaly"], "abnormal": "#5f83a8", "change_score": _TYPES["drift"]}
_STYLE: Final = (
    f"text{{font:12px system-ui,sans-serif;fill:{_INK}}}.t{{font-size:14px;font-weight:600}}"
    f".l{{fill:none;stroke-width:1.1;stroke-linejoin:round}}.g{{stroke:{_INK};stroke-opacity:.25}}"
    f".a{{stroke:{_INK};stroke-opacity:.7}}.w{{fill:{_WINDOW};fill-opacity:.22}}.p{{stroke-width:1.2;stroke-opacity:.6}}"
)
_BREAK: Final = 25.0
"""A line breaks where two points lie this many times farther apart than usual."""


@dataclass(frozen=True, slots=True)
class Mark:
    """One pattern: when it was raised, of which type, and a sentence that shows when it is pointed at."""

    x: float
    type: str
    text: str


@dataclass(frozen=True, slots=True)
class Picture:
    """What is drawn.

    Attributes:
        title: above the picture.
        axis: what x is: "time, UTC" takes x as UTC microseconds since 1970, anything else as plain numbers.
        values: the points of each field, by its name.
        scores: the points of each fused score, by its name, in [0, 1].
        marks: the patterns.
        windows: the labelled windows, start and end; None where there are no labels.
        line: the alert line.
        note: what is left out, if anything.
    """

    title: str
    axis: str
    values: dict[str, list[Point]]
    scores: dict[str, list[Point]]
    marks: Sequence[Mark]
    windows: Sequence[tuple[float, float]] | None
    line: float
    note: str = ""


def svg_of(picture: Picture) -> str:
    """The picture as an SVG document, 1,200 pixels wide."""
    values = {name: points for name, points in picture.values.items() if points}
    tall = _TALL if len(values) == 1 else _SHORT
    heights = [tall] * len(values) + [_SCORES]
    height = _TOP + sum(heights) + _GAP * (len(heights) - 1) + _BOTTOM
    across = _across(picture, values)
    bottom = height - _BOTTOM
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}">',
        f"<title>{escape(picture.title)}</title><style>{_STYLE}</style>",
        f'<text class="t" x="{_LEFT}" y="20">{escape(_short(picture.title, 110))}</text>',
        *_legend(picture),
        *_windows(picture, across, bottom),
        *_time_axis(picture, across, bottom),
        *_marks(picture.marks, across, bottom),
    ]
    top = float(_TOP)
    for (name, points), tall in zip(values.items(), heights, strict=False):
        low, high = min(y for _, y in points), max(y for _, y in points)
        out += _panel(name, scale_over(low, high, top + tall, top, margin=0.05), 5 if tall > _SHORT else 4)
        out.append(_line(points, across, scale_over(low, high, top + tall, top, margin=0.05), _VALUE))
        top += tall + _GAP
    scale = Scale(0.0, 1.0, top + _SCORES, top)
    out += _panel("scores (confidence)", scale, 2)
    for name, points in picture.scores.items():
        if name == "abnormal":
            out.append(_area(points, across, scale, _SCORE_COLOURS[name]))
        else:
            out.append(_line(points, across, scale, _SCORE_COLOURS[name]))
    y = scale(picture.line)
    out.append(f'<path class="a" stroke-dasharray="5 4" d="M{_LEFT} {y:.1f}H{WIDTH - _RIGHT}"/>')
    return "\n".join([*out, "</svg>", ""])


def _across(picture: Picture, values: dict[str, list[Point]]) -> Scale:
    every = [points for points in (*values.values(), *picture.scores.values()) if points]
    low = min((points[0][0] for points in every), default=0.0)
    high = max((points[-1][0] for points in every), default=1.0)
    return scale_over(low, high, _LEFT, WIDTH - _RIGHT)


def _legend(picture: Picture) -> list[str]:
    kinds = {mark.type for mark in picture.marks}
    entries = [("line", colour, name) for name, colour in _SCORE_COLOURS.items() if name != "abnormal"]
    entries.insert(1, ("box", _SCORE_COLOURS["abnormal"], "abnormal"))
    entries += [("mark", colour, f"{kind.replace('_', ' ')} pattern") for kind, colour in _TYPES.items() if kind in kinds]
    if picture.windows is not None:
        entries.append(("box", _WINDOW, "labelled window"))
    entries.append(("dash", _INK, f"alert line {picture.line:g}"))
    out, x = [], float(_LEFT)
    for shape, colour, text in entries:
        if shape == "box":
            out.append(f'<rect x="{x:.0f}" y="31" width="16" height="10" fill="{colour}" fill-opacity=".4"/>')
        elif shape == "mark":
            out.append(f'<path d="M{x + 4:.0f} 31h8l-4 8z" fill="{colour}"/>')
        else:
            dash = ' stroke-dasharray="5 4"' if shape == "dash" else ""
            out.append(f'<path d="M{x:.0f} 36h16" stroke="{colour}" stroke-width="1.5"{dash}/>')
        out.append(f'<text x="{x + 21:.0f}" y="40">{escape(text)}</text>')
        x += 38 + 6.6 * len(text)
    if picture.note:
        out.append(f'<text x="{WIDTH - _RIGHT}" y="20" text-anchor="end">{escape(picture.note)}</text>')
    return out


def _windows(picture: Picture, across: Scale, bottom: float) -> list[str]:
    out = []
    for start, end in picture.windows or ():
        left, right = across(start), across(end)
        width = max(right - left, 1.5)
        out.append(f'<rect class="w" x="{left:.1f}" y="{_TOP}" width="{width:.1f}" height="{bottom - _TOP:.0f}"/>')
    return out


def _time_axis(picture: Picture, across: Scale, bottom: float) -> list[str]:
    timed = picture.axis == "time, UTC"
    marks = time_marks(across.low, across.high) if timed else number_marks(across.low, across.high, 8)
    out = [f'<path class="a" d="M{_LEFT} {bottom:.1f}H{WIDTH - _RIGHT}"/>']
    for at, text in marks:
        x = across(at)
        anchor = "start" if x < _LEFT + 40 else "end" if x > WIDTH - _RIGHT - 30 else "middle"
        out.append(f'<path class="g" d="M{x:.1f} {_TOP}V{bottom + 4:.1f}"/>')
        out.append(f'<text x="{x:.1f}" y="{bottom + 17:.1f}" text-anchor="{anchor}">{text}</text>')
    out.append(f'<text x="{WIDTH - _RIGHT}" y="{bottom + 34:.1f}" text-anchor="end">{escape(picture.axis)}</text>')
    return out


def _panel(name: str, down: Scale, about: int) -> list[str]:
    out = [f'<text x="{_LEFT}" y="{down.end - 11:.1f}">{escape(_short(name, 100))}</text>']
    out.append(f'<path class="a" d="M{_LEFT} {down.end:.1f}V{down.start:.1f}"/>')
    for at, text in number_marks(down.low, down.high, about):
        y = down(at)
        out.append(f'<path class="g" d="M{_LEFT} {y:.1f}H{WIDTH - _RIGHT}"/>')
        out.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{text}</text>')
    return out


def _line(points: Sequence[Point], across: Scale, down: Scale, colour: str) -> str:
    return f'<path class="l" stroke="{colour}" d="{_path(points, across, down)}"/>'


def _path(points: Sequence[Point], across: Scale, down: Scale) -> str:
    return "".join("M" + _through(run, across, down) for run in _runs(points))


def _area(points: Sequence[Point], across: Scale, down: Scale, colour: str) -> str:
    floor = f"{down(0.0):.1f}"
    d = "".join(f"M{across(run[0][0]):.1f} {floor}L{_through(run, across, down)}V{floor}Z" for run in _runs(points))
    return f'<path fill="{colour}" fill-opacity=".4" d="{d}"/>'


def _through(points: Sequence[Point], across: Scale, down: Scale) -> str:
    return "L".join(f"{across(x):.1f} {down(y):.1f}" for x, y in points)


def _runs(points: Sequence[Point]) -> list[list[Point]]:
    """Broken where points are much farther apart than usual: the stream was away."""
    gaps = sorted(b[0] - a[0] for a, b in pairwise(points))
    limit = _BREAK * gaps[len(gaps) * 9 // 10] if gaps else 0.0
    runs: list[list[Point]] = []
    for point in points:
        if runs and (limit <= 0 or point[0] - runs[-1][-1][0] <= limit):
            runs[-1].append(point)
        else:
            runs.append([point])
    return runs


def _marks(marks: Sequence[Mark], across: Scale, bottom: float) -> list[str]:
    out = []
    for mark in marks:
        x, colour = across(mark.x), _TYPES.get(mark.type, _INK)
        out.append(
            f'<g><title>{escape(mark.text)}</title><path class="p" stroke="{colour}" d="M{x:.1f} {_TOP}V{bottom:.1f}"/>'
            f'<path d="M{x - 4:.1f} {_TOP - 8}h8l-4 8z" fill="{colour}"/></g>'
        )
    return out


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
