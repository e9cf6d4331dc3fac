"""What a field has been through: the levels it has stood at, and when it changed. A return and a daily habit are no news."""

from __future__ import annotations

from typing import Final

KNOWN_AFTER: Final = 512
"""Rows of a stream from which on what has been seen counts as known."""

_LEVELS: Final = 8
_CHANGES: Final = 32
_STAYED: Final = 64
"""Rows (of the last 256) that a level is held for at least, to be remembered."""
_DAY_US: Final = 86_400_000_000
_NEAR_US: Final = 1_800_000_000
"""Changes within half an hour of the same time of day are one habit."""
_DAYS: Final = 2
"""Earlier days on which a field changed at this time, in this direction, for it to be a habit."""


class Past:
    """One field's levels and changes: at most 8 and 32, some 1 kB.

    A level is a mean with its spread; it is one already known where it lies within the spread's uncertainty of it.
    """

    __slots__ = ("_changes", "_levels")

    def __init__(self) -> None:
        self._levels: list[tuple[float, float]] = []
        self._changes: list[tuple[int, bool]] = []

    def returns(self, mean: float, slack: float) -> bool:
        """Whether a mean lies within ``slack`` of a level that is remembered."""
        return any(abs(mean - level) <= slack for level, _ in self._levels)

    def leave(self, mean: float, spread: float, rows: int) -> None:
        """Remembers a level that the field stood at for so many rows; the oldest gives way, the same is held once."""
        if rows < _STAYED:
            return
        self._levels = [one for one in self._levels if abs(one[0] - mean) > 0.5 * min(one[1], spread)]
        self._levels = [*self._levels[1 - _LEVELS :], (mean, spread)]

    def note(self, time_us: int, effect: float) -> None:
        """Counts a change at an event time, in a direction."""
        self._changes = [*self._changes[1 - _CHANGES :], (time_us, effect > 0.0)]

    def daily(self, time_us: int, effect: float) -> bool:
        """Whether the field has changed in this direction at this time of day on two earlier days or more."""
        days = set()
        for earlier, rose in self._changes:
            turn = (time_us - earlier + _NEAR_US) % _DAY_US
            if rose == (effect > 0.0) and turn <= 2 * _NEAR_US and time_us - earlier > _NEAR_US:
                days.add((time_us - earlier + _NEAR_US) // _DAY_US)
        return len(days) >= _DAYS
