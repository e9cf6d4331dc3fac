"""The algorithms behind the detectors, each behind a protocol, with River's implementation as the reference.

A compiled kernel may stand in for any of them; it must give River's results bit for bit. Fields are numbered, not named.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from river.anomaly import HalfSpaceTrees
from river.drift import ADWIN
from river.drift.binary import DDM

from qraft.detect.compiled import kernel

Floats = NDArray[np.float64]
Masses = NDArray[np.int64]


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


_SPLITS_FEATURE, _SPLITS_THRESHOLD = 0, 1
_COUNTS, _MASSES, _SHARES = 0, 1, 2


@kernel
def _leaf(x: Floats, splits: Floats, counts: Masses, height: int) -> int:
    """The leaf of a row: where a missing field (NaN) is asked for, the way goes to the half with more rows so far.

    Nodes are numbered from 1; the children of node i are 2i and 2i + 1, and leaves have the numbers from 2 ** height on.
    """
    node = 1
    width = 1 << height
    for _ in range(height):
        width >>= 1
        value = x[int(splits[_SPLITS_FEATURE, node])]
        if math.isnan(value):
            first = 2 * node * width
            left = right = 0
            for leaf in range(first, first + width):
                left += counts[leaf]
                right += counts[leaf + width]
            node = 2 * node + (1 if left < right else 0)
        else:
            node = 2 * node + (1 if value >= splits[_SPLITS_THRESHOLD, node] else 0)
    return node


@kernel
def _walk(  # noqa: PLR0917 a kernel takes no keywords
    x: Floats, splits: Floats, mass: Masses, height: int, window: int, learn: bool
) -> int:
    """A row's mass times two to the depth, summed over trees.

    A leaf's share is the sum of mass times 2 to the depth down to it or to the first node with less than a tenth of the
    window. It is the same for the whole window and worked out at the first visit.

    Args:
        x: values by field, NaN for a missing one.
        splits: feature and threshold of each inner node; (trees, 2, 2 ** height).
        mass: rows of this window by leaf, masses of the window before, each leaf's share of the score as far as it was
            asked for (-1 else); (trees, 3, 2 ** (height + 1)).
        height: depth of the leaves.
        window: rows of a window.
        learn: whether the row is counted.
    """
    total = 0
    least = 0.1 * window
    for tree in range(mass.shape[0]):
        leaf = _leaf(x, splits[tree], mass[tree, _COUNTS], height)
        share = mass[tree, _SHARES, leaf]
        if share < 0:
            share = 0
            for depth in range(height + 1):
                here = mass[tree, _MASSES, leaf >> (height - depth)]
                share += here << depth
                if here < least:
                    break
            mass[tree, _SHARES, leaf] = share
        total += share
        if learn:
            mass[tree, _COUNTS, leaf] += 1
    return total


class HalfSpaceForest:
    """Half-Space Trees (Tan, Ting & Liu 2011): River's trees and River's scores, bit for bit, in a compiled walk.

    The splits depend on nothing but the arguments and are shared; a pickle holds the counts of the leaves.
    """

    def __init__(self, fields: int, trees: int, height: int, window: int, seed: int) -> None:
        self._made_by = (fields, trees, height, window, seed)
        self._splits = _splits(*self._made_by)
        self._height = height
        self._window = window
        self._largest = float(trees * window * (2 ** (height + 1) - 1))
        self._counter = 0
        self._mass = np.zeros((trees, 3, 2 << height), np.int64)
        self.full = False

    def observe(self, x: Sequence[float | None]) -> float:
        """River's ``score_one`` and then ``learn_one``."""
        return self.watch(_array(x))

    def score(self, x: Sequence[float | None]) -> float:
        """River's ``score_one``."""
        return self.rate(_array(x))

    def watch(self, x: Floats) -> float:
        """As `observe`, of an array with NaN for a missing field."""
        total = _walk(x, self._splits, self._mass, self._height, self._window, True)
        score = 1.0 - total / self._largest if self.full else 0.0
        self._counter += 1
        if self._counter == self._window:
            self._counter = 0
            self.full = True
            self._pivot()
        return score

    def rate(self, x: Floats) -> float:
        """As `score`, of an array with NaN for a missing field."""
        if not self.full:
            return 0.0
        return 1.0 - _walk(x, self._splits, self._mass, self._height, self._window, False) / self._largest

    def _pivot(self) -> None:
        """Takes the counts as the masses to compare with, and starts counting anew."""
        mass = self._mass
        mass[:, _MASSES] = mass[:, _COUNTS]
        for depth in range(self._height - 1, -1, -1):
            first = 1 << depth
            below = mass[:, _MASSES, 2 * first : 4 * first]
            mass[:, _MASSES, first : 2 * first] = below[:, 0::2] + below[:, 1::2]
        mass[:, _COUNTS] = 0
        mass[:, _SHARES] = -1

    def __getstate__(self) -> dict[str, Any]:
        leaves = self._mass[:, :_SHARES, 1 << self._height :]
        return {
            "made_by": self._made_by,
            "counts": zlib.compress(leaves.astype(np.uint32).tobytes(), 1),
            "counter": self._counter,
            "full": self.full,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(*state["made_by"])  # type: ignore[misc]  # the one way to take up the trees
        size = 1 << self._height
        flat = np.frombuffer(zlib.decompress(state["counts"]), np.uint32).reshape(-1, 2, size)
        if state["full"]:
            self._mass[:, _COUNTS, size:] = flat[:, _MASSES]
            self._pivot()
        self._mass[:, _COUNTS, size:] = flat[:, _COUNTS]
        self._counter = state["counter"]
        self.full = state["full"]


def _array(x: Sequence[float | None]) -> Floats:
    return np.array([math.nan if value is None else value for value in x])


@lru_cache(maxsize=16)
def _splits(fields: int, trees: int, height: int, window: int, seed: int) -> Floats:
    """The splits of River's trees: feature and threshold of each inner node, as `_walk` takes them."""
    forest = HalfSpaceTrees(n_trees=trees, height=height, window_size=window, seed=seed)
    forest.learn_one(dict.fromkeys(range(fields), 0.5))  # type: ignore[no-untyped-call]  # as above
    out = np.zeros((trees, 2, 2**height))
    for tree, root in enumerate(forest.trees):
        level = [root]
        for depth in range(height):
            for at, node in enumerate(level, start=1 << depth):
                out[tree, _SPLITS_FEATURE, at], out[tree, _SPLITS_THRESHOLD, at] = node.feature, node.threshold
            level = [child for node in level for child in node.children]
    out.setflags(write=False)
    return out
