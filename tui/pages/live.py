"""The LIVE screen: sources, detail, episodes; of now, frozen, or of a past window."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.containers import Container

from tui.pages.base import PageView, ask_chart
from tui.pages.past import ask_past, episodes_in_view
from tui.state.board import HOLD_US
from tui.state.episodes import Episode
from tui.state.gaps import Gap
from tui.state.pages import Page, Pane
from tui.state.past import Past
from tui.state.session import Session
from tui.state.store import SourceState
from tui.views import detail, empty, episodes, sources
from tui.views.gap import gap_row
from tui.views.text import Line, Span, joint
from tui.widgets.row_table import RowTable
from tui.widgets.text_pane import TextPane


class LivePage(PageView):
    """What happens now, or did in a window of the past."""

    page: ClassVar[Page] = Page.LIVE

    _shown_detail = ""
    _arrangement: object = None

    def compose(self) -> ComposeResult:
        """The panes."""
        ascii_only = self.ascii_only
        with Container(id="top"):
            yield RowTable[SourceState](ascii_only=ascii_only, id="sources")
            yield TextPane(ascii_only=ascii_only, id="detail")
        yield RowTable[Episode | Gap](ascii_only=ascii_only, id="episodes")

    def paint(self, now_us: int) -> None:
        """See `PageView`."""
        ask_past(self)
        if self._arrange():
            self.call_after_refresh(self.paint, now_us)
        self._paint_sources(now_us)
        self._paint_detail(now_us)
        self._paint_episodes(now_us)

    def move(self, steps: int, now_us: int) -> None:
        """See `PageView`."""
        if self.session.pane is Pane.DETAIL:
            self.query_one("#detail", TextPane).scroll_lines(steps)
        super().move(steps, now_us)

    def edge(self, *, last: bool, now_us: int) -> None:
        """See `PageView`."""
        if self.session.pane is Pane.DETAIL:
            self.query_one("#detail", TextPane).scroll_lines(1_000 if last else -1_000)
        super().edge(last=last, now_us=now_us)

    @property
    def rows_in_view(self) -> int:
        """See `PageView`."""
        name = {Pane.SOURCES: "#sources", Pane.EPISODES: "#episodes", Pane.DETAIL: "#detail"}[self.session.pane]
        return max(1, self.query_one(name).size.height - 2)

    def show_pane(self, number: int) -> None:
        """See `PageView`."""
        self.session.pane = Pane(number)

    def next_pane(self, steps: int) -> None:
        """See `PageView`."""
        self.session.next_pane(steps)

    def pick(self, event: RowTable.Picked, now_us: int) -> None:
        """See `PageView`."""
        board = self.session.board
        if event.table.id == "sources":
            self.session.pane = Pane.SOURCES
            again = board.source_cursor == event.row.stats.source
            board.source_cursor = event.row.stats.source
        else:
            self.session.pane = Pane.EPISODES
            again = board.cursor == event.row.key
            board.cursor = event.row.key
            board.held_until_us = now_us + HOLD_US
        if again:
            self.session.enter(now_us)

    def wheel(self, event: RowTable.Wheel, now_us: int) -> None:
        """See `PageView`."""
        self.session.pane = Pane.SOURCES if event.table.id == "sources" else Pane.EPISODES
        self.move(event.steps, now_us)

    def refresh_data(self) -> None:
        """See `PageView`."""
        if self.session.past is not None:
            self.session.past = Past(self.session.past.window)
        else:
            self.outside.connected(0)

    def sql(self) -> str:
        """See `PageView`."""
        return self.outside.history.sql(episodes_in_view(self))

    def _arrange(self) -> bool:
        """Shows and hides panes; whether sizes are known after the next refresh only."""
        pane, single = self.session.pane, self.single
        if (pane, single) == self._arrangement:
            return False
        self._arrangement = (pane, single)
        shown = {p: not single or pane is p for p in Pane}
        self.query_one("#sources").display = shown[Pane.SOURCES]
        self.query_one("#sources").styles.width = "1fr" if single else "58%"
        self.query_one("#detail").display = shown[Pane.DETAIL]
        self.query_one("#top").display = shown[Pane.SOURCES] or shown[Pane.DETAIL]
        self.query_one("#episodes").display = shown[Pane.EPISODES]
        return True

    def _paint_sources(self, now: int) -> None:
        table = self.query_one("#sources", RowTable)
        width, height = table.size
        if not table.display or not width:
            return
        session, board = self.session, self.session.board
        active = session.pane is Pane.SOURCES
        rule = sources.title(session, width, active=active)
        if not board.sources:
            table.show([rule, *empty.sources(session, width, height - 1)])
            return
        cursor = next((i for i, s in enumerate(board.sources) if s.stats.source == board.source_cursor), 0)
        lost = sources.any_lost(session)
        table.show_rows(
            [rule, sources.header(session, width, lost=lost)],
            board.sources,
            cursor if active else -1,
            lambda s: sources.row(session, s, width, now, lost=lost),
            active=active,
        )

    def _paint_detail(self, now: int) -> None:
        pane = self.query_one("#detail", TextPane)
        width, height = pane.size
        if not pane.display or not width:
            return
        session, episode, single = self.session, self.session.board.selected, self.single
        edge: tuple[Span, ...] = () if single else (("│ ", "rule"),)
        room = width - (2 if single else 3)
        if episode is None:
            body = empty.detail(room, height - 1)
        else:
            if episode.key != self._shown_detail:
                self._shown_detail = episode.key
                pane.scroll_top()
            ask_chart(self, episode, now)
            body = detail.lines(session, episode, room, height - 1, full=single, ascii_only=self.ascii_only)
        pad: tuple[Span, ...] = ((" ", "text"),) if single else ()
        lines: list[Line] = [(*edge, *pad, *line) for line in body]
        lines += [edge] * (height - 1 - len(lines))
        pane.show_body([joint(detail.title(session, width, single=single), 0, "─" if single else "┬")], lines)

    def _paint_episodes(self, now: int) -> None:
        table = self.query_one("#episodes", RowTable)
        width, height = table.size
        if not table.display or not width:
            return
        session, outside, board = self.session, self.outside, self.session.board
        active = session.pane is Pane.EPISODES
        rule = episodes.title(session, now, width, active=active)
        if not self.single:
            rule = joint(rule, self.query_one("#sources").size.width, "┴")
        if not board.rows:
            body = empty.episodes(
                session, now, width, height - 1, nats_url=outside.place or outside.nats_url, engine=outside.engine
            )
            table.show([rule, *body])
            return
        rows = with_gaps(session)
        cursor = board.at if rows is board.rows else _place(rows, board.cursor)
        table.show_rows(
            [rule, episodes.header(width)],
            rows,
            cursor,
            lambda row: (
                gap_row(row, now, width)
                if isinstance(row, Gap)
                else episodes.row(session, row, width, stored=session.past is not None)
            ),
            active=active,
            between=lambda row: isinstance(row, Gap),
            marked=lambda row: isinstance(row, Episode) and row.key in board.marked,
        )


def _place(rows: Sequence[Episode | Gap], key: str) -> int:
    return next((i for i, e in enumerate(rows) if isinstance(e, Episode) and e.key == key), -1)


def with_gaps(session: Session) -> Sequence[Episode | Gap]:
    """The live rows with a line at each time from which live patterns may be missing, where they stand in order of time."""
    board = session.board
    gaps = session.store.gaps.all()
    if not gaps or session.past is not None or board.order.index != 0 or board.order.reverse or session.filter:
        return board.rows
    out: list[Episode | Gap] = []
    left = gaps[::-1]
    for episode in board.rows:
        while left and episode.touched_us < (left[0].until_us or left[0].since_us + 1):
            out.append(left.pop(0))
        out.append(episode)
    return out
