"""All fields of an entity in flat arrays: which field has which place, and what the compiled judge says of a row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import numpy as np

from qraft.detect.anomaly import joint_kernel as at
from qraft.detect.anomaly.joint_extremes import Extremes
from qraft.detect.anomaly.joint_kernel import Floats
from qraft.detect.track import Tracks

MAX_FIELDS: Final = 128
"""Fields that are followed together; a new one takes the place of one long gone, or is not followed."""

_FORGOTTEN: Final = 1000
"""Rows after which a missing field gives its place away."""
_LOOK: Final = 64
_ADOPTED_AGE: Final = 128.0
"""Age of a reference that has just been taken from the recent rows."""
_FIRST: Final = 4


class Reading(NamedTuple):
    """A field's evidence, and its values before and after in its own units, with the usual spread of before."""

    evidence: float
    before: float
    after: float
    spread: float


class Fields:
    """The state of the compiled judge.

    ``out``, ``point``, ``score``, ``decades`` and ``extreme`` are of the row judged last, ``x`` is that row by slot (NaN
    where a field is missing).
    A field takes 4.5 kB, and 16 bytes for each place there is: 6.5 kB at most.
    """

    def __init__(self, tracks: Tracks) -> None:
        self._tracks = tracks
        self._active: list[Any] | None = None
        self.names: list[str] = []
        self._here: list[int] = []
        self._all = True
        self._seen: dict[str, int] = {}
        self._unplaced = False
        self._totals = np.zeros(at.TOTALS)
        self._totals[at.FREEDOM] = self._totals[at.SURPRISE] = 1.0
        self._fields, self._ladders, self._links = _fresh(_FIRST)
        self.x, self.point = np.full((2, _FIRST), np.nan)
        self.out = np.zeros((_FIRST + 1, at.OUT_COLUMNS))
        self._extremes = Extremes()
        self.extreme = 0.0

    @property
    def score(self) -> float:
        """How far the row lies from what was expected of it, in logarithms over all fields."""
        return float(self._totals[at.SCORE])

    @property
    def peak(self) -> float:
        """Rarity of the largest part of one field in that, by the fields' tails alone, in nats."""
        return float(self._totals[at.PEAK])

    @property
    def decades(self) -> float:
        """Rarity of the recent rows together, against the reference."""
        return float(self._totals[at.DECADES])

    @property
    def settled(self) -> int:
        """Fields of the row that have been seen often enough to be judged."""
        return int(self._totals[at.SETTLED])

    def judge(self, row: Mapping[str, float]) -> None:
        """Judges one row and learns it; `Tracks.update` must have taken it."""
        tracks = self._tracks
        if tracks.active is not self._active or (self._unplaced and tracks.row % _LOOK == 0):
            self._place(list(row))
            self._active = tracks.active
        if self._all:
            self.x[: len(row)] = list(row.values())
        else:
            values = list(row.values())
            for slot, value in zip(self._here, values, strict=True):
                if slot >= 0:
                    self.x[slot] = value
        at.judge(self.x, self._fields, self._ladders, self._links, self.out, self.point, self._totals)
        self.extreme = self._extremes.weigh(self.x)

    def adopt(self) -> None:
        """Takes the recent rows as the new reference of every field."""
        self._fields[:, at.REFERENCE] = self._fields[:, at.RECENT]
        self._fields[:, at.AGE] = np.minimum(self._fields[:, at.AGE], _ADOPTED_AGE)

    def row_readings(self) -> dict[str, Reading]:
        """What each field brings to the score of this row: exact, for the score is a sum."""
        return {name: self._row_reading(slot) for slot, name in self._present()}

    def stretch_readings(self) -> dict[str, Reading]:
        """What each field brings to the rarity of the recent rows: exact, for their squares are a sum."""
        readings = {}
        for slot, name in self._present():
            field = self._fields[slot]
            deviation = float(self.out[slot, at.STRETCH])
            before, after = (self._unscaled(slot, float(field[column])) for column in (at.REFERENCE, at.RECENT))
            readings[name] = Reading(deviation * deviation, before, after, self._size(slot, float(field[at.SPREAD])))
        return readings

    def _row_reading(self, slot: int) -> Reading:
        field = self._fields[slot]
        evidence = float(self.out[slot, at.PART] + self.out[slot, at.PART_REST])
        before = self._unscaled(slot, float(field[at.EXPECTED]))
        return Reading(max(evidence, 0.0), before, float(self.x[slot]), self._size(slot, float(field[at.STEP])))

    def residual_share(self, name: str) -> float:
        """How much of the field's part in the row's score is what the other fields do not explain, in [0, 1]."""
        parts = self.out[self.names.index(name), at.PART : at.PART_REST + 1].clip(0.0)
        total = float(parts.sum())
        return float(parts[1]) / total if total > 0.0 else 0.0

    def _present(self) -> list[tuple[int, str]]:
        return [(slot, name) for slot, name in enumerate(self.names) if not np.isnan(self.x[slot])]

    def _unscaled(self, slot: int, value: float) -> float:
        field = self._fields[slot]
        unit = float(field[at.UNIT]) or 1.0
        return _finite(float(field[at.ORIGIN]) + _finite(value * unit))

    def _size(self, slot: int, value: float) -> float:
        return _finite(value * float(self._fields[slot, at.UNIT]))

    def _place(self, names: list[str]) -> None:
        """Gives each name a slot, as far as there are any, and finds the slots of this row."""
        row = self._tracks.row
        for slot in self._here:
            if slot >= 0:
                self._seen[self.names[slot]] = row - 1
        places = {name: slot for slot, name in enumerate(self.names)}
        here = set(names)
        for name in names:
            if name in places:
                continue
            slot = self._free(row, here)
            if slot >= 0:
                if slot < len(self.names):
                    del places[self.names[slot]], self._seen[self.names[slot]]
                    self.names[slot] = name
                    self._clear(slot)
                else:
                    self.names.append(name)
                places[name] = slot
                self._seen[name] = row
        self._here = [places.get(name, -1) for name in names]
        self._unplaced = -1 in self._here
        self.x[:] = np.nan
        self._all = self._here == list(range(len(names)))

    def _free(self, row: int, here: set[str]) -> int:
        if len(self.names) < MAX_FIELDS:
            if len(self.names) == len(self.x):
                self._grow(min(2 * len(self.x), MAX_FIELDS))
            return len(self.names)
        gone = [(seen, name) for name, seen in self._seen.items() if row - seen > _FORGOTTEN and name not in here]
        return self.names.index(min(gone)[1]) if gone else -1

    def _clear(self, slot: int) -> None:
        self._extremes.forget(slot)
        self._fields[slot] = _FRESH_FIELD
        self._ladders[slot] = _FRESH_RUNG
        for links in self._links:
            links[slot] = links[:, slot] = 0.0
            links[slot, slot] = 1.0

    def _grow(self, places: int) -> None:
        """Makes room for so many fields; what is known moves over."""
        fields, ladders, links = _fresh(places)
        known = len(self.x)
        fields[:known], fields[-1] = self._fields[:-1], self._fields[-1]
        ladders[:known], ladders[-1] = self._ladders[:-1], self._ladders[-1]
        links[:, :known, :known] = self._links
        self._fields, self._ladders, self._links = fields, ladders, links
        self.x, self.point = np.full((2, places), np.nan)
        self.out = np.zeros((places + 1, at.OUT_COLUMNS))

    def __getstate__(self) -> dict[str, Any]:
        state = dict(self.__dict__)
        for name in _ARRAYS:
            state[name] = state[name].tobytes()
        state["_active"] = None
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        places = len(state["x"]) // 8
        for name, shape in _ARRAYS.items():
            flat: Floats = np.frombuffer(state[name], np.float64).copy()
            self.__dict__[name] = flat.reshape([places + extra if plus else extra for plus, extra in shape])


