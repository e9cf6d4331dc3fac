"""What the keys do that move: rows, panes, screens."""

from __future__ import annotations

from tui.screens.keys import Keys
from tui.state.pages import Page


class MoveKeys(Keys):
    """Cursor, panes, layers."""

    def do_down(self) -> None:
        """Next row."""
        self.front.move(1, self.now)

    def do_up(self) -> None:
        """Row before."""
        self.front.move(-1, self.now)

    def do_page_down(self) -> None:
        """One page down."""
        self.front.move(self.front.rows_in_view, self.now)

    def do_page_up(self) -> None:
        """One page up."""
        self.front.move(-self.front.rows_in_view, self.now)

    def do_top(self) -> None:
        """First row."""
        self.front.edge(last=False, now_us=self.now)

    def do_bottom(self) -> None:
        """Last row."""
        self.front.edge(last=True, now_us=self.now)

    def do_enter(self) -> None:
        """Goes in."""
        self.front.enter(self.now)

    def do_back(self) -> None:
        """Goes out by one layer."""
        self.session.back(self.now)

    def do_before(self) -> None:
        """To the screen shown before."""
        self.session.go(self.session.before)

    def do_pane_1(self) -> None:
        """First pane."""
        self.front.show_pane(1)

    def do_pane_2(self) -> None:
        """Second pane."""
        self.front.show_pane(2)

    def do_pane_3(self) -> None:
        """Third pane."""
        self.front.show_pane(3)

    def do_pane_4(self) -> None:
        """Fourth pane."""
        self.front.show_pane(4)

    def do_pane_5(self) -> None:
        """Fifth pane."""
        self.front.show_pane(5)

    def do_next_pane(self) -> None:
        """Next pane."""
        self.front.next_pane(1)

    def do_previous_pane(self) -> None:
        """Pane before."""
        self.front.next_pane(-1)

    def do_zoom(self) -> None:
        """Gives the pane the whole screen, or takes it back."""
        self.session.zoomed = not self.session.zoomed

    def do_sources(self) -> None:
        """Every source."""
        self.session.go(Page.SOURCES)

    def do_pipe(self) -> None:
        """The machinery."""
        self.session.go(Page.PIPE)
