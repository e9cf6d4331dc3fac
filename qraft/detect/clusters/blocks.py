"""Counts and sums of clustered rows in blocks, and the two tests between a reference and the current window."""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from qraft.detect.evidence import chi_square_z, normal_decades

_PSEUDO: Final = 0.5
_GROUP: Final = 4
"""Blocks of the current window; reference blocks are also taken in groups of so many, to see slow cycles."""
_LEAST_ROWS: Final = 4
_LEAST_BLOCKS: Final = 8
_LEAST_VARIANCE: Final = 0.01
"""Of a scaled field within a cluster: values cut at the limit have none of their own."""
_SLOW_CYCLE: Final = 1.5

Floats = npt.NDArray[np.float64]


class Block(NamedTuple):
    """Rows by cluster: ``counts``; ``sums`` and ``squares`` of the scaled fields at ``cluster * fields + field``."""

    rows: int
    counts: array[float]
    sums: array[float]
    squares: array[float]

    @property
    def fields(self) -> int:
        """Number of fields."""
        return len(self.sums) // len(self.counts)

    def mean(self, field: int, cluster: int | None = None) -> float:
        """Mean of a scaled field over one cluster; over all rows where none is given or it is empty."""
        if cluster is not None and self.counts[cluster]:
            return self.sums[cluster * self.fields + field] / self.counts[cluster]
        return sum(self.sums[field :: self.fields]) / self.rows

    def spread(self, field: int) -> float:
        """Variance of a scaled field over all rows, a little above 0."""
        mean = self.mean(field)
        return max(sum(self.squares[field :: self.fields]) / self.rows - mean * mean, 1e-9)

    def within(self, field: int) -> float:
        """Variance of a scaled field within its clusters, a little above 0."""
        left = sum(self.squares[field :: self.fields])
        for cluster, count in enumerate(self.counts):
            if count:
                left -= self.sums[cluster * self.fields + field] ** 2 / count
        return max(left / self.rows, 1e-9)


def block_of(labels: Sequence[int], vectors: Sequence[Sequence[float]], clusters: int) -> Block:
    """A block of rows, each given by its cluster and its scaled fields. Sums run in the rows' order."""
    number = np.array(labels)
    columns = np.array(vectors, np.float64).reshape(len(labels), -1).T
    sums = [np.bincount(number, column, clusters).astype(np.float64) for column in columns]
    squares = [np.bincount(number, column * column, clusters).astype(np.float64) for column in columns]
    counts = np.bincount(number, minlength=clusters).astype(np.float64)
    return Block(len(labels), array("d", counts.tobytes()), _flat(sums, clusters), _flat(squares, clusters))


def _flat(columns: list[Floats], clusters: int) -> array[float]:
    return array("d", np.array(columns).reshape(-1, clusters).T.tobytes())


def merged(blocks: Sequence[Block]) -> Block:
    """All rows of several blocks, of which there must be one."""
    return Block(
        sum(block.rows for block in blocks),
        _added([block.counts for block in blocks]),
        _added([block.sums for block in blocks]),
        _added([block.squares for block in blocks]),
    )


def _added(parts: list[array[float]]) -> array[float]:
    return array("d", np.array(parts).sum(axis=0).tobytes())


class Occupancy(NamedTuple):
    """Test of changed shares: G, its overdispersion, rarity in decades, and the share of rows that changed cluster."""

    g: float
    dispersion: float
    decades: float
    moved_share: float


def occupancy_test(reference: Sequence[Block], before: Block, after: Block) -> Occupancy:
    """G-test of the clusters' shares in two windows, its scale taken from how the reference's own blocks differ.

    Rows in a stream depend on each other; the quasi-likelihood correction (McCullagh & Nelder 1989, 4.5) divides G by the
    overdispersion found among blocks, and among groups of blocks.
    """
    g = 0.0
    gap = 0.0
    used = 0
    for was, now in zip(before.counts, after.counts, strict=True):
        gap += abs(was / before.rows - now / after.rows)
        if was + now == 0:
            continue
        used += 1
        share = (was + now) / (before.rows + after.rows)
        g += 2.0 * _g_term(was, share * before.rows) + 2.0 * _g_term(now, share * after.rows)
    if used < 2:
        return Occupancy(0.0, 1.0, 0.0, 0.0)
    single, rows = np.array([block.counts for block in reference]), np.array([block.rows for block in reference], float)
    fine, coarse = _dispersion(single, rows), _dispersion(_grouped(single), _grouped(rows))
    dispersion = max(1.0, fine, coarse)
    freedom = len(reference) // _GROUP if coarse > _SLOW_CYCLE * max(fine, 1.0) else len(reference)
    z = chi_square_z(max(g, 0.0) / dispersion, used - 1)
    decades = normal_decades(z, float(freedom)) if z > 0.0 else 0.0
    return Occupancy(g, dispersion, decades, 0.5 * gap)


