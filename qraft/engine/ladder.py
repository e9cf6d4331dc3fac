"""How much is done with events as the engine falls behind, step by step, and back. Pure."""

from __future__ import annotations

from collections import deque
from typing import Final

from qraft.config.settings import PressureSettings
from qraft.model import LEVELS, Level

TREND_SECONDS: Final = 3.0
"""A backlog that shrank within so long is being worked off, and nothing gives way for it."""


class Ladder:
    """Follows the lag: a step down when it is long and the backlog does not shrink, a step back when it is short again.

    After an outage the lag is long, but the backlog shrinks: full detection works it off. Only where more comes than can be
    judged does it stay or grow.
    """

    def __init__(self, settings: PressureSettings) -> None:
        self._settings = settings
        self._past: deque[tuple[float, int]] = deque()
        self.level: Level = "full"

    def configure(self, settings: PressureSettings) -> None:
        """Takes new thresholds."""
        self._settings = settings

    def update(self, now: float, lag: float, backlog: int, *, waiting: bool) -> Level:
        """The level from now on.

        Args:
            now: monotonic seconds.
            lag: seconds the oldest event not yet processed has waited.
            backlog: how much waits to be processed, in any unit.
            waiting: whether the engine waits for a part that is away: then the lag says nothing about its strength.
        """
        shrinking = self._shrinks(now, backlog)
        position = LEVELS.index(self.level)
        ups = (self._settings.light_seconds, self._settings.archive_seconds)
        downs = (self._settings.wait_seconds, self._settings.light_seconds)
        if position < len(ups) and lag > ups[position] and not shrinking and not waiting:
            self._step(position + 1)
        elif position > 0 and lag < downs[position - 1]:
            self._step(position - 1)
        return self.level

    def _shrinks(self, now: float, backlog: int) -> bool:
        """Whether the backlog is below what it was, or too little is known to tell."""
        self._past.append((now, backlog))
        while len(self._past) > 1 and self._past[1][0] <= now - TREND_SECONDS:
            self._past.popleft()
        since, before = self._past[0]
        return now - since < TREND_SECONDS or backlog < before

    def _step(self, position: int) -> None:
        self.level = LEVELS[position]
        self._past.clear()
