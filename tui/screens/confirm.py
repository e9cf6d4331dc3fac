"""A question that wants a ``y``: enter, which one presses by habit, does not do."""

from __future__ import annotations

from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen

from tui.language import t
from tui.views.text import Line
from tui.widgets.line_view import LineView


class ConfirmScreen(ModalScreen[bool]):
    """One line at the foot of the screen; ``y`` says yes, any other key no."""

    AUTO_FOCUS = ""
    BINDINGS: ClassVar[list[BindingType]] = [Binding("ctrl+c", "app.quit", show=False, priority=True)]

    def __init__(self, question: str) -> None:
        super().__init__()
        self._question = question

    def compose(self) -> ComposeResult:
        """The line."""
        yield LineView(id="confirm")

    def on_mount(self) -> None:
        """Draws once the size is known."""
        self.call_after_refresh(self._draw)

    def _draw(self) -> None:
        said: Line = (
            (f" {self._question} ", "alert"),
            (" y ", "key"),
            (t("yes"), "text"),
            (t(" · any other key: no"), "dim"),
        )
        self.query_one("#confirm", LineView).show([said])

    def on_key(self, event: events.Key) -> None:
        """Answers."""
        event.stop()
        self.dismiss(event.key == "y")
