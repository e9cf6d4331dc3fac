"""How fast a file is replayed: so many rows a second, as its rows' own times say, or flat out."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import Final, Protocol

from qraft.ingest.batcher import MAX_EVENTS
from qraft.ingest.rows import Row
from qraft.model import Event, us_from_iso

_SLICES_A_SECOND: Final = 20
_LATE_SECONDS: Final = 1.0


class Pace(Protocol):
    """Cuts rows into parts, and waits until each is due. A time the sink was blocked is not made up for."""

    def parts(self, rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
        """The rows, in parts; after each, `wait` is called before the next is asked for."""
        ...

    async def wait(self) -> None:
        """Waits until the part that was given last is due."""
        ...


class FlatOut:
    """As fast as they are taken."""

    def parts(self, rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
        """All rows at once."""
        yield rows

    async def wait(self) -> None:
        """Returns at once."""


class ByRate:
    """So many rows a second."""

    def __init__(self, rate: float) -> None:
        """Begins now.

        Args:
            rate: rows a second, above 0.
        """
        self._rate = rate
        self._due = asyncio.get_running_loop().time()
        self._rows = 0

    def parts(self, rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
        """The rows of a twentieth of a second at a time."""
        size = max(1, min(MAX_EVENTS, int(self._rate / _SLICES_A_SECOND)))
        for start in range(0, len(rows), size):
            part = rows[start : start + size]
            self._rows = len(part)
            yield part

    async def wait(self) -> None:
        """Waits until the part that was given last is due."""
        self._due = await _until(self._due) + self._rows / self._rate


class ByTime:
    """As the rows' own times lie apart, so many times faster. A row whose time lies before the last one's comes with it."""

    def __init__(self, speed: float, longest_gap: float) -> None:
        """Begins with the first row.

        Args:
            speed: 1 is as recorded.
            longest_gap: seconds between two rows, at most, as they are replayed.
        """
        self._speed = speed
        self._longest = longest_gap
        self._due = asyncio.get_running_loop().time()
        self._newest: int | None = None

    def parts(self, rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
        """The rows that are due within a twentieth of a second at a time."""
        begin, waited = 0, 0.0
        for number, row in enumerate(rows):
            gap = self._gap(row)
            if number > begin and (waited + gap > 1 / _SLICES_A_SECOND or number - begin >= MAX_EVENTS):
                yield rows[begin:number]
                begin, waited = number, 0.0
            waited += gap
            self._due += gap
        if begin < len(rows):
            yield rows[begin:]

    def _gap(self, row: Row) -> float:
        """Seconds between this row and the newest before it."""
        if not isinstance(row, Event):
            return 0.0
        time_us, newest = us_from_iso(row.timestamp), self._newest
        if newest is None or time_us > newest:
            self._newest = time_us
        return 0.0 if newest is None else min(max(0, time_us - newest) / 1e6 / self._speed, self._longest)

    async def wait(self) -> None:
        """Waits until the part that was given last is due."""
        self._due = await _until(self._due)


def pace_of(rate: float, speed: float, longest_gap: float) -> Pace:
    """The pace that the settings ask for."""
    if speed:
        return ByTime(speed, longest_gap)
    return ByRate(rate) if rate else FlatOut()


async def _until(due: float) -> float:
    """Waits until ``due``; when that was, or a second ago where it was longer ago than that."""
    now = asyncio.get_running_loop().time()
    if due > now:
        await asyncio.sleep(due - now)
    return max(due, now - _LATE_SECONDS)
