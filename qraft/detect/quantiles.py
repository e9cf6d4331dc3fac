"""Robust location and spread of a field from a bounded, sorted sample of its recent past."""

from __future__ import annotations

from array import array
from bisect import bisect_left, insort
from collections import deque
from typing import Any, Final

SIZE: Final = 256
_STRIDE: Final = 4


class Quantiles:
    """The 5 %, 50 % and 95 % quantiles of the last ``SIZE`` sampled values: every value at first, then one in four.

    Attributes:
        low: 5 % quantile.
        mid: median.
        high: 95 % quantile.
        width: ``high - low``.
        seen: values taken so far.
    """

    __slots__ = ("_recent", "_sorted", "high", "low", "mid", "seen", "width")

    def __init__(self) -> None:
        self._recent: deque[float] = deque()
        self._sorted: list[float] = []
        self.seen = 0
        self.low = self.mid = self.high = self.width = 0.0

    def add(self, x: float) -> None:
        """Takes one value."""
        self.seen += 1
        if len(self._recent) >= SIZE:
            if self.seen % _STRIDE:
                return
            del self._sorted[bisect_left(self._sorted, self._recent.popleft())]
        self._recent.append(x)
        insort(self._sorted, x)
        self._read()

    def _read(self) -> None:
        values = self._sorted
        last = len(values) - 1
        self.low = values[last * 5 // 100]
        self.mid = values[last // 2]
        self.high = values[last - last * 5 // 100]
        self.width = self.high - self.low

    def __getstate__(self) -> dict[str, Any]:
        return {"recent": array("d", self._recent).tobytes(), "seen": self.seen}

    def __setstate__(self, state: dict[str, Any]) -> None:
        recent = array("d")
        recent.frombytes(state["recent"])
        self._recent = deque(recent)
        self._sorted = sorted(recent)
        self.seen = state["seen"]
        self.low = self.mid = self.high = self.width = 0.0
        if self._sorted:
            self._read()
