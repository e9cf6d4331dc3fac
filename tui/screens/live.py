"""The live screen: status, sources, detail, episodes, keys. It paints what the session says and passes keys on to it."""

from __future__ import annotations

from time import thread_time

from textual.app import ComposeResult
from textual.containers import Container
from textual.widgets import Input

from qraft.model import Pattern
from tui.history.base import HistoryUnavailable
from tui.screens.live_actions import LiveActions, Outside
from tui.state.clock import FrameClock
from tui.state.episodes import Episode
from tui.state.session import Pane, Session
from tui.state.store import SourceState
from tui.views import banner, detail, empty, episodes, sources, status
from tui.views.filter_line import remark
from tui.views.key_bar import key_bar
from tui.views.text import Line, Span, joint
from tui.widgets.line_view import LineView
from tui.widgets.row_table import RowTable
from tui.widgets.text_pane import TextPane

WIDE, TALL = 100, 22
"""From this size on all panes stand side by side; below, one has the screen."""
SMALLEST = 48, 8
WARM_UP_FRAMES = 4
"""The first frames pay for imports and layout and say nothing about those that follow."""


class LiveScreen(LiveActions):
    """What happens now."""

    AUTO_FOCUS = ""

    def __init__(self, session: Session, outside: Outside, clock: FrameClock, *, ascii_only: bool) -> None:
        super().__init__(session, outside)
        self._clock = clock
        self._ascii = ascii_only
        self._rate = 0.0
        self._ticked_us = 0
        self._frames = 0
        self._hertz = clock.hertz(0)
        self._shown_detail = ""
        self._arrangement: object = None

    def compose(self) -> ComposeResult:
        """The widgets, from top to bottom."""
        ascii_only = self._ascii
        yield LineView(ascii_only=ascii_only, id="status")
        yield LineView(ascii_only=ascii_only, id="banner")
        with Container(id="top"):
            yield RowTable[SourceState](ascii_only=ascii_only, id="sources")
            yield TextPane(ascii_only=ascii_only, id="detail")
        yield RowTable[Episode](ascii_only=ascii_only, id="episodes")
        with Container(id="filter-row"):
            yield LineView(ascii_only=ascii_only, id="filter-label")
            box = Input(id="filter", select_on_focus=False, disabled=True)
            box.cursor_blink = False
            yield box
            yield LineView(ascii_only=ascii_only, id="filter-remark")
        yield LineView(ascii_only=ascii_only, id="keys")

    def on_mount(self) -> None:
        """Starts the frame clock."""
        self._ticked_us = self._now
        self.query_one("#filter-label", LineView).show([((" / ", "key"),)])
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
        now = self._outside.now_us()
        batch = self._outside.inbox.drain()
        self._session.fold(batch, now)
        if any(change.up for change in batch.links):
            self._outside.connected()
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
        if self._frames > WARM_UP_FRAMES:
            self._clock.note(thread_time() - begun)

    @property
    def single(self) -> bool:
        """Whether one pane has the whole screen."""
        return self._session.zoomed or self.size.width < WIDE or self.size.height < TALL

    def paint(self) -> None:
        """Brings every visible widget up to date; each repaints only lines that changed."""
        session, now = self._session, self._outside.now_us()
        session.frame(now)
        width, height = self.size
        tiny = width < SMALLEST[0] or height < SMALLEST[1]
        engine = self._outside.engine
        warnings = [] if tiny else banner.banners(session, now, width, height, engine=engine)
        if self._arrange(tiny=tiny, warnings=len(warnings)):
            self.call_after_refresh(self.paint)
        if tiny:
            self.query_one("#status", LineView).show(status.counter_strip(session, now, width, engine=engine))
            return
        first = status.status_line(session, now, width, engine=engine, hertz=self._hertz, single=self.single)
        self.query_one("#status", LineView).show([first])
        self.query_one("#banner", LineView).show(warnings)
        self._paint_sources(now)
        self._paint_detail(now)
        self._paint_episodes(now)
        self._paint_keys(width)

    def _arrange(self, *, tiny: bool, warnings: int) -> bool:
        """Shows and hides widgets; whether sizes are known after the next refresh only."""
        pane, single, typing = self._session.pane, self.single, self.typing
        arrangement = (tiny, warnings, pane, single, typing)
        if arrangement == self._arrangement:
            return False
        self._arrangement = arrangement
        shown = {p: not tiny and (not single or pane is p) for p in Pane}
        self.query_one("#status").styles.height = 2 if tiny else 1
        self.query_one("#banner").display = warnings > 0
        self.query_one("#banner").styles.height = max(1, warnings)
        self.query_one("#sources").display = shown[Pane.SOURCES]
        self.query_one("#sources").styles.width = "1fr" if single else "58%"
        self.query_one("#detail").display = shown[Pane.DETAIL]
        self.query_one("#top").display = shown[Pane.SOURCES] or shown[Pane.DETAIL]
        self.query_one("#episodes").display = shown[Pane.EPISODES]
        self.query_one("#keys").display = not typing and not tiny
        self.query_one("#filter-row").display = typing
        return True

    def _paint_sources(self, now: int) -> None:
        table = self.query_one("#sources", RowTable)
        width, height = table.size
        if not table.display or not width:
            return
        session = self._session
        active = session.pane is Pane.SOURCES
        rule = sources.title(session, width, active=active)
        if not session.sources:
            table.show([rule, *empty.sources(session, width, height - 1)])
            return
        cursor = next((i for i, s in enumerate(session.sources) if s.stats.source == session.cursor[Pane.SOURCES]), 0)
        lost = sources.any_lost(session)
        table.show_rows(
            [rule, sources.header(width, lost=lost)],
            session.sources,
            cursor if active else -1,
            lambda s: sources.row(session, s, width, now, lost=lost),
            active=active,
        )

    def _paint_detail(self, now: int) -> None:
        pane = self.query_one("#detail", TextPane)
        width, height = pane.size
        if not pane.display or not width:
            return
        session, episode, single = self._session, self._session.selected, self.single
        edge: tuple[Span, ...] = () if single else (("│ ", "rule"),)
        room = width - (2 if single else 3)
        if episode is None:
            body = empty.detail(room, height - 1)
        else:
            if episode.key != self._shown_detail:
                self._shown_detail = episode.key
                pane.scroll_top()
            if session.charts.wanted(episode.peak, episode.peak_us, now):
                self.run_worker(self._ask(episode.peak), group="charts")
            body = detail.lines(session, episode, room, height - 1, full=single, ascii_only=self._ascii)
        pad: tuple[Span, ...] = ((" ", "text"),) if single else ()
        lines: list[Line] = [(*edge, *pad, *line) for line in body]
        lines += [edge] * (height - 1 - len(lines))
        pane.show_body([joint(detail.title(session, width, single=single), 0, "─" if single else "┬")], lines)

    async def _ask(self, pattern: Pattern) -> None:
        try:
            events = await self._outside.history.around(pattern)
        except HistoryUnavailable as error:
            self._session.charts.answer(pattern.pattern_id, [], str(error))
        else:
            self._session.charts.answer(pattern.pattern_id, events)

    def _paint_episodes(self, now: int) -> None:
        table = self.query_one("#episodes", RowTable)
        width, height = table.size
        if not table.display or not width:
            return
        session, outside = self._session, self._outside
        rule = episodes.title(session, now, width, active=session.pane is Pane.EPISODES)
        if not self.single:
            rule = joint(rule, self.query_one("#sources").size.width, "┴")
        if not session.rows:
            body = empty.episodes(session, now, width, height - 1, nats_url=outside.nats_url, engine=outside.engine)
            table.show([rule, *body])
            return
        cursor = next((i for i, e in enumerate(session.rows) if e.key == session.cursor[Pane.EPISODES]), -1)
        active = session.pane is Pane.EPISODES
        table.show_rows(
            [rule, episodes.header(width)], session.rows, cursor, lambda e: episodes.row(session, e, width), active=active
        )

    def _paint_keys(self, width: int) -> None:
        if self.typing:
            note = self.query_one("#filter-remark", LineView)
            note.show([remark(self._session, note.size.width)])
        else:
            self.query_one("#keys", LineView).show([key_bar(self._session, width)])
