"""A line drawn with few points that looks like the whole: the least and the largest value of each stretch."""

from __future__ import annotations

from typing import NamedTuple

Point = tuple[float, float]


class _Stretch(NamedTuple):
    low: Point
    high: Point


class MinMax:
    """Keeps at most ``2 * stretches`` points of a series of any length, the least and the largest value among them.

    Stretches hold equally many values; when there are too many, neighbours are joined in pairs.
    """

    def __init__(self, stretches: int = 1000) -> None:
        if stretches < 2 or stretches % 2:
            raise ValueError("the number of stretches must be even and at least two")
        self._most = stretches
        self._each = 1
        self._count = 0
        self._stretches: list[_Stretch] = []

    def add(self, x: float, y: float) -> None:
        """Takes the next value; ``x`` never goes back."""
        point = (x, y)
        if self._count == 0:
            if len(self._stretches) == self._most:
                self._join()
            self._stretches.append(_Stretch(point, point))
        else:
            low, high = self._stretches[-1]
            if y < low[1]:
                self._stretches[-1] = _Stretch(point, high)
            elif y > high[1]:
                self._stretches[-1] = _Stretch(low, point)
        self._count = (self._count + 1) % self._each

    def points(self) -> list[Point]:
        """What was kept, in the order in which it came."""
        out: list[Point] = []
        for low, high in self._stretches:
            if low is high:
                out.append(low)
            else:
                out += (low, high) if low[0] <= high[0] else (high, low)
        return out

    def _join(self) -> None:
        old = self._stretches
        self._stretches = [_joined(a, b) for a, b in zip(old[::2], old[1::2], strict=True)]
        self._each *= 2


def _joined(a: _Stretch, b: _Stretch) -> _Stretch:
    return _Stretch(b.low if b.low[1] < a.low[1] else a.low, b.high if b.high[1] > a.high[1] else a.high)
