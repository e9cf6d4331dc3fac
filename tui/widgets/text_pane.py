"""A pane of lines below a fixed rule that scrolls when they are more than fit."""

from __future__ import annotations

from collections.abc import Sequence

from textual import events

from tui.views.text import Line
from tui.widgets.line_view import LineView

WHEEL_LINES = 3


class TextPane(LineView):
    """Shows a body that may be longer than the pane."""

    def __init__(self, *, ascii_only: bool = False, id: str | None = None) -> None:  # noqa: A002 - Textual's own name
        super().__init__(ascii_only=ascii_only, id=id)
        self._head: list[Line] = []
        self._body: list[Line] = []
        self._first = 0

    def show_body(self, head: Sequence[Line], body: Sequence[Line]) -> None:
        """Draws the head and as much of the body as fits."""
        self._head, self._body = list(head), list(body)
        room = max(0, self.size.height - len(self._head))
        self._first = min(self._first, max(0, len(self._body) - room))
        self.show([*self._head, *self._body[self._first : self._first + room]])

    def scroll_lines(self, steps: int) -> None:
        """Moves the body by so many lines."""
        self._first = max(0, self._first + steps)
        self.show_body(self._head, self._body)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Scrolls down; comes only where the mouse is on."""
        event.stop()
        self.scroll_lines(WHEEL_LINES)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Scrolls up."""
        event.stop()
        self.scroll_lines(-WHEEL_LINES)

    def scroll_top(self) -> None:
        """Shows the body from its first line."""
        self._first = 0
