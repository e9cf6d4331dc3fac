"""How far the mean of n rows strays by itself, learned from the stream's own past at three lengths."""

from __future__ import annotations

from typing import Final

_MEMORY: Final = 32
_PRIOR: Final = 4
_CAP: Final = 9.0
_FLOOR: Final = 0.1
"""Least share of what independent rows would have: a flat signal's first move is news, but not beyond all measure."""
_FAN: Final = 4


class Noise:
    """Variance of the mean of n consecutive rows of a signal whose own mean is near zero.

    Block means are averaged over four and sixteen blocks, and the mean square of each length is kept, so autocorrelation,
    cycles and bursts are taken as they come instead of being assumed away. Squares are capped, lest one change hide the
    next.
    """

    __slots__ = ("_counts", "_least", "_sums", "_terms", "squares")

    def __init__(self, row_variance: float, block: int) -> None:
        first = row_variance / block
        self.squares = [first, first / _FAN, first / _FAN**2]
        self._least = [_FLOOR * square for square in self.squares]
        self._counts = [0, 0, 0]
        self._sums = [0.0, 0.0]
        self._terms = [0, 0]

    def add(self, mean: float) -> None:
        """Takes the mean of the next block."""
        level = 0
        while True:
            square = self.squares[level]
            seen = self._counts[level] = self._counts[level] + 1
            grown = mean * mean
            limit = _CAP * square
            learned = square + (min(grown, limit) - square) / min(seen + _PRIOR, _MEMORY)
            self.squares[level] = max(learned, self._least[level])
            if level == 2:
                return
            self._sums[level] += mean
            self._terms[level] += 1
            if self._terms[level] < _FAN:
                return
            mean = self._sums[level] / _FAN
            self._sums[level] = 0.0
            self._terms[level] = 0
            level += 1

    @property
    def blocks(self) -> int:
        """Blocks it was learned from."""
        return self._counts[0]

    def variance(self, blocks: float) -> float:
        """Variance of the mean of so many blocks; never below what independent rows would have."""
        one, four, many = self.squares
        four = max(four, one / _FAN)
        many = max(many, four / _FAN)
        if blocks >= _FAN**2:
            return many * _FAN**2 / blocks
        if blocks >= _FAN:
            share = (blocks - _FAN) / (_FAN**2 - _FAN)
            return _FAN * (four + (_FAN * many - four) * share) / blocks
        share = (blocks - 1.0) / (_FAN - 1.0)
        return (one + (_FAN * four - one) * share) / blocks
