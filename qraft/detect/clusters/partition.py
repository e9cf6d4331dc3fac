"""First centres for online k-means, and how rows are scaled for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import Final

import numpy as np
import numpy.typing as npt

FARTHEST: Final = 6.0
"""Scaled values count at most so many spreads, so that one wild value owns no cluster."""

_TO_SPREAD: Final = 3.29
_FLAT_SHARE: Final = 0.01
_SMALLEST: Final = 1e-9
_ROUNDS: Final = 5

Vector = list[float]
Floats = npt.NDArray[np.float64]


class Scaling:
    """Centre and spread of each field, robust, from rows seen before; fields missing from a row stand at their centre."""

    __slots__ = ("_table", "names")

    def __init__(self, rows: Sequence[Mapping[str, float]]) -> None:
        columns: dict[str, list[float]] = {}
        for row in rows:
            for name, value in row.items():
                columns.setdefault(name, []).append(value)
        self.names = [name for name, values in columns.items() if 2 * len(values) >= len(rows)]
        self._table = [(name, *_centre_and_spread(sorted(columns[name]))) for name in self.names]

    def vector(self, row: Mapping[str, float]) -> Vector:
        """The row in spreads around the centre, cut at ±`FARTHEST`."""
        out = []
        for name, centre, spread in self._table:
            at = (row.get(name, centre) - centre) / spread
            out.append(at if -FARTHEST <= at <= FARTHEST else FARTHEST if at > 0.0 else -FARTHEST)
        return out

    def unit(self, field: int, value: float) -> float:
        """A scaled value of a field, given by its position, in the field's own units."""
        _, centre, spread = self._table[field]
        return centre + spread * value


def _centre_and_spread(values: list[float]) -> tuple[float, float]:
    last = len(values) - 1
    centre = values[last // 2]
    spread = (values[last - last * 5 // 100] - values[last * 5 // 100]) / _TO_SPREAD
    if spread <= 0.0:
        spread = (values[last] - values[0]) / _TO_SPREAD or abs(centre) * _FLAT_SHARE
    return centre, max(spread, _SMALLEST * max(abs(centre), 1e-90))


def distances(points: Floats, centre: Floats) -> Floats:
    """Squared Euclidean distances, summed field by field."""
    out = np.zeros(len(points))
    for field in range(points.shape[1]):
        gap = points[:, field] - centre[field]
        out += gap * gap
    return out


def first_centres(vectors: Sequence[Vector], clusters: int, seed: int) -> tuple[list[Vector], list[int]]:
    """Centres by k-means++ (Arthur & Vassilvitskii 2007) and a few rounds of Lloyd's, and each point's centre.

    There are fewer centres where there are fewer distinct points.
    """
    points = np.array(vectors, np.float64).reshape(len(vectors), -1)
    random = Random(seed)
    centres = [points[random.randrange(len(points))]]
    gaps = distances(points, centres[0])
    while len(centres) < clusters and gaps.any():
        centres.append(points[random.choices(range(len(points)), gaps.tolist())[0]])
        gaps = np.minimum(gaps, distances(points, centres[-1]))
    labels = np.zeros(len(points), np.int64)
    for _ in range(_ROUNDS):
        labels = np.array([distances(points, centre) for centre in centres]).argmin(axis=0)
        counts = np.maximum(np.bincount(labels, minlength=len(centres)), 1)
        means = [np.bincount(labels, points[:, field], len(centres)) / counts for field in range(points.shape[1])]
        moved = np.array(means).reshape(-1, len(centres)).T
        here = np.bincount(labels, minlength=len(centres)) > 0
        centres = [moved[at] if here[at] else centre for at, centre in enumerate(centres)]
    return [centre.tolist() for centre in centres], labels.tolist()
