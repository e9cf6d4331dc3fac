"""One incident speaks once."""

from __future__ import annotations

from typing import Final

_SHARE: Final = 0.04
_LEAST: Final = 100
_MOST: Final = 400
_CALM: Final = 100
_MOST_US: Final = 2 * 86_400_000_000
_BREAKTHROUGH: Final = 2.0
_HOT: Final = 0.8


class Gate:
    """After an alert: silence for 4 % of the rows so far (100 to 400), and until 100 calm rows; twice the level breaks
    through. Where rows are rare, two days end the silence.
    """

    __slots__ = ("_hot", "_last", "_last_us", "_level")

    def __init__(self) -> None:
        self._last = self._hot = -(10**9)
        self._last_us = 0
        self._level = 0.0

    def holds(self, row: int, level: float, time_us: int = 0) -> bool:
        """Whether this row's evidence (decades) belongs to the incident that was told last."""
        since = row - self._last
        if since > _MOST or (time_us and time_us - self._last_us > _MOST_US):
            return False
        silent = since <= max(_LEAST, _SHARE * row) or row - self._hot <= _CALM
        if silent and level >= _HOT * self._level:
            self._hot = row
        return silent and level <= _BREAKTHROUGH * self._level

    def alert(self, row: int, level: float, time_us: int = 0) -> None:
        """An incident was told at this row with this evidence."""
        self._last = self._hot = row
        self._last_us = time_us
        self._level = level
