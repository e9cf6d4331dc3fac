"""The algorithms behind the detectors, each behind a protocol, with River's implementation as the reference.

A compiled kernel may stand in for any of them; it must give River's results bit for bit. Fields are numbered, not named:
River's k-means walks a set of keys, and only whole numbers have the same order in every process.
"""

from __future__ import annotations

import zlib
from array import array
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Protocol

from river.anomaly import HalfSpaceTrees
from river.drift import ADWIN
from river.drift.binary import DDM


class MeanWatch(Protocol):
    """Tells when the mean of a signal has changed."""

    def update(self, x: float) -> bool:
        """Takes one value; whether a change is seen at it."""
        ...


class RateWatch(Protocol):
    """Tells when the rate of misses has risen."""

    def update(self, missed: bool) -> bool:
        """Takes one outcome; whether a rise is seen at it."""
        ...


class MassForest(Protocol):
    """Half-space trees: how little mass a point's neighbourhood had in the window before."""

    @property
    def full(self) -> bool:
        """Whether the first window is full; until then the score is 0."""
        ...

    def observe(self, x: Sequence[float | None]) -> float:
        """The score of a row, which is then learned. Values by field number, None for a missing one."""
        ...

    def score(self, x: Sequence[float | None]) -> float:
        """River's score in [0, 1]: 1 is alone. Nothing is learned."""
        ...


class Codebook(Protocol):
    """Online k-means with given first centres."""

    def assign(self, x: Sequence[float]) -> int:
        """Number of the nearest centre, which then moves towards the row. Values by field number."""
        ...

    def centres(self) -> list[list[float]]:
        """The centres, one list of values by field number each."""
        ...


class RiverAdwin:
    """ADWIN (Bifet & Gavaldà 2007), `river.drift.ADWIN`."""

    __slots__ = ("_adwin",)

    def __init__(self, delta: float, clock: int = 32) -> None:
        self._adwin = ADWIN(delta=delta, clock=clock)  # type: ignore[no-untyped-call]  # River has no annotations

    def update(self, x: float) -> bool:
        """Takes one value; whether a change is seen at it."""
        adwin = self._adwin
        adwin.update(x)  # type: ignore[no-untyped-call]  # as above
        return bool(adwin.drift_detected)


class RiverDdm:
    """DDM (Gama et al. 2004), `river.drift.binary.DDM`."""

    __slots__ = ("_ddm",)

    def __init__(self, warm_start: int, drift_threshold: float) -> None:
        warning = min(2.0, drift_threshold)
        self._ddm = DDM(warm_start=warm_start, warning_threshold=warning, drift_threshold=drift_threshold)

    def update(self, missed: bool) -> bool:
        """Takes one outcome; whether a rise is seen at it."""
        ddm = self._ddm
        ddm.update(missed)  # type: ignore[no-untyped-call]  # as above
        return bool(ddm.drift_detected)


class _Tree:
    """One half-space tree: its splits (shared), the rows of this window by leaf, the masses of the window before, and each
    leaf's share of the score as far as it was asked for (-1 else). Nodes are numbered from 1; the children of node i are 2i
    and 2i + 1.
    """

    __slots__ = ("counts", "features", "masses", "shares", "thresholds")

    def __init__(self, features: list[int], thresholds: list[float]) -> None:
        self.features = features
        self.thresholds = thresholds
        self.counts = [0] * (2 * len(features))
        self.masses = [0] * (2 * len(features))
        self.shares = [0] * (2 * len(features))

    def pivot(self) -> None:
        """Takes the counts as the masses to compare with, and starts counting anew."""
        masses = self.masses = self.counts
        for node in range(len(self.features) - 1, 0, -1):
            masses[node] = masses[2 * node] + masses[2 * node + 1]
        self.counts = [0] * len(masses)
        self.shares = [-1] * len(masses)

    def leaf(self, x: Sequence[float | None]) -> int:
        """The leaf of a row with missing fields: where one is asked for, the way goes to the half with more rows so far."""
        size = len(self.features)
        node, width = 1, size
        while node < size:
            width //= 2
            value = x[self.features[node]]
            if value is None:
                left = 2 * node * width
                counts = self.counts
                right = sum(counts[left : left + width]) < sum(counts[left + width : left + 2 * width])
            else:
                right = value >= self.thresholds[node]
            node += node + right
        return node


