"""The help, over whatever stands below."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen

from tui.keymap import Keymap
from tui.language import t
from tui.state.session import Session
from tui.views import help as view
from tui.views.text import rule
from tui.widgets.text_pane import TextPane


class HelpScreen(ModalScreen[None]):
    """Lists the keys, made from the registry."""

    AUTO_FOCUS = ""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,question_mark,f1,q,enter,space", "dismiss", "close", show=False),
        Binding("j,down", "scroll_lines(1)", "down", show=False),
        Binding("k,up", "scroll_lines(-1)", "up", show=False),
        Binding("g,home", "scroll_lines(-1000)", "top", show=False),
        Binding("G,end", "scroll_lines(1000)", "bottom", show=False),
        Binding("ctrl+d,pagedown", "scroll_lines(12)", "page down", show=False),
        Binding("ctrl+u,pageup", "scroll_lines(-12)", "page up", show=False),
        Binding("ctrl+c", "quit", "quit", show=False, priority=True),
    ]

    def __init__(self, session: Session, keymap: Keymap, *, ascii_only: bool) -> None:
        super().__init__()
        self._session = session
        self._keymap = keymap
        self._ascii = ascii_only

    def compose(self) -> ComposeResult:
        """One pane."""
        yield TextPane(ascii_only=self._ascii, id="help")

    def on_mount(self) -> None:
        """Draws once the size is known."""
        self.call_after_refresh(self._draw)

    def on_resize(self) -> None:
        """Draws anew."""
        self.call_after_refresh(self._draw)

    def _draw(self) -> None:
        pane = self.query_one("#help", TextPane)
        width = pane.size.width
        head = rule([(" ", "title"), (t("KEYS"), "title"), (" ", "rule")], [(t("esc closes · j k scroll"), "dim")], width)
        pane.show_body([head], view.lines(self._session, self._keymap, width))

    def action_scroll_lines(self, steps: int) -> None:
        """Moves the text."""
        self.query_one("#help", TextPane).scroll_lines(steps)

    def action_quit(self) -> None:
        """Ends the interface."""
        self.app.exit(0)
