"""Cluster change: the groups of an entity's last rows against those of the time before."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from typing import Any, Final, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from qraft.config.detect import ClusterSettings
from qraft.detect.base import Finding, Judgement
from qraft.detect.clusters.chance import Move, Occupancy, common_move, move_test, moved_from, occupancy_test, onset_of
from qraft.detect.clusters.groups import Floats, Groups, Ints, grains_of, groups_of, labelled, scale_of, scaled
from qraft.detect.clusters.kind import Change, change_of, matched
from qraft.detect.clusters.tell import Told, finding_of
from qraft.detect.clusters.window import Window
from qraft.detect.evidence import Habit, confidence, effect_confidence
from qraft.detect.report import QUIET
from qraft.detect.track import Tracks
from qraft.model import PatternType

_BLOCKS: Final = 4
"""Blocks of the current window; the tests are made at the end of each."""
_REFERENCE: Final = 4
"""Windows before it, at most."""
_GUARD: Final = 1
"""Windows between, where there are enough: a change stays out of the reference while it is weighed."""
_PURE: Final = 0.7
"""A change is told once it is there for so many windows, so that its kind can be seen."""
_LEAST_SHARE: Final = 0.2
"""Least share of the rows that must have changed group, where the groups are the same."""
_LEAST_GROUP: Final = 0.06
"""The same where a group came or went."""
_LEAST_MOVE: Final = 1.0
"""Least move of a centre, in spreads within the group."""
_USUAL: Final = 0.4
_USUAL_MEMORY: Final = 16
_USUAL_CAP: Final = 8.0


class _Known(NamedTuple):
    """Groups of the reference in the fields' own units, their shares there, and the fields' range: middle and half width."""

    names: list[str]
    centres: Floats
    spreads: Floats
    middle: Floats
    width: Floats
    grains: Floats


class _View(NamedTuple):
    """Reference and current rows on one scale, the old groups on it, and what the fields are.

    ``common``: by how much all groups moved alike, which is taken off the rows of the current window.
    """

    names: list[str]
    rows: Floats
    middle: Floats
    width: Floats
    centres: Floats
    spreads: Floats
    grains: Floats
    reference: int
    common: Floats


class ClusterChange:
    """Compares, block by block, the groups of the last window with those of up to four windows before it.

    Where both are one group there is nothing to say: a level that moves is drift. What chance does is taken from the stream:
    how long rows stay in a group, how its blocks differ, and how rare the rarest block of late was. After a finding the
    stream starts anew with the rows since the change. State: 10 kB a field (1,250 rows) for the default window of 200,
    64 fields at most; the tests begin after two windows.
    """

    name = "clusters"
    type: PatternType = "cluster_change"

    def __init__(self, settings: ClusterSettings, tracks: Tracks) -> None:
        self._tracks = tracks
        self._most = settings.clusters
        self._window = settings.window
        self._length = max(settings.window // _BLOCKS, 1)
        self._line = -math.log10(settings.significance)
        self._size = settings.window * (1 + _GUARD + _REFERENCE)
        self._past = Window(self._size, self._length)
        self._fill = 0
        self._warm = False
        self._known: _Known | None = None
        self._age = 0
        self._usual = _USUAL
        self._pending: deque[float] = deque(maxlen=_BLOCKS)
        self._habit = Habit()

    def step(self, time_us: int, row: Mapping[str, float], line: float) -> Judgement:
        """Takes a row; at the end of a block, tests."""
        past = self._past
        past.add(time_us, row)
        self._fill += 1
        if self._fill >= self._length:
            self._fill = 0
            if len(past) >= 2 * self._window:
                return self._test(line)
        if self._warm or len(past) >= 2 * self._window:
            self._warm = True
            return QUIET
        return Judgement(0.0, 0.0, min(len(past) / (2 * self._window), 0.99), None)

    def _test(self, line: float) -> Judgement:
        known = self._reference()
        if known is None:
            return QUIET
        view = self._view(known)
        reference = view.reference
        now = groups_of(view.rows[-self._window :], self._most, view.grains)
        if len(known.centres) == 1 and len(now.shares) == 1:
            self._learn(0.0)
            return QUIET
        same = matched(view.centres, view.spreads, now.centres, now.spreads, np.maximum(now.shares * self._window, 1.0))
        labels, number = _cells(view, now, same)
        occupancy = occupancy_test(_without_guard(labels, reference, self._window), number, reference, self._length)
        move = _NO_MOVE
        if len(known.centres) > 1:
            own = labels if number == len(known.centres) else labelled(view.rows, view.centres, view.spreads)
            own = _without_guard(own, reference, self._window)
            rows = _without_guard(view.rows, reference, self._window)
            move = move_test(rows, own, len(known.centres), reference, self._length)
        demand = self._line + 2.0 * self._usual + self._habit.demand(self._tracks.row)
        least = _LEAST_SHARE if number == len(known.centres) and not _any_gone(occupancy) else _LEAST_GROUP
        shares = min(confidence(occupancy.decades, demand), effect_confidence(occupancy.moved_share, least))
        moves = min(confidence(move.decades, demand), effect_confidence(abs(move.distance), _LEAST_MOVE))
        onset = max(shares, moves)
        self._learn(max(occupancy.decades, move.decades))
        if onset < line:
            return Judgement(onset, 0.0, 1.0, None)
        finding = self._finding(view, labels, occupancy, move if moves > shares else None, shares >= line)
        if finding is None:
            return QUIET
        self._habit.note(self._tracks.row)
        return Judgement(onset, 0.0, 1.0, finding)

    def _learn(self, decades: float) -> None:
        """What the tests usually say of this stream, as of a window ago."""
        if len(self._pending) == _BLOCKS:
            self._usual += (self._pending[0] - self._usual) / _USUAL_MEMORY
        self._pending.append(min(decades, _USUAL_CAP))

    def __getstate__(self) -> dict[str, Any]:
        known = self._known
        packed = None if known is None else (known.names, [(one.tobytes(), one.shape) for one in known[1:]])
        return {**self.__dict__, "_known": packed}

    def __setstate__(self, state: dict[str, Any]) -> None:
        packed = state.pop("_known")
        self.__dict__.update(state)
        self._known = None
        if packed is not None:
            names, arrays = packed
            self._known = _Known(names, *(np.frombuffer(data).reshape(shape) for data, shape in arrays))

    def _reference(self) -> _Known | None:
        """The groups of the rows before the current window, looked for once in two windows."""
        past = self._past
        rows = past.rows[-self._size :]
        before, now = rows[: self._before(len(rows))], rows[-self._window :]
        here = [
            at
            for at in range(len(past.names))
            if 2 * np.count_nonzero(before[:, at] == before[:, at]) >= len(before)
            and 2 * np.count_nonzero(now[:, at] == now[:, at]) >= len(now)
        ]
        if not here:
            return None
        names = [past.names[at] for at in here]
        known = self._known
        self._age += 1
        if known is None or known.names != names or self._age >= 2 * _BLOCKS:
            chosen = before[:, here]
            middle, width = scale_of(chosen)
            grains = grains_of(rows[:, here])
            groups = groups_of(scaled(chosen, middle, width), self._most, grains / width)
            known = _Known(names, middle + width * groups.centres, width * groups.spreads, middle, width, grains)
            self._known = known
            self._age = 0
        return known

    def _before(self, rows: int) -> int:
        """Rows of the reference, of so many."""
        most = rows - self._window
        return max(min(most, 2 * self._window), most - _GUARD * self._window)

    def _view(self, known: _Known) -> _View:
        past = self._past
        column = {name: at for at, name in enumerate(past.names)}
        rows = past.rows[-self._size :, [column[name] for name in known.names]]
        middle, width = scale_of(rows[-self._window :])
        low = np.minimum(middle - width, known.middle - known.width)
        high = np.maximum(middle + width, known.middle + known.width)
        middle, width = 0.5 * low + 0.5 * high, np.maximum(0.5 * high - 0.5 * low, 1e-99)
        centres, spreads = (known.centres - middle) / width, np.maximum(known.spreads / width, 1e-6)
        values = scaled(rows, middle, width)
        common = np.zeros(len(middle))
        if len(centres) > 1:
            labels = labelled(values, centres, spreads)
            common = common_move(values, labels, len(centres), len(values) - self._window)
            values[-self._window :] -= common
        return _View(
            known.names, values, middle, width, centres, spreads, known.grains / width, self._before(len(rows)), common
        )

    def _finding(self, view: _View, labels: Ints, occupancy: Occupancy, move: Move | None, sure: bool) -> Finding | None:
        """What the rows since the change say of it; None while they are too few, or where they are one group as before.

        ``move`` is given where it is the stronger evidence, ``sure`` tells whether that of the shares is enough as well:
        without it, no group came or went.
        """
        size = len(view.rows)
        first = max(min(view.reference, size - 2 * self._window), self._length)
        if move is None:
            began = onset_of(labels, occupancy.before, occupancy.now, first)
        else:
            own = labelled(view.rows, view.centres, view.spreads) == move.group
            values = view.rows[:, move.field]
            before, now = slice(view.reference), slice(size - self._window, size)
            level, moved = (float(np.nanmean(values[part][own[part]])) for part in (before, now))
            began = moved_from(values, own, level, moved, first)
        if size - began < _PURE * self._window:
            return None
        groups = groups_of(view.rows[began:], self._most, view.grains)
        if len(view.centres) == 1 and len(groups.shares) == 1:
            return None
        rows = np.maximum(groups.shares * (size - began), 1.0)
        same = matched(view.centres, view.spreads, groups.centres, groups.spreads, rows)
        labels = labelled(view.rows, view.centres, view.spreads)
        number = len(view.centres)
        was = np.bincount(labels[:began], minlength=number) / began
        cells, number = _cells(view, groups, same)
        here = np.bincount(cells[began:], minlength=number) / (size - began)
        change = change_of(same, was, here, groups.shares)
        if move is not None and change.kind != "occupancy" and not sure:
            return None
        if change.kind == "occupancy" and move is not None:
            change = Change("moved", (move.group,), tuple(at for at, old in enumerate(same) if old == move.group))
        if change.kind == "moved" and (not change.new or len(groups.shares) == 1):
            return None  # a stream that moves as one is drift
        told = Told(
            change,
            view.names,
            view.middle,
            view.width,
            view.centres,
            view.spreads,
            was,
            groups,
            here,
            began,
            size - began,
            view.common,
        )
        metrics = {
            "decades_occupancy": occupancy.decades,
            "moved_share": occupancy.moved_share,
            "dispersion": float(occupancy.dispersion.max()),
            "decades_move": move.decades if move is not None else 0.0,
            "move": move.distance if move is not None else 0.0,
            "groups_before": float(len(view.centres)),
            "groups_now": float(len(groups.shares)),
            "usual_decades": self._usual,
        }
        began_us = int(self._past.times[began - size])
        self._past.keep(size - began)
        self._known = None
        self._pending.clear()
        return finding_of(told, view.rows, metrics, began_us)


T = TypeVar("T", bound=np.generic)

_NO_MOVE: Final = Move(0, 0, 0.0, 0.0)


def _without_guard(values: npt.NDArray[T], reference: int, window: int) -> npt.NDArray[T]:
    """The reference and the current window, without what lies between."""
    return values if len(values) == reference + window else np.concatenate([values[:reference], values[-window:]])


def _any_gone(occupancy: Occupancy) -> bool:
    return bool(((occupancy.now < 0.1 * occupancy.before) & (occupancy.before >= _LEAST_GROUP)).any())


def _cells(view: _View, now: Groups, same: list[int]) -> tuple[Ints, int]:
    """Each row's place: the old groups, then those of now that are none of them."""
    fresh = [at for at, old in enumerate(same) if old < 0]
    centres = np.concatenate([view.centres, now.centres[fresh]])
    spreads = np.concatenate([view.spreads, now.spreads[fresh]])
    return labelled(view.rows, centres, spreads), len(centres)
