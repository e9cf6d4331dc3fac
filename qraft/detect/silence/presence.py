"""Fields that were in nearly every row and then are missing while rows go on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from qraft.detect.base import Finding
from qraft.detect.evidence import LINE_DECADES, Habit, confidence
from qraft.detect.silence.fields import Fields
from qraft.detect.silence.lengths import Lengths
from qraft.detect.silence.rhythm import Found
from qraft.detect.silence.words import shares

WARMUP_ROWS: Final = 50
"""Rows with a field before its absence may be told."""
LEAST_SHARE: Final = 0.5
"""A field that is in fewer of the rows since its first is never missed."""
FADE_ROWS: Final = 2000
"""After so many rows without it, a row without the field is no longer abnormal."""

_LEAST_ROWS: Final = 8.0
_TIMES_LONGEST: Final = 5.0
_MEASURED: Final = 64
_BINS: Final = 40


class _Field:
    """What is known of one field's absences; about 0.6 kB."""

    __slots__ = ("counted", "due", "first", "lengths", "measured", "since_us", "told")

    def __init__(self, row: int) -> None:
        self.first = row
        self.lengths = Lengths(_BINS)
        self.counted = 0
        self.measured = -_MEASURED
        self.due = math.inf
        self.since_us = 0
        self.told = 0.0

    def away(self, rows: int) -> None:
        """Counts an absence that is over, from the last row with the field to the next."""
        self.lengths.add(rows)
        self.counted += 1

    def measure(self, row: int, present: int, line: float, demand: float) -> None:
        """From how many rows without it on the field is missing."""
        self.measured = row
        if present > self.counted:
            self.lengths.add(1, present - self.counted)
            self.counted = present
        self.due = math.inf
        if present < WARMUP_ROWS or present < LEAST_SHARE * (row - self.first):
            return
        self.lengths.measure()
        self.due = max(self.lengths.due(line, demand), _LEAST_ROWS, _TIMES_LONGEST * self.lengths.longest)


class Presence:
    """Watches the fields of one entity come and go.

    Attributes:
        missing: the fields, by number, that are away and would be told from some row on.
    """

    __slots__ = ("_fields", "_habit", "_known", "missing")

    def __init__(self) -> None:
        self._fields = Fields()
        self._known: list[_Field] = []
        self.missing: list[int] = []
        self._habit = Habit()

    def take(self, time_us: int, row: Mapping[str, float], line: float) -> Found | None:
        """Takes one row: fields that are missing now, or that are back after that was told."""
        fields = self._fields
        fields.row += 1
        names = tuple(row)
        back = self._change(names, time_us, line) if names != fields.known else None
        if not self.missing:
            return self._return(back) if back else None
        for at in self.missing:
            field = self._known[at]
            if fields.row - fields.gone[at] >= field.due and not field.told:
                return self._dropout(line)
        return self._return(back) if back else None

    @property
    def state(self) -> float:
        """How surely this row lacks a field that belongs to it."""
        now, gone, known = self._fields.row, self._fields.gone, self._known
        return max((known[at].told for at in self.missing if now - gone[at] <= FADE_ROWS), default=0.0)

    def _change(self, names: tuple[str, ...], time_us: int, line: float) -> dict[int, tuple[int, float]]:
        """Takes other fields than before; which are back after their absence was told, for how many rows and how surely."""
        fields, known = self._fields, self._known
        fields.change(names)
        for at in fields.renewed:
            if at < len(known):
                known[at] = _Field(fields.row)
        known += [_Field(fields.row) for _ in range(len(fields.names) - len(known))]
        back = {}
        for at in fields.came:
            gone, field = fields.gone.pop(at, None), known[at]
            if gone is None:
                continue
            rows = fields.row - gone
            field.away(min(rows, round(field.due)) if field.told else rows)
            if field.told:
                back[at] = (rows - 1, field.told)
                field.told = 0.0
        for at in fields.left:
            field = known[at]
            field.since_us = time_us
            if fields.row - field.measured >= _MEASURED:
                field.measure(fields.row, fields.present(at), line, self._habit.demand(fields.row))
        self.missing = [at for at in fields.gone if known[at].due < math.inf]
        return back

    def _dropout(self, line: float) -> Found:
        """Tells of all fields that have been away long enough to belong to it."""
        fields, known = self._fields, self._known
        demand = self._habit.demand(fields.row)
        self._habit.note(fields.row)
        weights: dict[str, float] = {}
        present: dict[str, float] = {}
        sure = most = 0.0
        longest, first = 0, None
        together = [at for at in self.missing if not known[at].told and fields.row - fields.gone[at] >= 0.5 * known[at].due]
        for at in together:
            field, rows = known[at], fields.row - fields.gone[at]
            decades = field.lengths.decades(rows)
            weights[fields.names[at]] = decades
            present[fields.names[at]] = min(fields.present(at) / max(fields.gone[at] - field.first + 1, 1), 1.0)
            if decades > most or first is None:
                most, first, longest = decades, field, rows
        assert first is not None
        sure = max(confidence(most, LINE_DECADES + demand), line)
        for at in together:
            known[at].told = sure
        contributors = shares(weights)
        name = contributors[0].field
        share = present[name]
        usual = "was in every row" if share >= 0.9995 else f"was in {100.0 * share:.3g} % of the rows"
        others = f" (and {len(weights) - 1} more)" if len(weights) > 1 else ""
        return Found(
            sure,
            Finding(
                prev_state={"label": usual, "n": first.counted, "share": share},
                new_state={"label": f"no value for {longest} rows", "n": longest, "share": 0.0},
                contributors=contributors,
                summary=f"{name}: no value for {longest} rows{others}; {usual}",
                metrics={"rows": float(longest), "share": share, "decades": most, "habit_decades": demand},
                kind="silence",
                began_us=first.since_us,
            ),
        )

    def _return(self, back: dict[int, tuple[int, float]]) -> Found:
        names = self._fields.names
        weights = {names[at]: told for at, (_, told) in back.items()}
        at, (rows, _) = next(iter(back.items()))
        others = f" (and {len(back) - 1} more)" if len(back) > 1 else ""
        return Found(
            max(told for _, told in back.values()),
            Finding(
                prev_state={"label": f"no value for {rows} rows", "n": rows},
                new_state={"label": "values come again", "n": 1},
                contributors=shares(weights),
                summary=f"{names[at]}: back after {rows} rows without a value{others}",
                metrics={"rows": float(rows)},
                kind="return",
            ),
        )
