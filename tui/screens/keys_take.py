"""What the keys do that take something away: copies and exports."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from qraft.filter import parse
from qraft.model import encode
from qraft.store import EpisodeQuery
from tui.history.base import HistoryUnavailable
from tui.language import t
from tui.screens.keys import Keys
from tui.state.pages import Page
from tui.state.prompt import Prompt

if TYPE_CHECKING:
    from qraft.store.export import Row

EXPORT_PAGE = 2_000


class TakeKeys(Keys):
    """Clipboard and files."""

    def do_copy_id(self) -> None:
        """Copies ids, one a line."""
        self.desk.take("\n".join(e.peak.pattern_id for e in self.session.targets), t("the id"))

    def do_copy_json(self) -> None:
        """Copies patterns as NDJSON."""
        self.desk.take("\n".join(encode(e.peak).decode() for e in self.session.targets), t("the pattern"))

    def do_copy_sql(self) -> None:
        """Copies the query behind this view."""
        try:
            sql = self.front.sql()
        except HistoryUnavailable as error:
            self.say(str(error), bad=True)
            return
        if sql:
            self.desk.take(sql, t("the query"))
        else:
            self.say(t("this screen shows no query"), bad=True)

    def do_export(self, path: str = "") -> None:
        """Asks for a file and writes the filtered episodes to it."""

        def answered(text: str) -> str:
            target = Path(text.strip()).expanduser()
            if target.suffix.lower() not in (".csv", ".parquet"):
                return t("write a name that ends with .csv or .parquet")
            self.run_worker(self._export(target), group="export", exclusive=True)
            return ""

        if path:
            if problem := answered(path):
                self.say(problem, bad=True)
        else:
            self.ask(Prompt(t("export to"), answered, value="qraft-episodes.csv", name="export"))

    async def _export(self, path: Path) -> None:
        from qraft.store.export import ExportError, write_pages

        def progress(rows: int) -> None:
            self.say(t("exporting: {n} rows", n=rows))

        pages = self._stored() if self.session.page is Page.HISTORY else self._shown()
        try:
            rows = await write_pages(path, pages, progress)
        except (ExportError, HistoryUnavailable) as error:
            self.say(str(error), bad=True)
        else:
            self.say(t("{n} rows written to {path}", n=rows, path=str(path)))

    async def _shown(self) -> AsyncIterator[Sequence[Row]]:
        """The episodes of the list in memory."""
        from qraft.store.export import episode_row

        session = self.session
        yield [episode_row(e.peak, e.n, e.first_us, e.last_us, session.mark(e).feedback) for e in session.listed.rows]

    async def _stored(self) -> AsyncIterator[Sequence[Row]]:
        """Every episode that the HISTORY screen's question finds, page by page."""
        from qraft.store.export import episode_row

        session, after = self.session, ""
        window = session.pages.window
        while True:
            query = EpisodeQuery(
                filter=parse(session.filter.text),
                since_us=window.since_us if window else None,
                until_us=window.until_us if window else None,
                now_us=window.until_us if window else self.now,
                limit=EXPORT_PAGE,
                after=after,
            )
            page = await self.outside.history.episodes(query)
            found = [(r.episode, r.feedback) for r in page.rows]
            yield [episode_row(e.peak, e.n, e.first_us, e.last_us, feedback) for e, feedback in found]
            if len(page.rows) < EXPORT_PAGE:
                return
            after = page.rows[-1].cursor
