"""The HISTORY screen: every stored episode of any time, by the same filter, page by page."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult

from qraft.filter import parse
from qraft.store import EpisodeQuery
from tui.history.base import EpisodePage, HistoryUnavailable
from tui.pages.base import PageView
from tui.state.board import HOLD_US
from tui.state.episodes import Episode
from tui.state.ordering import EPISODE_SORTS
from tui.state.pages import Page
from tui.state.past import PAGE_ROWS
from tui.state.window import DAY_US, Window, last
from tui.views import episodes, history
from tui.widgets.row_table import RowTable


class HistoryPage(PageView):
    """What is stored. Its window is the one in view, else the last day."""

    page: ClassVar[Page] = Page.HISTORY

    def compose(self) -> ComposeResult:
        """One list."""
        yield RowTable[Episode](ascii_only=self.ascii_only, id="history")

    def paint(self, now_us: int) -> None:
        """See `PageView`."""
        session, pages = self.session, self.session.pages
        asked = (session.filter.text, session.window, pages.board.order.index, pages.board.order.reverse)
        if asked != pages.asked:
            pages.begin(asked, session.window or last(DAY_US, now_us))
            self.run_worker(self._ask(first=True), group="history", exclusive=True)
        elif pages.wants_more():
            pages.loading = True
            self.run_worker(self._ask(first=False), group="history", exclusive=True)
        table = self.query_one("#history", RowTable)
        width, height = table.size
        if not width:
            return
        board = pages.board
        head = [history.title(session, now_us, width), episodes.header(width)]
        if not board.rows:
            table.show([head[0], *history.nothing(session, width, height - 1)])
            return
        table.show_rows(
            head,
            board.rows,
            board.at,
            lambda e: episodes.row(session, e, width, stored=True),
            active=True,
            marked=lambda e: e.key in board.marked,
        )

    def _query(self, after: str = "") -> EpisodeQuery:
        session, pages = self.session, self.session.pages
        window = pages.window or Window(0, self.outside.now_us())
        name, descending = EPISODE_SORTS[pages.board.order.index]
        return EpisodeQuery(
            filter=parse(session.filter.text),
            since_us=window.since_us,
            until_us=window.until_us,
            now_us=window.until_us,
            order=name,
            descending=descending != pages.board.order.reverse,
            limit=PAGE_ROWS,
            after=after,
        )

    async def _ask(self, *, first: bool) -> None:
        pages = self.session.pages
        asked = pages.asked
        try:
            page: EpisodePage = await self.outside.history.episodes(self._query("" if first else pages.more))
        except HistoryUnavailable as error:
            pages.fail(asked, str(error))
        else:
            more = page.rows[-1].cursor if len(page.rows) == PAGE_ROWS else ""
            found = [(row.episode, row.feedback) for row in page.rows]
            if pages.answer(asked, found, more=more, total=page.total, seconds=page.seconds, first=first):
                self.session.retell(pages.ledger)

    @property
    def rows_in_view(self) -> int:
        """See `PageView`."""
        return self.query_one("#history", RowTable).page

    def pick(self, event: RowTable.Picked, now_us: int) -> None:
        """See `PageView`."""
        board = self.session.pages.board
        again = board.cursor == event.row.key
        board.cursor, board.held_until_us = event.row.key, now_us + HOLD_US
        if again:
            self.session.enter(now_us)

    def refresh_data(self) -> None:
        """See `PageView`."""
        self.session.pages.asked = None

    def sql(self) -> str:
        """See `PageView`."""
        return self.outside.history.sql(self._query())
