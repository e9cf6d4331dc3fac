"""Cluster change: online k-means over all fields; a current window against a reference of what came before."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from qraft.config.detect import ClusterSettings
from qraft.detect.backend import Codebook, OnlineKMeans
from qraft.detect.base import Finding, Judgement
from qraft.detect.clusters.blocks import Block, Move, Occupancy, block_of, merged, move_test, occupancy_test
from qraft.detect.clusters.partition import Scaling, Vector, first_centres
from qraft.detect.evidence import Habit, confidence, effect_confidence
from qraft.detect.report import QUIET, Weight, pair, ranked, short
from qraft.detect.track import Tracks
from qraft.model import PatternType

_CURRENT: Final = 4
"""Blocks of the current window."""
_REFERENCE: Final = 20
_LEARNING: Final = 0.01
"""How far a centre moves towards a row."""
_LEAST_SHARE: Final = 0.2
"""Least share of the rows that must have changed cluster."""
_LEAST_MOVE: Final = 1.0
"""Least move of a centre, in within-cluster spreads."""
_USUAL: Final = 0.4
_USUAL_MEMORY: Final = 16
_USUAL_CAP: Final = 8.0
_NEW: Final = 2.0
"""A centre this many within-cluster radii from every old one is a new cluster."""
_AWAY: Final = 3.0
"""Spreads between a field's reference mean and the centre it was scaled by, from which the scaling is made anew."""
_NAMED: Final = 8
"""Fields that the states of a finding name."""


class _Partition(NamedTuple):
    """What rows are assigned by, and the rows it was made from."""

    scaling: Scaling
    centres: list[Vector]
    labels: list[int]
    vectors: list[Vector]


