"""The rhythm in which rows come, and gaps that do not belong to it."""

from __future__ import annotations

import math
from array import array
from typing import Any, Final, NamedTuple

from qraft.detect.base import Finding
from qraft.detect.evidence import LINE_DECADES, Habit, confidence, effect_confidence
from qraft.detect.silence.lengths import Lengths
from qraft.detect.silence.pauses import Pauses
from qraft.detect.silence.words import spell, spread

WARMUP_ROWS: Final = 50
WARMUP_US: Final = 10_000_000
"""Gaps, and time from the first row, before a silence may be told."""
EFFECT: Final = 5.0
"""A silence is worth telling from so many usual gaps (the gap that one in twenty exceeds)."""

_TIMES_LONGEST: Final = 2.0
_WATCHED: Final = 5
_RECENT: Final = 64
_EARLY, _EARLY_STEP = 256, 16
_UNIT_BITS: Final = 6
_AGAIN: Final = 1.1
_BINS: Final = 107


class Found(NamedTuple):
    """A silence or a return with its confidence."""

    confidence: float
    finding: Finding


class Rhythm:
    """Gaps of event time between the rows of one entity, or of a source as a whole; about 2.5 kB whatever their number.

    Rows of one moment count as one, and rows out of order do not count. A gap is a silence from where it is rarer than the
    line, longer than five usual gaps, twice the longest gap and twice the longest of the last 64, and not usual at this
    hour (`Pauses`); and, while the stream has been watched for less than five times as long, longer than all that time.
    """

    __slots__ = (
        "_counted",
        "_first_us",
        "_habit",
        "_jumped_from",
        "_lengths",
        "_pauses",
        "_recent",
        "_told",
        "due_gap",
        "last_us",
        "rows",
    )

    def __init__(self) -> None:
        self.rows = self._counted = 0
        self._jumped_from: int | None = None
        self.last_us: int | None = None
        self.due_gap = math.inf
        self._first_us = 0
        self._lengths = Lengths(_BINS)
        self._recent = array("q", bytes(8 * _RECENT))
        self._pauses = Pauses()
        self._habit = Habit()
        self._told = 0.0

    @property
    def told(self) -> bool:
        """Whether a silence was told that has not ended yet."""
        return self._told > 0.0

    def row(self, time_us: int, floor_us: int, line: float) -> Found | None:
        """Takes a row at this moment: a silence that only this row shows, or the return after one that was told.

        Args:
            time_us: event time, UTC microseconds.
            floor_us: since when the stream has been watched without interruption; what lay before is no silence.
            line: the alert line.
        """
        last = self.last_us
        if last is None:
            self.last_us = self._first_us = time_us
            return None
        gap = time_us - last
        if gap <= 0:
            if self._jumped_from is not None:
                self._back(time_us, line)
            return None
        self.last_us = time_us
        if gap > self.due_gap or floor_us > last or self._told:
            return self._long(last, time_us, floor_us, line)
        self._jumped_from = None
        rows = self.rows
        self._recent[rows % _RECENT] = gap
        self.rows = rows = rows + 1
        if rows % _EARLY_STEP == 0 and (rows % _RECENT == 0 or rows <= _EARLY):
            self._measure(line)
        return None

    def _back(self, time_us: int, line: float) -> None:
        """A row out of order, after one that jumped ahead: where it lies nearer to those before, that one was wrong."""
        before, self._jumped_from = self._jumped_from, None
        if before is not None and self.last_us is not None and time_us - before < self.last_us - time_us:
            self.last_us = max(before, time_us)
            self._recent[(self.rows - 1) % _RECENT] = 0
            self._pauses.forget(before)
            self._measure(line)

    def silent(self, now_us: int, floor_us: int, line: float) -> Found | None:
        """Whether by this moment, without a row, a silence is due; it is told once."""
        last = self._begin(floor_us)
        if last is None or self._told or now_us - last <= self.due_gap or now_us <= self._pauses.until(last):
            return None
        found = self._silence(last, now_us, line, back=False)
        if found is not None:
            self._told = found.confidence
        else:
            self.due_gap = (now_us - last) * _AGAIN
        return found

    def due_us(self, floor_us: int) -> float:
        """The moment from which `silent` is worth asking; infinite while there is none."""
        last = self._begin(floor_us)
        if last is None or self._told:
            return math.inf
        due = last + self.due_gap
        return max(due, self._pauses.until(last)) if self.due_gap < math.inf else due

    def _begin(self, floor_us: int) -> int | None:
        return None if self.last_us is None else max(self.last_us, floor_us)

    def _long(self, last: int, time_us: int, floor_us: int, line: float) -> Found | None:
        """A gap that is long, or not to be judged because nobody watched."""
        told, self._told = self._told, 0.0
        gap = time_us - last
        watched = floor_us <= last
        found = None
        if told:
            found = Found(told, self._return(gap))
        elif time_us - (begin := max(last, floor_us)) > self.due_gap:
            if time_us <= self._pauses.until(begin):  # it belongs to the hour, not to the rhythm
                self._pauses.note(begin, time_us - begin)
                return None
            found = self._silence(begin, time_us, line, back=True)
        if found is not None:
            self._habit.note(self.rows)
        if watched:
            self._jumped_from = None if told else last
            self._pauses.note(last, gap)
            self._learn(gap, min(gap, round(self.due_gap / _TIMES_LONGEST)) if self.due_gap < math.inf else gap)
            self._measure(line)
        return found

    def _learn(self, gap: int, counted: int) -> None:
        """Takes a gap that teaches as much as one of length ``counted``."""
        self._count()
        self._recent[self.rows % _RECENT] = gap
        self.rows = self._counted = self.rows + 1
        self._lengths.add((counted >> _UNIT_BITS) or 1)

    def _count(self) -> None:
        """Counts the gaps since the last time; they still stand among the recent ones."""
        add, recent = self._lengths.add, self._recent
        for at in range(self._counted, self.rows):
            add((recent[at % _RECENT] >> _UNIT_BITS) or 1)
        self._counted = self.rows

    def _measure(self, line: float) -> None:
        """From which gap on a silence is due."""
        assert self.last_us is not None
        self._count()
        watched = self.last_us - self._first_us
        self.due_gap = math.inf
        if self.rows < WARMUP_ROWS or watched < WARMUP_US:
            return
        lengths, unit = self._lengths, 1 << _UNIT_BITS
        lengths.measure()
        effect = EFFECT * (line / (1.0 - line)) ** 0.25
        due = max(
            unit * lengths.due(line, self._habit.demand(self.rows)),
            unit * lengths.usual * effect,
            unit * lengths.longest * _TIMES_LONGEST,
            max(self._recent) * _TIMES_LONGEST,
        )
        self.due_gap = due if due * _WATCHED <= watched else max(due, float(watched))

    def _silence(self, last: int, now_us: int, line: float, *, back: bool) -> Found | None:
        gap, unit = now_us - last, 1 << _UNIT_BITS
        lengths = self._lengths
        decades, demand = lengths.decades(gap / unit), self._habit.demand(self.rows)
        sure = min(confidence(decades, LINE_DECADES + demand), effect_confidence(gap / unit / lengths.usual, EFFECT))
        if sure < line:
            return None
        recent = sorted(self._recent[: min(self.rows, _RECENT)])
        low, high = recent[len(recent) // 20], recent[-1 - len(recent) // 20]
        usual = f"usual gap {spread(low, high)}"
        return Found(
            sure,
            Finding(
                prev_state={"label": usual, "n": self.rows, "low_seconds": low / 1e6, "high_seconds": high / 1e6},
                new_state={"label": f"no row for {spell(gap)}", "n": 0, "gap_seconds": gap / 1e6},
                contributors=(),
                summary=f"no row for {spell(gap)}; {usual}" + ("; back now" if back else ""),
                metrics={"gap_seconds": gap / 1e6, "usual_seconds": high / 1e6, "decades": decades, "habit_decades": demand},
                kind="silence",
                began_us=last + high,
            ),
        )

    def _return(self, gap: int) -> Finding:
        return Finding(
            prev_state={"label": f"no row for {spell(gap)}", "n": 0},
            new_state={"label": "rows come again", "n": 1},
            contributors=(),
            summary=f"back after {spell(gap)}",
            metrics={"gap_seconds": gap / 1e6},
            kind="return",
        )

    def __getstate__(self) -> tuple[Any, ...]:
        times = (self.last_us, self.due_gap, self._first_us, self._jumped_from)
        counts = (self.rows, self._counted, self._told)
        return times, counts, self._recent.tobytes(), self._lengths, self._pauses, self._habit

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        times, counts, recent, self._lengths, self._pauses, self._habit = state
        self.last_us, self.due_gap, self._first_us, self._jumped_from = times
        self.rows, self._counted, self._told = counts
        self._recent = array("q", recent)
