"""The list of episodes and the list of sources as they are shown: filter, order, hold, cursor, marked rows.

Rows are computed once a frame and stand until the next; cursor moves and verdicts go by the key of a row of that frame, so a
row that moves under the finger is never hit by mistake.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tui.state.episodes import GAP_US, MAX_EPISODES, Episode
from tui.state.filter import Filter
from tui.state.ledger import Ledger
from tui.state.mutes import Mutes
from tui.state.ordering import arrange_episodes, arrange_sources
from tui.state.store import SourceState
from tui.state.verdicts import NO_MARK, Mark

HOLD_US = 3_000_000
"""For so long after a cursor move or a verdict no row changes its place."""


@dataclass(frozen=True, slots=True)
class View:
    """What the lists are made of: live, frozen, or a past window.

    Attributes:
        episodes: all of them, the one touched last first.
        ledger: what stands on them.
        sources: by name.
        at_us: the time of the picture, UTC microseconds.
        newest_us: latest event time of each source.
        stamp: differs whenever any of this does.
    """

    episodes: list[Episode]
    ledger: Ledger
    sources: Mapping[str, SourceState]
    at_us: int
    newest_us: Mapping[str, int]
    stamp: object

    def is_open(self, episode: Episode) -> bool:
        """Whether the run may still grow: touched lately, and its source is not beyond it in event time."""
        newest = self.newest_us.get(episode.source, 0)
        return self.at_us - episode.touched_us <= GAP_US and newest - episode.last_us <= GAP_US


@dataclass(slots=True)
class Order:
    """By which of a list's orders it is sorted."""

    index: int = 0
    reverse: bool = False