def _g_term(seen: float, expected: float) -> float:
    return seen * math.log(seen / expected) if seen else 0.0


def _grouped(values: Floats) -> Floats:
    """Sums of the last whole groups of blocks along the first axis."""
    kept = values[len(values) % _GROUP :]
    grouped: Floats = kept.reshape(-1, _GROUP, *values.shape[1:]).sum(axis=1)
    return grouped


def _dispersion(counts: Floats, rows: Floats) -> float:
    """Pearson's chi-square of the blocks' counts over its degrees of freedom; 0 where there are too few blocks."""
    if len(counts) < 3:
        return 0.0
    total = counts.sum(axis=0)
    used = total > 0.0
    expected = (total[used] + _PSEUDO) / rows.sum() * rows[:, None]
    chi = ((counts[:, used] - expected) ** 2 / expected).sum(axis=0).sum()
    return float(chi) / ((len(counts) - 1) * max(int(used.sum()) - 1, 1))


class Move(NamedTuple):
    """Test of moved centres: the cluster and field that moved most, in within-cluster spreads, and the rarity in decades."""

    cluster: int
    field: int
    distance: float
    decades: float


def move_test(reference: Sequence[Block], current: Sequence[Block], before: Block, after: Block) -> Move:
    """Largest t-value of a cluster's mean in one field, its error taken from how the reference's own blocks differ.

    Only clusters that are there nearly all the time are looked at: where a stream wanders from cluster to cluster, what it
    meets there differs from visit to visit.
    """
    clusters, fields = len(before.counts), before.fields
    if len(reference) < _LEAST_BLOCKS or not fields:
        return _NO_MOVE
    counts = np.array([block.counts for block in reference])
    lives = counts >= _LEAST_ROWS
    lived = lives.sum(axis=0)
    living = (np.array([block.counts for block in current]) >= _LEAST_ROWS).sum(axis=0)
    eligible = (4 * lived >= 3 * len(reference)) & (living >= _GROUP - 1)
    if not eligible.any():
        return _NO_MOVE
    shape = (clusters, fields)
    was, now = (np.maximum(np.array(block.counts), 1.0)[:, None] for block in (before, after))
    mean = np.array(before.sums).reshape(shape) / was
    gap = np.array(after.sums).reshape(shape) / now - mean
    within = np.maximum(np.array(before.squares).reshape(shape) / was - mean * mean, _LEAST_VARIANCE)
    sums = np.array([block.sums for block in reference]).reshape(-1, *shape)
    groups = _grouped(counts)
    single = np.maximum(_scatter(counts, sums, mean, lives) / _GROUP, within / now)
    error = np.maximum(single, _scatter(groups, _grouped(sums), mean, groups > 0.0))
    t = np.abs(gap) / np.sqrt(error * (1.0 + _GROUP / np.maximum(lived, 1))[:, None])
    t[~eligible] = 0.0
    if not t.any():
        return _NO_MOVE
    cluster, field = divmod(int(t.argmax()), fields)
    decades = normal_decades(float(t[cluster, field]), float(lived[cluster] - 1)) - math.log10(clusters * fields)
    return Move(cluster, field, float(gap[cluster, field] / math.sqrt(within[cluster, field])), max(decades, 0.0))


_NO_MOVE: Final = Move(0, 0, 0.0, 0.0)


def _scatter(counts: Floats, sums: Floats, mean: Floats, seen: npt.NDArray[np.bool_]) -> Floats:
    """Variance of the blocks' means around ``mean`` by cluster and field, over the blocks in ``seen``; 0 where too few."""
    number = seen.sum(axis=0)
    gaps = (sums / np.maximum(counts, 1.0)[:, :, None] - mean) * seen[:, :, None]
    variance: Floats = (gaps * gaps).sum(axis=0) / np.maximum(number - 1, 1)[:, None]
    variance[number < 3] = 0.0
    return variance
