"""A short list to choose from, over whatever stands below."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen

from tui.language import t
from tui.views.text import Line, clean, fit, rule
from tui.widgets.row_table import RowTable


class ChoiceScreen(ModalScreen[int | None]):
    """Gives the index of the row chosen, None when nothing was. Digits choose at once."""

    AUTO_FOCUS = ""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "dismiss(None)", show=False),
        Binding("enter", "choose", show=False),
        Binding("j,down", "move(1)", show=False),
        Binding("k,up", "move(-1)", show=False),
        *(Binding(str(n), f"pick({n - 1})", show=False) for n in range(1, 10)),
        Binding("ctrl+c", "app.quit", show=False, priority=True),
    ]

    def __init__(self, title: str, choices: Sequence[str], *, ascii_only: bool) -> None:
        super().__init__()
        self._title = title
        self._choices = list(choices)
        self._ascii = ascii_only
        self._at = 0

    def compose(self) -> ComposeResult:
        """The list."""
        table = RowTable[int](ascii_only=self._ascii, id="choices")
        table.styles.height = len(self._choices) + 1
        yield table

    def on_mount(self) -> None:
        """Draws once the size is known."""
        self.call_after_refresh(self._draw)

    def on_resize(self) -> None:
        """Draws anew."""
        self.call_after_refresh(self._draw)

    def _draw(self) -> None:
        table = self.query_one("#choices", RowTable)
        width = table.size.width
        head = rule([(f" {self._title} ", "title")], [(t("enter chooses · esc gives up"), "dim")], width)

        def draw(index: int) -> Line:
            number = str(index + 1) if index < 9 else " "
            return (f" {number} ", "key"), (fit(clean(self._choices[index]), max(1, width - 5)), "text")

        table.show_rows([head], range(len(self._choices)), self._at, draw, active=True)

    def action_move(self, steps: int) -> None:
        """Moves the cursor."""
        self._at = min(len(self._choices) - 1, max(0, self._at + steps))
        self._draw()

    def action_choose(self) -> None:
        """Takes the row under the cursor."""
        self.dismiss(self._at)

    def action_pick(self, index: int) -> None:
        """Takes a row by its number."""
        if index < len(self._choices):
            self.dismiss(index)
