"""The base of every widget here: lines of toned text, of which only those that changed are painted again."""

from __future__ import annotations

from collections.abc import Sequence

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from tui.views.text import TONES, Line, Tone, ascii_line, plain

CURSOR = "cursor"


class LineView(Widget):
    """Shows what ``show`` is given, from its upper left corner on; lines beyond its size are cut."""

    COMPONENT_CLASSES = {f"tone-{tone}" for tone in TONES} | {CURSOR}

    def __init__(self, *, ascii_only: bool = False, id: str | None = None) -> None:  # noqa: A002 - Textual's own name
        super().__init__(id=id)
        self._ascii = ascii_only
        self._lines: list[Line] = []
        self._cursor_y = -1
        self._tones: dict[tuple[Tone, bool], Style] = {}

    def show(self, lines: Sequence[Line], cursor_y: int = -1) -> int:
        """Takes the lines to show; ``cursor_y`` is the one to highlight. Returns how many are painted again."""
        fresh = [ascii_line(line) for line in lines] if self._ascii else list(lines)
        count = max(len(fresh), len(self._lines))
        changed = [
            y
            for y in range(count)
            if y >= len(fresh)
            or y >= len(self._lines)
            or fresh[y] != self._lines[y]
            or (y in (cursor_y, self._cursor_y) and cursor_y != self._cursor_y)
        ]
        self._lines, self._cursor_y = fresh, cursor_y
        width = self.size.width
        if changed and width:
            self.refresh(*(Region(0, y, width, 1) for y in changed if y < self.size.height))
        return len(changed)

    @property
    def text(self) -> str:
        """What is shown, without tones."""
        return "\n".join(plain(line) for line in self._lines)

    def render_line(self, y: int) -> Strip:
        """One line as Textual wants it."""
        width = self.size.width
        cursor = y == self._cursor_y
        base = self._style("text", cursor=cursor)
        if y >= len(self._lines):
            return Strip.blank(width, base)
        strip = Strip([Segment(text, self._style(tone, cursor=cursor)) for text, tone in self._lines[y] if text])
        return strip.crop_extend(0, width, base)

    def notify_style_update(self) -> None:
        """Forgets the styles of a theme that was left."""
        self._tones.clear()
        super().notify_style_update()

    def _style(self, tone: Tone, *, cursor: bool) -> Style:
        style = self._tones.get((tone, cursor))
        if style is None:
            style = self.get_component_rich_style(f"tone-{tone}")
            if cursor:
                style += self.get_component_rich_style(CURSOR, partial=True)
            self._tones[tone, cursor] = style
        return style
