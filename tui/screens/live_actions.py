"""What the keys of the live screen do: one method for each action of the registry."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

from textual import on
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.widgets import Input

from tui.actions import ACTIONS
from tui.history.base import History
from tui.screens.help import HelpScreen
from tui.state.inbox import Inbox
from tui.state.session import JUDGES, Pane, Session
from tui.widgets.row_table import RowTable
from tui.widgets.text_pane import TextPane


@dataclass(frozen=True, slots=True)
class Outside:
    """What the screen needs from around it.

    Attributes:
        inbox: filled by feed, outbox and backfill.
        history: asked for the events around a pattern.
        connected: called when NATS came (back).
        now_us: wall time, UTC microseconds.
        engine: name of the engine that is watched.
        nats_url: where it is sought.
    """

    inbox: Inbox
    history: History
    connected: Callable[[], None]
    now_us: Callable[[], int]
    engine: str
    nats_url: str


def bindings() -> list[BindingType]:
    """The bindings that the registry asks for. Ctrl-C works wherever one is."""
    return [Binding(key, a.name, a.label, show=False, priority=key == "ctrl+c") for a in ACTIONS for key in a.keys]


class LiveActions(Screen[None]):
    """The keys' part of the live screen."""

    BINDINGS = bindings()

    def __init__(self, session: Session, outside: Outside) -> None:
        super().__init__()
        self._session = session
        self._outside = outside
        self.typing = False

    @abstractmethod
    def paint(self) -> None:
        """Brings every visible widget up to date."""

    def _allowed(self, action: str) -> bool:
        """Whether an action can do something now; says why when it cannot."""
        reason = self._session.reason(action)
        if reason:
            self._session.say(reason, self._now, bad=True)
            self.paint()
        return not reason

    @property
    def _now(self) -> int:
        return self._outside.now_us()

    # --- label

    def action_confirm(self) -> None:
        """Confirms the episode under the cursor."""
        if self._allowed("confirm"):
            self._session.judge_selected(JUDGES["confirm"], self._now)
            self.paint()

    def action_false_positive(self) -> None:
        """Calls the episode under the cursor a false positive."""
        if self._allowed("false_positive"):
            self._session.judge_selected(JUDGES["false_positive"], self._now)
            self.paint()

    def action_undo(self) -> None:
        """Takes back the last verdict."""
        if self._allowed("undo"):
            self._session.undo(self._now)
            self.paint()

    # --- find

    def action_filter(self) -> None:
        """Opens the filter line."""
        box = self.query_one("#filter", Input)
        self.typing = True
        box.disabled = False
        box.value = self._session.filter.text
        box.cursor_position = len(box.value)
        self.paint()
        box.focus()

    @on(Input.Changed, "#filter")
    def _typed(self, event: Input.Changed) -> None:
        if self.typing:
            self._session.set_filter(event.value, self._now)
            self.paint()

    @on(Input.Submitted, "#filter")
    def _close_filter(self) -> None:
        self.typing = False
        self.query_one("#filter", Input).disabled = True
        self._session.filter_error = ""
        self.set_focus(None)
        self.paint()

    def action_sort(self) -> None:
        """Sorts by the next column."""
        if self._allowed("sort"):
            self._session.next_sort(self._now)
            self.paint()

    def action_reverse(self) -> None:
        """Turns the order round."""
        if self._allowed("reverse"):
            self._session.reverse_sort(self._now)
            self.paint()

    # --- move

    def _move(self, steps: int) -> None:
        if self._session.pane is Pane.DETAIL:
            self.query_one("#detail", TextPane).scroll_lines(steps)
        self._session.move(steps, self._now)
        self.paint()

    def action_down(self) -> None:
        """Next row, or line of the detail."""
        self._move(1)

    def action_up(self) -> None:
        """Row before, or line of the detail."""
        self._move(-1)

    def _page(self) -> int:
        if self._session.pane is Pane.DETAIL:
            return max(1, self.query_one("#detail").size.height - 2)
        return self.query_one("#sources" if self._session.pane is Pane.SOURCES else "#episodes", RowTable).page

    def action_page_down(self) -> None:
        """One page down."""
        self._move(self._page())

    def action_page_up(self) -> None:
        """One page up."""
        self._move(-self._page())

    def _edge(self, *, last: bool) -> None:
        if self._session.pane is Pane.DETAIL:
            self.query_one("#detail", TextPane).scroll_lines(1_000 if last else -1_000)
        self._session.edge(last=last, now_us=self._now)
        self.paint()

    def action_top(self) -> None:
        """First row."""
        self._edge(last=False)

    def action_bottom(self) -> None:
        """Last row."""
        self._edge(last=True)

    def action_enter(self) -> None:
        """Goes in."""
        if self._allowed("enter"):
            self._session.enter(self._now)
            self.paint()

    def action_back(self) -> None:
        """Goes out by one level."""
        if self.typing:
            self._session.set_filter("", self._now)
            self._close_filter()
        else:
            self._session.back(self._now)
            self.paint()

    # --- screen

    def _show(self, pane: Pane) -> None:
        self._session.show(pane)
        self.paint()

    def action_pane_1(self) -> None:
        """Sources."""
        self._show(Pane.SOURCES)

    def action_pane_2(self) -> None:
        """Episodes."""
        self._show(Pane.EPISODES)

    def action_pane_3(self) -> None:
        """Detail."""
        self._show(Pane.DETAIL)

    def action_next_pane(self) -> None:
        """Next pane."""
        self._session.next_pane(1)
        self.paint()

    def action_previous_pane(self) -> None:
        """Pane before."""
        self._session.next_pane(-1)
        self.paint()

    def action_zoom(self) -> None:
        """Gives the pane the whole screen, or takes it back."""
        self._session.zoomed = not self._session.zoomed
        self.paint()

    def action_freeze(self) -> None:
        """Stops the picture, or lets it go on."""
        self._session.toggle_freeze(self._now)
        self.paint()

    def action_help(self) -> None:
        """Opens the help."""
        self.app.push_screen(HelpScreen(self._session, ascii_only=self.app.has_class("ascii")))

    def action_quit(self) -> None:
        """Ends the interface."""
        self.app.exit(0)