class ClusterChange:
    """Compares, block by block, the last window of rows with up to five windows before it; after a change it starts anew."""

    name = "clusters"
    type: PatternType = "cluster_change"

    def __init__(self, settings: ClusterSettings, tracks: Tracks) -> None:
        self._tracks = tracks
        self._clusters = settings.clusters
        self._seed = settings.seed
        self._window = settings.window
        self._length = max(settings.window // _CURRENT, 1)
        self._line = -math.log10(settings.significance)
        self._rows: deque[Mapping[str, float]] = deque(maxlen=settings.window)
        self._seen = 0
        self._scaling = Scaling([])
        self._codebook: Codebook | None = None
        self._centres = 0
        self._blocks: deque[Block] = deque(maxlen=_REFERENCE + _CURRENT)
        self._labels: list[int] = []
        self._vectors: list[Vector] = []
        self._usual = _USUAL
        self._pending: deque[float] = deque(maxlen=_CURRENT)
        self._habit = Habit()

    def step(self, time_us: int, row: Mapping[str, float], line: float) -> Judgement:  # noqa: ARG002 part of the interface
        """Assigns this row to a cluster; at the end of a block, tests."""
        self._rows.append(row)
        codebook = self._codebook
        if codebook is None:
            if len(self._rows) == self._window:
                self._adopt(self._partition())
            return self._warming()
        vector = self._scaling.vector(row)
        self._vectors.append(vector)
        self._labels.append(codebook.assign(vector))
        warming = QUIET if self._seen >= 2 * self._window else self._warming()
        if len(self._labels) < self._length:
            return warming
        self._blocks.append(block_of(self._labels, self._vectors, self._centres))
        self._labels, self._vectors = [], []
        if self._stale():
            self._adopt(self._partition())
        elif len(self._blocks) >= 2 * _CURRENT:
            return self._test(line)
        return warming

    def _warming(self) -> Judgement:
        self._seen += 1
        return Judgement(0.0, 0.0, min(self._seen / (2 * self._window), 0.99), None)

    def _partition(self) -> _Partition:
        """Scaling and centres from the last window of rows."""
        scaling = Scaling(self._rows)
        vectors = [scaling.vector(row) for row in self._rows]
        return _Partition(scaling, *first_centres(vectors, self._clusters, self._seed), vectors)

    def _adopt(self, made: _Partition) -> None:
        """Goes on with a new partition; the rows it was made from are the first of the new reference."""
        self._scaling = made.scaling
        self._centres = len(made.centres)
        codebook = self._codebook = OnlineKMeans(made.centres, _LEARNING)
        labels = [codebook.assign(vector) for vector in made.vectors]
        self._blocks.clear()
        for start in range(0, _CURRENT * self._length, self._length):
            end = start + self._length
            self._blocks.append(block_of(labels[start:end], made.vectors[start:end], self._centres))
        self._labels, self._vectors = [], []
        self._pending.clear()

    def _stale(self) -> bool:
        """Whether fields have come or gone."""
        tracks = self._tracks
        names = self._scaling.names
        if any(track.rows >= self._window and track.name not in names for track in tracks.active):
            return True
        return any(tracks.absent(name) >= self._length for name in names)

    def _test(self, line: float) -> Judgement:
        blocks = list(self._blocks)
        reference, current = blocks[:-_CURRENT], blocks[-_CURRENT:]
        before, after = merged(reference), merged(current)
        if any(abs(before.mean(field)) > _AWAY for field in range(len(self._scaling.names))):
            self._adopt(self._partition())
            return QUIET
        occupancy = occupancy_test(reference, before, after)
        move = move_test(reference, current, before, after)
        now = self._tracks.row
        demand = self._line + 2.0 * self._usual + self._habit.demand(now)
        shares = min(confidence(occupancy.decades, demand), effect_confidence(occupancy.moved_share, _LEAST_SHARE))
        moves = min(confidence(move.decades, demand), effect_confidence(abs(move.distance), _LEAST_MOVE))
        onset = max(shares, moves)
        if len(self._pending) == _CURRENT:
            self._usual += (self._pending[0] - self._usual) / _USUAL_MEMORY
        self._pending.append(min(max(occupancy.decades, move.decades), _USUAL_CAP))
        if onset < line:
            return Judgement(onset, 0.0, 1.0, None)
        made = self._partition()
        finding = self._finding(before, after, made, occupancy, move if moves > shares else None)
        self._habit.note(now)
        self._adopt(made)
        return Judgement(onset, 0.0, 1.0, finding)

    def _finding(self, before: Block, after: Block, made: _Partition, occupancy: Occupancy, move: Move | None) -> Finding:
        scaling = self._scaling
        weights = _weights(scaling, before, after, move)
        contributors = ranked(weights)
        named = [scaling.names.index(one.field) for one in contributors[:_NAMED]]
        prev, new = _state(scaling, before, named), _state(scaling, after, named)
        births = self._births(before, made)
        deaths = [
            cluster
            for cluster, (was, now) in enumerate(zip(before.counts, after.counts, strict=True))
            if 20 * was >= before.rows and 10 * now * before.rows < was * after.rows
        ]
        if move is not None or (births and deaths):
            lead = contributors[0]
            was, now = pair(lead.before or 0.0, lead.after or 0.0)
            prev["label"], new["label"] = f"{lead.field} {was}", f"{lead.field} {now}"
            moved = f"cluster {move.cluster + 1}" if move is not None else "a cluster"
            summary = f"{moved} moved: {lead.field} from {was} to {now}"
        elif births:
            place, share = births[0]
            prev["label"], new["label"] = f"{self._centres} clusters", f"a new one with {share:.0%}"
            summary = f"a new cluster holds {share:.0%} of the last {after.rows} rows, near {_place(scaling, place, named)}"
        else:
            gaps = [now / after.rows - was / before.rows for was, now in zip(before.counts, after.counts, strict=True)]
            cluster = max(range(len(gaps)), key=lambda at: (abs(gaps[at]), -at))
            was, now = f"{before.counts[cluster] / before.rows:.0%}", f"{after.counts[cluster] / after.rows:.0%}"
            prev["label"], new["label"] = f"cluster {cluster + 1}: {was}", f"cluster {cluster + 1}: {now}"
            verb = "vanished" if cluster in deaths else "grew" if gaps[cluster] > 0.0 else "shrank"
            centre = [before.mean(field, cluster) for field in range(len(scaling.names))]
            summary = f"cluster {cluster + 1} near {_place(scaling, centre, named)} {verb}: from {was} to {now} of the rows"
        metrics = {
            "g": occupancy.g,
            "dispersion": occupancy.dispersion,
            "decades_occupancy": occupancy.decades,
            "moved_share": occupancy.moved_share,
            "decades_move": move.decades if move is not None else 0.0,
            "move": move.distance if move is not None else 0.0,
            "births": float(len(births)),
            "deaths": float(len(deaths)),
            "usual_decades": self._usual,
        }
        return Finding(prev, new, contributors, summary, metrics)

    def _births(self, before: Block, made: _Partition) -> list[tuple[Vector, float]]:
        """Centres of the last window that are far from every old one, with their share of the rows, largest first.

        Places are in the old scaling.
        """
        scaling = self._scaling
        fields = range(len(scaling.names))
        radius = sum([before.within(field) for field in fields])
        old = [
            [before.mean(field, cluster) for field in fields]
            for cluster, count in enumerate(before.counts)
            if 50 * count >= before.rows
        ]
        births = []
        for number, centre in enumerate(made.centres):
            share = made.labels.count(number) / len(made.labels)
            row = {name: made.scaling.unit(at, centre[at]) for at, name in enumerate(made.scaling.names)}
            place = scaling.vector(row)
            gaps = [sum([(a - b) ** 2 for a, b in zip(place, other, strict=True)]) for other in old]
            if share >= 0.1 and min(gaps) > _NEW * _NEW * radius:
                births.append((place, share))
        births.sort(key=lambda birth: -birth[1])
        return births


def _state(scaling: Scaling, block: Block, named: Sequence[int]) -> dict[str, Any]:
    centres = [
        {scaling.names[at]: scaling.unit(at, block.mean(at, cluster)) for at in named} if count else None
        for cluster, count in enumerate(block.counts)
    ]
    return {"occupancy": [count / block.rows for count in block.counts], "centres": centres, "n": block.rows}


def _place(scaling: Scaling, centre: Sequence[float], named: Sequence[int]) -> str:
    return ", ".join(f"{scaling.names[at]} {short(scaling.unit(at, centre[at]))}" for at in named[:2])


def _weights(scaling: Scaling, before: Block, after: Block, move: Move | None) -> dict[str, Weight]:
    """How far each field went: squared change of its mean and of its log spread; within the one cluster if that moved."""
    weights = {}
    for field, name in enumerate(scaling.names):
        if move is not None:
            was, now = before.mean(field, move.cluster), after.mean(field, move.cluster)
            weight = (now - was) ** 2 / before.within(field)
        else:
            was, now = before.mean(field), after.mean(field)
            growth = 0.5 * math.log(after.spread(field) / before.spread(field))
            weight = (now - was) ** 2 / before.spread(field) + growth * growth
        weights[name] = Weight(weight, scaling.unit(field, was), scaling.unit(field, now))
    return weights
