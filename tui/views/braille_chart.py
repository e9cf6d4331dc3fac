"""A line chart in braille characters (two by four dots a cell), in half blocks for fonts without them, or in ASCII.

Pure: from a series to lines. The moment that matters is marked with a vertical line; what comes after it has a tone of its
own; the levels before and after it are dashed. Over many rows a band from the lowest to the highest value lies behind the
line of means. Below the axis the stretches of time that were compared may be named.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Literal, NamedTuple

from rich.cells import cell_len

from tui.views.text import Line, Span, Tone, duration, value, width_of

Dots = Literal["braille", "block", "ascii"]
"""What a chart is drawn with."""

_DOTS: Final = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
_BLOCKS: Final = " ▀▄█"
_MIDDLE: Final = 9
"""From so many rows on the middle of the scale is labelled too."""
MARK: Final = "┊"
ASCII_MARK: Final = ":"
BEGAN: Final = "┆"
ASCII_BEGAN: Final = "'"


class Stretch(NamedTuple):
    """A stretch of time with a name, microseconds."""

    name: str
    since_us: int
    until_us: int
    tone: Tone = "dim"


@dataclass(frozen=True, slots=True)
class _Scale:
    """Where times and values lie; ``across`` and ``down`` are the dots of a cell."""

    first_us: int
    span_us: int
    low: float
    high: float
    columns: int
    rows: int
    across: int
    down: int

    def x(self, time_us: int) -> int:
        """The dot column of a moment, the nearest where it lies outside."""
        wide = self.columns * self.across
        return max(0, min(wide - 1, (time_us - self.first_us) * (wide - 1) // self.span_us))

    def y(self, number: float) -> int:
        """The dot row of a value, from above."""
        tall = self.rows * self.down
        return min(tall - 1, max(0, round((self.high - number) / (self.high - self.low) * (tall - 1))))

    def column(self, time_us: int) -> int:
        """The cell column of a moment."""
        return self.x(time_us) // self.across


def chart(
    points: Sequence[tuple[int, float]],
    width: int,
    height: int,
    *,
    mark_us: int,
    before: float | None = None,
    after: float | None = None,
    tone: Tone = "accent",
    ascii_only: bool = False,
    dots: Dots = "braille",
    band: Sequence[tuple[int, float, float]] = (),
    window: tuple[int, int] | None = None,
    began_us: int | None = None,
    stretches: Sequence[Stretch] = (),
    gap_us: int = 0,
    at: str = "",
) -> list[Line]:
    """Draws ``points`` in ``width`` by ``height`` cells, scale included.

    Args:
        points: (time in microseconds, value), in order of time.
        width: cells, of which the scale takes up to ten.
        height: lines; the time axis is the last of them, or the last but one where there are stretches.
        mark_us: the moment to mark.
        before: level before the mark, in the series' unit.
        after: level after the mark.
        tone: tone of what comes after the mark.
        ascii_only: use one ``*`` a cell, whatever ``dots`` says.
        dots: what it is drawn with.
        band: (begin of a bucket, least, greatest value), in order of time; each reaches to the next.
        window: first and last moment of the axis; else those of the points and of the mark.
        began_us: another moment to mark; the level before ends there.
        stretches: named below the axis, as far as they lie in the window and there is room.
        gap_us: points farther apart are not connected; 0 connects all.
        at: said beside the mark on the axis.

    Returns:
        ``height`` lines of at most ``width`` cells; none where there is no room or nothing to draw.
    """
    foot = 2 if stretches and height >= 6 else 1
    if not points or height < 3 or width < 24:
        return []
    kind: Dots = "ascii" if ascii_only else dots
    low, high = _range([v for _, v in points], [v for v in (before, after) if v is not None], band)
    rows = height - foot
    labels = {rows - 1: value(low), 0: value(high)}
    if rows >= _MIDDLE and rows % 2:
        labels[rows // 2] = value((low + high) / 2)
    gutter = max(len(label) for label in labels.values()) + 1
    first, last = window or (min(points[0][0], mark_us), max(points[-1][0], mark_us))
    across, down = {"braille": (2, 4), "block": (1, 2), "ascii": (1, 1)}[kind]
    scale = _Scale(first, last - first or 1, low, high, width - gutter, rows, across, down)
    mark = scale.column(mark_us) if first <= mark_us <= last else -1
    began = scale.column(began_us) if began_us is not None and first <= began_us < mark_us else -1
    shade = _shade(band, scale)
    grid = [[0] * scale.columns for _ in range(scale.rows)]
    _draw(grid, points, scale, gap_us)
    turn = began if began >= 0 else mark
    dashes: dict[tuple[int, int], str] = {}
    for level, part in ((before, range(max(0, turn))), (after, range(turn + 1, scale.columns))):
        if level is not None:
            row = scale.y(level) // down
            dashes |= {(row, column): "╌" for column in part if column % 2 == 0}
    pens = _Pens(kind, mark, began, tone)
    lines: list[Line] = []
    for row, cells in enumerate(grid):
        label = labels.get(row, "")
        lines.append(((label.rjust(gutter - 1) + " ", "dim"), *pens.row(cells, shade[row], row, dashes)))
    lines.append(_axis(scale, mark_us, mark=mark, gutter=gutter, at=at))
    if foot == 2:
        lines.append(_named(stretches, scale, gutter))
    return lines


def _range(numbers: list[float], levels: list[float], band: Sequence[tuple[int, float, float]] = ()) -> tuple[float, float]:
    low = min(*numbers, numbers[0], *(least for _, least, _ in band))
    high = max(*numbers, numbers[0], *(most for _, _, most in band))
    room = (high - low) * 0.5
    near = [level for level in levels if low - room <= level <= high + room]
    low, high = min(low, *near, low), max(high, *near, high)
    if high - low < 1e-12 * max(1.0, abs(high)):
        pad = abs(high) * 0.05 or 1.0
        return low - pad, high + pad
    return low, high


def _draw(grid: list[list[int]], points: Sequence[tuple[int, float]], scale: _Scale, gap_us: int) -> None:
    def put(x: int, y: int) -> None:
        grid[y // scale.down][x // scale.across] |= _bit(x, y, scale.down)

    previous: tuple[int, int, int] | None = None
    for time_us, number in points:
        x, y = scale.x(time_us), scale.y(number)
        if previous is None or (gap_us and time_us - previous[2] > gap_us):
            put(x, y)
        else:
            px, py, _ = previous
            for step in range(1, (steps := max(abs(x - px), abs(y - py), 1)) + 1):
                put(px + (x - px) * step // steps, py + round((y - py) * step / steps))
        previous = (x, y, time_us)


def _bit(x: int, y: int, down: int) -> int:
    return _DOTS[y % 4][x % 2] if down == 4 else 1 << (y % down)


def _shade(band: Sequence[tuple[int, float, float]], scale: _Scale) -> list[list[int]]:
    """The band's dots: every other one, so that the line stands out also where there are no colours."""
    grid = [[0] * scale.columns for _ in range(scale.rows)]
    bucket = min((b[0] - a[0] for a, b in pairwise(band)), default=0)
    for time_us, least, most in band:
        top, bottom = scale.y(most), scale.y(least)
        for x in range(scale.x(time_us), max(scale.x(time_us), scale.x(time_us + bucket) - 1) + 1):
            for y in range(top, bottom + 1):
                if scale.down != 4 or (x + y) % 2 == 0:
                    grid[y // scale.down][x // scale.across] |= _bit(x, y, scale.down)
    return grid


@dataclass(frozen=True, slots=True)
class _Pens:
    """How cells become characters. ``mark`` and ``began`` are columns, -1 for none."""

    kind: Dots
    mark: int
    began: int
    tone: Tone

    def row(self, cells: list[int], shade: list[int], row: int, dashes: dict[tuple[int, int], str]) -> list[Span]:
        """One row of cells."""
        spans: list[Span] = []
        text = ""
        current: Tone = "text"
        for column, bits in enumerate(cells):
            char, wanted = self._cell(column, bits, shade[column], dashes.get((row, column), " "))
            if wanted != current and text:
                spans.append((text, current))
                text = ""
            text, current = text + char, wanted
        spans.append((text, current))
        return spans

    def _cell(self, column: int, bits: int, shade: int, dash: str) -> tuple[str, Tone]:
        plain = self.kind == "ascii"
        if bits:
            return self._dots(bits), self.tone if 0 <= self.mark <= column else "text"
        if column == self.mark:
            return ASCII_MARK if plain else MARK, self.tone
        if column == self.began:
            return ASCII_BEGAN if plain else BEGAN, "warn"
        if dash != " ":
            return "-" if plain else dash, "dim"
        if shade:
            return {"braille": self._dots(shade), "block": "░", "ascii": "."}[self.kind], "dim"
        return " ", "dim"

    def _dots(self, bits: int) -> str:
        return {"braille": chr(0x2800 + bits), "block": _BLOCKS[bits & 3], "ascii": "*"}[self.kind]


def _axis(scale: _Scale, mark_us: int, *, mark: int, gutter: int, at: str = "") -> Line:
    first, last, columns = scale.first_us, scale.first_us + scale.span_us, scale.columns
    start = f"-{duration((mark_us - first) / 1e6)}" if mark_us > first else ""
    end = f"+{duration((last - mark_us) / 1e6)}" if last > mark_us else ""
    cells = [" "] * columns
    if mark >= 0:
        cells[mark] = "^"
    if len(start) < mark or mark < 0:
        cells[: len(start)] = start
    if len(end) < columns - mark - 1:
        cells[columns - len(end) :] = end
    if at and mark >= 0:
        size = len(at) + 1
        right = "".join(cells[mark + 1 : mark + 2 + size])
        left = "".join(cells[max(0, mark - 1 - size) : mark])
        if len(right) > size and right.isspace():
            cells[mark + 2 : mark + 1 + size] = at
        elif len(left) > size and left.isspace():
            cells[mark - size : mark - 1] = at
    line: Line = ((" " * gutter + "".join(cells), "dim"),)
    assert width_of(line) == gutter + columns
    return line


def _named(stretches: Sequence[Stretch], scale: _Scale, gutter: int) -> Line:
    """The stretches as brackets in one line, ``├── name ──┤``; of two that meet, the later one has the cell."""
    spans: list[Span] = [(" " * gutter, "dim")]
    column = 0
    last_us = scale.first_us + scale.span_us
    inside = [s for s in stretches if s.until_us >= scale.first_us and s.since_us <= last_us]
    shown = sorted(inside, key=lambda s: s.since_us)
    for i, stretch in enumerate(shown):
        begin = max(column, scale.column(stretch.since_us))
        limit = scale.column(shown[i + 1].since_us) if i + 1 < len(shown) else scale.columns
        end = min(max(scale.column(stretch.until_us) + 1, begin + 1), max(limit, begin + 1), scale.columns)
        if begin >= end:
            continue
        open_left, open_right = stretch.since_us < scale.first_us, stretch.until_us > last_us
        spans.append((" " * (begin - column), "dim"))
        spans.append((_bracket(stretch.name, end - begin, open_left=open_left, open_right=open_right), stretch.tone))
        column = end
        if end - begin == 1 and end + cell_len(stretch.name) + 1 < limit:
            spans.append((f" {stretch.name}", stretch.tone))
            column += cell_len(stretch.name) + 1
    spans.append((" " * (scale.columns - column), "dim"))
    return tuple(span for span in spans if span[0])


def _bracket(name: str, width: int, *, open_left: bool, open_right: bool) -> str:
    if width == 1:
        return "┴"
    inner = width - 2
    size = cell_len(name) + 2
    text = f" {name} " if size <= inner else ""
    rest = inner - (size if text else 0)
    middle = "─" * (rest // 2) + text + "─" * (rest - rest // 2)
    return ("─" if open_left else "├") + middle + ("─" if open_right else "┤")
