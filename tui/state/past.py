"""What is shown of the past: a window of time, and the pages of history, as they come from the database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from qraft.model import Feedback
from tui.state.board import Board, View
from tui.state.episodes import Episode
from tui.state.ledger import Ledger
from tui.state.store import SourceState
from tui.state.window import Window

Found = Sequence[tuple[Episode, Feedback | None]]
MOST_EPISODES = 5_000
"""Episodes of a past window that are shown; what lies beyond is counted."""
PAGE_ROWS = 200


@dataclass(slots=True)
class Past:
    """A window of past time in place of what happens now.

    Attributes:
        asked: whether the database was asked.
        answered: whether it has answered.
        problem: why it has not.
        total: how many episodes it holds; more may be stored than are shown.
    """

    window: Window
    ledger: Ledger = field(default_factory=Ledger)
    sources: dict[str, SourceState] = field(default_factory=dict)
    asked: bool = False
    answered: bool = False
    problem: str = ""
    total: int = 0
    version: int = 0

    def answer(self, found: Found, sources: Mapping[str, SourceState], total: int) -> None:
        """Takes what the database says."""
        self.ledger.put(found)
        self.sources = dict(sources)
        self.answered, self.problem, self.total = True, "", total
        self.version += 1

    def fail(self, problem: str) -> None:
        """Notes why there is no answer."""
        self.answered, self.problem = True, problem
        self.version += 1

    def view(self, stamp: object) -> View:
        """The window as the lists take it."""
        until = self.window.until_us
        episodes = list(self.ledger.episodes.newest_first())
        return View(episodes, self.ledger, self.sources, until, {}, ("past", self.window, self.version, stamp))


@dataclass(slots=True)
class Pages:
    """The list of the HISTORY screen: pages of one question, asked for as the cursor comes near their end.

    Attributes:
        asked: the question whose rows these are.
        total: how many rows it has in all; None as long as that is not known.
        more: where the next page begins; empty when there is none.
        loading: whether an answer is awaited.
    """

    board: Board = field(default_factory=Board)
    ledger: Ledger = field(default_factory=Ledger)
    asked: object = None
    window: Window | None = None
    total: int | None = None
    more: str = ""
    loading: bool = False
    problem: str = ""
    seconds: float = 0.0

    def begin(self, asked: object, window: Window) -> None:
        """Starts a new question; the rows of the old one stay until its first answer."""
        self.asked, self.window, self.loading, self.problem, self.more = asked, window, True, "", ""

    def answer(self, asked: object, found: Found, *, more: str, total: int | None, seconds: float, first: bool) -> bool:
        """Takes a page; whether it is one of the present question."""
        if asked != self.asked:
            return False
        if first:
            self.ledger, self.board.rows, self.total = Ledger(), [], total
            self.board.unmark()
        known = {e.key for e in self.board.rows}
        self.ledger.put(found)
        self.board.rows = [*self.board.rows, *(episode for episode, _ in found if episode.key not in known)]
        if self.board.selected is None and self.board.rows:
            self.board.cursor = self.board.rows[0].key
        self.more, self.loading, self.seconds = more, False, seconds
        return True

    def fail(self, asked: object, problem: str) -> None:
        """Notes why there is no answer."""
        if asked == self.asked:
            self.loading, self.problem = False, problem

    def wants_more(self) -> bool:
        """Whether the cursor is near the end of what is there, and there is more."""
        if self.loading or not self.more or self.problem:
            return False
        keys = [e.key for e in self.board.rows[-PAGE_ROWS // 4 :]]
        return self.board.cursor in keys