_FRESH_FIELD: Final = np.zeros(at.FIELD_COLUMNS)
_FRESH_FIELD[at.REST] = 1.0
_FRESH_FIELD[[at.EXCESS, at.EXCESS_REST]] = at.NORMAL_EXCESS
_FRESH_FIELD[[at.EXCESS_SQUARE, at.EXCESS_SQUARE_REST]] = at.NORMAL_EXCESS_SQUARE
_FRESH_RUNG: Final = np.array([0.0, 0.0, np.nan, np.nan])
_ARRAYS: Final[dict[str, tuple[tuple[bool, int], ...]]] = {
    "x": ((True, 0),),
    "point": ((True, 0),),
    "out": ((True, 1), (False, at.OUT_COLUMNS)),
    "_fields": ((True, 1), (False, at.FIELD_COLUMNS)),
    "_ladders": ((True, 1), (False, at.RUNGS), (False, at.RUNG_COLUMNS)),
    "_links": ((False, 2), (True, 0), (True, 0)),
    "_totals": ((False, at.TOTALS),),
}
"""Arrays by attribute; each dimension: whether the number of places is added, and the rest."""


def _fresh(places: int) -> tuple[Floats, Floats, Floats]:
    """Fields, ladders and links for so many fields."""
    fields = np.tile(_FRESH_FIELD, (places + 1, 1))
    ladders = np.tile(_FRESH_RUNG, (places + 1, at.RUNGS, 1))
    return fields, ladders, np.stack([np.eye(places)] * 2)


def _finite(value: float) -> float:
    return min(max(value, -1e308), 1e308)
