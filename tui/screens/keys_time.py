"""What the keys do with time: windows of the past, the zone, the freeze."""

from __future__ import annotations

from tui.history.base import HistoryUnavailable
from tui.language import t
from tui.screens.keys import Keys
from tui.state.pages import Page
from tui.state.prompt import Prompt
from tui.state.window import DEFAULT_US, Window, WindowError, parse_window
from tui.views.times import window_text
from tui.zone import use_zone, zone, zone_word


class TimeKeys(Keys):
    """Time travel."""

    def do_earlier(self) -> None:
        """Half a window back."""
        self.session.shift(-1, self.now)

    def do_later(self) -> None:
        """Half a window forward."""
        self.session.shift(1, self.now)

    def do_oldest(self) -> None:
        """To the oldest that is stored."""
        self.run_worker(self._go_oldest(), group="bounds", exclusive=True)

    async def _go_oldest(self) -> None:
        try:
            bounds = await self.outside.history.bounds()
        except HistoryUnavailable as error:
            self.say(str(error), bad=True)
            return
        if bounds is None:
            self.say(t("nothing is stored yet"), bad=True)
            return
        window = self.session.window
        length = window.length_us if window else DEFAULT_US
        self.session.show_window(Window(bounds[0], min(self.now, bounds[0] + length)), self.now)
        self.paint()

    def do_now(self) -> None:
        """Back to the present."""
        self.session.show_window(None, self.now)

    def do_widen(self) -> None:
        """A longer window."""
        self.session.zoom_time(1, self.now)

    def do_narrow(self) -> None:
        """A shorter window."""
        self.session.zoom_time(-1, self.now)

    def do_time(self, text: str = "") -> None:
        """Asks for a window."""
        session = self.session

        def answered(typed: str) -> str:
            try:
                session.show_window(parse_window(typed, self.now, zone()), self.now)
            except WindowError as error:
                return str(error)
            return ""

        def said(typed: str) -> tuple[str, bool]:
            if not typed.strip():
                return t("-15m · 10:00/+1h · 2026-11-22 · now"), False
            try:
                window = parse_window(typed, self.now, zone())
            except WindowError as error:
                return str(error), True
            return (window_text(window, self.now) if window else t("now")), False

        if text:
            if problem := answered(text):
                self.say(problem, bad=True)
        else:
            self.ask(Prompt(t("time"), answered, remark=said, name="time"))

    def do_zone(self) -> None:
        """Times in UTC or in the local zone."""
        use_zone("UTC" if zone_word() != "UTC" else "local")
        self.say(t("times are in {zone}", zone=zone_word()))

    def do_freeze(self) -> None:
        """Stops the picture, or lets it go on."""
        self.session.toggle_freeze(self.now)

    def do_step(self) -> None:
        """While frozen: one picture on."""
        self.session.step(self.now)

    def do_live(self) -> None:
        """What happens now."""
        self.session.go(Page.LIVE)

    def do_history(self) -> None:
        """Everything stored."""
        self.session.go(Page.HISTORY)
