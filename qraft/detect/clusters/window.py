"""The last rows of an entity as a flat array, a column a field. Fields may come and go."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

MAX_FIELDS: Final = 64
"""Fields that are clustered; one more takes the place of one that has been away for the longest, or is left out."""


class Window:
    """Keeps the last ``size`` rows and less than twice ``slack`` more: 8 bytes a value, and 8 for each row's time."""

    def __init__(self, size: int, slack: int) -> None:
        self._size = size
        self._slack = slack
        self.names: list[str] = []
        self._at: list[int] = []
        self._last: tuple[str, ...] = ()
        self._seen: list[int] = []
        self._rows = np.full((size + slack, 0), np.nan)
        self._times = np.zeros(size + slack, np.int64)
        self._filled = 0
        self._count = 0
        self._new: list[list[float]] = []
        self._new_times: list[int] = []

    def __len__(self) -> int:
        return self._filled + len(self._new)

    @property
    def rows(self) -> npt.NDArray[np.float64]:
        """The rows [rows, fields], oldest first, NaN where a field was missing."""
        self._flush()
        return self._rows[: self._filled]

    @property
    def times(self) -> npt.NDArray[np.int64]:
        """Event times of the rows."""
        self._flush()
        return self._times[: self._filled]

    def add(self, time_us: int, row: Mapping[str, float]) -> None:
        """Takes a row. A row without a field is none."""
        names = tuple(row)
        if names != self._last:
            if not names:
                return
            self._flush()
            self._change(names)
        self._new.append(list(row.values()))
        self._new_times.append(time_us)
        if len(self._new) == self._slack:
            self._flush()

    def _flush(self) -> None:
        """Moves the newest rows, all of the same fields, into the array."""
        number = len(self._new)
        if not number:
            return
        room = self._size + self._slack - self._filled
        if number > room:
            self._shrink(self._size + self._slack - number)
        here = slice(self._filled, self._filled + number)
        values = np.array(self._new)
        self._rows[here] = np.nan
        for column, at in enumerate(self._at):
            if at >= 0:
                self._rows[here, at] = values[:, column]
        self._times[here] = self._new_times
        self._filled += number
        self._count += number
        self._new, self._new_times = [], []

    def keep(self, rows: int) -> None:
        """Forgets all but the last rows."""
        self._flush()
        self._shrink(rows)

    def _shrink(self, rows: int) -> None:
        start = self._filled - rows
        if start > 0:
            self._rows[:rows] = self._rows[start : self._filled].copy()
            self._times[:rows] = self._times[start : self._filled].copy()
            self._filled = rows

    def _change(self, names: tuple[str, ...]) -> None:
        """Another set of fields than in the row before."""
        for column in self._at:
            if column >= 0:
                self._seen[column] = self._count
        known = {name: column for column, name in enumerate(self.names)}
        here = set(names)
        self._at = []
        for name in names:
            column = known.get(name, -1)
            if column < 0 and len(self.names) < MAX_FIELDS:
                column = known[name] = len(self.names)
                self.names.append(name)
                self._seen.append(self._count)
                self._rows = np.column_stack([self._rows, np.full(self._size + self._slack, np.nan)])
            elif column < 0:
                gone = [
                    at
                    for at in range(MAX_FIELDS)
                    if self.names[at] not in here and self._count - self._seen[at] >= self._slack
                ]
                if gone:
                    column = min(gone, key=lambda at: (self._seen[at], at))
                    del known[self.names[column]]
                    self.names[column] = name
                    known[name] = column
                    self._seen[column] = self._count
                    self._rows[:, column] = np.nan
            self._at.append(column)
        self._last = names

    def __getstate__(self) -> dict[str, Any]:
        rows, times = self.rows.tobytes(), self.times.tobytes()
        return {**self.__dict__, "_rows": (rows, len(self.names)), "_times": times}

    def __setstate__(self, state: dict[str, Any]) -> None:
        rows, fields = state.pop("_rows")
        times = state.pop("_times")
        self.__dict__.update(state)
        room = self._size + self._slack
        self._rows = np.full((room, fields), np.nan)
        self._rows[: self._filled] = np.frombuffer(rows).reshape(self._filled, fields)
        self._times = np.zeros(room, np.int64)
        self._times[: self._filled] = np.frombuffer(times, np.int64)
