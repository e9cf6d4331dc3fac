"""The PIPE screen."""

from __future__ import annotations

import asyncio
from typing import ClassVar

from textual.app import ComposeResult

from tui.history.base import HistoryUnavailable
from tui.outside import Outside
from tui.pages.base import PageView
from tui.state.pages import Page
from tui.state.session import Session
from tui.views import pipe
from tui.views.text import Line
from tui.widgets.text_pane import TextPane

AGAIN_US = 10_000_000


class PipePage(PageView):
    """Engine, NATS, ClickHouse, and this terminal's own cost."""

    page: ClassVar[Page] = Page.PIPE

    def __init__(self, session: Session, outside: Outside, *, ascii_only: bool) -> None:
        super().__init__(session, outside, ascii_only=ascii_only)
        self._asked_us = 0
        self._rows: dict[str, int] = {}
        self._problem = ""

    def compose(self) -> ComposeResult:
        """One text."""
        yield TextPane(ascii_only=self.ascii_only, id="pipe")

    def paint(self, now_us: int) -> None:
        """See `PageView`."""
        if now_us - self._asked_us > AGAIN_US:
            self._asked_us = now_us
            self.run_worker(self._ask(), group="pipe", exclusive=True)
        pane = self.query_one("#pipe", TextPane)
        width = pane.size.width
        if not width:
            return
        if not self.moves_on():
            return
        machinery = pipe.Machinery(
            cost=self.desk.cost.snapshot(asyncio.get_running_loop().time()),
            nats_url=self.outside.nats_url,
            clickhouse_url=self.outside.clickhouse_url,
            asked_seconds=self.outside.history.last_seconds,
            rows=self._rows,
            problem=self._problem,
        )
        body: list[Line] = [((" ", "text"), *line) for line in pipe.lines(self.session, machinery, now_us, width - 2)]
        pane.show_body([pipe.title(self.session, width)], body)

    async def _ask(self) -> None:
        try:
            self._rows = await self.outside.history.counts()
        except HistoryUnavailable as error:
            self._problem = str(error)
        else:
            self._problem = ""

    def move(self, steps: int, now_us: int) -> None:
        """See `PageView`."""
        self.query_one("#pipe", TextPane).scroll_lines(steps)

    def edge(self, *, last: bool, now_us: int) -> None:
        """See `PageView`."""
        self.query_one("#pipe", TextPane).scroll_lines(10_000 if last else -10_000)

    def refresh_data(self) -> None:
        """See `PageView`."""
        self._asked_us = 0
