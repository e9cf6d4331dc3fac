"""What the EPISODE screen asks the database, and where the answers go."""

from __future__ import annotations

from qraft.filter import Filter, Term
from qraft.model import Pattern
from qraft.store import EpisodeQuery
from tui.history.base import HistoryUnavailable
from tui.pages.base import PageView, ask_chart
from tui.state.episodes import Episode, Group
from tui.state.raws import RAW_PAGE, Raws, Wish
from tui.state.story import BUCKETS, Reach
from tui.views.episode import figure

AT_ONCE = 200
"""Episodes of one source and type that are looked at to find the one that was running at a moment."""


class EpisodeQuestions(PageView):
    """The asking half of the screen; each question is a worker, of which the newest of its kind stands."""

    def ask(self, episode: Episode, now_us: int, *, raws: bool) -> None:
        """Asks what is wanted now; ``raws`` whether raw events are in view."""
        story = self.session.story
        ask_chart(self, episode, now_us)
        if story.wanted(now_us):
            story.loading, story.asked_us = True, now_us
            self.run_worker(self._ask_story(episode), group="story", exclusive=True)
        if raws and (wish := story.raws.wish(now_us)):
            story.raws.loading = True
            self.run_worker(self._ask_raw(episode.peak, story.raws, wish), group="raw", exclusive=True)
        field = figure.drawn(self.session, episode)
        if field is not None:
            name = figure.stored_field(field, self.session.charts.get(episode.peak.pattern_id))
            end = self.session.view.at_us
            if (reach := story.reached(name, episode.peak_us, end)) is not None:
                self.run_worker(self._ask_reach(episode.peak, reach), group="reach", exclusive=True)

    async def _ask_story(self, episode: Episode) -> None:
        try:
            found = await self.outside.history.story(episode)
        except HistoryUnavailable as error:
            self.session.story.fail(episode.key, str(error))
        else:
            self.session.story.take(episode.key, found.said, found.similar, found.alike_counts)

    async def _ask_raw(self, pattern: Pattern, raws: Raws, wish: Wish) -> None:
        history = self.outside.history
        try:
            if wish == "first":
                found = await history.raw(pattern, RAW_PAGE, RAW_PAGE)
            elif wish == "earlier":
                found = await history.raw(pattern, RAW_PAGE, 0, cursor=raws.rows[0].cursor)
            else:
                found = await history.raw(pattern, 0, RAW_PAGE, cursor=raws.rows[-1].cursor)
        except HistoryUnavailable as error:
            raws.fail(str(error), self.outside.now_us())
        else:
            raws.take(wish, found, pattern, self.outside.now_us())

    async def _ask_reach(self, pattern: Pattern, reach: Reach) -> None:
        try:
            reach.points = await self.outside.history.series(
                pattern.source,
                pattern.entity,
                reach.field,
                since_us=reach.since_us,
                until_us=reach.until_us,
                buckets=BUCKETS,
            )
        except HistoryUnavailable as error:
            reach.problem = str(error)
        reach.answered = True

    async def complete(self, episode: Episode) -> None:
        """Puts the whole run in the place of the one pattern that is known of it, where the database has it."""
        query = EpisodeQuery(
            filter=Filter("", (Term("src", values=(episode.source.lower(),)), Term("kind", values=(episode.type,)))),
            since_us=episode.first_us,
            until_us=episode.last_us + 1,
            now_us=self.outside.now_us(),
            limit=AT_ONCE,
        )
        try:
            page = await self.outside.history.episodes(query)
        except HistoryUnavailable:
            return
        found = next((r for r in page.rows if group_of(r.episode) == group_of(episode)), None)
        opened, story = self.session.opened, self.session.story
        if found is not None and opened is not None and opened.key == episode.key:
            story.rename(episode.key, found.episode)
            story.ledger.put([(found.episode, found.feedback)])
            self.session.opened = found.episode


def group_of(episode: Episode) -> Group:
    """What all patterns of an episode have in common."""
    return episode.source, episode.entity, episode.type, episode.detector