class HalfSpaceForest:
    """Half-Space Trees (Tan, Ting & Liu 2011): River's trees and River's scores, bit for bit, walked over flat lists.

    A tree is complete, so a row's leaf is found by one comparison a level, and a leaf's share of the score is the same for
    the whole window: it is worked out at the first visit. Only leaves are counted; the masses of the nodes above are sums
    of them. The splits depend on nothing but the arguments; a pickle holds the counts.
    """

    def __init__(self, fields: int, trees: int, height: int, window: int, seed: int) -> None:
        self._made_by = (fields, trees, height, window, seed)
        self._trees = [_Tree(*splits) for splits in _splits(*self._made_by)]
        self._height = height
        self._window = window
        self._largest = float(trees * window * (2 ** (height + 1) - 1))
        self._counter = 0
        self.full = False

    def observe(self, x: Sequence[float | None]) -> float:
        """River's ``score_one`` and then ``learn_one``."""
        total = 0
        whole = None not in x
        levels = range(self._height)
        for tree in self._trees:
            if whole:
                features, thresholds = tree.features, tree.thresholds
                node = 1
                for _ in levels:
                    node += node + (x[features[node]] >= thresholds[node])  # type: ignore[operator]  # no None among them
            else:
                node = tree.leaf(x)
            share = tree.shares[node]
            total += share if share >= 0 else self._share(tree, node)
            tree.counts[node] += 1
        score = 1.0 - total / self._largest if self.full else 0.0
        self._counter += 1
        if self._counter == self._window:
            self._counter = 0
            self.full = True
            for tree in self._trees:
                tree.pivot()
        return score

    def score(self, x: Sequence[float | None]) -> float:
        """River's ``score_one``."""
        if not self.full:
            return 0.0
        return 1.0 - sum([self._share(tree, tree.leaf(x)) for tree in self._trees]) / self._largest

    def _share(self, tree: _Tree, leaf: int) -> int:
        """Mass times 2 to the depth, summed down to the leaf or to the first node with less than a tenth of the window."""
        least = 0.1 * self._window
        share = 0
        for depth in range(self._height + 1):
            mass = tree.masses[leaf >> (self._height - depth)]
            share += mass << depth
            if mass < least:
                break
        tree.shares[leaf] = share
        return share

    def __getstate__(self) -> dict[str, Any]:
        size = 1 << self._height
        flat = [count for tree in self._trees for counts in (tree.counts, tree.masses) for count in counts[size:]]
        return {
            "made_by": self._made_by,
            "counts": zlib.compress(array("I", flat).tobytes(), 1),
            "counter": self._counter,
            "full": self.full,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(*state["made_by"])  # type: ignore[misc]  # the one way to take up the trees
        flat = array("I")
        flat.frombytes(zlib.decompress(state["counts"]))
        size = 1 << self._height
        for at, tree in enumerate(self._trees):
            now, before = 2 * at * size, (2 * at + 1) * size
            if state["full"]:
                tree.counts[size:] = flat[before : before + size].tolist()
                tree.pivot()
            tree.counts[size:] = flat[now : now + size].tolist()
        self._counter = state["counter"]
        self.full = state["full"]


@lru_cache(maxsize=16)
def _splits(fields: int, trees: int, height: int, window: int, seed: int) -> list[tuple[list[int], list[float]]]:
    """The splits of River's trees: feature and threshold of each inner node, numbered as in `_Tree`."""
    forest = HalfSpaceTrees(n_trees=trees, height=height, window_size=window, seed=seed)
    forest.learn_one(dict.fromkeys(range(fields), 0.5))  # type: ignore[no-untyped-call]  # as above
    out = []
    for tree in forest.trees:
        features, thresholds = [0] * 2**height, [0.0] * 2**height
        level = [tree]
        for depth in range(height):
            for at, node in enumerate(level, start=1 << depth):
                features[at], thresholds[at] = node.feature, node.threshold
            level = [child for node in level for child in node.children]
        out.append((features, thresholds))
    return out


class OnlineKMeans:
    """Online k-means (Sculley 2010): River's assignments and centres, bit for bit, over flat lists. Rows must be complete.

    The expressions are River's, operation by operation, with its distance's power of 2.
    """

    def __init__(self, centres: Sequence[Sequence[float]], halflife: float) -> None:
        self._centres = [list(centre) for centre in centres]
        self._halflife = halflife

    def assign(self, x: Sequence[float]) -> int:
        """River's ``learn_predict_one``."""
        gaps = [sum([abs(a - b) ** 2 for a, b in zip(centre, x, strict=False)]) for centre in self._centres]
        nearest = gaps.index(min(gaps))
        halflife = self._halflife
        self._centres[nearest] = [a + halflife * (b - a) for a, b in zip(self._centres[nearest], x, strict=False)]
        return nearest

    def centres(self) -> list[list[float]]:
        """The centres, one list of values by field number each."""
        return [list(centre) for centre in self._centres]
