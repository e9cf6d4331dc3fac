"""The FEEDBACK screen."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult

from qraft.filter import parse
from qraft.model import encode
from qraft.store import EpisodeQuery, LabelQuery
from tui.history.base import HistoryUnavailable
from tui.language import t
from tui.pages.base import PageView
from tui.state.pages import Page
from tui.state.said import Entry
from tui.state.window import Window
from tui.views import feedback
from tui.widgets.row_table import RowTable

AGAIN_US = 10_000_000
PAGE_LABELS = 200


class FeedbackPage(PageView):
    """What was said, and the mutes."""

    page: ClassVar[Page] = Page.FEEDBACK

    _shown_for: object = None
    _window: Window | None = None

    def compose(self) -> ComposeResult:
        """One list."""
        yield RowTable[Entry](ascii_only=self.ascii_only, id="feedback")

    def paint(self, now_us: int) -> None:
        """See `PageView`."""
        session, said = self.session, self.session.said
        if self._window != session.window:
            self._window = session.window
            self.refresh_data()
        if not said.loading and now_us - said.asked_us > AGAIN_US:
            said.asked_us, said.loading = now_us, True
            self.run_worker(self._ask(first=True), group="feedback", exclusive=True)
        elif said.near_end():
            said.loading = True
            self.run_worker(self._ask(first=False), group="feedback", exclusive=True)
        find = session.finds.get(self.page, "")
        asked = (find, said.mine, session.window)
        if self.moves_on() or asked != self._shown_for:
            self._shown_for = asked
            said.frame(session.store.mutes, session.judge.user, find, now_us, session.window)
        table = self.query_one("#feedback", RowTable)
        width, height = table.size
        if not width:
            return
        head = feedback.title(session, width, now_us)
        if not said.rows:
            table.show([head, *feedback.nothing(session, width, height - 1)])
            return
        cursor = next((i for i, e in enumerate(said.rows) if e.key == said.cursor), -1)
        table.show_rows(
            [head, feedback.header(width)],
            said.rows,
            cursor,
            lambda e: feedback.row(session, e, width, now_us),
            active=True,
        )

    async def _ask(self, *, first: bool) -> None:
        said = self.session.said
        window = self.session.window
        query = LabelQuery(
            user=self.session.judge.user if said.mine else "",
            since_us=window.since_us if window else None,
            until_us=window.until_us if window else None,
            limit=PAGE_LABELS,
            before="" if first else said.more,
        )
        try:
            labels = await self.outside.history.labels(query)
        except HistoryUnavailable as error:
            said.fail(str(error))
        else:
            said.answer(labels, more=labels[-1].cursor if len(labels) == PAGE_LABELS else "", first=first)

    def move(self, steps: int, now_us: int) -> None:
        """See `PageView`."""
        self.session.said.move(steps)

    def edge(self, *, last: bool, now_us: int) -> None:
        """See `PageView`."""
        self.session.said.move(1_000_000 if last else -1_000_000)

    @property
    def rows_in_view(self) -> int:
        """See `PageView`."""
        return self.query_one("#feedback", RowTable).page

    def next_pane(self, steps: int) -> None:
        """Shows one's own, or everybody's."""
        said = self.session.said
        said.mine = not said.mine
        said.asked_us, said.loading = 0, False

    def act(self, name: str, now_us: int) -> bool:
        """See `PageView`: ``u`` takes back the row under the cursor, a mute whoever set it, a verdict its owner only."""
        entry = self.session.said.selected
        if name not in ("undo", "copy_id", "copy_json") or entry is None:
            return False
        said = entry.label.feedback
        if name != "undo":
            if name == "copy_id":
                self.desk.take(said.pattern_id, t("the id"))
            else:
                self.desk.take(encode(said).decode(), t("the verdict"))
        elif entry.label.undone:
            self.session.say(t("this was taken back already"), now_us, bad=True)
        elif said.user != self.session.judge.user and not entry.mute:
            self.session.say(t("only @{user} can take this back", user=said.user), now_us, bad=True)
        else:
            self.session.labels.take_back(said, now_us)
        return True

    def enter(self, now_us: int) -> None:
        """Opens the episode that was judged."""
        entry = self.session.said.selected
        if entry is None:
            return
        pattern_id = entry.label.feedback.pattern_id
        for ledger in self.session.ledgers():
            key = ledger.episodes.key_of(pattern_id)
            if key is not None and (episode := ledger.episodes.get(key)) is not None:
                self.session.open(episode)
                return
        self.run_worker(self._open(pattern_id), group="open", exclusive=True)

    async def _open(self, pattern_id: str) -> None:
        now = self.outside.now_us()
        try:
            page = await self.outside.history.episodes(EpisodeQuery(filter=parse(pattern_id), now_us=now, limit=1))
        except HistoryUnavailable as error:
            self.session.say(str(error), now, bad=True)
            return
        if page.rows:
            self.session.pages.ledger.put([(page.rows[0].episode, page.rows[0].feedback)])
            self.session.open(page.rows[0].episode)
        else:
            self.session.say(t("its episode is not stored (any more)"), now, bad=True)

    def pick(self, event: RowTable.Picked, now_us: int) -> None:
        """See `PageView`."""
        again = self.session.said.cursor == event.row.key
        self.session.said.cursor = event.row.key
        if again:
            self.enter(now_us)

    def refresh_data(self) -> None:
        """See `PageView`."""
        self.session.said.asked_us, self.session.said.loading = 0, False
