"""Gaps in the numbering of a feed: what never came is counted once, and told without flooding.

A number that is missing may still come, since exchanges merge several streams into one: a gap is counted when it has stood
open for `SETTLE_SECONDS`, without what came in the meantime.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from qraft.ingest.base import Sink

SETTLE_SECONDS: Final = 1.0
"""So long a number may be late."""
AT_ONCE: Final = 5
"""So many notices of one kind are given as they come,"""
QUIET_SECONDS: Final = 30.0
"""in so long a time; further ones are summed up in one."""
RESTART_DISTANCE: Final = 1000
"""A number so far below the last begins a new count; one nearer is a repeat or late."""
MOST_COUNTS: Final = 10_000
"""Counts (symbols and the like) that are kept; beyond, all begin anew."""
MOST_OPEN: Final = 100
"""Gaps of one count that stay open; beyond, the oldest is counted at once."""


class Quiet:
    """Says the first few of a kind at once; what comes soon after is counted and said as one sentence later."""

    def __init__(self, say: Callable[[str, str], None], monotonic: Callable[[], float]) -> None:
        self._say, self._monotonic = say, monotonic
        self._windows: dict[str, tuple[float, int]] = {}
        self._held: dict[str, tuple[int, str]] = {}

    def __call__(self, kind: str, text: str) -> None:
        """Says it now, or keeps it for later."""
        self.flush()
        now = self._monotonic()
        begun, said = self._windows.get(kind, (now, 0))
        if now - begun >= QUIET_SECONDS:
            begun, said = now, 0
        if said < AT_ONCE:
            self._windows[kind] = begun, said + 1
            self._say(kind, text)
        else:
            self._held[kind] = self._held.get(kind, (0, ""))[0] + 1, text

    def flush(self, *, all_of_it: bool = False) -> None:
        """Says what is due; with ``all_of_it``, whatever is held."""
        if not self._held:
            return
        now = self._monotonic()
        for kind, (count, text) in list(self._held.items()):
            if all_of_it or now - self._windows[kind][0] >= QUIET_SECONDS:
                del self._held[kind]
                self._windows[kind] = now, 1
                self._say(kind, text if count == 1 else f"{text}; {count - 1} more of this kind before")


class _Count:
    """One numbering: the last number, and the gaps below it that are still open: first, last, when it was seen."""

    __slots__ = ("last", "open")

    def __init__(self, last: int) -> None:
        self.last = last
        self.open: list[tuple[int, int, float]] = []


class Gaps:
    """Follows the numberings of one rule, each under its own key.

    Where a message covers a range of numbers nobody knows how many messages a gap held: it counts as one.
    """

    def __init__(self, sink: Sink, quiet: Quiet, monotonic: Callable[[], float], *, ranges: bool = False) -> None:
        self._sink, self._quiet, self._monotonic, self._ranges = sink, quiet, monotonic, ranges
        self._counts: dict[str, _Count] = {}
        self._gaping: dict[str, None] = {}

    def take(self, key: str, first: int, last: int) -> None:
        """Takes note of a message that covers the numbers from ``first`` to ``last``."""
        count = self._begun(key, last)
        if count is None:
            return
        if count.open and first <= count.last:
            count.open = [piece for gap in count.open for piece in _without(gap, first, last)]
        if first > count.last + 1:
            count.open.append((count.last + 1, first - 1, self._monotonic()))
            self._gaping[key] = None
            if len(count.open) > MOST_OPEN:
                self._settle(key, count, self._monotonic())
        count.last = max(count.last, last)

    def take_linked(self, key: str, previous: int, number: int) -> None:
        """Takes note of a message that says what the number before its own was; numbers may have holes then."""
        count = self._begun(key, number)
        if count is not None and previous > count.last:
            self._lost(1, f"{_named(key)}{previous} was sent but never came, the last before was {count.last}")
        if count is not None:
            count.last = max(count.last, number)

    def flush(self, *, all_of_it: bool = False) -> None:
        """Counts the gaps that have stood open long enough; with ``all_of_it``, every gap."""
        if not self._gaping:
            return
        until = self._monotonic() - (0.0 if all_of_it else SETTLE_SECONDS)
        for key in list(self._gaping):
            self._settle(key, self._counts[key], until)

    def _begun(self, key: str, number: int) -> _Count | None:
        """The count of a key; None where one begins with this number."""
        count = self._counts.get(key)
        if count is not None and number > count.last - RESTART_DISTANCE:
            return count
        if count is None and len(self._counts) >= MOST_COUNTS:
            self.flush(all_of_it=True)
            self._counts.clear()
        if count is not None:
            self._settle(key, count, self._monotonic())
        self._counts[key] = _Count(number)
        return None

    def _settle(self, key: str, count: _Count, until: float) -> None:
        for first, last, seen in count.open:
            if seen <= until:
                numbers = f"{first} never came" if first == last else f"{first} to {last} never came"
                self._lost(1 if self._ranges else last - first + 1, f"{_named(key)}{numbers}")
        count.open = [gap for gap in count.open if gap[2] > until]
        if not count.open:
            self._gaping.pop(key, None)

    def _lost(self, events: int, text: str) -> None:
        self._sink.missing(events)
        self._quiet("gap", f"the feed's sequence has a gap: {text}")


def _named(key: str) -> str:
    return f"{key}: " if key else ""


def _without(gap: tuple[int, int, float], first: int, last: int) -> list[tuple[int, int, float]]:
    """What of a gap stays open when the numbers from ``first`` to ``last`` have come."""
    low, high, seen = gap
    if last < low or first > high:
        return [gap]
    return [piece for piece in ((low, first - 1, seen), (last + 1, high, seen)) if piece[0] <= piece[1]]
