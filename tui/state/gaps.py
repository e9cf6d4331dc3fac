"""Times in which live patterns may have been missed, and how many of them the database gave back."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace

MAX_GAPS = 20
MARGIN_US = 1_000_000
SOON_US = 30_000_000
"""A pattern's event time may lie a little before it was published."""


@dataclass(frozen=True, slots=True)
class Gap:
    """One interruption, UTC microseconds; ``until_us`` is 0 as long as it lasts. ``filled`` counts patterns found later."""

    since_us: int
    until_us: int = 0
    filled: int = 0


class Gaps:
    """The latest interruptions, the oldest first."""

    def __init__(self) -> None:
        self._gaps: deque[Gap] = deque(maxlen=MAX_GAPS)

    def all(self) -> list[Gap]:
        """Every gap, the oldest first."""
        return list(self._gaps)

    def open(self, since_us: int) -> None:
        """Live data stops; what was last heard came at ``since_us``."""
        if not self._gaps or self._gaps[-1].until_us:
            self._gaps.append(Gap(since_us))

    def close(self, until_us: int) -> None:
        """Live data goes on."""
        if self._gaps and not self._gaps[-1].until_us:
            self._gaps[-1] = replace(self._gaps[-1], until_us=max(until_us, self._gaps[-1].since_us))

    def fill(self, at_us: int, now_us: int) -> None:
        """Notes that a pattern of this event time was found in the database and had not been known.

        Event time may be far from now, as when a recording is replayed: what is found soon after a gap was missed in it.
        """
        for i, gap in enumerate(self._gaps):
            if gap.since_us - MARGIN_US <= at_us <= (gap.until_us or at_us):
                self._gaps[i] = replace(gap, filled=gap.filled + 1)
                return
        if self._gaps and 0 <= now_us - self._gaps[-1].until_us <= SOON_US:
            self._gaps[-1] = replace(self._gaps[-1], filled=self._gaps[-1].filled + 1)
