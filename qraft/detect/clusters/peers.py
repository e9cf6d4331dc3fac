"""Peers: the entities of a source clustered among each other; who left its group."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from qraft.config.detect import PeersSettings
from qraft.detect.base import Finding, Judgement
from qraft.detect.clusters.features import KEPT, features_of, middles
from qraft.detect.clusters.groups import Floats, groups_of_peers, scale_of, scaled
from qraft.detect.clusters.peers_tell import Leaver, Scene, finding_of, nearest
from qraft.detect.evidence import LINE_DECADES, Habit, confidence, effect_confidence, normal_decades
from qraft.detect.report import QUIET
from qraft.model import PatternType

MAX_FIELDS: Final = 16
"""Fields that peers are compared by: the first ones seen."""
_ROWS: Final = 20
"""Rows of an entity in a window of automatic length, on average."""
_FEW: Final = 6
"""Below so many, an automatic window doubles."""
_LATE: Final = 3
"""Windows over which a deviation must hold: their median counts."""
_AGE: Final = 8
"""Windows of an entity before it may leave."""
_MEMORY: Final = 24.0
_PRIOR: Final = 4.0
"""An entity's own straying counts beside its peers' as if that came from so many windows; a group's spread beside
that of all."""
_CUT: Final = 3.0
_EFFECT: Final = 3.0
"""Least distance from the peers, and least change of it, in spreads among them."""
_LEVEL_FLOOR: Final = 0.003
_ROW_FLOOR: Final = 0.25
_LOG_FLOOR: Final = 0.15
"""Differences that never matter: of a level, relative to it and to the rows' own spread (their inner half); of a spread
or a rate, in logs."""
_MOST_GROUPS: Final = 12
_SURE: Final = 0.5
"""Confidence from which an entity counts as gone."""

Flags = npt.NDArray[np.bool_]


class _Waiting(NamedTuple):
    """What is to be told at an entity's next row."""

    onset: float
    finding: Finding


