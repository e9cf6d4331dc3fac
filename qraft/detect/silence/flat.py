"""Values that stand still: a field that used to move stays at one value for much longer than it ever did."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from qraft.config.detect import FlatSettings
from qraft.detect.base import Finding, Judgement
from qraft.detect.evidence import LINE_DECADES, Habit, confidence
from qraft.detect.report import QUIET, short
from qraft.detect.silence.fields import Fields
from qraft.detect.silence.lengths import Lengths
from qraft.detect.silence.words import shares
from qraft.model import PatternType

FADE_ROWS: Final = 2000
"""A value that has stood for so many rows is no longer abnormal."""

_LEAST_ROWS: Final = 10.0
_TIMES_LONGEST: Final = 5.0
_TIMES_REST: Final = 4.0
_EARLY, _EARLY_STEP, _STEP = 256, 16, 64
_BINS: Final = 40


class _Runs:
    """What is known of one field's runs of equal values; about 0.6 kB."""

    __slots__ = ("begun_us", "counted", "lengths", "moves", "rest", "told")

    def __init__(self) -> None:
        self.lengths = Lengths(_BINS)
        self.counted = 0
        self.moves = 0
        self.rest = math.nan
        self.begun_us = 0
        self.told = 0.0

    def ended(self, value: float, rows: int, due: float) -> None:
        """Counts a run that is over; one that was told teaches as much as it took to be told."""
        if rows >= 0.5 * self.lengths.longest:
            self.rest = value
        self.lengths.add(min(rows, round(due / _TIMES_LONGEST)) if self.told else rows)
        self.counted += rows
        self.moves += 1

    def due(self, present: int, line: float, demand: float, warmup: int) -> float:
        """How long a run has to be to be told; infinite for a field that has hardly moved.

        ``present``: rows of the field, without those of the run that goes on.
        """
        alone = present - self.counted
        if alone > 0:
            self.lengths.add(1, alone)
            self.counted += alone
            self.moves += alone
        if self.moves < warmup:
            return math.inf
        self.lengths.measure()
        return max(self.lengths.due(line, demand), _LEAST_ROWS, _TIMES_LONGEST * self.lengths.longest)


