"""One scale of evidence for every detector, so that a confidence means the same wherever it comes from.

Evidence is rarity in decades: -log10 of the chance that a stream which goes on as before shows this much. A confidence is
its logistic: 0.5 (the default alert line) where chance would do it once in ``10 ** LINE_DECADES`` rows, one decade more is
one step of log-odds.
"""

from __future__ import annotations

import math
from typing import Final

LINE_DECADES: Final = 5.0
"""Rarity at which the confidence is 0.5: once in a hundred thousand rows."""

_MOST_DECADES: Final = 14.0
_TAIL_FREEDOM: Final = 20.0
_EFFECT_SLOPE: Final = 4.0


def confidence(decades: float, line: float = LINE_DECADES) -> float:
    """The confidence in [0, 1) of a rarity; 0 where there is no evidence at all. ``line``: the rarity worth 0.5."""
    if decades <= 0.0:
        return 0.0
    return 1.0 / (1.0 + math.exp(line - min(decades, _MOST_DECADES)))


def decades_of(level: float, line: float = LINE_DECADES) -> float:
    """The rarity whose confidence is ``level`` (in (0, 1)): the inverse of `confidence`."""
    return line + math.log(level / (1.0 - level))


def effect_confidence(effect: float, least: float) -> float:
    """How surely an effect is large enough to matter: 0.5 at ``least``, 0.94 at twice that, near 0 far below."""
    if least <= 0.0:
        return 1.0
    ratio = min(effect / least, 1e3) ** _EFFECT_SLOPE
    return float(ratio / (1.0 + ratio))


def normal_decades(z: float, freedom: float = _TAIL_FREEDOM) -> float:
    """-log10 of the two-sided chance of ``z`` under Student's t with ``freedom`` degrees (Wallace 1959's normalising
    transform).

    Spreads are estimated, and real noise has heavier tails than the normal, so a plain normal tail would overstate every
    large z.
    """
    normal = math.sqrt(freedom * math.log1p(z * z / freedom))
    return -math.log10(max(math.erfc(normal / math.sqrt(2.0)), 1e-300))


class Habit:
    """What a stream does often is not news: each finding makes the next one need more evidence, until it is forgotten.

    The extra demand is one decade for each doubling of the (decaying) number of findings, so benign repeats, such as a
    nightly job, fall silent while something of another size still speaks.
    """

    HALF_LIFE: Final = 5000.0

    def __init__(self) -> None:
        self._count = 0.0
        self._row = 0

    def demand(self, row: int) -> float:
        """Extra decades that a finding at this row needs."""
        return math.log2(1.0 + self._decayed(row))

    def note(self, row: int) -> None:
        """Counts a finding."""
        self._count = self._decayed(row) + 1.0
        self._row = row

    def _decayed(self, row: int) -> float:
        return float(self._count * 0.5 ** ((row - self._row) / self.HALF_LIFE)) if self._count else 0.0