class Peers:
    """Compares the entities of one source, once a window of event time.

    Each is a vector: the median and spread of each field over its last 16 values of the window, and its rate of rows. What
    counts is the distance from the median of its group, against how far that strayed by itself in the windows before: what
    moves all of a group alike is none of its members' leaving. A finding is raised at the next row of the entity that left.
    State: 270 bytes a field and entity; `MAX_FIELDS` fields. The work is done at a window's end: 7 to 10 ms for 1000
    entities of 8 fields.
    """

    name = "peers"
    type: PatternType = "cluster_change"

    def __init__(self, settings: PeersSettings) -> None:
        self._least = settings.min_entities
        self._auto = settings.window_seconds == 0.0
        self._length = round(settings.window_seconds * 1e6)
        self._start: int | None = None
        self._newest = 0
        self._taken = 0
        self._windows = 0
        self._fields: list[str] = []
        self._last: tuple[str, ...] = ()
        self._at: list[int] = []
        self._slots: dict[str, int] = {}
        self._free: list[int] = []
        self._arrays = _made(0, 0)
        self._waiting: dict[str, _Waiting] = {}
        self._habit = Habit()

    def step(self, entity: str, time_us: int, row: Mapping[str, float], line: float) -> Judgement:
        """Takes a row of an entity; at a window's end, compares."""
        if self._start is None:
            self._start = self._newest = time_us
        self._newest = max(self._newest, time_us)
        if self._length == 0:
            self._learn_length()
        elif self._newest >= self._start + self._length:
            self._close()
        self._take(entity, row)
        if not self._waiting:
            return QUIET
        waiting = self._waiting.pop(entity, None)
        if waiting is None:
            return QUIET
        return Judgement(waiting.onset, 0.0, 1.0, waiting.finding if waiting.onset >= line else None)

    def forget(self, entity: str) -> None:
        """Lets an entity go."""
        slot = self._slots.pop(entity, None)
        self._waiting.pop(entity, None)
        if slot is not None:
            self._free.append(slot)
            for name, array in self._arrays.items():
                array[slot] = _EMPTY.get(name, 0)

    def _take(self, entity: str, row: Mapping[str, float]) -> None:
        slot = self._slots.get(entity)
        if slot is None:
            slot = self._slot(entity)
        names = tuple(row)
        if names != self._last:
            self._change(names)
        arrays = self._arrays
        arrays["rows"][slot] += 1
        self._taken += 1
        seen, values = arrays["seen"][slot], arrays["values"][slot]
        for column, value in zip(self._at, row.values(), strict=True):
            if column >= 0:
                number = seen[column]
                values[column, number % KEPT] = value
                seen[column] = number + 1

    def _slot(self, entity: str) -> int:
        if not self._free:
            room = len(self._arrays["rows"])
            self._resize(max(2 * room, 16), len(self._fields))
            self._free = list(range(max(2 * room, 16) - 1, room - 1, -1))
        slot = self._slots[entity] = self._free.pop()
        return slot

    def _change(self, names: tuple[str, ...]) -> None:
        new = [name for name in names if name not in self._fields]
        if new and len(self._fields) < MAX_FIELDS:
            self._fields += new[: MAX_FIELDS - len(self._fields)]
            self._resize(len(self._arrays["rows"]), len(self._fields))
        known = {name: at for at, name in enumerate(self._fields)}
        self._at = [known.get(name, -1) for name in names]
        self._last = names

    def _resize(self, room: int, fields: int) -> None:
        """The same arrays with more room. Features are: levels, spreads, rate."""
        old, self._arrays = self._arrays, _made(room, fields)
        was = old["seen"].shape[1]
        places = [*range(was), *range(fields, fields + was), 2 * fields]
        for name, array in old.items():
            here = self._arrays[name]
            if array.ndim == 1:
                here[: len(array)] = array
            elif name in {"seen", "values"}:
                here[: len(array), :was] = array
            else:
                here[: len(array), ..., places] = array

    def _learn_length(self) -> None:
        """An automatic window is as long as it takes for twenty rows an entity."""
        assert self._start is not None  # the caller has set it
        number = len(self._slots)
        if number >= self._least and self._taken >= _ROWS * number and self._newest > self._start:
            self._length = self._newest - self._start
            self._close()

    def _close(self) -> None:
        """Ends the window and begins the one that holds the newest row."""
        assert self._start is not None  # the caller has set it
        arrays = self._arrays
        rows = arrays["rows"]
        active = rows > 0
        number = int(active.sum())
        enough = number >= self._least
        if enough:
            self._windows += 1
            self._compare(features_of(arrays["values"], arrays["seen"], rows))
        if self._auto and enough and float(np.median(rows[active])) < _FEW:
            self._length *= 2
        self._start += (self._newest - self._start) // self._length * self._length
        rows[:] = 0
        arrays["seen"][:] = 0
        self._taken = 0

    def _compare(self, now: Floats) -> None:
        """Judges each entity's distance from its group, then learns it."""
        arrays = self._arrays
        here = ~np.isnan(now[:, -1])
        if self._windows <= _AGE or self._windows % _AGE == 0:
            self._group(now, here)
        here &= arrays["group"] >= 0  # whoever came since groups were made last has none yet
        if not here.any():
            return
        labels = np.where(here, arrays["group"], -1)
        number = int(labels.max()) + 1
        centre, _ = middles(now, labels, number)
        floor = self._floor(now, here)
        late = arrays["late"]
        late[:, :-1] = np.where(here[:, None, None], late[:, 1:], late[:, :-1])
        late[here, -1] = (now - centre[labels])[here]
        away = np.median(late, axis=1)
        sizes = np.bincount(labels[here], minlength=number)
        _, apart = middles(away, labels, number)
        _, among = middles(away, np.where(here, 0, -1), 1)
        apart = (sizes[:, None] * np.nan_to_num(apart) + _PRIOR * np.nan_to_num(among)) / (sizes[:, None] + _PRIOR)
        spread = np.maximum(apart, floor)
        pooled, _ = middles(np.where(arrays["count"] >= _LATE, arrays["square"], np.nan), np.where(here, 0, -1), 1)
        count = arrays["count"]
        usual = (count * arrays["square"] + _PRIOR * np.nan_to_num(pooled)) / (count + _PRIOR)
        off = np.nan_to_num(away - arrays["mean"])
        tested = here[:, None] & (count >= _AGE) & ~np.isnan(away)
        z = np.where(tested, off / np.sqrt(usual + floor**2), 0.0)
        suspects = np.nonzero((np.abs(z) > _CUT).any(axis=1) & (sizes[labels] >= _LATE) & here)[0]
        leavers = []
        for slot in suspects.tolist():
            group = labels[slot]
            onset, lead = self._judged(slot, z[slot], off[slot], np.nan_to_num(away[slot]), spread[group])
            if onset > 0.0:
                leavers.append(Leaver(slot, onset, lead, z[slot] ** 2, nearest(now[slot], group, centre, spread)))
        self._learn(now, away, off, usual, here)
        self._tell(
            leavers,
            Scene(
                {},
                self._fields,
                now,
                now - np.nan_to_num(away) + arrays["mean"],
                labels,
                self._length / 1e6,
                self._start or 0,
            ),
        )

    def _floor(self, now: Floats, here: Flags) -> Floats:
        """What never matters, by feature."""
        fields = len(self._fields)
        middle, _ = middles(np.abs(now), np.where(here, 0, -1), 1)
        floor = np.full(now.shape[1], _LOG_FLOOR)
        spreads, _ = middles(now[:, fields:-1], np.where(here, 0, -1), 1)
        rows = np.exp(np.minimum(np.nan_to_num(spreads[0], nan=-300.0), 300.0))
        floor[:fields] = np.maximum(np.maximum(_LEVEL_FLOOR * np.nan_to_num(middle[0, :fields]), _ROW_FLOOR * rows), 1e-90)
        return floor

    def _group(self, now: Floats, here: Flags) -> None:
        """Finds the groups anew, by what the entities usually are."""
        arrays = self._arrays
        usual = arrays["usual"]
        some = here & ~np.isnan(usual[:, -1]) if self._windows > 1 else here
        vectors = np.where(np.isnan(usual), now, usual)[some]
        if len(vectors) < self._least:
            return
        middle, width = scale_of(vectors)
        vectors = scaled(vectors, middle, width)
        vectors[:, width < _EFFECT * self._floor(now, here)] = 0.0
        labels = groups_of_peers(vectors, _MOST_GROUPS)
        before = arrays["group"].copy()
        arrays["group"][some] = labels
        arrays["group"][~some] = 0
        if self._windows > 1:
            centre, _ = middles(now, np.where(some, arrays["group"], -1), int(labels.max()) + 1)
            old, _ = middles(now, np.where(some, before, -1), int(before.max()) + 1)
            moved = np.nan_to_num(centre[arrays["group"]] - old[before])
            arrays["mean"][some] -= moved[some]  # the same place, seen from another group
            arrays["late"][some] -= moved[some][:, None, :]

    def _judged(self, slot: int, z: Floats, off: Floats, away: Floats, spread: Floats) -> tuple[float, int]:
        """Confidence that the entity at a slot left its group, and the feature that says so most."""
        arrays = self._arrays
        best, lead = 0.0, 0
        demand = LINE_DECADES + self._habit.demand(self._windows) + math.log10(len(z))
        far = np.minimum(np.maximum(np.abs(away), np.abs(arrays["mean"][slot])), np.abs(off)) / spread
        for at in np.nonzero(np.abs(z) > _CUT)[0].tolist():
            decades = normal_decades(float(abs(z[at])), max(float(arrays["count"][slot, at]) - 1.0, 3.0))
            onset = min(confidence(decades, demand), effect_confidence(float(far[at]), _EFFECT))
            if onset > best:
                best, lead = onset, at
        return best, lead

    def _learn(self, now: Floats, away: Floats, off: Floats, usual: Floats, here: Flags) -> None:
        """Where each entity usually stands, and how far it strays from there; wild steps count as large ones."""
        arrays = self._arrays
        known = here[:, None] & ~np.isnan(away)
        count = arrays["count"]
        first = known & (count == 0.0)
        later = known & ~first
        arrays["mean"][first] = away[first]
        count[known] += 1.0
        rate = np.maximum(1.0 / np.maximum(count, 1.0), 1.0 / _MEMORY)
        limit = np.where(count > _AGE, _CUT * np.sqrt(usual), np.inf)
        step = np.clip(np.where(later, off, 0.0), -limit, limit)
        arrays["mean"] += rate * step
        arrays["square"] += np.where(later, rate * (step * step - arrays["square"]), 0.0)
        where = arrays["usual"]
        new = np.isnan(where)
        where[new] = now[new]
        arrays["usual"] += np.where(np.isnan(now), 0.0, 0.2 * np.nan_to_num(now - where))

    def _tell(self, leavers: list[Leaver], scene: Scene) -> None:
        """One finding for those that left together, once the first of them has been away for one window more."""
        arrays = self._arrays
        strong = [one for one in leavers if one.onset >= _SURE]
        held = arrays["held"]
        gone = np.zeros(len(held), np.bool_)
        gone[[one.slot for one in strong]] = True
        held[:] = np.where(gone, held + 1, 0)
        names = {slot: name for name, slot in self._slots.items()} if leavers else {}
        self._waiting = {name: one for name, one in self._waiting.items() if one.finding is not _NOTHING}
        if not any(held[one.slot] >= 2 for one in strong):
            for one in leavers:
                if one.onset < _SURE:
                    self._waiting.setdefault(names[one.slot], _Waiting(one.onset, _NOTHING))
            return
        strong.sort(key=lambda one: (-float(one.evidence[one.lead]), one.slot))
        began = scene.began_us - 2 * self._length
        finding = finding_of(strong, scene._replace(names=names, began_us=began))
        self._waiting[names[strong[0].slot]] = _Waiting(strong[0].onset, finding)
        self._habit.note(self._windows)
        for one in strong:
            for name in ("count", "mean", "held"):
                arrays[name][one.slot] = 0
            arrays["late"][one.slot] = np.nan
            arrays["usual"][one.slot] = scene.now[one.slot]
            if one.joined >= 0:
                arrays["group"][one.slot] = one.joined

    def __getstate__(self) -> dict[str, Any]:
        packed = {name: (array.tobytes(), array.shape) for name, array in self._arrays.items()}
        return {**self.__dict__, "_arrays": packed}

    def __setstate__(self, state: dict[str, Any]) -> None:
        packed = state.pop("_arrays")
        self.__dict__.update(state)
        self._arrays = {
            name: np.frombuffer(data, _TYPES.get(name, np.float64)).reshape(shape).copy()
            for name, (data, shape) in packed.items()
        }


_NOTHING: Final = Finding({}, {}, (), "")
_TYPES: Final[dict[str, Any]] = {"rows": np.int64, "seen": np.int64, "held": np.int64, "group": np.int64}
_EMPTY: Final = {"late": np.nan, "usual": np.nan}


def _made(room: int, fields: int) -> dict[str, npt.NDArray[Any]]:
    """Empty arrays. By entity: rows of the window, values and how many were seen by field, windows it has been gone for,
    group. By feature: the last distances from the group, the usual one, its variance, and how many windows these come from.
    """
    features = 2 * fields + 1
    return {
        "rows": np.zeros(room, np.int64),
        "seen": np.zeros((room, fields), np.int64),
        "values": np.zeros((room, fields, KEPT)),
        "held": np.zeros(room, np.int64),
        "group": np.zeros(room, np.int64),
        "late": np.full((room, _LATE, features), np.nan),
        "usual": np.full((room, features), np.nan),
        "mean": np.zeros((room, features)),
        "square": np.zeros((room, features)),
        "count": np.zeros((room, features)),
    }
