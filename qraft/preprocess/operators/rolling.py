"""Statistics of the last n values, or of the values of the last stretch of event time.

Each is worked out from the window's values alone: sums are exact, so what has left a window leaves no trace.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from qraft.preprocess.operators.exact import Moments, quantile
from qraft.preprocess.operators.numeric import usable

_SUMS: Final = frozenset({"rolling_mean", "rolling_sum", "rolling_std", "rolling_z"})


class Window:
    """The values in a window, as far as the statistics asked for need them. Every value is finite and never -0.0."""

    __slots__ = ("_kinds", "_ordered", "_sums")

    def __init__(self, kinds: list[str]) -> None:
        self._kinds = [_READ[kind] for kind in kinds]
        self._sums = Moments() if any(kind in _SUMS for kind in kinds) else None
        self._ordered: list[float] | None = [] if any(kind not in _SUMS for kind in kinds) else None

    def add(self, value: float) -> None:
        """Takes a value in."""
        if self._sums is not None:
            self._sums.add(value)
        if self._ordered is not None:
            insort(self._ordered, value)

    def remove(self, value: float) -> None:
        """Lets a value go that was taken in."""
        if self._sums is not None:
            self._sums.remove(value)
        if self._ordered is not None:
            del self._ordered[bisect_left(self._ordered, value)]

    def read(self, value: float) -> list[float | None]:
        """The statistics, in the order asked for; ``value`` is the one that z is of. There must be a value in the window."""
        return [usable(read(self._sums or _NO_SUMS, self._ordered or [], value)) for read in self._kinds]


def _z(sums: Moments, _: list[float], value: float) -> float | None:
    std = sums.std()
    return (value - sums.mean()) / std if std else None


_NO_SUMS: Final = Moments()
_READ: Final[dict[str, Callable[[Moments, list[float], float], float | None]]] = {
    "rolling_mean": lambda sums, _, __: sums.mean(),
    "rolling_sum": lambda sums, _, __: sums.sum(),
    "rolling_std": lambda sums, _, __: sums.std(),
    "rolling_z": _z,
    "rolling_min": lambda _, ordered, __: ordered[0],
    "rolling_max": lambda _, ordered, __: ordered[-1],
    "rolling_median": lambda _, ordered, __: quantile(ordered, 0.5),
}


class LastRows:
    """Rolling statistics over the last ``rows`` values."""

    def __init__(self, rows: int, kinds: list[str]) -> None:
        self.rows = rows
        self._kinds = kinds
        self._window = Window(kinds)

    def run(self, history: list[float], known: int) -> list[list[float | None]]:
        """The statistics at each new value, one list a value; None until there are ``rows`` values.

        Args:
            history: values in order, at least ``rows`` of those known before, or all there were.
            known: how many of them were known before.
        """
        nothing: list[float | None] = [None] * len(self._kinds)
        window, rows, out = self._window, self.rows, []
        for place in range(known, len(history)):
            window.add(history[place])
            if place >= rows:
                window.remove(history[place - rows])
            out.append(window.read(history[place]) if place >= rows - 1 else nothing)
        return out

    def load(self, history: list[float]) -> None:
        """Takes up the values known before."""
        self._window = Window(self._kinds)
        for value in history[-self.rows :]:
            self._window.add(value)


class LastTime:
    """Rolling statistics over the values whose time lies less than ``span_us`` before the newest time so far.

    A value older than that is in no window and has no statistics.

    Attributes:
        shortened: values that gave way before their time because there were more than ``most``.
    """

    def __init__(self, span_us: int, kinds: list[str], most: int) -> None:
        self._span = span_us
        self._kinds = kinds
        self._most = most
        self.shortened = 0
        self._newest: int | None = None
        self._rows: deque[tuple[int, float]] = deque()
        self._window = Window(kinds)

    def run(self, times: list[int], values: list[float]) -> list[list[float | None]]:
        """The statistics at each new value, one list a value."""
        nothing: list[float | None] = [None] * len(self._kinds)
        rows, window, out = self._rows, self._window, []
        for time, value in zip(times, values, strict=True):
            if self._newest is None or time > self._newest:
                self._newest = time
            past = self._newest - self._span
            if time <= past:
                out.append(nothing)
                continue
            self._insert(time, value)
            window.add(value)
            while rows[0][0] <= past:
                window.remove(rows.popleft()[1])
            while len(rows) > self._most:
                window.remove(rows.popleft()[1])
                self.shortened += 1
            out.append(window.read(value))
        return out

    def state(self) -> list[Any]:
        """The values in the window as plain values."""
        times, values = array("q", (time for time, _ in self._rows)), array("d", (value for _, value in self._rows))
        return [self._newest, times.tobytes(), values.tobytes()]

    def load(self, state: list[Any]) -> None:
        """Takes up what `state` gave."""
        times, values = array("q"), array("d")
        self._newest = state[0]
        times.frombytes(state[1])
        values.frombytes(state[2])
        self._rows = deque(zip(times, values, strict=True))
        self._window = Window(self._kinds)
        for value in values:
            self._window.add(value)

    def _insert(self, time: int, value: float) -> None:
        """Puts a value behind those of its time and before."""
        rows, place = self._rows, len(self._rows)
        while place and rows[place - 1][0] > time:
            place -= 1
        if place == len(rows):
            rows.append((time, value))
        else:
            rows.insert(place, (time, value))
