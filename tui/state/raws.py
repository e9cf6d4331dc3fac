"""Raw events around a moment, of which more is loaded as the cursor comes near an end. Pure: others ask the database."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from qraft.model import Pattern
from qraft.store import RawEvent
from tui.state.episodes import time_of

AGAIN_US: Final = 5_000_000
"""After a failure, and where nothing more was there yet, so long passes before the database is asked again."""
SLOWEST_US: Final = 60_000_000
RAW_PAGE: Final = 60
RAW_MOST: Final = 2_000
NEAR: Final = 12
"""So many rows before the end of what is there, more is asked for."""

Wish = Literal["", "first", "earlier", "later"]


@dataclass(slots=True)
class Raws:
    """Raw events around a moment, loaded further as the cursor comes near an end.

    Attributes:
        rows: in order of event time.
        mark: cursor text of the row that the pattern was raised on; empty where it is not among them.
        cursor: `RawEvent.cursor` of the row under the cursor.
        oldest: whether nothing is before the first row.
    """

    rows: list[RawEvent] = field(default_factory=list)
    mark: str = ""
    cursor: str = ""
    oldest: bool = False
    loading: bool = False
    answered: bool = False
    problem: str = ""
    wait_until_us: int = 0
    _wait_us: int = AGAIN_US

    @property
    def index(self) -> int:
        """Row of the cursor; -1 without rows."""
        return next((i for i, row in enumerate(self.rows) if row.cursor == self.cursor), 0 if self.rows else -1)

    @property
    def selected(self) -> RawEvent | None:
        """The event under the cursor."""
        return self.rows[self.index] if self.rows else None

    def wish(self, now_us: int) -> Wish:
        """What to ask for now."""
        if self.loading:
            return ""
        if not self.rows:
            return "first" if now_us >= self.wait_until_us else ""
        if len(self.rows) >= RAW_MOST or (self.problem and now_us < self.wait_until_us):
            return ""
        if self.index < NEAR and not self.oldest:
            return "earlier"
        return "later" if self.index >= len(self.rows) - NEAR and now_us >= self.wait_until_us else ""

    def take(self, wish: Wish, found: Sequence[RawEvent], pattern: Pattern, now_us: int) -> None:
        """Takes what came for a wish."""
        self.loading, self.answered, self.problem = False, True, ""
        known = {row.cursor for row in self.rows}
        fresh = [row for row in found if row.cursor not in known]
        if wish == "earlier":
            self.rows = [*fresh, *self.rows]
            self.oldest = len(fresh) < RAW_PAGE
        else:
            self.rows = [*self.rows, *fresh]
            after = sum(row.time_us > time_of(pattern) for row in fresh) if wish == "first" else len(fresh)
            self._wait_us = AGAIN_US if fresh else min(SLOWEST_US, 2 * self._wait_us)
            self.wait_until_us = now_us + (self._wait_us if after < RAW_PAGE else 0)
        if wish == "first":
            self.oldest = len(fresh) - after < RAW_PAGE
            self.mark = marked(self.rows, pattern)
            self.cursor = self.mark or nearest(self.rows, time_of(pattern))

    def fail(self, problem: str, now_us: int) -> None:
        """Notes why nothing came."""
        self.loading, self.answered, self.problem = False, True, problem
        self.wait_until_us = now_us + AGAIN_US

    def move(self, steps: int) -> None:
        """Moves the cursor."""
        if self.rows:
            self.cursor = self.rows[min(len(self.rows) - 1, max(0, self.index + steps))].cursor


def marked(rows: Iterable[RawEvent], pattern: Pattern) -> str:
    """Cursor of the event that raised a pattern; empty where it is not among the rows."""
    return next((row.cursor for row in rows if pattern.event_id and row.event.event_id == pattern.event_id), "")


def nearest(rows: Sequence[RawEvent], time_us: int) -> str:
    """Cursor of the last event up to a moment, else of the first after it."""
    before = [row for row in rows if row.time_us <= time_us]
    return before[-1].cursor if before else rows[0].cursor if rows else ""
