"""Drift of an entity's fields: a change of mean, trend, spread or predictability, when it began and how large it is."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from qraft.config.detect import DriftSettings
from qraft.detect.base import Finding, Judgement
from qraft.detect.drift.layout import (
    COARSE,
    HELD,
    KEPT,
    MEAN_DECADES,
    MEAN_EFFECT,
    MEAN_LEVEL,
    MEAN_ROWS,
    ROWS,
    SIZE,
    SPREAD_DECADES,
    SPREAD_EFFECT,
    SPREAD_ROWS,
    Floats,
)
from qraft.detect.drift.past import KNOWN_AFTER, Past
from qraft.detect.drift.regime import advance_row, asked, margin, settle
from qraft.detect.drift.tell import Change, before_after, describe, kind_of, sides, strength
from qraft.detect.evidence import Habit
from qraft.detect.report import QUIET, Weight, ranked
from qraft.model import PatternType

MAX_FIELDS: Final = 256
"""Fields of one entity that are followed; the least recently seen gives way."""

DEMAND: Final = 0.4
"""Decades of evidence that the first row would need; each tenfold of rows needs one more, so false alarms become rarer as a
stream grows old: as many are to be expected from its tenth row to its hundredth as in the next nine hundred."""

_COARSE_WARMUP: Final = 160
"""Rows of the coarse scale before it may speak: it finds what a young stream has too few rows for."""
_YOUNG: Final = 512.0
"""Rows over which several fields count for more than their number: their predictors are unsettled all at once."""
_UNSEEN: Final = -6.0
_FREE: Final = 0.5
"""Decades of habit that are passed over: streams have a change now and then."""
_NEXT: Final = 0.99
"""No field's evidence counts for more than so much of that of the field that raised."""
_SAME_INCIDENT: Final = 128
"""Rows after a finding in which another change that began before it belongs to it."""
_SETTLING: Final = 32
"""Rows after a finding in which its regime's mean is not known yet: a change that began in them belongs to it as well."""
_ROUGH: Final = 1.954
"""Mean absolute second difference of white noise, in its standard deviations: sqrt(6) times sqrt(2 / pi)."""
_STANDS: Final = 1.6
"""A field stands at a level where its spread is at most so many of its noise's; others have no level to return to."""
_FRESH: Final = 64.0
_FRESH_DECADES: Final = 2.0
"""A fresh regime needs two decades more at first, falling over so many rows: its own mean is not known well yet."""


