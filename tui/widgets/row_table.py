"""A table of keyed rows below a fixed head: only rows in view are drawn, and the cursor's row is always in view."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from tui.views.text import Line
from tui.widgets.line_view import LineView

Row = TypeVar("Row")
POINTER = "▌"


class RowTable(LineView, Generic[Row]):
    """Rows of any kind. Where the cursor stands is the caller's business; where the window stands is this widget's."""

    def __init__(self, *, ascii_only: bool = False, id: str | None = None) -> None:  # noqa: A002 - Textual's own name
        super().__init__(ascii_only=ascii_only, id=id)
        self._first = 0

    @property
    def page(self) -> int:
        """Rows in view, below a rule and a header."""
        return max(1, self.size.height - 2)

    def show_rows(
        self, head: Sequence[Line], rows: Sequence[Row], cursor: int, draw: Callable[[Row], Line], *, active: bool
    ) -> None:
        """Draws the rows in view.

        Args:
            head: lines above the rows.
            rows: all rows.
            cursor: index of the row the cursor is on; -1 for none.
            draw: one row as a line, without the cursor's column.
            active: whether keys go to this table.
        """
        room = max(0, self.size.height - len(head))
        self._first = min(self._first, max(0, len(rows) - room))
        if cursor >= 0:
            self._first = min(max(self._first, cursor - room + 1), cursor)
        lines = list(head)
        for i in range(self._first, min(len(rows), self._first + room)):
            pointer: Line = ((POINTER if i == cursor else " ", "accent" if active else "dim"),)
            lines.append((*pointer, *draw(rows[i])))
        at = len(head) + cursor - self._first
        self.show(lines, at if cursor >= 0 and room else -1)
