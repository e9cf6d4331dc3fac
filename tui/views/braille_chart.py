"""A line chart in braille characters (two by four dots a cell), or in ASCII where the terminal has no others.

Pure: from a series to lines. The moment that matters is marked with a vertical line; what comes after it has a tone of its
own; the levels before and after it are dashed.
"""

from __future__ import annotations

from collections.abc import Sequence

from tui.views.text import Line, Span, Tone, duration, value, width_of

_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
MARK = "┊"
ASCII_MARK = ":"


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
) -> list[Line]:
    """Draws ``points`` in ``width`` by ``height`` cells, scale included.

    Args:
        points: (time in microseconds, value), in order of time.
        width: cells, of which the scale takes up to ten.
        height: lines, the time axis is the last of them.
        mark_us: the moment to mark.
        before: level before the mark, in the series' unit.
        after: level after the mark.
        tone: tone of what comes after the mark.
        ascii_only: use one ``*`` a cell.

    Returns:
        ``height`` lines of at most ``width`` cells; none where there is no room or nothing to draw.
    """
    if not points or height < 3 or width < 24:
        return []
    levels = [level for level in (before, after) if level is not None]
    low, high = _range([v for _, v in points], levels)
    labels = value(high), value(low)
    gutter = max(len(label) for label in labels) + 1
    columns, rows = width - gutter, height - 1
    first = min(points[0][0], mark_us)
    span = max(points[-1][0], mark_us) - first or 1
    across, down = (1, 1) if ascii_only else (2, 4)
    wide, tall = columns * across, rows * down

    def x_of(time_us: int) -> int:
        return min(wide - 1, (time_us - first) * (wide - 1) // span)

    def y_of(number: float) -> int:
        return min(tall - 1, max(0, round((high - number) / (high - low) * (tall - 1))))

    grid = [[0] * columns for _ in range(rows)]
    _draw(grid, [(x_of(t), y_of(v)) for t, v in points], across, down)
    mark = x_of(mark_us) // across
    dashes: dict[tuple[int, int], str] = {}
    for level, part in ((before, range(mark)), (after, range(mark + 1, columns))):
        if level is not None:
            row = y_of(level) // down
            dashes |= {(row, column): "╌" for column in part if column % 2 == 0}
    lines: list[Line] = []
    for row, cells in enumerate(grid):
        label = labels[0] if row == 0 else labels[1] if row == rows - 1 else ""
        spans: list[Span] = [(label.rjust(gutter - 1) + " ", "dim")]
        spans += _row(cells, row, mark, dashes, tone, ascii_only=ascii_only)
        lines.append(tuple(spans))
    lines.append(_axis(first, span, mark_us, mark=mark, gutter=gutter, columns=columns))
    return lines


def _range(numbers: list[float], levels: list[float]) -> tuple[float, float]:
    low, high = min(*numbers, numbers[0]), max(*numbers, numbers[0])
    room = (high - low) * 0.5
    near = [level for level in levels if low - room <= level <= high + room]
    low, high = min(low, *near, low), max(high, *near, high)
    if high - low < 1e-12 * max(1.0, abs(high)):
        pad = abs(high) * 0.05 or 1.0
        return low - pad, high + pad
    return low, high


def _draw(grid: list[list[int]], dots: list[tuple[int, int]], across: int, down: int) -> None:
    def put(x: int, y: int) -> None:
        bit = _DOTS[y % down][x % across] if down == 4 else 1
        grid[y // down][x // across] |= bit

    previous: tuple[int, int] | None = None
    for x, y in dots:
        if previous is None:
            put(x, y)
        else:
            px, py = previous
            for step in range(1, (steps := max(abs(x - px), abs(y - py), 1)) + 1):
                put(px + (x - px) * step // steps, py + round((y - py) * step / steps))
        previous = (x, y)


def _row(
    cells: list[int], row: int, mark: int, dashes: dict[tuple[int, int], str], tone: Tone, *, ascii_only: bool
) -> list[Span]:
    spans: list[Span] = []
    text = ""
    current: Tone = "text"
    wanted: Tone
    for column, bits in enumerate(cells):
        if bits:
            char = "*" if ascii_only else chr(0x2800 + bits)
            wanted = tone if column >= mark else "text"
        elif column == mark:
            char, wanted = ASCII_MARK if ascii_only else MARK, tone
        else:
            char, wanted = dashes.get((row, column), " "), "dim"
        if wanted != current and text:
            spans.append((text, current))
            text = ""
        text, current = text + char, wanted
    spans.append((text, current))
    return spans


def _axis(first: int, span: int, mark_us: int, *, mark: int, gutter: int, columns: int) -> Line:
    start = f"-{duration((mark_us - first) / 1e6)}" if mark_us > first else ""
    end = f"+{duration((first + span - mark_us) / 1e6)}" if first + span > mark_us else ""
    cells = [" "] * columns
    cells[mark] = "^"
    if len(start) < mark:
        cells[: len(start)] = start
    if len(end) < columns - mark - 1:
        cells[columns - len(end) :] = end
    line: Line = ((" " * gutter + "".join(cells), "dim"),)
    assert width_of(line) == gutter + columns
    return line
