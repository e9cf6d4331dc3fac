"""What one operator sees and does: cursor, filter, order, freeze, panes, verdicts. Pure: the caller says what time it is.

Rows are computed once a frame and stand until the next; cursor moves and verdicts go by the key of a row of that frame, so a
row that moves under the finger is never hit by mistake.
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

from qraft.model import Feedback, Verdict
from tui.state.charts import Charts
from tui.state.episodes import MAX_EPISODES, Episode
from tui.state.filter import Filter, FilterError, parse
from tui.state.inbox import Batch
from tui.state.ordering import EPISODE_SORTS, SOURCE_SORTS, arrange_episodes, arrange_sources
from tui.state.store import SourceState, Store
from tui.state.undo import Judge
from tui.state.verdicts import Delivery

HOLD_US = 3_000_000
"""For so long after a cursor move or a verdict no row changes its place."""
AFTER = 60
"""Events after a pattern from which its chart counts as complete."""
MESSAGE_US = 5_000_000
VERDICT_WORD: dict[Verdict, str] = {
    "confirmed": "confirmed",
    "false_positive": "false positive",
    "expected": "expected",
    "new_normal": "new normal",
    "undo": "taken back",
}


JUDGES: dict[str, Verdict] = {"confirm": "confirmed", "false_positive": "false_positive"}
"""The verdict that each judging action gives."""


class Pane(enum.IntEnum):
    """The panes of the live screen, by the number that opens them."""

    SOURCES = 1
    EPISODES = 2
    DETAIL = 3


@dataclass(frozen=True, slots=True)
class Frozen:
    """What the screen showed when it was frozen."""

    episodes: list[Episode]
    sources: dict[str, SourceState]
    received: int
    now_us: int


@dataclass(frozen=True, slots=True)
class Message:
    """One sentence to the operator, shown until ``until_us``."""

    text: str
    bad: bool
    until_us: int


class Session:
    """The state of one terminal. ``keep`` is called with each verdict given, to journal and send it."""

    def __init__(self, store: Store, judge: Judge, keep: Callable[[Feedback], None]) -> None:
        self.store = store
        self.judge = judge
        self._keep = keep
        self.pane = Pane.EPISODES
        self.zoomed = False
        self.filter = Filter()
        self.filter_error = ""
        self.frozen: Frozen | None = None
        self.message: Message | None = None
        self.sort = {Pane.EPISODES: 0, Pane.SOURCES: 0}
        self.reverse = {Pane.EPISODES: False, Pane.SOURCES: False}
        self.cursor: dict[Pane, str] = {Pane.EPISODES: "", Pane.SOURCES: ""}
        self.rows: list[Episode] = []
        self.sources: list[SourceState] = []
        self.total = 0
        self.waiting = 0
        self.held_until_us = 0
        self.view_us = 0
        self.open_of: dict[str, int] = {}
        self.new = 0
        self._cause: object = None
        self.charts = Charts(enough_after=AFTER)
        self._matched: dict[str, tuple[Episode, object, bool]] = {}

    # --- once a frame

    def fold(self, batch: Batch, now_us: int) -> None:
        """Takes what arrived since the last frame."""
        self.store.fold(batch, now_us)
        for delivery in batch.deliveries:
            if delivery.refused:
                self.say(f"verdict refused: {delivery.refused}", now_us, bad=True)
        if self.message is not None and now_us >= self.message.until_us:
            self.message = None

    def frame(self, now_us: int) -> None:
        """Computes the rows of the next frame, where something happened since the last."""
        held = now_us < self.held_until_us
        order = tuple(self.sort.values()), tuple(self.reverse.values())
        second = now_us // 1_000_000 if self.filter.ages else 0
        cause = (self.store.version, self.frozen is None, order, self.filter, held, second)
        if cause == self._cause:
            return
        self._cause = cause
        self.view_us = self.frozen.now_us if self.frozen else now_us
        episodes = self.frozen.episodes if self.frozen else list(self.store.episodes.newest_first())
        sources = self.frozen.sources if self.frozen else self.store.sources
        self.total = len(episodes)
        shown = [e for e in episodes if self._passes(e)] if self.filter else episodes
        rows = arrange_episodes(shown, self.sort[Pane.EPISODES], reverse=self.reverse[Pane.EPISODES])
        self.waiting = 0
        if held and self.rows:
            rows = self._held(rows, episodes)
        self._follow(rows)
        self.rows = rows
        self.new = sum(self.store.mark(e).verdict is None for e in rows)
        self.open_of = self._open_by_source(episodes)
        self.sources = arrange_sources(
            list(sources.values()), self.sort[Pane.SOURCES], reverse=self.reverse[Pane.SOURCES], open_of=self.open_of
        )
        names = [s.stats.source for s in self.sources]
        if names and self.cursor[Pane.SOURCES] not in names:
            self.cursor[Pane.SOURCES] = names[0]

    def _held(self, rows: list[Episode], episodes: list[Episode]) -> list[Episode]:
        """The rows of the last frame in their places with the values of now; new ones wait."""
        now = {e.key: e for e in episodes}
        kept: dict[str, Episode] = {}
        for row in self.rows:
            episode = now.get(self.store.episodes.resolve(row.key))
            if episode is not None:
                kept.setdefault(episode.key, episode)
        self.waiting = sum(e.key not in kept for e in rows)
        return list(kept.values())

    def _follow(self, rows: list[Episode]) -> None:
        """Keeps the cursor on its episode; where that has gone, on the row that took its place."""
        key = self.store.episodes.resolve(self.cursor[Pane.EPISODES])
        if rows and all(e.key != key for e in rows):
            index = next((i for i, e in enumerate(self.rows) if e.key == self.cursor[Pane.EPISODES]), 0)
            key = rows[min(index, len(rows) - 1)].key
        self.cursor[Pane.EPISODES] = key

    def _passes(self, episode: Episode) -> bool:
        mark = self.store.mark(episode)
        known = self._matched.get(episode.key)
        if known is not None and known[0] is episode and known[1] is mark and not self.filter.ages:
            return known[2]
        passed = self.filter.matches(episode, mark, self.view_us)
        if len(self._matched) > 2 * MAX_EPISODES:
            self._matched.clear()
        self._matched[episode.key] = (episode, mark, passed)
        return passed

    # --- what is shown

    @property
    def selected(self) -> Episode | None:
        """The episode under the cursor in the frame last painted."""
        key = self.cursor[Pane.EPISODES]
        return next((e for e in self.rows if e.key == key), None)

    @property
    def selected_source(self) -> SourceState | None:
        """The source under the cursor."""
        name = self.cursor[Pane.SOURCES]
        return next((s for s in self.sources if s.stats.source == name), None)

    @property
    def since_freeze(self) -> int:
        """Patterns that came since the screen was frozen."""
        return self.store.received - self.frozen.received if self.frozen else 0

    def held(self, now_us: int) -> bool:
        """Whether the order is held because of a recent move."""
        return now_us < self.held_until_us

    def sort_name(self, pane: Pane) -> str:
        """Name of the column a pane is sorted by, with its direction."""
        sorts = EPISODE_SORTS if pane is Pane.EPISODES else SOURCE_SORTS
        name, descending = sorts[self.sort[pane]]
        return f"{name}{'↓' if descending != self.reverse[pane] else '↑'}"

    def _open_by_source(self, episodes: list[Episode]) -> dict[str, int]:
        counts: dict[str, int] = {}
        for episode in episodes:
            if self.store.is_open(episode, self.view_us):
                counts[episode.source] = counts.get(episode.source, 0) + 1
        return counts

    # --- what the operator does

    def say(self, text: str, now_us: int, *, bad: bool = False) -> None:
        """Shows a sentence for some seconds."""
        self.message = Message(text, bad, now_us + MESSAGE_US)

    def reason(self, action: str) -> str:
        """Why an action can do nothing now; empty when it can."""
        if action in JUDGES:
            return self._reason_not_to_judge(JUDGES[action])
        if action == "undo" and self.judge.last is None and self._own_mark() is None:
            return "you gave no verdict that could be taken back"
        if action == "sort" and self.pane is Pane.DETAIL:
            return "the detail has no order: press 1 or 2 first"
        if action == "enter" and self.pane is Pane.SOURCES and self.selected_source is None:
            return "there is no source yet"
        if action == "enter" and self.pane is Pane.DETAIL and self.zoomed:
            return "this is as deep as it goes; esc goes back"
        return ""

    def _reason_not_to_judge(self, verdict: Verdict) -> str:
        if self.pane is Pane.SOURCES:
            return "a verdict is given on an episode: press 2 first"
        if self.selected is None:
            return "there is no episode to judge yet"
        own = self._own_mark()
        if own is not None and own.verdict == verdict:
            return f"you called it {VERDICT_WORD[verdict]} already; u takes it back"
        return ""

    def move(self, steps: int, now_us: int) -> None:
        """Moves the cursor of the pane in front over the rows of the last frame."""
        keys = [e.key for e in self.rows] if self.pane is Pane.EPISODES else [s.stats.source for s in self.sources]
        if self.pane is Pane.DETAIL or not keys:
            return
        here = self.cursor[self.pane]
        index = keys.index(here) if here in keys else 0
        self.cursor[self.pane] = keys[min(len(keys) - 1, max(0, index + steps))]
        if self.pane is Pane.EPISODES:
            self.held_until_us = now_us + HOLD_US

    def edge(self, *, last: bool, now_us: int) -> None:
        """Moves the cursor to the first row in the order of now, or to the last."""
        if self.pane is Pane.EPISODES:
            self.held_until_us = 0
            self.frame(now_us)
        self.move(1_000_000 if last else -1_000_000, now_us)
        if not last:
            self.held_until_us = 0

    def show(self, pane: Pane) -> None:
        """Brings a pane to the front."""
        self.pane = pane

    def next_pane(self, steps: int) -> None:
        """Brings the next or previous pane to the front."""
        self.pane = Pane((self.pane - 1 + steps) % 3 + 1)

    def enter(self, now_us: int) -> None:
        """Goes in: from a source to its episodes, from an episode to its detail in full."""
        if self.pane is Pane.SOURCES and (source := self.selected_source) is not None:
            self.set_filter(f"src:{source.stats.source}", now_us)
            self.pane = Pane.EPISODES
        elif self.selected is not None:
            self.pane = Pane.DETAIL
            self.zoomed = True

    def back(self, now_us: int) -> None:
        """Peels one layer: the zoom, then the detail, then the filter."""
        if self.zoomed:
            self.zoomed = False
            if self.pane is Pane.DETAIL:
                self.pane = Pane.EPISODES
        elif self.pane is not Pane.EPISODES:
            self.pane = Pane.EPISODES
        elif self.filter or self.filter_error:
            self.set_filter("", now_us)

    def set_filter(self, text: str, now_us: int) -> bool:
        """Takes a filter line; a line that cannot be read leaves the filter as it was and says why."""
        try:
            self.filter = parse(text)
        except FilterError as error:
            self.filter_error = str(error)
            return False
        self.filter_error = ""
        self._matched.clear()
        self.held_until_us = 0
        self.frame(now_us)
        return True

    def next_sort(self, now_us: int) -> None:
        """Sorts the pane in front by its next column."""
        sorts = EPISODE_SORTS if self.pane is Pane.EPISODES else SOURCE_SORTS
        self.sort[self.pane] = (self.sort[self.pane] + 1) % len(sorts)
        self.reverse[self.pane] = False
        self._resort(now_us)

    def reverse_sort(self, now_us: int) -> None:
        """Turns the order of the pane in front round."""
        self.reverse[self.pane] = not self.reverse[self.pane]
        self._resort(now_us)

    def _resort(self, now_us: int) -> None:
        self.held_until_us = 0
        self.frame(now_us)
        self.say(f"sorted by {self.sort_name(self.pane)}", now_us)

    def toggle_freeze(self, now_us: int) -> None:
        """Stops the picture, or lets it go on; what arrives is taken in either way."""
        if self.frozen:
            self.frozen = None
            return
        sources = {
            name: replace(state, samples=deque(state.samples, state.samples.maxlen))
            for name, state in self.store.sources.items()
        }
        self.frozen = Frozen(list(self.store.episodes.newest_first()), sources, self.store.received, now_us)

    def judge_selected(self, verdict: Verdict, now_us: int) -> None:
        """Gives a verdict on the episode under the cursor of the last frame."""
        if (episode := self.selected) is None:
            return
        feedback = self.judge.give(episode.peak, verdict, now_us, replaces=self._own_mark())
        self._give(feedback, f"{VERDICT_WORD[verdict]}: {episode.name} · u takes it back", now_us)

    def undo(self, now_us: int) -> None:
        """Takes back this session's last verdict and shows its row; without one, one's own verdict under the cursor."""
        feedback = self.judge.undo(now_us)
        if feedback is None:
            own = self._own_mark()
            if own is None:
                return
            feedback = self.judge.take_back(own, now_us)
        key = self.store.episodes.key_of(feedback.pattern_id)
        if key is not None and any(e.key == key for e in self.rows):
            self.cursor[Pane.EPISODES] = key
        undone = self.store.verdicts.get(feedback.undoes)
        word = VERDICT_WORD[undone.verdict] if undone else "verdict"
        self._give(feedback, f"taken back: {word} on {feedback.source}", now_us)

    def _own_mark(self) -> Feedback | None:
        mark = self.store.mark(self.selected) if self.selected is not None else None
        return mark.feedback if mark and mark.feedback and mark.feedback.user == self.judge.user else None

    def _give(self, feedback: Feedback, text: str, now_us: int) -> None:
        self.store.judge(feedback, Delivery.UNSENT)
        self.held_until_us = now_us + HOLD_US
        self.say(text, now_us)
        self._keep(feedback)
