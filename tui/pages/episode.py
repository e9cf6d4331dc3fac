"""The EPISODE screen: one episode in full, whichever list it was opened from."""

from __future__ import annotations

import os
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.containers import Container

from qraft.filter import parse
from qraft.store import EpisodeQuery, RawEvent, StoredPattern
from tui.history.base import HistoryUnavailable
from tui.history.clickhouse import verdict_of
from tui.pages.episode_questions import EpisodeQuestions
from tui.state.episodes import Episode
from tui.state.pages import Page
from tui.state.story import Part, Saying, episode_of
from tui.views.braille_chart import Dots
from tui.views.episode import figure, head, labels, like, panes, raw, why
from tui.views.text import Line, Span
from tui.widgets.line_view import LineView
from tui.widgets.row_table import RowTable

WIDE, TALL = 100, 30
"""From this size on all panes stand side by side; below, one has the screen."""
NAMES = {Part.CHART: "chart", Part.WHY: "why", Part.RAW: "raw", Part.LABELS: "labels", Part.LIKE: "like"}


class EpisodePage(EpisodeQuestions):
    """Head, chart, why, raw events, labels, and what is like it."""

    page: ClassVar[Page] = Page.EPISODE

    _arrangement: object = None
    _raws_from = ("", 0)
    _drawn: tuple[object, list[Line]] = (None, [])

    def compose(self) -> ComposeResult:
        """The panes."""
        plain = self.ascii_only
        yield LineView(ascii_only=plain, id="episode-head")
        yield LineView(ascii_only=plain, id="episode-chart")
        with Container(id="episode-below"):
            with Container(id="episode-left"):
                yield RowTable[why.Row](ascii_only=plain, id="episode-why")
                yield RowTable[StoredPattern](ascii_only=plain, id="episode-like")
            yield LineView(ascii_only=plain, id="episode-edge")
            with Container(id="episode-right"):
                yield RowTable[RawEvent](ascii_only=plain, id="episode-raw")
                yield RowTable[Saying](ascii_only=plain, id="episode-labels")

    @property
    def single(self) -> bool:
        """See `PageView`."""
        size = self.screen.size
        return self.session.zoomed or size.width < WIDE or size.height < TALL

    @property
    def _dots(self) -> Dots:
        return "ascii" if self.ascii_only else "block" if os.environ.get("TERM") == "linux" else "braille"

    # --- painting

    def paint(self, now_us: int) -> None:
        """See `PageView`."""
        episode, story = self.session.opened, self.session.story
        width, height = self.size
        if episode is None or not width:
            return
        story.show(episode)
        self.ask(episode, now_us, raws=self._seen(Part.RAW))
        top = head.lines(self.session, episode, width - 2, 1 if self.session.zoomed or height < 12 else 5)
        if self._arrange(len(top), height):
            self.call_after_refresh(self.paint, now_us)
        self.query_one("#episode-head", LineView).show([((" ", "text"), *line) for line in top])
        self._paint_chart(episode)
        self._paint_why(episode)
        self._paint_raw(episode)
        self._paint_labels(episode)
        self._paint_like(episode)
        edge = self.query_one("#episode-edge", LineView)
        if edge.display:
            upper = self.query_one("#episode-why").size.height
            edge.show([(("┬" if y == 0 else "┼" if y == upper else "│", "rule"),) for y in range(edge.size.height)])

    def _arrange(self, top: int, height: int) -> bool:
        """Shows and sizes the panes; whether sizes are known after the next refresh only."""
        single, part = self.single, self.session.story.part
        arrangement = (top, height, single, part if single else None)
        if arrangement == self._arrangement:
            return False
        self._arrangement = arrangement
        self.query_one("#episode-head").styles.height = top
        shown = {p: not single or p is part for p in Part}
        for p, name in NAMES.items():
            self.query_one(f"#episode-{name}").display = shown[p]
        self.query_one("#episode-below").display = not single or part is not Part.CHART
        self.query_one("#episode-left").display = shown[Part.WHY] or shown[Part.LIKE]
        self.query_one("#episode-right").display = shown[Part.RAW] or shown[Part.LABELS]
        self.query_one("#episode-edge").display = not single
        chart = max(11, (height - top) * 2 // 5)
        below = height - top - chart
        upper = below - max(7, below * 2 // 5)
        self.query_one("#episode-chart").styles.height = "1fr" if single else chart
        self.query_one("#episode-left").styles.width = "1fr" if single else "46%"
        for name in ("why", "raw"):
            self.query_one(f"#episode-{name}").styles.height = "1fr" if single else upper
        return True

    def _table(self, part: Part) -> tuple[RowTable[Any], int, int] | None:
        """The table of a pane with its size; None where it is not shown."""
        table = self.query_one(f"#episode-{NAMES[part]}", RowTable)
        width, height = table.size
        return (table, width, height) if self._seen(part) and width else None

    def _seen(self, part: Part) -> bool:
        return not self.single or self.session.story.part is part

    def _title(self, part: Part, remark: list[Span], width: int) -> Line:
        return panes.bar(self.session, remark, width) if self.single else panes.title(self.session, part, remark, width)

    def _paint_chart(self, episode: Episode) -> None:
        pane = self.query_one("#episode-chart", LineView)
        width, height = pane.size
        if not self._seen(Part.CHART) or not width:
            return
        canvas = figure.Canvas(width - 2, height - 1, self._dots)
        if (stamp := figure.stamp(self.session, episode, canvas)) != self._drawn[0]:
            self._drawn = stamp, [((" ", "text"), *line) for line in figure.lines(self.session, episode, canvas)]
        pane.show([self._title(Part.CHART, figure.remark(self.session, episode), width), *self._drawn[1]])

    def _paint_why(self, episode: Episode) -> None:
        if (found := self._table(Part.WHY)) is None:
            return
        table, width, height = found
        rule = self._title(Part.WHY, [], width)
        rows = why.rows(episode)
        if not rows:
            table.show([rule, *panes.instead(why.nothing(), width, height - 1)])
            return
        table.show_rows(
            [rule, why.header(episode, width)],
            rows,
            self.session.story.line,
            lambda one: why.row(self.session, episode, one, width),
            active=self.session.story.part is Part.WHY,
        )

    def _paint_raw(self, episode: Episode) -> None:
        if (found := self._table(Part.RAW)) is None:
            return
        table, width, height = found
        raws = self.session.story.raws
        rule = self._title(Part.RAW, raw.remark(self.session), width)
        if not raws.rows:
            text, tone = raw.empty(self.session, episode.peak)
            table.show([rule, *panes.instead(text, width, height - 1, tone)])
            return
        head_lines = [rule]
        if self.single and height >= 14 and (event := raws.selected) is not None:
            head_lines += raw.folded(event, width)
        active = self.session.story.part is Part.RAW

        before, self._raws_from = self._raws_from, (raws.rows[0].cursor, table.page)
        table.show_rows(
            [*head_lines, raw.header(width)],
            raws.rows,
            raws.index,
            lambda e: raw.row(episode, e, width, found=e.cursor == raws.mark),
            active=active,
            # New rows above, or another height, would leave the cursor at an edge.
            middle=self._raws_from != before,
        )

    def _paint_labels(self, episode: Episode) -> None:
        if (found := self._table(Part.LABELS)) is None:
            return
        table, width, height = found
        story = self.session.story
        rows = labels.rows(self.session, episode)
        rule = self._title(Part.LABELS, labels.remark(self.session, len(rows)), width)
        if not rows:
            text, tone = labels.empty(self.session)
            table.show([rule, *panes.instead(text, width, height - 1, tone)])
            return
        story.label = min(story.label, len(rows) - 1)
        table.show_rows(
            [rule, labels.header(width)],
            rows,
            story.label if story.part is Part.LABELS else -1,
            lambda one: labels.row(self.session, one, width),
            active=story.part is Part.LABELS,
        )

    def _paint_like(self, episode: Episode) -> None:
        if (found := self._table(Part.LIKE)) is None:
            return
        table, width, height = found
        story = self.session.story
        rule = self._title(Part.LIKE, like.remark(self.session), width)
        if not story.similar:
            text, tone = like.empty(self.session)
            table.show([rule, *panes.instead(text, width, height - 1, tone)])
            return
        table.show_rows(
            [rule, like.summary(self.session, width)],
            story.similar,
            story.like if story.part is Part.LIKE else -1,
            lambda one: like.row(self.session, episode, one, width),
            active=story.part is Part.LIKE,
        )

    def refresh_data(self) -> None:
        """See `PageView`."""
        self.session.story.again()

    # --- keys

    def act(self, name: str, now_us: int) -> bool:
        """See `PageView`: the stretch of the chart, the way back to the episode one came from, the query."""
        story = self.session.story
        if name in ("widen", "narrow") and story.part is Part.CHART:
            story.widen(1 if name == "widen" else -1)
            return True
        if name == "back" and not self.session.zoomed and (episode := story.go_back()) is not None:
            self.session.open(episode)
            return True
        if name == "copy_sql":
            try:
                self.sql()
            except HistoryUnavailable as error:
                self.session.say(str(error), now_us, bad=True)
                return True
        return False

    def enter(self, now_us: int) -> None:
        """Opens the past episode under the cursor."""
        story, here = self.session.story, self.session.opened
        stored = story.alike
        if stored is None or here is None:
            return
        there = episode_of(stored)
        story.go_to(there, here)
        story.ledger.put([(there, verdict_of(stored))])
        self.session.open(there)
        self.run_worker(self.complete(there), group="complete", exclusive=True)

    def move(self, steps: int, now_us: int) -> None:
        """See `PageView`."""
        story, episode = self.session.story, self.session.opened
        if episode is None:
            return
        if story.part is Part.RAW:
            story.raws.move(steps)
        elif story.part is Part.LABELS:
            story.label = max(0, story.label + steps)
        elif story.part is Part.LIKE:
            story.like = min(max(0, len(story.similar) - 1), max(0, story.like + steps))
        else:
            fields, lines = why.sizes(episode)
            story.choose(episode.peak, story.line + steps, lines if story.part is Part.WHY else fields)

    def edge(self, *, last: bool, now_us: int) -> None:
        """See `PageView`."""
        self.move(1_000_000 if last else -1_000_000, now_us)

    @property
    def rows_in_view(self) -> int:
        """See `PageView`."""
        part = self.session.story.part
        return 1 if part is Part.CHART else self.query_one(f"#episode-{NAMES[part]}", RowTable).page

    def show_pane(self, number: int) -> None:
        """See `PageView`."""
        self.session.story.part = Part(number)

    def next_pane(self, steps: int) -> None:
        """See `PageView`."""
        self.session.story.next_part(steps)

    def pick(self, event: RowTable.Picked, now_us: int) -> None:
        """See `PageView`."""
        story, episode = self.session.story, self.session.opened
        part = next((p for p, name in NAMES.items() if event.table.id == f"episode-{name}"), None)
        if part is None or episode is None:
            return
        again, story.part = story.part is part, part
        if part is Part.RAW:
            story.raws.cursor = event.row.cursor
        elif part is Part.LABELS:
            story.label = event.index
        elif part is Part.LIKE:
            again, story.like = again and story.like == event.index, event.index
            if again:
                self.enter(now_us)
        else:
            story.choose(episode.peak, event.index, why.sizes(episode)[1])

    def wheel(self, event: RowTable.Wheel, now_us: int) -> None:
        """See `PageView`."""
        self.session.story.part = next(p for p, name in NAMES.items() if event.table.id == f"episode-{name}")
        self.move(event.steps, now_us)

    def sql(self) -> str:
        """See `PageView`."""
        episode = self.session.opened
        if episode is None:
            return ""
        query = EpisodeQuery(
            filter=parse(episode.peak.pattern_id),
            since_us=episode.first_us,
            until_us=episode.last_us + 1,
            now_us=self.outside.now_us(),
        )
        return self.outside.history.sql(query)
