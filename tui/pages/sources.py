"""The SOURCES screen."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult

from tui.history.base import HistoryUnavailable
from tui.outside import Outside
from tui.pages.base import PageView
from tui.pages.past import ask_past
from tui.state.find import found
from tui.state.pages import Page
from tui.state.session import Session
from tui.state.store import SourceState
from tui.views import empty, source_page
from tui.views.text import Line, Span, clip, rule
from tui.widgets.row_table import RowTable
from tui.widgets.text_pane import TextPane

AGAIN_US = 10_000_000


class SourcesPage(PageView):
    """Every source above, the one under the cursor below; at its side where the screen is wide."""

    page: ClassVar[Page] = Page.SOURCES

    def __init__(self, session: Session, outside: Outside, *, ascii_only: bool) -> None:
        super().__init__(session, outside, ascii_only=ascii_only)
        self._schema = source_page.Schema()
        self._asked: tuple[str, int] = ("", 0)
        self._below = False

    def compose(self) -> ComposeResult:
        """List and detail."""
        yield RowTable[SourceState](ascii_only=self.ascii_only, id="source-list")
        yield TextPane(ascii_only=self.ascii_only, id="source-detail")

    def paint(self, now_us: int) -> None:
        """See `PageView`."""
        ask_past(self)
        session, board = self.session, self.session.board
        table, pane = self.query_one("#source-list", RowTable), self.query_one("#source-detail", TextPane)
        alone = self.session.zoomed or self.size.height < 18
        table.display = not (alone and self._below)
        pane.display = not alone or self._below
        width, height = table.size
        rows = self._rows()
        if rows and all(s.stats.source != board.source_cursor for s in rows):
            board.source_cursor = rows[0].stats.source
        cursor = next((i for i, s in enumerate(rows) if s.stats.source == board.source_cursor), -1)
        if width and table.display:
            head = source_page.title(session, len(rows), width)
            if rows:
                table.show_rows(
                    [head, source_page.header(width)],
                    rows,
                    cursor,
                    lambda s: source_page.row(session, s, width, now_us),
                    active=not self._below,
                )
            else:
                table.show([head, *empty.sources(session, width, height - 1)])
        if pane.size.width and pane.display:
            self._paint_detail(pane, rows[cursor] if cursor >= 0 else None, now_us)

    def _rows(self) -> list[SourceState]:
        find = self.session.finds.get(self.page, "")
        sources = self.session.board.sources
        return [s for s in sources if not find or found(find, f"{s.stats.source} {s.stats.adapter} {s.stats.state}")]

    def edge(self, *, last: bool, now_us: int) -> None:
        """See `PageView`."""
        self.move(1_000_000 if last else -1_000_000, now_us)

    def _paint_detail(self, pane: TextPane, source: SourceState | None, now_us: int) -> None:
        width = pane.size.width
        left: list[Span] = [
            ("▸ " if self._below else " ", "title"),
            (source.stats.source if source else "—", "title"),
            (" ", "rule"),
        ]
        head = rule(left, [("tab", "key")], width)
        body: list[Line] = []
        if source is not None:
            name = source.stats.source
            if name != self._asked[0] or now_us - self._asked[1] > AGAIN_US:
                if name != self._asked[0]:
                    pane.scroll_top()
                self._asked = name, now_us
                self.run_worker(self._ask(name), group="fields", exclusive=True)
            body = source_page.detail(self.session, source, self._schema, width - 2, now_us)
        pane.show_body([head], [clip([(" ", "text"), *line], width) for line in body])

    async def _ask(self, source: str) -> None:
        session = self.session
        moment = session.window.until_us if session.window is not None else self.outside.now_us()
        try:
            fields = await self.outside.history.fields(source, moment)
        except HistoryUnavailable as error:
            self._schema = source_page.Schema(source, (), str(error), answered=True)
        else:
            self._schema = source_page.Schema(source, fields, "", answered=True)

    def move(self, steps: int, now_us: int) -> None:
        """See `PageView`."""
        if self._below:
            self.query_one("#source-detail", TextPane).scroll_lines(steps)
            return
        names = [s.stats.source for s in self._rows()]
        board = self.session.board
        if names:
            index = names.index(board.source_cursor) if board.source_cursor in names else 0
            board.source_cursor = names[min(len(names) - 1, max(0, index + steps))]

    @property
    def rows_in_view(self) -> int:
        """See `PageView`."""
        return self.query_one("#source-list", RowTable).page

    def next_pane(self, steps: int) -> None:
        """Between list and detail."""
        self._below = not self._below

    def show_pane(self, number: int) -> None:
        """1 is the list, 2 the detail."""
        self._below = number > 1

    def pick(self, event: RowTable.Picked, now_us: int) -> None:
        """See `PageView`."""
        board = self.session.board
        again = board.source_cursor == event.row.stats.source
        board.source_cursor = event.row.stats.source
        if again:
            self.session.enter(now_us)

    def refresh_data(self) -> None:
        """See `PageView`."""
        self._asked = ("", 0)
