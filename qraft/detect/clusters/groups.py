"""Groups of rows: how many there are, chosen by the rows themselves. Kernels over flat arrays.

A group is split in two along one line at a time (bisecting, as in G-means: Hamerly & Elkan 2003): along each field, and
along the direction of most shared variance. The cut is the minimum-error threshold (Kittler & Illingworth 1986). It holds
only where two normals beat one by BIC, where there are few rows at the cut against the fullest place on either side, and
where rows jump across it: a stream that walks from one place to another passes through what lies between, and is one group.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from qraft.detect.clusters.cut import best_cut, jumped
from qraft.detect.compiled import kernel

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

LEAST_ROWS: Final = 8
"""Rows of a group, at least; of more rows, 5 %."""
LEAST_SHARE: Final = 0.05
_VALLEY: Final = 2.5
"""Standard errors by which the rows at the cut must be fewer than at either side's fullest place; half as many at most."""
_SEPARATE: Final = 2.5
"""Distance of the middles over the root of the mean variance of the sides, at least; a uniform has 3.5 at its middle, and
two normals overlap freely below."""
_CROSSINGS: Final = 4
_LEAST_PEERS: Final = 3
_PEERS_VALLEY: Final = 1.4
_PEERS_SEPARATE: Final = 3.2
"""Entities are few: three of them well apart from the others in one feature are a group."""
_PRIOR_ROWS: Final = 20.0
"""A group's own spread counts beside the pooled one as if that came from so many rows."""
_FLOOR: Final = 1e-3
"""Least spread within a group, in spreads of the field over all rows."""
_SHARED: Final = 0.02
"""Share of the rows that a value of a grainy field has, at least."""
_FAR: Final = 25.0
"""Most a single field counts in a squared distance, so that one wild value decides nothing alone."""


class Groups(NamedTuple):
    """``centres`` and ``spreads`` [groups, fields] in the unit of the rows; ``shares`` of the rows; each row's group."""

    centres: Floats
    spreads: Floats
    shares: Floats
    labels: Ints


def scale_of(rows: Floats) -> tuple[Floats, Floats]:
    """Middle and width [fields] of the rows' fields: half the range of the inner 96 %, or of all; at least tiny."""
    return _scales(rows)


def groups_of(rows: Floats, most: int, grains: Floats) -> Groups:
    """The groups of rows [rows, fields], NaN where a field is missing; rows in order of time, already scaled and cut.

    ``grains`` as `grains_of` gives them, on the scale of the rows.
    """
    least = max(LEAST_ROWS, int(LEAST_SHARE * len(rows)))
    labels, number = _bisect(rows, grains, most, least, (_SEPARATE, _VALLEY), _CROSSINGS)
    counts, centres, spreads = _moments(rows, labels, number)
    return Groups(centres, spreads, counts / max(len(rows), 1), labels)


def groups_of_peers(vectors: Floats, most: int) -> Ints:
    """The group of each of a few vectors [entities, fields], already scaled and cut, in no order."""
    labels, _ = _bisect(vectors, np.zeros(vectors.shape[1]), most, _LEAST_PEERS, (_PEERS_SEPARATE, _PEERS_VALLEY), 0)
    return labels


