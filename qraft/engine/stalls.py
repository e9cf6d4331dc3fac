"""When the engine itself stood still: its loop was blocked, its process stopped, its machine asleep, its clock set.

Rows that wait meanwhile are stamped late, all at once: a gap of event time that the source never made.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import Final

BEAT_SECONDS: Final = 0.05
LEAST_US: Final = 150_000
"""A beat that comes so long after the one before was kept waiting; shorter gaps are nobody's silence."""

_TOLD_US: Final = 1_000_000
_KEPT: Final = 16

log = logging.getLogger(__name__)


class Stalls:
    """The newest stalls, found by a beat of the wall clock in the event loop."""

    def __init__(self, now_us: Callable[[], int]) -> None:
        self._now_us = now_us
        self._beat_us: int | None = None
        self._found: deque[tuple[int, int]] = deque(maxlen=_KEPT)

    async def run(self) -> None:
        """Beats until it is cancelled."""
        self._beat_us = self._now_us()
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            self.look()

    def look(self) -> None:
        """Takes note of the time, and of a stall that ends now."""
        before, now = self._beat_us, self._now_us()
        if before is None:
            return
        self._beat_us = now
        if now - before >= LEAST_US:
            self._found.append((before, now))
        if now - before >= _TOLD_US:
            log.info("the engine stood still for %.1f s", (now - before) / 1e6)

    def between(self, since_us: int, until_us: int) -> bool:
        """Whether there was a stall between two moments, UTC microseconds."""
        self.look()
        return any(begin < until_us and end > since_us for begin, end in self._found)

    def explain(self, since_us: int, until_us: int) -> bool:
        """Whether a gap between two rows is there for the most part because the engine stood still."""
        if until_us - since_us < LEAST_US:
            return False
        stood = sum(max(0, min(end, until_us) - max(begin, since_us)) for begin, end in self._found)
        return 2 * stood >= until_us - since_us
