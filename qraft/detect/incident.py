"""One incident speaks once, whichever anomaly detector sees it first."""

from __future__ import annotations

import math
from typing import Final

from qraft.detect.base import Judgement

_ROWS: Final = 100
_MOST_US: Final = 2 * 86_400_000_000
_SURER: Final = 1.0
"""Logarithm of the odds by which another detector must be surer to speak again."""
_HELD_BACK: Final = 0.98
_GENERAL: Final = frozenset({"novelty", "forest"})


class Incident:
    """What was told last, by whom, how surely.

    Each detector has a gate of its own; this holds back what a general one (`novelty`, `forest`) says of an incident that
    another has told: for 100 rows, and two days at most, unless it is surer by a factor e of the odds. Silence and flat
    lines say something of their own and are never held back.
    """

    __slots__ = ("_odds", "_row", "_time_us", "_who")

    def __init__(self) -> None:
        self._row = -(10**9)
        self._time_us = 0
        self._odds = 0.0
        self._who = ""

    def hear(self, row: int, time_us: int, who: str, judgement: Judgement, line: float) -> Judgement:
        """The judgement, or the same without its finding where the incident was told by another detector.

        Args:
            row: number of the entity's row.
            time_us: event time of the row.
            who: the detector's name.
            judgement: one with a finding.
            line: the detector's alert line.
        """
        odds = math.log(judgement.onset / max(1.0 - judgement.onset, 1e-12))
        known = row - self._row <= _ROWS and time_us - self._time_us <= _MOST_US
        if known and who in _GENERAL and who != self._who and odds < self._odds + _SURER:
            return judgement._replace(onset=_HELD_BACK * line, finding=None)
        self._row, self._time_us, self._odds, self._who = row, time_us, odds, who
        return judgement