@dataclass(slots=True)
class Board:
    """The rows of a view.

    Attributes:
        rows: the episodes shown.
        total: how many there are, shown or not.
        hidden: how many are not shown because they are muted.
        waiting: how many rows wait for the hold to end.
        new: rows without a verdict.
        open_of: open episodes by source.
    """

    rows: list[Episode] = field(default_factory=list)
    sources: list[SourceState] = field(default_factory=list)
    total: int = 0
    hidden: int = 0
    waiting: int = 0
    new: int = 0
    open_of: dict[str, int] = field(default_factory=dict)
    cursor: str = ""
    source_cursor: str = ""
    marked: set[str] = field(default_factory=set)
    range_from: str = ""
    order: Order = field(default_factory=Order)
    source_order: Order = field(default_factory=Order)
    show_muted: bool = False
    held_until_us: int = 0
    _cause: object = None
    _matched: dict[str, tuple[Episode, object, bool]] = field(default_factory=dict)
    _filter: Filter = field(default_factory=Filter)
    _found: tuple[list[Episode], str, int] | None = None

    def frame(self, view: View, chosen: Filter, mutes: Mutes, now_us: int) -> None:
        """Computes the rows of the next frame, where something happened since the last."""
        held = now_us < self.held_until_us
        orders = (self.order.index, self.order.reverse, self.source_order.index, self.source_order.reverse)
        muting = bool(mutes.active(view.at_us))
        second = now_us // 1_000_000 if chosen.ages or muting else 0
        cause = (view.stamp, orders, chosen, held, second, muting, self.show_muted)
        if cause == self._cause:
            return
        self._cause = cause
        if chosen != self._filter:
            self._matched.clear()
            self._filter = chosen
        self.total = len(view.episodes)
        marks = view.ledger.verdicts.marks()
        shown = (
            [e for e in view.episodes if self._passes(e, marks.get(e.key, NO_MARK), view, chosen)]
            if chosen
            else view.episodes
        )
        if muting and not self.show_muted:
            heard = [e for e in shown if mutes.covers(e.source, e.entity, e.type, e.detector, view.at_us) is None]
            self.hidden = len(shown) - len(heard)
            shown = heard
        else:
            self.hidden = 0
        rows = arrange_episodes(shown, self.order.index, reverse=self.order.reverse)
        self.waiting = 0
        if held and self.rows:
            rows = self._held(rows, view)
        self._follow(rows, view)
        self.rows = rows
        judged = {key for key, mark in marks.items() if mark.verdict is not None}
        self.new = len(rows) - sum(e.key in judged for e in rows) if judged else len(rows)
        self.open_of = _open_by_source(view)
        self.sources = arrange_sources(
            list(view.sources.values()), self.source_order.index, reverse=self.source_order.reverse, open_of=self.open_of
        )
        names = [s.stats.source for s in self.sources]
        if names and self.source_cursor not in names:
            self.source_cursor = names[0]

    def _held(self, rows: list[Episode], view: View) -> list[Episode]:
        """The rows of the last frame in their places with the values of now; new ones wait."""
        now = {e.key: e for e in view.episodes}
        kept: dict[str, Episode] = {}
        for row in self.rows:
            episode = now.get(view.ledger.episodes.resolve(row.key))
            if episode is not None:
                kept.setdefault(episode.key, episode)
        self.waiting = sum(e.key not in kept for e in rows)
        return list(kept.values())

    def _follow(self, rows: list[Episode], view: View) -> None:
        """Keeps the cursor on its episode; where that has gone, on the row that took its place."""
        key = view.ledger.episodes.resolve(self.cursor)
        if rows and all(e.key != key for e in rows):
            index = max(0, self.at)
            key = rows[min(index, len(rows) - 1)].key
        self.cursor = key
        if self.marked:
            self.marked = {view.ledger.episodes.resolve(key) for key in self.marked} & {e.key for e in view.episodes}

    def _passes(self, episode: Episode, mark: Mark, view: View, chosen: Filter) -> bool:
        known = self._matched.get(episode.key)
        if known is not None and known[0] is episode and known[1] is mark and not chosen.ages:
            return known[2]
        passed = chosen.matches(episode, mark, view.at_us)
        if len(self._matched) > 2 * MAX_EPISODES:
            self._matched.clear()
        self._matched[episode.key] = (episode, mark, passed)
        return passed

    # --- the cursor

    @property
    def at(self) -> int:
        """Where the cursor stands among the rows, -1 where on none. Looked for once a list, however often it is asked."""
        if self._found is None or self._found[0] is not self.rows or self._found[1] != self.cursor:
            index = next((i for i, e in enumerate(self.rows) if e.key == self.cursor), -1)
            self._found = (self.rows, self.cursor, index)
        return self._found[2]

    @property
    def selected(self) -> Episode | None:
        """The episode under the cursor in the frame last painted."""
        return self.rows[self.at] if self.at >= 0 else None

    @property
    def selected_source(self) -> SourceState | None:
        """The source under the cursor."""
        return next((s for s in self.sources if s.stats.source == self.source_cursor), None)

    @property
    def targets(self) -> list[Episode]:
        """What a verdict is given on: the marked rows, else the one under the cursor."""
        if self.marked:
            return [e for e in self.rows if e.key in self.marked]
        return [self.selected] if self.selected is not None else []

    def move(self, steps: int, now_us: int) -> None:
        """Moves the cursor over the episodes of the last frame."""
        if self.rows:
            index = max(0, self.at)
            self.cursor = self.rows[min(len(self.rows) - 1, max(0, index + steps))].key
            self.held_until_us = now_us + HOLD_US
            if self.range_from:
                self._mark_range()

    def move_source(self, steps: int) -> None:
        """Moves the cursor over the sources of the last frame."""
        names = [s.stats.source for s in self.sources]
        if names:
            index = names.index(self.source_cursor) if self.source_cursor in names else 0
            self.source_cursor = names[min(len(names) - 1, max(0, index + steps))]

    def next_new(self, steps: int, is_new: Callable[[Episode], bool], now_us: int) -> bool:
        """Moves the cursor to the next episode (or the one before) without a verdict; whether there is one."""
        index = self.at
        order = range(index + 1, len(self.rows)) if steps > 0 else range(index - 1, -1, -1)
        for i in order:
            if is_new(self.rows[i]):
                self.move(i - index, now_us)
                return True
        return False

    def toggle_mark(self, now_us: int) -> None:
        """Marks the row under the cursor, or no longer, and goes to the next."""
        if self.selected is not None:
            self.marked ^= {self.cursor}
            self.range_from = ""
            self.move(1, now_us)

    def toggle_range(self) -> None:
        """Begins to mark from here to the cursor, or ends it."""
        self.range_from = "" if self.range_from else self.cursor
        if self.range_from:
            self._mark_range()

    def unmark(self) -> None:
        """Marks nothing."""
        self.marked.clear()
        self.range_from = ""

    def _mark_range(self) -> None:
        keys = [e.key for e in self.rows]
        if self.range_from in keys and self.cursor in keys:
            low, high = sorted((keys.index(self.range_from), keys.index(self.cursor)))
            self.marked = set(keys[low : high + 1])


def _open_by_source(view: View) -> dict[str, int]:
    counts: dict[str, int] = {}
    newest, since_us = view.newest_us, view.at_us - GAP_US
    for episode in view.episodes:
        if episode.touched_us < since_us:
            break  # they come in the order in which they were touched
        if newest.get(episode.source, 0) - episode.last_us <= GAP_US:
            counts[episode.source] = counts.get(episode.source, 0) + 1
    return counts
