"""Anomaly: Half-Space Trees over all fields together.

Every field brings two coordinates: its value against its recent quantiles, and its deviation from the one-step prediction.
Both are scaled so that the bulk lies in the middle half of [0, 1], where the trees look; what lies outside is clipped for
the trees and counted beside them, so an extreme value is never invisible. The sum of both, in logarithms, is weighed
against its own past: row by row, and as a mean over recent rows for stretches where no single row stands out.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from math import log
from typing import Any, Final

from qraft.config.detect import ForestSettings
from qraft.detect.anomaly.tail import Tail
from qraft.detect.backend import HalfSpaceForest, MassForest
from qraft.detect.base import Finding, Judgement
from qraft.detect.evidence import Habit, confidence
from qraft.detect.gate import Gate
from qraft.detect.quantiles import Quantiles
from qraft.detect.report import QUIET, Weight, ranked, short
from qraft.detect.track import Tracks
from qraft.model import PatternType

_SETTLING: Final = 50
"""Rows that only teach the quantiles."""
_CALIBRATION: Final = 100
"""Scores after which a score can be weighed against its past."""
_DEVIATIONS: Final = 3.3
"""Spreads of a normal distribution between its 5 % and 95 % quantiles: makes deviations comparable with values."""
_MOST_OUTSIDE: Final = 20.0
_OUTSIDE_WEIGHT: Final = 3.0
_FLAT_DISTANCE: Final = 3.0
_SMOOTH: Final = 0.125
_RECENT: Final = 8
_LINE: Final = 4.0
"""Rarity worth a confidence of 0.5. Measured on independent noise, random walks and cycles, half-rank rarities from 4 on
come less than once in 10^5 rows, on heavy tails more often."""
_LINE_FIELDS: Final = 0.25
"""Decades more for each tenfold number of fields: the sum over many fields strays further than a tail foretells."""
_STATE_LINE: Final = 1.2
"""Rarity of the recent rows together from which they count as an abnormal stretch."""
_MOST_FIELDS: Final = 128
_NAMED: Final = 5
"""Fields that the states of a finding name."""


Placed = tuple[list[float | None], list[tuple[int, float]]]
"""A row for the trees, and (slot, distance) of each coordinate that lies outside."""


class ForestAnomaly:
    """Scores each row before it is learned; speaks once an incident."""

    name = "forest"
    type: PatternType = "anomaly"

    def __init__(self, settings: ForestSettings, tracks: Tracks) -> None:
        self._tracks = tracks
        self._shape = (settings.trees, settings.height, settings.window, settings.seed)
        self._unit = settings.trees * settings.window
        self._largest = self._unit * (2 ** (settings.height + 1) - 1)
        self._window = settings.window
        self._warmup = _SETTLING + settings.window + _CALIBRATION
        self._forest: MassForest | None = None
        self._in_trees = 0
        self._slots: dict[int, int] = {}
        self._quantiles: list[Quantiles] = []
        self._rows = 0
        self._built = 0
        low, high = -math.log(2 ** (settings.height + 1)), 12.0
        self._tail = Tail(low, high, 250)
        self._stretch = Tail(low, high, 250)
        self._mean = 0.0
        self._recent: deque[tuple[Mapping[str, float], Placed]] = deque(maxlen=_RECENT)
        self._gate = Gate()
        self._habit = Habit()

    def step(self, time_us: int, row: Mapping[str, float], line: float) -> Judgement:  # noqa: ARG002 part of the interface
        """Judges this row; `Tracks.update` must have taken it."""
        self._rows += 1
        forest = self._forest
        if forest is None:
            return self._settle(row)
        if (self._rows - self._built) % self._window == 0 and self._has_new_fields():
            self._build()
            return self._warming()
        placed = self._place(row)
        point, far = placed
        if not forest.full:
            forest.observe(point)
            return self._warming()
        recent = self._recent
        recent.append((row, placed))
        river = forest.observe(point)
        score = log(self._unit / ((1.0 - river) * self._largest))
        if far:
            score += _outside(far)
        seen = self._tail.rows
        mean = self._mean = self._mean + _SMOOTH * (score - self._mean) if seen else score
        alone = self._tail.weigh(score)
        together = self._stretch.weigh(mean)
        if seen < _CALIBRATION:
            return self._warming()
        return QUIET if alone == 0.0 and together == 0.0 else self._judge(line, alone, together, river)

    def _judge(self, line: float, alone: float, together: float, river: float) -> Judgement:
        state = confidence(together, _STATE_LINE)
        level = max(alone, together)
        now = self._tracks.row
        point = self._recent[-1][1][0]
        if point.count(None) == len(point):
            return Judgement(0.0, state, 1.0, None)
        if self._gate.holds(now, level):
            return Judgement(0.0, state, 1.0, None)
        demand = self._habit.demand(now)
        onset = confidence(level, _LINE + _LINE_FIELDS * math.log10(self._in_trees) + demand)
        if onset < line:
            return Judgement(onset, state, 1.0, None)
        metrics = {
            "score": river,
            "outside": sum(amount for _, amount in self._recent[-1][1][1]),
            "decades": level,
            "decades_row": alone,
            "decades_recent": together,
            "habit_decades": demand,
        }
        finding = self._finding(self._recent_rows(alone, together), metrics)
        self._gate.alert(now, level)
        self._habit.note(now)
        return Judgement(onset, state, 1.0, finding)

    def _settle(self, row: Mapping[str, float]) -> Judgement:
        self._place(row)
        if self._rows >= _SETTLING:
            self._build()
        return self._warming()

    def _build(self) -> None:
        """Makes trees for the fields that are followed now; they start empty."""
        slots: dict[int, int] = {}
        quantiles: list[Quantiles] = []
        for track in self._tracks.by_name.values():
            old = self._slots.get(track.index)
            if old is not None:
                slots[track.index] = len(quantiles)
                quantiles.append(self._quantiles[old])
        self._slots, self._quantiles = slots, quantiles
        self._forest = HalfSpaceForest(2 * len(slots), *self._shape) if slots else None
        self._in_trees = len(slots)
        self._recent.clear()
        self._built = self._rows

    def _has_new_fields(self) -> bool:
        return any(quantiles.seen >= _SETTLING for quantiles in self._quantiles[self._in_trees :])

    def _warming(self) -> Judgement:
        done = self._rows if self._tail.rows == 0 else self._warmup - max(_CALIBRATION - self._tail.rows, 0)
        return (
            QUIET if done >= self._warmup and self._tail.rows else Judgement(0.0, 0.0, min(done / self._warmup, 0.99), None)
        )

    def _place(self, row: Mapping[str, float]) -> Placed:
        """The row in the trees' unit cube, and how far each field lies outside; the quantiles learn it."""
        point: list[float | None] = [None] * (2 * self._in_trees)
        far: list[tuple[int, float]] = []
        slots = self._slots
        for track, x in zip(self._tracks.active, row.values(), strict=True):
            slot = slots.get(track.index)
            if slot is None:
                slot = self._slot(track.index)
                if slot is None:
                    continue
            quantiles = self._quantiles[slot]
            if slot < self._in_trees:
                width = quantiles.width
                at = (x - quantiles.mid) / width if width > 0.0 else _flat(x - quantiles.mid)
                if -1.0 <= at <= 1.0:
                    point[2 * slot] = 0.5 + 0.5 * at
                else:
                    point[2 * slot] = 1.0 if at > 0.0 else 0.0
                    far.append((slot, min(abs(at) - 1.0, _MOST_OUTSIDE)))
                width = track.scale * _DEVIATIONS
                at = track.error / width if width > 0.0 else _flat(track.error)
                if -1.0 <= at <= 1.0:
                    point[2 * slot + 1] = 0.5 + 0.5 * at
                else:
                    point[2 * slot + 1] = 1.0 if at > 0.0 else 0.0
                    far.append((slot, min(abs(at) - 1.0, _MOST_OUTSIDE)))
            quantiles.add(x)
        return point, far

    def _slot(self, index: int) -> int | None:
        if len(self._quantiles) >= _MOST_FIELDS:
            return None
        slot = self._slots[index] = len(self._quantiles)
        self._quantiles.append(Quantiles())
        return slot

    def _recent_rows(self, alone: float, together: float) -> list[tuple[Mapping[str, float], Placed]]:
        """The rows a finding is about: the last alone, or the stretch that stands out as a whole."""
        return list(self._recent)[-1:] if alone >= together else list(self._recent)

    def _finding(self, rows: list[tuple[Mapping[str, float], Placed]], metrics: dict[str, float]) -> Finding:
        weights: dict[str, Weight] = {}
        usual: dict[str, Any] = {}
        seen: dict[str, Any] = {}
        forest = self._forest
        slots = self._slots
        names = {slots[track.index]: name for name, track in self._tracks.by_name.items() if track.index in slots}
        for slot in range(self._in_trees):
            name = names.get(slot)
            values = [row[name] for row, _ in rows if name in row] if name is not None else []
            if name is None or not values or forest is None:
                continue
            quantiles = self._quantiles[slot]
            after = sum(values) / len(values)
            evidence = sum(self._share(forest, placed, slot) for _, placed in rows)
            weights[name] = Weight(evidence, quantiles.mid, after)
            usual[name] = {"mean": quantiles.mid, "low": quantiles.low, "high": quantiles.high}
            seen[name] = {"mean": after}
        contributors = ranked(weights)
        named = [contributor.field for contributor in contributors[:_NAMED]]
        lead = named[0]
        low, high = usual[lead]["low"], usual[lead]["high"]
        now = seen[lead]["mean"]
        prev: dict[str, Any] = {"label": f"{lead} {short(low)} to {short(high)}", "n": self._tail.rows}
        new: dict[str, Any] = {"label": f"{lead} {short(now)}", "n": len(rows)}
        prev["fields"] = {name: usual[name] for name in named}
        new["fields"] = {name: seen[name] for name in named}
        return Finding(prev, new, contributors, self._summary(lead, len(rows), usual[lead], now), metrics)

    def _share(self, forest: MassForest, placed: Placed, slot: int) -> float:
        """How much less lonely the row would be with this field at its usual value and step."""
        point, far = placed
        if point[2 * slot] is None:
            return 0.0
        typical = [*point[: 2 * slot], 0.5, 0.5, *point[2 * slot + 2 :]]
        change = math.log((1.0 - forest.score(typical)) / (1.0 - forest.score(point)))
        change += _outside(far) - _outside([item for item in far if item[0] != slot])
        return max(change, 0.0)

    def _summary(self, lead: str, rows: int, usual: Mapping[str, float], now: float) -> str:
        track = self._tracks.by_name[lead]
        when = "" if rows == 1 else f" over the last {rows} rows"
        if usual["low"] <= now <= usual["high"] and rows == 1:
            expected = f"off by {short(abs(track.error))} from what was expected (usually {short(track.scale)})"
            return f"{lead} is {short(now)}, {expected}"
        return f"{lead} is {short(now)}{when}, usually {short(usual['low'])} to {short(usual['high'])}"


def _outside(far: list[tuple[int, float]]) -> float:
    return _OUTSIDE_WEIGHT * sum([amount for _, amount in far])


def _flat(distance: float) -> float:
    """Distance from a field that has been constant: any is far."""
    return 0.0 if distance == 0.0 else math.copysign(_FLAT_DISTANCE, distance)