class FlatAnomaly:
    """Runs of equal values that are longer than the field's own runs allow; about 0.8 kB a field.

    A run is told from ten rows on, when it is five times as long as the longest that counts and rarer than the line says
    (`Lengths`). A value at which the field has rested before may stand four times as long. So a field that repeats by
    itself (whole numbers, coarse steps, mostly zero) is given the time it takes, and one that never moved is never told.
    """

    name = "flat"
    type: PatternType = "anomaly"

    def __init__(self, settings: FlatSettings) -> None:
        self._warmup = settings.warmup
        self._fields = Fields()
        self._known: list[_Runs] = []
        self._last: list[float] = []
        self._run: list[int] = []
        self._due: list[float] = []
        self._told = 0
        self._habit = Habit()

    def step(self, time_us: int, row: Mapping[str, float], line: float) -> Judgement:
        """Judges one row, then learns it."""
        fields = self._fields
        fields.row += 1
        names = tuple(row)
        if names != fields.known:
            self._change(names)
        last, run, due = self._last, self._run, self._due
        still = False
        back = None
        for at, value in zip(fields.layout, row.values(), strict=True):
            if value == last[at]:
                rows = run[at] = run[at] + 1
                if rows >= due[at]:
                    still = True
                elif rows == 2:
                    self._known[at].begun_us = time_us
            else:
                if run[at] > 1:
                    back = self._ended(at, back)
                last[at] = value
                run[at] = 1
        found = self._flat(line) if still else None
        if found is None and back:
            found = self._return(back)
        now = fields.row
        if now % _STEP == 0 or (now <= _EARLY and now % _EARLY_STEP == 0):
            self._measure(line)
        if now < self._warmup:
            return Judgement(0.0, 0.0, now / self._warmup, None)
        if found is None and not self._told:
            return QUIET
        state = max((self._known[at].told for at in fields.layout if run[at] <= FADE_ROWS), default=0.0)
        if found is None:
            return Judgement(0.0, state, 1.0, None)
        sure, finding = found
        return Judgement(sure, state, 1.0, finding if sure >= line else None)

    def _change(self, names: tuple[str, ...]) -> None:
        fields, known = self._fields, self._known
        fields.change(names)
        for at in (*fields.renewed, *range(len(known), len(fields.names))):
            if at == len(known):
                known.append(_Runs())
                self._last.append(math.nan)
                self._run.append(0)
                self._due.append(math.inf)
            elif at in fields.renewed:
                self._told -= known[at].told > 0.0
                known[at], self._last[at], self._run[at], self._due[at] = _Runs(), math.nan, 0, math.inf
        for at in fields.came:
            fields.gone.pop(at, None)

    def _measure(self, line: float) -> None:
        fields, run, due = self._fields, self._run, self._due
        demand = self._habit.demand(fields.row)
        for at in fields.layout:
            field = self._known[at]
            if not field.told:
                due[at] = field.due(fields.present(at) - run[at], line, demand, self._warmup)

    def _ended(self, at: int, back: dict[int, tuple[int, float]] | None) -> dict[int, tuple[int, float]] | None:
        """Counts a run that is over; adds it to those whose end is to be told."""
        field, rows = self._known[at], self._run[at]
        field.ended(self._last[at], rows, self._due[at])
        if field.told:
            back = {**(back or {}), at: (rows, field.told)}
            field.told = 0.0
            self._told -= 1
        elif rows * _TIMES_LONGEST > self._due[at]:
            self._due[at] = rows * _TIMES_LONGEST
        return back

    def _flat(self, line: float) -> tuple[float, Finding] | None:
        """Tells of all fields that have stood still long enough to belong to it, where one is due that was not told."""
        fields, run, due = self._fields, self._run, self._due
        if all(self._known[at].told or run[at] < self._patience(at) for at in fields.layout):
            return None
        demand = self._habit.demand(fields.row)
        self._habit.note(fields.row)
        weights: dict[str, float] = {}
        sure = most = 0.0
        lead = -1
        together = [at for at in fields.layout if not self._known[at].told and run[at] >= 0.5 * self._patience(at)]
        for at in together:
            decades = self._known[at].lengths.decades(run[at]) * min(run[at] / due[at], 1.0)
            weights[fields.names[at]] = decades
            if decades > most or lead < 0:
                most, lead = decades, at
        sure = max(confidence(most, LINE_DECADES + demand), line)
        for at in together:
            self._known[at].told = sure
        self._told += len(together)
        return sure, self._finding(lead, weights, {"decades": most, "habit_decades": demand})

    def _patience(self, at: int) -> float:
        field = self._known[at]
        return self._due[at] * (_TIMES_REST if self._last[at] == field.rest else 1.0)

    def _finding(self, at: int, weights: dict[str, float], metrics: dict[str, float]) -> Finding:
        contributors = shares(weights)
        field, name, rows, value = self._known[at], self._fields.names[at], self._run[at], self._last[at]
        longest = field.lengths.longest
        usual = "usually moves every row" if longest <= 1.0 else f"at most {longest:.0f} rows before"
        others = f" (and {len(weights) - 1} more)" if len(weights) > 1 else ""
        return Finding(
            prev_state={"label": usual, "n": field.counted, "longest_rows": longest},
            new_state={"label": f"stands at {short(value)}", "n": rows, "value": value},
            contributors=contributors,
            summary=f"{name}: stands at {short(value)} for {rows} rows{others}; {usual}",
            metrics={"rows": float(rows), "longest_rows": longest, **metrics},
            kind="flat",
            began_us=field.begun_us,
        )

    def _return(self, back: dict[int, tuple[int, float]]) -> tuple[float, Finding]:
        names = self._fields.names
        weights = {names[at]: told for at, (_, told) in back.items()}
        at, (rows, _) = next(iter(back.items()))
        others = f" (and {len(back) - 1} more)" if len(back) > 1 else ""
        finding = Finding(
            prev_state={"label": f"stood still for {rows} rows", "n": rows},
            new_state={"label": "moves again", "n": 1},
            contributors=shares(weights),
            summary=f"{names[at]}: moves again after {rows} rows at one value{others}",
            metrics={"rows": float(rows)},
            kind="return",
        )
        return max(told for _, told in back.values()), finding
