"""A table of keyed rows below a fixed head: only rows in view are drawn, and the cursor's row is always in view."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, Generic, TypeVar

from textual import events
from textual.message import Message

from tui.views.text import Line
from tui.widgets.line_view import LineView

Row = TypeVar("Row")
POINTER: Final = "▌"
MARK: Final = "+"
MARKED_POINTER: Final = "■"
WHEEL_ROWS: Final = 3


class RowTable(LineView, Generic[Row]):
    """Rows of any kind. Where the cursor stands is the caller's business; where the window stands is this widget's.

    With a mouse (``App.run_async(mouse=True)``) it posts ``Picked`` and ``Wheel``; without one it never does.
    """

    class Picked(Message):
        """A row was clicked.

        Attributes:
            index: its place among the rows of the last ``show_rows``.
            row: the row itself, so that a list that moved meanwhile does no harm.
            table: where.
        """

        def __init__(self, table: RowTable[Any], index: int, row: Any) -> None:
            super().__init__()
            self.table = table
            self.index = index
            self.row = row

        @property
        def control(self) -> RowTable[Any]:
            """Lets ``on(RowTable.Picked, "#episodes")`` choose."""
            return self.table

    class Wheel(Message):
        """The wheel was turned over the table; ``steps`` rows, down is positive."""

        def __init__(self, table: RowTable[Any], steps: int) -> None:
            super().__init__()
            self.table = table
            self.steps = steps

        @property
        def control(self) -> RowTable[Any]:
            """Lets ``on(RowTable.Wheel, "#episodes")`` choose."""
            return self.table

    def __init__(self, *, ascii_only: bool = False, id: str | None = None) -> None:  # noqa: A002 - Textual's own name
        super().__init__(ascii_only=ascii_only, id=id)
        self._first = 0
        self._head_lines = 0
        self._in_view: dict[int, Row] = {}

    @property
    def page(self) -> int:
        """Rows in view, below a rule and a header."""
        return max(1, self.size.height - 2)

    def show(self, lines: Sequence[Line], cursor_y: int = -1) -> int:
        """Lines that are no rows, such as what stands in an empty table."""
        self._in_view = {}
        return super().show(lines, cursor_y)

    def show_rows(
        self,
        head: Sequence[Line],
        rows: Sequence[Row],
        cursor: int,
        draw: Callable[[Row], Line],
        *,
        active: bool,
        middle: bool = False,
        between: Callable[[Row], bool] | None = None,
        marked: Callable[[Row], bool] | None = None,
    ) -> None:
        """Draws the rows in view.

        Args:
            head: lines above the rows.
            rows: all rows.
            cursor: index of the row the cursor is on; -1 for none.
            draw: one row as a line, without the cursor's column.
            active: whether keys go to this table.
            middle: moves the window so that the cursor's row stands in its middle; else it moves no further than it must.
            between: rows that only stand between others, such as a gap: ``draw`` fills their whole width, and they are never
                marked nor picked. The cursor is never set on one.
            marked: rows that are marked; their sign stands in the cursor's column.
        """
        room = max(0, self.size.height - len(head))
        first = cursor - room // 2 if middle else self._first
        self._first = max(0, min(first, len(rows) - room))
        if cursor >= 0:
            self._first = min(max(self._first, cursor - room + 1), cursor)
        lines = list(head)
        in_view = {}
        for i in range(self._first, min(len(rows), self._first + room)):
            row = rows[i]
            if between is not None and between(row):
                lines.append(draw(row))
                continue
            in_view[i] = row
            at, mark = i == cursor, marked is not None and marked(row)
            glyph = (MARKED_POINTER if mark else POINTER) if at else MARK if mark else " "
            lines.append(((glyph, "accent" if active or mark else "dim"), *draw(row)))
        at_y = len(head) + cursor - self._first
        self.show(lines, at_y if cursor >= 0 and room else -1)
        self._head_lines, self._in_view = len(head), in_view

    def on_click(self, event: events.Click) -> None:
        """Tells which row was clicked."""
        index = self._first + event.y - self._head_lines
        if index in self._in_view and event.y >= self._head_lines:
            event.stop()
            self.post_message(self.Picked(self, index, self._in_view[index]))

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Tells that the wheel was turned."""
        event.stop()
        self.post_message(self.Wheel(self, WHEEL_ROWS))

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Tells that the wheel was turned."""
        event.stop()
        self.post_message(self.Wheel(self, -WHEEL_ROWS))
