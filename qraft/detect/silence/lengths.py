"""How rare a length is among the lengths seen before: gaps between rows, runs of equal values, absences of a field.

Lengths are counted in a histogram of two bins an octave. The highest thousandth of them (hundredth or tenth, where that
holds too few) gets a generalised Pareto tail, fitted by its moments (Hosking & Wallis 1987); its shape is drawn towards a
heavy tail while few lengths are known.
"""

from __future__ import annotations

import math
from array import array
from typing import Any, Final, NamedTuple

from qraft.detect.evidence import decades_of

MEMORY: Final = 65_536.0
"""Lengths that count; beyond, the older ones fade by half."""
MOST_DECADES: Final = 14.0
"""A rarity that no length reaches."""

_SHARES: Final = (0.001, 0.01, 0.1)
_LEAST_IN_TAIL: Final = 10.0
_FLATTEST, _HEAVIEST, _PRIOR = 0.02, 0.45, 0.25
"""Least and greatest shape, and the one that is believed before lengths are known."""
_PRIOR_WEIGHT: Final = 20.0
_LEAST_COUNT: Final = 0.5
_LEAST_SCALE: Final = 0.25
_BINS: Final = 128
_LOWER: Final = tuple(math.isqrt(2 ** (b - 1) - 1) + 1 if b else 0 for b in range(_BINS))
_UPPER: Final = tuple(math.isqrt(2**b - 1) for b in range(_BINS))
_MIDDLE: Final = tuple(0.5 * (low + high) for low, high in zip(_LOWER, _UPPER, strict=True))


class _Tail(NamedTuple):
    """A generalised Pareto tail: where it begins, the share of lengths in it, its scale and shape."""

    lower: float
    share: float
    scale: float
    shape: float


class Lengths:
    """Lengths, whole numbers from 1, as counts: 8 bytes a bin, two bins for each doubling of the longest one possible.

    Attributes:
        total: the weight of all that is counted.
        longest: upper end of the highest bin that still counts.
        usual: the length that one in twenty exceeds.
    """

    __slots__ = ("_counts", "_tail", "longest", "total", "usual")

    def __init__(self, bins: int) -> None:
        self._counts = array("d", bytes(8 * bins))
        self._tail: _Tail | None = None
        self.total = 0.0
        self.longest = self.usual = 1.0

    def add(self, length: int, weight: float = 1.0) -> None:
        """Counts a length ``weight`` times."""
        counts = self._counts
        at = (length * length).bit_length()
        counts[at if at < len(counts) else -1] += weight
        self.total += weight
        if self.total > MEMORY:
            self._counts = array("d", [0.5 * count for count in counts])
            self.total *= 0.5

    def measure(self) -> None:
        """Brings ``longest``, ``usual`` and the tail up to date."""
        weight = first = second = usual = 0.0
        self._tail, self.longest = None, 1.0
        wanted = iter(_SHARES)
        share = next(wanted)
        for at in range(len(self._counts) - 1, 0, -1):
            count = self._counts[at]
            if count == 0.0:
                continue
            middle = _MIDDLE[at]
            if self.longest == 1.0 and count >= _LEAST_COUNT:
                self.longest = float(_UPPER[at])
            weight += count
            first += count * middle
            second += count * middle * middle
            if usual == 0.0 and weight >= 0.05 * self.total:
                usual = middle
            while self._tail is None and weight >= share * self.total:
                if weight >= _LEAST_IN_TAIL or share == _SHARES[-1]:
                    self._tail = _fit(float(_LOWER[at]), weight / self.total, weight, first / weight, second / weight)
                else:
                    share = next(wanted)
        self.usual = max(usual, 1.0)

    def decades(self, length: float) -> float:
        """-log10 of the chance of a length as long as this one, as of the last `measure`."""
        tail = self._tail
        if tail is None:
            return 0.0
        beyond = max(length - tail.lower, 0.0)
        return math.log10(1.0 + tail.shape * beyond / tail.scale) / tail.shape - math.log10(tail.share)

    def due(self, line: float, demand: float) -> float:
        """The length from which the rarity has the confidence ``line``, with ``demand`` decades more; infinite for none."""
        tail, decades = self._tail, decades_of(line) + demand
        if tail is None or decades > MOST_DECADES:
            return math.inf
        growth = tail.shape * math.log(10.0) * (decades + math.log10(tail.share))
        return tail.lower + tail.scale / tail.shape * math.expm1(max(growth, 0.0))

    def __getstate__(self) -> tuple[Any, ...]:
        return self._counts.tobytes(), self._tail, self.total, self.longest, self.usual

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        counts, self._tail, self.total, self.longest, self.usual = state
        self._counts = array("d", counts)


def _fit(lower: float, share: float, weight: float, mean: float, square: float) -> _Tail:
    """The tail of lengths from ``lower`` on with this mean and mean square."""
    excess = mean - lower
    variance = square - mean * mean
    shape = 0.5 * (1.0 - excess * excess / variance) if variance > 1e-9 * mean * mean else _FLATTEST
    shape = min(max(shape, _FLATTEST), _HEAVIEST)
    shape = (weight * shape + _PRIOR_WEIGHT * _PRIOR) / (weight + _PRIOR_WEIGHT)
    return _Tail(lower, share, max(excess * (1.0 - shape), _LEAST_SCALE * lower), shape)
