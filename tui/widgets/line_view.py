"""The base of every widget here: lines of toned text, of which only what changed is painted again."""

from __future__ import annotations

from collections.abc import Sequence

from textual.filter import LineFilter
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from tui import theme
from tui.views.text import Line, ascii_line, plain
from tui.widgets.strips import changed_part, strip_of

MAX_STRIPS = 256
"""Drawn lines kept: rows that moved are not drawn again."""


class LineView(Widget):
    """Shows what ``show`` is given, from its upper left corner on; lines beyond its size are cut."""

    def __init__(self, *, ascii_only: bool = False, id: str | None = None) -> None:  # noqa: A002 - Textual's own name
        super().__init__(id=id)
        self._ascii = ascii_only
        self._lines: list[Line] = []
        self._cursor_y = -1
        self._strips: dict[tuple[Line, bool], Strip] = {}
        self._drawn_for: tuple[str, int] = ("", 0)

    def show(self, lines: Sequence[Line], cursor_y: int = -1) -> int:
        """Takes the lines to show; ``cursor_y`` is the one to highlight. Returns how many are painted again."""
        fresh = [ascii_line(line) for line in lines] if self._ascii else list(lines)
        old, old_cursor = self._lines, self._cursor_y
        self._lines, self._cursor_y = fresh, cursor_y
        width, height = self.size
        regions = []
        changed = 0
        for y in range(max(len(fresh), len(old))):
            whole = y >= len(fresh) or y >= len(old) or (cursor_y != old_cursor and y in (cursor_y, old_cursor))
            if not whole and fresh[y] == old[y]:
                continue
            changed += 1
            if y < height and width:
                left, right = (0, width) if whole else changed_part(old[y], fresh[y], width)
                if left < right:
                    regions.append(Region(left, y, right - left, 1))
        if regions:
            self.refresh(*regions)
        return changed

    @property
    def text(self) -> str:
        """What is shown, without tones."""
        return "\n".join(plain(line) for line in self._lines)

    def render_line(self, y: int) -> Strip:
        """One line as Textual wants it."""
        name, width = self._theme, self.size.width
        if (name, width) != self._drawn_for or len(self._strips) > MAX_STRIPS:
            self._strips.clear()
            self._drawn_for = name, width
        line = self._lines[y] if y < len(self._lines) else ()
        key = line, y == self._cursor_y
        strip = self._strips.get(key)
        if strip is None:
            strip = strip_of(line, width, theme.styles(name), cursor=key[1])
            self._strips[key] = strip
        return strip

    def get_line_filters(self) -> Sequence[LineFilter]:
        """None: what the theme says is painted as it is, so that a strip is worked on once."""
        return ()

    @property
    def _theme(self) -> str:
        name = self.app.theme
        if name in theme.NAMES:
            return name
        return "mono" if self.app.no_color else theme.DEFAULT
