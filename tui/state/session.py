"""What one operator sees and does: screens, lists, time, freeze, what is said. Pure: the caller says what time it is.

The parts stand beside it: lists in ``board``, past time in ``past``, what is said in ``labels``, why something cannot be
done in ``reasons``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from qraft.model import Feedback
from tui.keymap import Keymap, resolve, shown
from tui.language import N_, t
from tui.state.board import Board, Order, View
from tui.state.charts import Charts
from tui.state.episodes import Episode
from tui.state.filter import Filter, FilterError, parse
from tui.state.inbox import Batch
from tui.state.labels import Labels
from tui.state.ledger import Ledger
from tui.state.ordering import EPISODE_SORTS, SOURCE_SORTS
from tui.state.pages import Page, Pane
from tui.state.past import Pages, Past
from tui.state.reasons import reason
from tui.state.said import Said
from tui.state.store import SourceState, Store
from tui.state.story import Stories
from tui.state.undo import Judge
from tui.state.verdicts import Delivery, Mark
from tui.state.window import DEFAULT_US, Window, last, shifted, zoomed

AFTER = 60
"""Events after a pattern from which its chart counts as complete."""
MESSAGE_US = 5_000_000
SORT_NAMES = {
    "last": N_("last"),
    "score": N_("score"),
    "n": N_("n"),
    "source": N_("source"),
    "name": N_("name"),
    "rate": N_("rate"),
    "open": N_("open count"),
}


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
    """The state of one terminal. ``keep`` is called with everything the operator says, to journal and send it."""

    def __init__(
        self, store: Store, judge: Judge, keep: Callable[[Feedback], None], *, keymap: Keymap | None = None
    ) -> None:
        self._keymap = keymap if keymap is not None else resolve({})
        self.store = store
        self.judge = judge
        self.board = Board()
        self.pages = Pages()
        self.labels = Labels(self, keep)
        self.said = Said()
        self.story = Stories()
        self.charts = Charts(enough_after=AFTER)
        self.page = Page.LIVE
        self.trail: list[Page] = []
        self.before = Page.LIVE
        self.pane = Pane.EPISODES
        self.zoomed = False
        self.opened: Episode | None = None
        self.filter = Filter()
        self.filter_error = ""
        self.finds: dict[Page, str] = {}
        self.frozen: Frozen | None = None
        self.past: Past | None = None
        self.message: Message | None = None
        self.trouble = ""
        self.view: View = self._live(0)

    # --- once a frame

    def fold(self, batch: Batch, now_us: int) -> None:
        """Takes what arrived since the last frame."""
        self.store.fold(batch, now_us)
        for feedback in batch.feedback:
            self.said.hear(feedback, self._episode_of(feedback.pattern_id))
        for ledger in self._others():
            for feedback in batch.feedback:
                ledger.judge(feedback, Delivery.STORED)
            for delivery in batch.deliveries:
                ledger.verdicts.deliver(delivery.feedback_id, Delivery.REFUSED if delivery.refused else Delivery.STORED)
        for delivery in batch.deliveries:
            if delivery.refused:
                self.say(t("refused: {reason}", reason=delivery.refused), now_us, bad=True)
        if self.message is not None and now_us >= self.message.until_us:
            self.message = None

    def hear(self, feedback: Feedback, delivery: Delivery) -> None:
        """Takes what somebody said, in every list."""
        self.store.judge(feedback, delivery)
        self.said.hear(feedback, self._episode_of(feedback.pattern_id))
        for ledger in self._others():
            ledger.judge(feedback, delivery)

    def retell(self, ledger: Ledger) -> None:
        """Says again on episodes just read what was heard lately: the database may not have it yet."""
        for feedback in self.said.heard:
            ledger.judge(feedback, self.store.ledger.verdicts.delivery(feedback.feedback_id))

    def frame(self, now_us: int) -> None:
        """Computes what the next frame shows."""
        self.view = self._past() if self.past is not None else self._frozen(now_us) if self.frozen else self._live(now_us)
        self.board.frame(self.view, self.filter, self.store.mutes, now_us)
        if self.opened is not None:
            self.opened = self._grown(self.opened)

    def _episode_of(self, pattern_id: str) -> Episode | None:
        for ledger in self.ledgers():
            if (key := ledger.episodes.key_of(pattern_id)) is not None:
                return ledger.episodes.get(key)
        return None

    def _live(self, now_us: int) -> View:
        store = self.store
        episodes = list(store.ledger.episodes.newest_first())
        return View(episodes, store.ledger, store.sources, now_us, store.newest_us, ("live", store.version))

    def _frozen(self, now_us: int) -> View:
        frozen, store = self.frozen, self.store
        if frozen is None:
            return self._live(now_us)
        stamp = ("frozen", frozen.now_us, store.version)
        return View(frozen.episodes, store.ledger, frozen.sources, frozen.now_us, store.newest_us, stamp)

    def _past(self) -> View:
        assert self.past is not None
        return self.past.view(self.store.version)

    def _grown(self, episode: Episode) -> Episode:
        for ledger in self.ledgers():
            if (now := ledger.episodes.get(episode.key)) is not None:
                return now
        return episode

    # --- what is shown

    def ledgers(self) -> Iterator[Ledger]:
        """Every list of episodes there is, the one in view first."""
        yield self.view.ledger
        for ledger in (*self._others(), self.store.ledger):
            if ledger is not self.view.ledger:
                yield ledger

    def _others(self) -> list[Ledger]:
        return [self.pages.ledger, self.story.ledger, *([self.past.ledger] if self.past is not None else [])]

    def mark(self, episode: Episode) -> Mark:
        """What stands on an episode, whichever list it is from."""
        found = Mark()
        for ledger in self.ledgers():
            key = episode.key if ledger.episodes.get(episode.key) else ledger.episodes.key_of(episode.peak.pattern_id)
            if key is not None and (mark := ledger.verdicts.mark(ledger.episodes.resolve(key))) != Mark():
                if mark.feedback is not None:
                    return mark
                found = mark
        return found

    @property
    def listed(self) -> Board:
        """The list of the screen in front."""
        return self.pages.board if self.page is Page.HISTORY else self.board

    @property
    def selected(self) -> Episode | None:
        """The episode that is looked at: the one opened, else the one under the cursor."""
        return self.opened if self.page is Page.EPISODE else self.listed.selected

    @property
    def targets(self) -> list[Episode]:
        """What a verdict is given on."""
        if self.page is Page.EPISODE:
            return [self.opened] if self.opened is not None else []
        return self.listed.targets

    @property
    def since_freeze(self) -> int:
        """Patterns that came since the screen was frozen."""
        return self.store.received - self.frozen.received if self.frozen else 0

    @property
    def window(self) -> Window | None:
        """The past window in view; None for what happens now."""
        return self.past.window if self.past is not None else None

    def held(self, now_us: int) -> bool:
        """Whether the order is held because of a recent move."""
        return now_us < self.board.held_until_us

    def sort_name(self, pane: Pane) -> str:
        """Name of the column a pane is sorted by, with its direction."""
        sorts = SOURCE_SORTS if pane is Pane.SOURCES else EPISODE_SORTS
        order = self.board.source_order if pane is Pane.SOURCES else self.listed.order
        name, descending = sorts[order.index]
        return f"{t(SORT_NAMES[name])}{'↓' if descending != order.reverse else '↑'}"

    # --- what the operator does

    def say(self, text: str, now_us: int, *, bad: bool = False) -> None:
        """Shows a sentence for some seconds."""
        self.message = Message(text, bad, now_us + MESSAGE_US)

    def key(self, action: str) -> str:
        """The key of an action as people write it, or its command where it has none."""
        keys = self._keymap[action]
        return shown(keys[0]) if keys else f":{action}"

    def reason(self, action: str) -> str:
        """Why an action can do nothing now; empty when it can."""
        return reason(self, action)

    def go(self, page: Page) -> None:
        """Brings a screen to the front."""
        if page is self.page:
            return
        if page is Page.LIVE:
            self.trail.clear()
        else:
            self.trail = [p for p in self.trail if p is not page]
            self.trail.append(self.page)
        self.before, self.page = self.page, page
        self.zoomed = False

    def open(self, episode: Episode) -> None:
        """Shows one episode in full."""
        self.opened = episode
        self.go(Page.EPISODE)

    def move(self, steps: int, now_us: int) -> None:
        """Moves the cursor of the list or pane in front."""
        if self._on_sources:
            self.board.move_source(steps)
        elif self.page is Page.HISTORY or (self.page is Page.LIVE and self.pane is Pane.EPISODES):
            self.listed.move(steps, now_us)

    def edge(self, *, last: bool, now_us: int) -> None:
        """Moves the cursor to the first row in the order of now, or to the last."""
        if self.page is Page.LIVE and self.pane is Pane.EPISODES:
            self.board.held_until_us = 0
            self.frame(now_us)
        self.move(1_000_000 if last else -1_000_000, now_us)
        if not last:
            self.listed.held_until_us = 0

    def next_new(self, steps: int, now_us: int) -> bool:
        """Moves the cursor of the list in front to the next episode without a verdict; whether there is one."""
        return self.listed.next_new(steps, lambda e: self.mark(e).verdict is None, now_us)

    def next_pane(self, steps: int) -> None:
        """Brings the next or previous pane of the live screen to the front."""
        self.pane = Pane((self.pane - 1 + steps) % 3 + 1)

    def enter(self, now_us: int) -> None:
        """Goes in: from a source to its episodes, from an episode to its screen."""
        on_sources = self._on_sources
        if on_sources and (source := self.board.selected_source) is not None:
            self.go(Page.LIVE)
            self.set_filter(f"src:{source.stats.source}", now_us)
            self.pane = Pane.EPISODES
        elif not on_sources and self.selected is not None:
            self.open(self.selected)

    def back(self, now_us: int) -> None:
        """Peels one layer: marks, the zoom, the screen, the pane, the filter, the past."""
        if self.listed.marked and self.page in (Page.LIVE, Page.HISTORY):
            self.listed.unmark()
        elif self.zoomed:
            self.zoomed = False
        elif self.finds.pop(self.page, ""):
            pass
        elif self.page is not Page.LIVE:
            to = self.trail.pop() if self.trail else Page.LIVE
            self.before, self.page = self.page, to
        elif self.pane is not Pane.EPISODES:
            self.pane = Pane.EPISODES
        elif self.filter or self.filter_error:
            self.set_filter("", now_us)
        elif self.past is not None:
            self.show_window(None, now_us)

    def set_filter(self, text: str, now_us: int) -> bool:
        """Takes a filter line; a line that cannot be read leaves the filter as it was and says why."""
        try:
            self.filter = parse(text)
        except FilterError as error:
            self.filter_error = str(error)
            return False
        self.filter_error = ""
        self._resort(now_us)
        return True

    def next_sort(self, now_us: int) -> None:
        """Sorts the list or pane in front by its next column."""
        order, sorts = self._order()
        order.index, order.reverse = (order.index + 1) % len(sorts), False
        self._resort(now_us)
        self._say_order(now_us)

    def reverse_sort(self, now_us: int) -> None:
        """Turns the order of the list or pane in front round."""
        order, _ = self._order()
        order.reverse = not order.reverse
        self._resort(now_us)
        self._say_order(now_us)

    def _order(self) -> tuple[Order, tuple[tuple[str, bool], ...]]:
        if self._on_sources:
            return self.board.source_order, SOURCE_SORTS
        return self.listed.order, EPISODE_SORTS

    @property
    def _on_sources(self) -> bool:
        return self.page is Page.SOURCES or (self.page is Page.LIVE and self.pane is Pane.SOURCES)

    def _say_order(self, now_us: int) -> None:
        name = self.sort_name(Pane.SOURCES if self._on_sources else Pane.EPISODES)
        self.say(t("sorted by {column}", column=name), now_us)

    def _resort(self, now_us: int) -> None:
        self.board.held_until_us = 0
        self.frame(now_us)

    # --- time

    def toggle_freeze(self, now_us: int) -> None:
        """Stops the picture, or lets it go on; what arrives is taken in either way."""
        self.frozen = None if self.frozen else self._picture(now_us)

    def step(self, now_us: int) -> None:
        """While frozen: takes the picture of now."""
        if self.frozen:
            self.frozen = replace(self._picture(now_us), received=self.frozen.received)

    def _picture(self, now_us: int) -> Frozen:
        sources = {
            name: replace(state, samples=deque(state.samples, state.samples.maxlen))
            for name, state in self.store.sources.items()
        }
        return Frozen(list(self.store.ledger.episodes.newest_first()), sources, self.store.received, now_us)

    def show_window(self, window: Window | None, now_us: int) -> None:
        """Puts the screens on a past window; None goes back to the present."""
        if window != self.window:
            self.past = Past(window) if window is not None else None
            self.frozen = None
            self.board.held_until_us = 0
            self.board.unmark()
            self.frame(now_us)

    def shift(self, steps: int, now_us: int) -> None:
        """Moves the window by half its length a step; from live into the past, and back to live at its end."""
        self.show_window(shifted(self.window or last(DEFAULT_US, now_us), steps, now_us), now_us)

    def zoom_time(self, steps: int, now_us: int) -> None:
        """Makes the window longer or shorter."""
        self.show_window(zoomed(self.window or last(DEFAULT_US, now_us), steps, now_us), now_us)
