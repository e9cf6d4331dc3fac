"""Lines as Textual's strips: few segments, and of a changed line only the part that changed.

Each segment costs some 40 bytes of colour codes on its way to the terminal. So neighbours of one look become one segment,
and spaces, which have no colour of their own, join whatever stands beside them.
"""

from __future__ import annotations

from collections.abc import Iterator

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from tui.theme import Styles
from tui.views.text import Line, width_of


def strip_of(line: Line, width: int, styles: Styles, *, cursor: bool) -> Strip:
    """The line in exactly ``width`` cells; what is beyond is cut, what is missing is ground."""
    segments: list[Segment] = []
    held, style = "", styles["text", cursor]
    left = width
    for text, wanted in _pieces(line, styles, cursor=cursor):
        size = len(text) if text.isascii() else cell_len(text)
        if size > left:
            text, size = set_cell_size(text, left), left  # noqa: PLW2901 - the last piece, cut
        if not size:
            continue
        left -= size
        if wanted is style or (text.isspace() and _ground(wanted) == _ground(style)):
            held += text
        elif held.isspace() and _ground(wanted) == _ground(style):
            held, style = held + text, wanted
        else:
            if held:
                segments.append(Segment(held, style))
            held, style = text, wanted
    if left:
        base = styles["text", cursor]
        if held and _ground(base) != _ground(style):
            segments.append(Segment(held, style))
            held, style = "", base
        held += " " * left
    segments.append(Segment(held, style))
    return Strip(segments, width)


def changed_part(old: Line, new: Line, width: int) -> tuple[int, int]:
    """Columns from which and up to which two different lines differ, in whole spans."""
    n, m = len(old), len(new)
    start = 0
    while start < n and start < m and old[start] == new[start]:
        start += 1
    end = 0
    while end < min(n, m) - start and old[n - 1 - end] == new[m - 1 - end]:
        end += 1
    left = width_of(new[:start])
    size = width_of(new[start : m - end])
    right = left + size if width_of(old[start : n - end]) == size else width
    return min(left, width), min(right, width)


def _pieces(line: Line, styles: Styles, *, cursor: bool) -> Iterator[tuple[str, Style]]:
    """Texts with their styles; spaces around what is underlined are not."""
    for text, tone in line:
        style = styles[tone, cursor]
        core = text.strip() if style.underline else text
        if core == text:
            yield text, style
            continue
        plain = styles["text", cursor]
        start = len(text) - len(text.lstrip())
        yield from ((text[:start], plain), (core, style), (text[start + len(core) :], plain))


def _ground(style: Style) -> object:
    """What a space looks like in this style."""
    return style.bgcolor, style.reverse and style.color, style.underline