@kernel
def _scales(rows: Floats) -> tuple[Floats, Floats]:
    fields = rows.shape[1]
    middle, width = np.zeros(fields), np.ones(fields)
    for field in range(fields):
        column = rows[:, field]
        column = np.sort(column[~np.isnan(column)])
        last = len(column) - 1
        if last < 0:
            continue
        low, high = column[last * 2 // 100], column[last - last * 2 // 100]
        if high <= low:
            low, high = column[0], column[last]
        middle[field] = 0.5 * low + 0.5 * high
        half = 0.5 * high - 0.5 * low
        if half > 0.0:
            width[field] = half
        else:
            width[field] = max(abs(middle[field]) * 0.01, 1e-99)
    return middle, width


@kernel
def scaled(rows: Floats, middle: Floats, width: Floats) -> Floats:
    """Rows around the middle in widths, cut at three."""
    out = np.empty(rows.shape)
    for row in range(rows.shape[0]):
        for field in range(rows.shape[1]):
            at = (rows[row, field] - middle[field]) / width[field]
            if at > 3.0:
                at = 3.0
            elif at < -3.0:
                at = -3.0
            out[row, field] = at
    return out


@kernel
def _along(z: Floats, way: Floats) -> Floats:
    """Rows along a direction; in plain loops, as numba's matrix product needs SciPy."""
    y = np.zeros(z.shape[0])
    for row in range(z.shape[0]):
        for field in range(z.shape[1]):
            y[row] += z[row, field] * way[field]
    return y


@kernel
def _ways(z: Floats) -> tuple[Floats, Floats]:
    """The two directions of most variance, by a few rounds of the power method from the farthest row."""
    size, fields = z.shape
    ways = np.zeros((2, fields))
    for turn in range(2):
        way = np.zeros(fields)
        farthest = -1.0
        for row in range(size):
            length = along = 0.0
            for field in range(fields):
                length += z[row, field] ** 2
                along += z[row, field] * ways[0, field]
            length -= along * along
            if length > farthest:
                farthest = length
                way[:] = z[row]
        for _ in range(6):
            along = 0.0
            for field in range(fields):
                along += way[field] * ways[0, field]
            way -= along * ways[0]
            y = _along(z, way)
            way[:] = 0.0
            for row in range(size):
                for field in range(fields):
                    way[field] += y[row] * z[row, field]
            length = np.sqrt((way * way).sum())
            if length < 1e-12:
                break
            way /= length
        along = 0.0
        for field in range(fields):
            along += way[field] * ways[0, field]
        ways[turn] = way - along * ways[0]
    return ways[0].copy(), ways[1].copy()


@kernel
def _split(  # noqa: PLR0912, PLR0915, PLR0917 a kernel, in which each call and tuple costs
    rows: Floats, least: int, grains: Floats, turns: int, bar: tuple[float, float], crossings: int
) -> tuple[bool, npt.NDArray[np.bool_]]:
    """Whether rows fall in two, and which are above. ``turns``: directions that are tried, besides the fields'."""
    size, fields = rows.shape
    above = np.zeros(size, np.bool_)
    if size < 2 * least:
        return False, above
    z = np.zeros((size, fields))
    grain = np.zeros(fields)
    for field in range(fields):
        n = s = q = 0.0
        for row in range(size):
            value = rows[row, field]
            if not np.isnan(value):
                n += 1.0
                s += value
                q += value * value
        if n < 2.0:
            continue
        mean = s / n
        spread = np.sqrt(max(q / n - mean * mean, 0.0))
        if spread < 1e-6:
            continue
        grain[field] = grains[field] / spread
        for row in range(size):
            value = rows[row, field]
            if not np.isnan(value):
                z[row, field] = (value - mean) / spread
    best = 0.0
    for field in range(fields):
        y = z[:, field].copy()
        cut, first, second, gain = best_cut(y, least, grain[field], bar)
        if gain > best and jumped(y, cut, second - first, crossings):
            best = gain
            above = y > cut
    if fields > 1 and turns > 0:
        first_way, second_way = _ways(z)
        way, y, cut, gain = first_way, _along(z, first_way), 0.0, 0.0
        for turn in range(turns):
            if turn == 0:
                tried = first_way
            elif best > 0.0 or gain > 0.0:
                break
            elif turn == 1:
                tried = second_way
            elif turn == 2:
                tried = first_way + second_way
            else:
                tried = first_way - second_way
            line = _along(z, tried)
            found, _, _, gained = best_cut(line, least, np.abs(tried * grain).max(), bar)
            if gained > gain:
                way, y, cut, gain = tried, line, found, gained
        sides = y > cut if gain > best else above.copy()
        for _ in range(2):  # towards what tells the two sides apart best, each field by its spread within them
            n2 = sides.sum()
            if n2 < 2 or size - n2 < 2:
                break
            for field in range(fields):
                s1 = s2 = q = 0.0
                for row in range(size):
                    value = z[row, field]
                    q += value * value
                    if sides[row]:
                        s2 += value
                    else:
                        s1 += value
                within = (q - s1 * s1 / (size - n2) - s2 * s2 / n2) / size
                way[field] = (s2 / n2 - s1 / (size - n2)) / max(within, 1e-3)
            y = _along(z, way)
            cut, first, second, gain = best_cut(y, least, np.abs(way * grain).max(), bar)
            if gain <= 0.0:
                break
            sides = y > cut
            if gain > best and jumped(y, cut, second - first, crossings):
                best = gain
                above = sides.copy()
    return best > 0.0, above


@kernel
def grains_of(rows: Floats) -> Floats:
    """Of each field the least distance of the values that many rows share, where most rows have such a value and there are
    more than two of them; else 0. What is empty between neighbouring counts, levels or codes is no valley.
    """
    out = np.zeros(rows.shape[1])
    for field in range(rows.shape[1]):
        column = rows[:, field]
        values = np.sort(column[~np.isnan(column)])
        shared = max(2, int(_SHARED * len(values)))
        least, number, covered, last, run = np.inf, 0, 0, 0.0, 0
        for at in range(len(values)):
            run = run + 1 if at > 0 and values[at] == values[at - 1] else 1
            if run == shared:
                if number > 0:
                    least = min(least, values[at] - last)
                number += 1
                last = values[at]
                covered += shared
            elif run > shared:
                covered += 1
        if number > 2 and 2 * covered >= len(values):
            out[field] = least
    return out


@kernel
def _bisect(  # noqa: PLR0917 a kernel takes no keywords
    rows: Floats, grains: Floats, most: int, least: int, bar: tuple[float, float], crossings: int
) -> tuple[Ints, int]:
    size = rows.shape[0]
    labels = np.zeros(size, np.int64)
    number, at = 1, 0
    while at < number < most:
        members = np.nonzero(labels == at)[0]
        turns = 0 if crossings == 0 else 4 if number == 1 else 1
        found, above = _split(rows[members], least, grains, turns, bar, crossings)
        if found:
            for row in range(len(members)):
                if above[row]:
                    labels[members[row]] = number
            number += 1
        else:
            at += 1
    return labels, number


@kernel
def _moments(rows: Floats, labels: Ints, number: int) -> tuple[Floats, Floats, Floats]:
    """Rows, centres and spreads of the groups; a spread leans on the pooled one where rows are few."""
    fields = rows.shape[1]
    counts = np.zeros(number)
    seen, sums, squares = np.zeros((number, fields)), np.zeros((number, fields)), np.zeros((number, fields))
    for row in range(len(labels)):
        group = labels[row]
        counts[group] += 1.0
        for field in range(fields):
            value = rows[row, field]
            if not np.isnan(value):
                seen[group, field] += 1.0
                sums[group, field] += value
                squares[group, field] += value * value
    spreads = np.zeros((number, fields))
    for field in range(fields):
        n, mean, pooled = seen[:, field].sum(), 0.0, 0.0
        if n > 0.0:
            mean = sums[:, field].sum() / n
        for group in range(number):
            here = seen[group, field]
            sums[group, field] = sums[group, field] / here if here > 0.0 else mean
            squares[group, field] = max(squares[group, field] - here * sums[group, field] ** 2, 0.0)
            pooled += squares[group, field]
        pooled = pooled / max(n, 1.0)
        for group in range(number):
            variance = (squares[group, field] + _PRIOR_ROWS * pooled) / (seen[group, field] + _PRIOR_ROWS)
            spreads[group, field] = max(np.sqrt(variance), _FLOOR)
    return counts, sums, spreads


@kernel
def labelled(rows: Floats, centres: Floats, spreads: Floats) -> Ints:
    """Each row's nearest group: squared distances in the group's spreads and its log volume, field by field."""
    size, fields = rows.shape
    number = centres.shape[0]
    labels = np.zeros(size, np.int64)
    volume = np.zeros(number)
    for group in range(number):
        for field in range(fields):
            volume[group] += 2.0 * np.log(spreads[group, field])
    for row in range(size):
        best = np.inf
        for group in range(number):
            distance = volume[group]
            for field in range(fields):
                value = rows[row, field]
                if not np.isnan(value):
                    away = (value - centres[group, field]) / spreads[group, field]
                    distance += min(away * away, _FAR)
            if distance < best:
                best = distance
                labels[row] = group
    return labels
