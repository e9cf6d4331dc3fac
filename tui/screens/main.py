"""The screen that holds everything: status, banner, the page in front, the last line; and the frame clock that paints it."""

from __future__ import annotations

from time import thread_time

from textual import on
from textual.app import ComposeResult
from textual.containers import Container

from tui.cost import Cost
from tui.keymap import Keymap
from tui.outside import Outside
from tui.pages import PAGES, PageView
from tui.screens.keys import bindings
from tui.screens.keys_find import FindKeys
from tui.screens.keys_label import LabelKeys
from tui.screens.keys_move import MoveKeys
from tui.screens.keys_screen import ScreenKeys
from tui.screens.keys_take import TakeKeys
from tui.screens.keys_time import TimeKeys
from tui.state.clock import FrameClock
from tui.state.pages import Page
from tui.state.prompt import Prompt
from tui.state.session import Session
from tui.views import banner, status
from tui.views.key_bar import key_bar
from tui.widgets.line_view import LineView
from tui.widgets.prompt_line import PromptLine
from tui.widgets.row_table import RowTable

SMALLEST = 48, 8
"""Below this size there is room for counts only."""
WARM_UP_FRAMES = 4
"""The first frames pay for imports and layout and say nothing about those that follow."""


class MainScreen(LabelKeys, FindKeys, TimeKeys, MoveKeys, TakeKeys, ScreenKeys):
    """Paints what the session says, and passes keys on to it. ``with_keys`` gives it its keys."""

    AUTO_FOCUS = ""

    def __init__(self, session: Session, outside: Outside, clock: FrameClock, cost: Cost, *, ascii_only: bool) -> None:
        super().__init__(session, outside)
        self._clock = clock
        self._cost = cost
        self._ascii = ascii_only
        self._rate = 0.0
        self._ticked_us = 0
        self._frames = 0
        self._hertz = clock.hertz(0)
        self._arrangement: object = None
        self._views: dict[Page, PageView] = {}

    def compose(self) -> ComposeResult:
        """The widgets, from top to bottom. Pages other than the first are made when they are first shown."""
        yield LineView(ascii_only=self._ascii, id="status")
        yield LineView(ascii_only=self._ascii, id="banner")
        with Container(id="body"):
            yield self._make(Page.LIVE)
        yield PromptLine(ascii_only=self._ascii, id="prompt")
        yield LineView(ascii_only=self._ascii, id="keys")

    def _make(self, page: Page) -> PageView:
        view = self._views[page] = PAGES[page](self.session, self.outside, ascii_only=self._ascii)
        return view

    @property
    def front(self) -> PageView:
        """The page in front."""
        page = self.session.page
        if page not in self._views:
            self.query_one("#body").mount(self._make(page))
        return self._views[page]

    def on_mount(self) -> None:
        """Starts the frame clock."""
        self._ticked_us = self.now
        self._beat()

    def on_resize(self) -> None:
        """Paints anew in the new size, once the widgets have theirs."""
        self.call_after_refresh(self.paint)

    def on_screen_resume(self) -> None:
        """Paints what happened while another screen stood in front."""
        self.call_after_refresh(self.paint)

    # --- frames

    def tick(self) -> None:
        """One frame: takes what arrived and paints it."""
        begun = thread_time()
        now, store = self.outside.now_us(), self.session.store
        batch = self.outside.inbox.drain()
        heard_us = store.data_us
        self.session.fold(batch, now)
        self._cost.note_dropped(batch.dropped)
        self.session.trouble = self.outside.trouble()
        if any(change.up for change in batch.links):
            self.outside.connected(heard_us)
        passed = max(1e-3, (now - self._ticked_us) / 1e6)
        self._rate += min(1.0, passed) * (len(batch.patterns) / passed - self._rate)
        self._ticked_us = now
        if self.is_current:
            self.paint()
            self.call_after_refresh(self._painted, begun)
        self._hertz = self._clock.hertz(self._rate)

    def _beat(self) -> None:
        self.tick()
        self.set_timer(1 / self._hertz, self._beat)

    def _painted(self, begun: float) -> None:
        self._frames += 1
        seconds = thread_time() - begun
        self._cost.note_frame(seconds)
        if self._frames > WARM_UP_FRAMES:
            self._clock.note(seconds)

    def paint(self) -> None:
        """Brings every visible widget up to date; each repaints only lines that changed."""
        session, now = self.session, self.outside.now_us()
        session.frame(now)
        width, height = self.size
        tiny = width < SMALLEST[0] or height < SMALLEST[1]
        engine, front = self.outside.engine, self.front
        warnings = [] if tiny else banner.banners(session, now, width, height, engine=engine)
        if self._arrange(tiny=tiny, warnings=len(warnings)):
            self.call_after_refresh(self.paint)
        if tiny:
            self.query_one("#status", LineView).show(status.counter_strip(session, now, width, engine=engine))
        else:
            first = status.status_line(session, now, width, engine=engine, hertz=self._hertz, single=front.single)
            self.query_one("#status", LineView).show([first])
            self.query_one("#banner", LineView).show(warnings)
            if front.is_mounted:
                front.paint(now)
        prompt = self.query_one(PromptLine)
        if prompt.prompt is not None:
            prompt.paint()
        else:
            self.query_one("#keys", LineView).show([key_bar(session, self.outside.keymap, width)])

    def _arrange(self, *, tiny: bool, warnings: int) -> bool:
        """Shows and hides widgets; whether sizes are known after the next refresh only."""
        page, asking = self.session.page, self.query_one(PromptLine).prompt is not None
        arrangement = (tiny, warnings, page, asking, len(self._views))
        if arrangement == self._arrangement:
            return False
        self._arrangement = arrangement
        self.query_one("#status").styles.height = 2 if tiny else 1
        self.query_one("#banner").display = warnings > 0
        self.query_one("#banner").styles.height = max(1, warnings)
        self.query_one("#body").display = not tiny
        for one, view in self._views.items():
            view.display = one is page
        self.query_one("#prompt").display = asking
        self.query_one("#keys").display = not asking and (not tiny or self.size.height > 2)
        return True

    # --- the last line

    def ask(self, prompt: Prompt) -> None:
        """Asks something on the last line."""
        line = self.query_one(PromptLine)
        line.display = True
        line.ask(prompt)
        self.paint()

    def ask_command(self, text: str) -> None:
        """Asks for a command, its name already written."""
        self.do_command(text)

    @on(PromptLine.Closed)
    @on(PromptLine.Changed)
    def _asked(self) -> None:
        self.paint()

    # --- the mouse, where there is one

    @on(RowTable.Picked)
    def _picked(self, event: RowTable.Picked) -> None:
        self.front.pick(event, self.now)
        self.paint()

    @on(RowTable.Wheel)
    def _wheel(self, event: RowTable.Wheel) -> None:
        self.front.wheel(event, self.now)
        self.paint()


def with_keys(keymap: Keymap) -> type[MainScreen]:
    """The main screen with the bindings of a keymap."""
    return type("MainScreen", (MainScreen,), {"BINDINGS": bindings(keymap)})
