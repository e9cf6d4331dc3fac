"""A raw score made comparable: how rare it is against the score's own past."""

from __future__ import annotations

import math
from typing import Final

_QUANTILE: Final = 0.91
_REFRESH: Final = 50
_MEMORY: Final = 4096.0
_EXCESSES: Final = 256
_CAP: Final = 8.0
_TO_DECADES: Final = 1.0 / math.log(10.0)
_AT_THRESHOLD: Final = -math.log10(1.0 - _QUANTILE)


class Tail:
    """-log10 of the chance of a score, from a histogram of past scores with an exponential tail beyond its 91 % quantile.

    Half of the answer is the plain rank, which cannot say more than the rows it has seen; half is the exponential tail,
    which can; its mean is taken two standard errors long, so a young tail is not trusted far out. The histogram halves its
    counts now and then, so the distant past fades.

    ``soft`` is the rarity of the score weighed last that goes on below the 91 % quantile: it keeps the order of common rows.
    """

    __slots__ = ("_bins", "_excess", "_low", "_scale", "_seen_excesses", "_threshold", "_total", "rows", "soft")

    def __init__(self, low: float, high: float, bins: int) -> None:
        self._low = low
        self._scale = bins / (high - low)
        self._bins = [0.0] * bins
        self._total = 0.0
        self._threshold = high
        self._excess = 0.0
        self._seen_excesses = 0
        self.rows = 0
        self.soft = 0.0

    def weigh(self, score: float, *, learn: bool = True) -> float:
        """Decades of rarity, 0 for whatever lies below the 91 % quantile; then adds the score to the past
        where ``learn`` is set.
        """
        bins = self._bins
        at = int((score - self._low) * self._scale)
        at = 0 if at < 0 else at if at < len(bins) else -1
        over = score - self._threshold
        rarity = 0.0
        self.soft = max(_AT_THRESHOLD + over / self._excess * _TO_DECADES, 0.0) if self._excess > 0.0 else 0.0
        if over > 0.0 and self._excess > 0.0:
            rarity = self.soft = self._rarity(over, sum(bins[at:]))
        if not learn:
            return rarity
        self.rows = rows = self.rows + 1
        if over > 0.0:
            self._seen_excesses += 1
            limited = over if self._excess == 0.0 else min(over, _CAP * self._excess)
            self._excess += (limited - self._excess) / min(self._seen_excesses, _EXCESSES)
        bins[at] += 1.0
        if rows % _REFRESH == 0:
            self._refresh()
        return rarity

    def _rarity(self, over: float, at_least: float) -> float:
        by_rank = -math.log10((1.0 + at_least) / (1.0 + self._total))
        mean = self._excess * (1.0 + 2.0 / math.sqrt(self._seen_excesses))
        by_tail = -math.log10(1.0 - _QUANTILE) + over / mean * _TO_DECADES
        return max(0.5 * (by_rank + by_tail), 0.0)

    def _refresh(self) -> None:
        bins = self._bins
        self._total = float(sum(bins))
        left = (1.0 - _QUANTILE) * self._total
        first = self._excess == 0.0
        at = len(bins) - 1
        run = 0.0
        while at > 0 and run + bins[at] <= left:
            run += bins[at]
            at -= 1
        self._threshold = self._low + (at + 1 - (left - run) / max(bins[at], 1.0)) / self._scale
        if first and run > 0.0:
            above = sum(bins[i] * (self._low + (i + 0.5) / self._scale - self._threshold) for i in range(at + 1, len(bins)))
            self._excess = max(above / run, 0.5 / self._scale)
            self._seen_excesses = max(int(run), 1)
        if self._total >= _MEMORY:
            self._bins = [0.5 * count for count in bins]
            self._total *= 0.5