class DriftDetector:
    """All fields of one entity on two scales: rows, and means of four rows.

    State: 2 x 548 floats, 256 times and 1 kB of known levels and changes a field, 12 kB, whatever the stream's length.
    """

    name = "drift"
    type: PatternType = "drift"

    def __init__(self, settings: DriftSettings) -> None:
        self._warmup = settings.warmup
        self._limits = np.array(
            [settings.warmup, _COARSE_WARMUP, DEMAND, settings.min_effect, math.log(settings.min_ratio)], dtype=np.float64
        )
        self._states: Floats = np.zeros((1, 2 * SIZE))
        self._times: Floats = np.zeros((1, KEPT))
        self._slots: dict[str, int] = {}
        self._last: list[int] = []
        self._names: list[str] = []
        self._fields: NDArray[np.int64] = np.zeros(0, dtype=np.int64)
        self._values: Floats = np.zeros(1)
        self._row = 0
        self._oldest = 0
        self._raised = -_SAME_INCIDENT
        self._habit = Habit()
        self._past: dict[int, Past] = {}

    def step(self, time_us: int, row: Mapping[str, float], line: float) -> Judgement:
        """Judges one row, then learns it."""
        self._row += 1
        if list(row) != self._names:
            self._change(list(row))
        values = self._values
        values[0] = time_us
        values[1:] = list(row.values())
        highest = advance_row(self._states, self._times, self._fields, values, self._limits)
        if self._oldest < self._warmup:
            self._oldest = max(self._oldest, int(self._states[self._fields, ROWS].max()) if self._names else 0)
            warm = min(1.0, self._oldest / self._warmup)
            if warm < 1.0:
                return Judgement(0.0, 0.0, warm, None)
        if highest < _UNSEEN:
            return QUIET
        return self._weigh(line)

    def _weigh(self, line: float) -> Judgement:
        since = self._row - self._raised
        young = max(0.0, 1.0 - self._row / _YOUNG)
        demand = (1.0 + young) * math.log10(len(self._fields)) + max(0.0, self._habit.demand(self._row) - _FREE)
        if self._raised > 0:
            demand += _FRESH_DECADES * max(0.0, 1.0 - since / _FRESH)
        slack = _SETTLING if self._row > KNOWN_AFTER else 0
        lead, found, most = -1, None, -math.inf
        changed: list[tuple[int, Change]] = []
        for slot in self._fields:
            for scale in (1, COARSE):
                state = self._scale(slot, scale)
                beyond = margin(state, self._limits) - demand
                if beyond <= _UNSEEN:
                    continue
                change = self._change_in(state, scale)
                if beyond >= 0.0 and since < _SAME_INCIDENT and change.rows >= since - slack:
                    self._settle(slot, change)
                    continue
                if beyond >= 0.0:
                    changed.append((slot, change))
                if beyond > most:
                    lead, found, most = slot, change, beyond
        onset = 1.0 / (1.0 + math.exp(-max(-30.0, min(most, 9.0)))) if found is not None else 0.0
        if found is None or onset < line:
            return Judgement(onset, 0.0, 1.0, None)
        kind = kind_of(self._scale(lead, 1), found)
        if not kind or (kind in ("mean", "trend") and self._known(lead, found)):
            # errors have changed, but nothing that anyone would see in the values, or nothing that is new
            self._settle(lead, found)
            return Judgement(0.0, 0.0, 1.0, None)
        finding = self._finding(lead, found, kind, demand)
        self._past.setdefault(int(lead), Past()).note(int(self._values[0]), found.effect)
        self._raised = self._row
        self._habit.note(self._row)
        self._settle(lead, found)
        for slot, change in changed:
            if slot != lead:
                self._settle(slot, change)
        return Judgement(onset, 0.0, 1.0, finding)

    def _scale(self, slot: int, scale: int) -> Floats:
        state: Floats = self._states[slot]
        return state[:SIZE] if scale == 1 else state[SIZE:]

    def _change_in(self, state: Floats, scale: int) -> Change:
        limits = self._limits
        mean = state[MEAN_DECADES] if abs(state[MEAN_EFFECT]) >= limits[3] else -9.0
        spread = state[SPREAD_DECADES] if abs(state[SPREAD_EFFECT]) >= limits[4] else -9.0
        if spread > mean:
            return Change(int(state[SPREAD_ROWS]), scale, True, float(state[SPREAD_EFFECT]), float(spread))
        return Change(int(state[MEAN_ROWS]), scale, False, float(state[MEAN_EFFECT]), float(mean), state[MEAN_LEVEL] == 1.0)

    def _known(self, slot: int, change: Change) -> bool:
        """Whether a change leads back to a level that is known, or comes at this time of every day; the level left is
        remembered.
        """
        if self._row <= KNOWN_AFTER:
            return False
        past = self._past.setdefault(int(slot), Past())
        before, after = sides(self._scale(slot, 1), change.rows)
        spread = float(np.abs(np.diff(before, 2)).mean()) / _ROUGH if len(before) > 3 else 0.0
        usual = past.returns(float(after.mean()), spread * (0.5 + 1.0 / math.sqrt(len(after))))
        if before.std() <= _STANDS * spread:
            past.leave(float(before.mean()), spread, len(before))
        daily = past.daily(int(self._values[0]), change.effect)
        if usual or daily:
            past.note(int(self._values[0]), change.effect)
        return usual or daily

    def _settle(self, slot: int, change: Change) -> None:
        """The rows since the change are the field's regime from now on, on both scales."""
        settle(self._scale(slot, 1), change.rows, change.spread)
        settle(self._scale(slot, COARSE), change.rows // COARSE, change.spread)

    def _finding(self, lead: int, change: Change, kind: str, demand: float) -> Finding:
        state, found = self._scale(lead, 1), self._scale(lead, change.scale)
        own = max(strength(found, change), 1e-9)
        weights = {}
        for name, slot in zip(self._names, self._fields, strict=True):
            scaled = self._scale(slot, change.scale)
            if slot != lead and (scaled[HELD] <= change.length or self._scale(slot, 1)[ROWS] <= change.rows + 1):
                continue
            share = own if slot == lead else min(strength(scaled, change), _NEXT * own)
            weights[name] = Weight(share, *before_after(self._scale(slot, 1), scaled, change, kind))
        began = self._began(lead, change)
        name = self._names[int(np.flatnonzero(self._fields == lead)[0])]
        lasted = (float(self._values[0]) - began) / 1e6
        prev_state, new_state, summary = describe(name, state, found, change, kind, lasted)
        metrics = {
            "decades": change.decades,
            "demanded_decades": DEMAND + asked(found[ROWS]) + demand,
            "effect": change.effect,
            "rows_before": float(prev_state["n"]),
            "rows_since": float(change.rows),
        }
        return Finding(prev_state, new_state, ranked(weights), summary, metrics, kind, int(began))

    def _began(self, slot: int, change: Change) -> float:
        """Event time of the first row after the split; the oldest that is kept where that is later."""
        seen = int(self._states[slot, ROWS])
        first = seen - min(change.rows, KEPT, seen)
        return float(self._times[slot, first & (KEPT - 1)])

    def _change(self, names: list[str]) -> None:
        for slot in self._fields:
            self._last[slot] = self._row - 1
        for name in names:
            if name not in self._slots:
                self._new(name, set(names))
        self._names = names
        self._fields = np.array([self._slots[name] for name in names], dtype=np.int64)
        self._values = np.zeros(len(names) + 1)

    def _new(self, name: str, here: set[str]) -> None:
        if len(self._slots) >= MAX_FIELDS:
            gone = min((slot for other, slot in self._slots.items() if other not in here), key=lambda slot: self._last[slot])
            del self._slots[next(other for other, slot in self._slots.items() if slot == gone)]
            self._states[gone] = 0.0
            self._past.pop(gone, None)
            slot = gone
        else:
            slot = len(self._slots)
            if slot == len(self._states):
                self._states = np.concatenate([self._states, np.zeros_like(self._states)])
                self._times = np.concatenate([self._times, np.zeros_like(self._times)])
            self._last.append(self._row)
        self._last[slot] = self._row
        self._slots[name] = slot

    def __getstate__(self) -> dict[str, Any]:
        used = len(self._slots)
        state = self.__dict__.copy()
        state["_states"] = self._states[:used].tobytes()
        state["_times"] = self._times[:used].tobytes()
        state["_limits"] = self._limits.tobytes()
        state["_fields"] = self._fields.tobytes()
        state["_values"] = self._values.tobytes()
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._states = _thawed(state["_states"], 2 * SIZE)
        self._times = _thawed(state["_times"], KEPT)
        self._limits = np.frombuffer(state["_limits"], dtype=np.float64).copy()
        self._fields = np.frombuffer(state["_fields"], dtype=np.int64).copy()
        self._values = np.frombuffer(state["_values"], dtype=np.float64).copy()


def _thawed(data: bytes, width: int) -> Floats:
    rows = np.frombuffer(data, dtype=np.float64).reshape(-1, width)
    return rows.copy() if len(rows) else np.zeros((1, width))
