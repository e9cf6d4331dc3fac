"""The compiled part of the joint anomaly detector: one call takes one row of all fields, judges it, then learns it.

Every field climbs a ladder of dyadic blocks: rung k holds the mean square difference of neighbouring means of 2^k rows
(twice the Allan variance, Allan 1966). White noise halves it from rung to rung, a random walk doubles it, so the rungs say
how far the field strays by itself over any length of time, without a model; rungs that have seen little lean on the rung
below. A mean over the last rows differs from one over a longer past by half the differences of the rungs between them, which
gives the usual size of both the row's distance from the recent mean and the recent mean's distance from the reference.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from qraft.detect.compiled import kernel

Floats = NDArray[np.float64]

RUNGS: Final = 12
"""Rungs of a ladder: blocks of 1 to 2048 rows."""
_MEANS, _COUNTS, _PENDING, _BEFORE = 0, 1, 2, 3
RUNG_COLUMNS: Final = 4
"""Of a rung: mean square difference, how many, the first block of a pair (NaN: none), the block before (NaN: none)."""

AGE, REFERENCE, RECENT, LAST, ORIGIN, UNIT, USUAL, USUAL_REST, REST, EXPECTED, STEP, SPREAD = range(12)
EXCESS, EXCESS_SQUARE, EXCESS_REST, EXCESS_SQUARE_REST = range(12, 16)
FIELD_COLUMNS: Final = 16
"""Of a field: rows so far; mean of the reference and of the recent rows, last value (in units from the origin); origin and
unit; usual part in the row's score by itself and against the others; variance of what the others do not explain; the value
expected at this row, the usual error of that; the usual distance of the recent mean from the reference; mean excess
over the bound of the tail, and its mean square, of the deviation and of what the others do not explain."""

STRETCH, ROW, DISTANCE, RESIDUAL, PART, PART_REST = range(6)
OUT_COLUMNS: Final = 6
"""Of a field, at this row: deviation of the recent mean from the reference; deviation of the value from what was expected,
and from the reference; what of the former the other fields do not explain; the parts of both in the row's score."""

SCORE, PEAK, DECADES, SETTLED, ROWS, FREEDOM, SURPRISE, SINCE = range(8)
TOTALS: Final = 8
"""The row's score, all fields together, and its largest part by one field alone, less what the largest of so many is by
chance; rarity of the stretch in decades; how many fields of it were judged; rows learned; share of the freedom that the
correlations leave; mean surprise of stretches so far; rows since the correlations were last inverted."""

SETTLING: Final = 100
"""Rows of a field before it is judged."""
MEMORY: Final = 1000.0
"""Rows of the reference, once it is that old."""
RECENT_ROWS: Final = 16.0
"""Rows of the recent mean: an exponential one, as steady as a plain mean of twice as many."""
_RECENT_RUNG: Final = 5
_RUNG_MEMORY: Final = 256.0
_LEAN: Final = 16.0
"""How many differences the guess from the rung below is worth."""
_RUNG_CAP: Final = 4.0
"""A squared difference teaches at most so many times the expected one: a change is not taken for unrest."""
_DOUBT: Final = 3.0
"""A recent mean so many deviations off teaches the reference less, by the square of what is beyond."""
_ROW_CAP: Final = 2.5
"""One row moves the means by at most so many usual errors, unless the row before lay as far off to the same side."""
_STRETCH_CAP: Final = 50.0
_FLAT: Final = 4.0
"""Deviations of the first move of a field that was constant."""
_LARGEST: Final = 1e6
_FAR: Final = 1e60
_CORE: Final = 3.0
"""Degrees of freedom of Student's t, of whose logarithm the middle of the row's score is made."""
_SHARE_BEYOND: Final = 0.0455
_BEYOND: Final = 2.0
"""From so many deviations on a field's tail is a generalised Pareto distribution (Pickands 1975), fitted by its moments."""
NORMAL_EXCESS: Final = 0.4
NORMAL_EXCESS_SQUARE: Final = 0.3
"""Mean excess and its mean square where nothing is known: those of normal noise, a little wider."""
_EXCESS_RATE: Final = 1.0 / 128.0
_EXCESS_CAP: Final = 16.0
_HEAVIEST: Final = 0.45
_REACH: Final = 4.0
"""Deviations from edge to edge of the unit cube; what lies outside is on the edge."""
_LINK_CAP: Final = 3.0
_SHRINK: Final = 0.02
"""Correlations shrink by so much, and by half the ratio of fields to rows while young."""
_REFRESH: Final = 16.0
_SURPRISE_PRIOR: Final = 1000.0
_SURPRISE_MEMORY: Final = 4096.0
_SURPRISE_CAP: Final = 2.0
_TO_DECADES: Final = 1.0 / math.log(10.0)


@kernel
def _part(deviation: float, field: Floats, tail: int) -> float:
    """A deviation in nats of rarity: Student's t in the middle, beyond it the field's own tail, which learns it."""
    size = abs(deviation)
    if size <= _BEYOND:
        part = math.log1p(size * size / _CORE)
    else:
        excess = size - _BEYOND
        mean = field[tail]
        square = mean * mean
        # never lighter than exponential: a young tail is not trusted far out
        shape = min(max(0.5 - 0.5 * square / max(field[tail + 1] - square, 0.5 * square), 0.0), _HEAVIEST)
        over = excess / (mean * (1.0 - shape))
        part = math.log1p(_BEYOND * _BEYOND / _CORE) + (over if shape < 0.01 else math.log1p(shape * over) / shape)
        excess = min(excess, _EXCESS_CAP * mean)
        field[tail] += (excess - mean) * _EXCESS_RATE
        field[tail + 1] += (excess * excess - field[tail + 1]) * _EXCESS_RATE
    return part


@kernel
def _deviation(distance: float, variance: float) -> float:
    if variance > 0.0:
        return min(max(distance / math.sqrt(variance), -_LARGEST), _LARGEST)
    if distance == 0.0:
        return 0.0
    return _FLAT if distance > 0.0 else -_FLAT


@kernel
def _cut(distance: float, before: float, variance: float) -> float:
    if variance <= 0.0:
        return distance
    limit = _ROW_CAP * math.sqrt(variance)
    return min(max(distance, min(-limit, before)), max(limit, before))


@kernel
def _climb(value: float, field: Floats, ladder: Floats, out: Floats) -> None:
    """Judges one value of one field, then learns it: deviations of the row and of the recent mean go to ``out``."""
    age = field[AGE]
    if age == 0.0:
        field[REFERENCE] = field[RECENT] = field[LAST] = value
    reach = age if age < MEMORY else min(age, 2.0 * MEMORY)
    growth = 0.5
    expected = ladder[0, _MEANS]
    step = expected
    row = 0.25 * expected
    stretch = 0.0
    for rung in range(1, RUNGS):
        count = ladder[rung, _COUNTS]
        seen = (count * ladder[rung, _MEANS] + _LEAN * expected * growth) / (count + _LEAN)
        seen = max(seen, 0.5 * expected)
        if rung >= 2:
            growth = min(seen / expected, 2.0) if expected > 0.0 else 0.5
        expected = seen
        if float(1 << rung) < reach:
            # differences of neighbouring rungs go together the more the field wanders: not at all for white noise
            share = 0.25 * seen * (1.0 + (growth - 0.5) / 1.5)
            if rung >= _RECENT_RUNG:
                stretch += share
            else:
                row += share
        elif rung == _RECENT_RUNG:
            stretch = 0.25 * seen
    warm = age >= SETTLING
    if step < row:
        guess, error = field[LAST], step
    else:
        guess, error = field[RECENT], row
    field[EXPECTED], field[STEP], field[SPREAD] = guess, math.sqrt(error), math.sqrt(stretch)
    out[ROW] = _deviation(value - guess, error) if warm else 0.0
    out[DISTANCE] = _deviation(value - field[REFERENCE], row + stretch) if warm else 0.0
    shift = value - field[RECENT]
    field[RECENT] += max(1.0 / RECENT_ROWS, 1.0 / (age + 1.0)) * (
        _cut(shift, field[LAST] - field[RECENT], row) if warm else shift
    )
    deviation = _deviation(field[RECENT] - field[REFERENCE], stretch) if warm else 0.0
    out[STRETCH] = deviation
    weight = 1.0 if abs(deviation) <= _DOUBT else (_DOUBT / deviation) ** 2
    shift = value - field[REFERENCE]
    age += 1.0
    field[AGE] = age
    field[REFERENCE] += (
        weight * (_cut(shift, field[LAST] - field[REFERENCE], row + stretch) if warm else shift) / min(age, MEMORY)
    )
    field[LAST] = value
    _learn(value, ladder)


@kernel
def _learn(value: float, ladder: Floats) -> None:
    """Puts a value on the ladder: it climbs as far as pairs are complete."""
    growth = 0.5
    below = 0.0
    expected = 0.0
    for rung in range(RUNGS):
        count = ladder[rung, _COUNTS]
        mean = ladder[rung, _MEANS]
        if rung == 0:
            expected = mean if count >= 8.0 else 0.0
        else:
            guess = (count * mean + _LEAN * below * growth) / (count + _LEAN)
            guess = max(guess, 0.5 * below)
            if rung >= 2:
                growth = min(guess / below, 2.0) if below > 0.0 else 0.5
            expected = guess
        below = mean if rung == 0 else expected
        before = ladder[rung, _BEFORE]
        if not math.isnan(before):
            square = (value - before) ** 2
            if expected > 0.0:
                square = min(square, _RUNG_CAP * expected)
            count += 1.0
            ladder[rung, _COUNTS] = count
            ladder[rung, _MEANS] = mean + (square - mean) / min(count, _RUNG_MEMORY)
        ladder[rung, _BEFORE] = value
        if math.isnan(ladder[rung, _PENDING]):
            ladder[rung, _PENDING] = value
            return
        value = 0.5 * (ladder[rung, _PENDING] + value)
        ladder[rung, _PENDING] = np.nan


@kernel
def _invert(links: Floats, fields: int, shrink: float) -> float:
    """Inverts the shrunken correlations (Gauss and Jordan, no pivots: they are positive definite) into ``links[1]``.

    Returns the sum of the squared correlations.
    """
    inverse = links[1]
    total = 0.0
    for i in range(fields):
        for j in range(fields):
            size = math.sqrt(max(links[0, i, i], 1e-6) * max(links[0, j, j], 1e-6))
            # a clipped product is at most the mean of the clipped squares, so this is a correlation but for young fields
            rho = 1.0 if i == j else min(max(links[0, i, j] / size, -1.0), 1.0)
            inverse[i, j] = rho if i == j else (1.0 - shrink) * rho
            total += rho * rho
    for k in range(fields):
        pivot = 1.0 / max(inverse[k, k], 1e-3)
        inverse[k, k] = 1.0
        for j in range(fields):
            inverse[k, j] *= pivot
        for i in range(fields):
            if i != k:
                factor = inverse[i, k]
                inverse[i, k] = 0.0
                if factor != 0.0:
                    for j in range(fields):
                        inverse[i, j] -= factor * inverse[k, j]
    return total


@kernel
def _rarity(squares: float, freedom: float) -> float:
    """Decades of a chi-square value (Wilson & Hilferty 1931), at most 14."""
    spread = 2.0 / (9.0 * freedom)
    z = ((squares / freedom) ** (1.0 / 3.0) - (1.0 - spread)) / math.sqrt(spread)
    return -math.log10(max(0.5 * math.erfc(z / math.sqrt(2.0)), 1e-14))


@kernel
def judge(  # noqa: PLR0912, PLR0915, PLR0917 one call a row is what makes it cheap
    x: Floats, fields: Floats, ladders: Floats, links: Floats, out: Floats, point: Floats, totals: Floats
) -> None:
    """Judges one row and learns it.

    Args:
        x: the values by slot, NaN where a field is missing; (n,).
        fields: (n + 1, FIELD_COLUMNS); the last is no field but how far the fields are from what the others explain.
        ladders: (n + 1, RUNGS, RUNG_COLUMNS).
        links: (2, n, n): correlations of the rows' deviations, and their inverse.
        out: (n + 1, OUT_COLUMNS).
        point: gets the row's place in the unit cube by its distances from the references, NaN where a field is missing;
            (n,).
        totals: (TOTALS,).
    """
    n = x.shape[0]
    settled = 0
    squares = 0.0
    for f in range(n):
        value = x[f]
        out[f, :] = 0.0
        point[f] = np.nan
        if math.isnan(value):
            continue
        field = fields[f]
        if field[AGE] == 0.0:
            field[ORIGIN] = value
        distance = value - field[ORIGIN]
        if field[UNIT] == 0.0 and distance != 0.0:
            field[UNIT] = min(abs(distance), 1e308)
        if field[UNIT] != 0.0:
            distance /= field[UNIT]
        _climb(min(max(distance, -_FAR), _FAR), field, ladders[f], out[f])
        point[f] = min(max(0.5 + out[f, DISTANCE] / _REACH, 0.0), 1.0)
        if field[AGE] > SETTLING:
            settled += 1
            squares += min(out[f, STRETCH] ** 2, _STRETCH_CAP)
    totals[SCORE] = totals[PEAK] = totals[DECADES] = 0.0
    totals[SETTLED] = settled
    if settled == 0:
        return
    rows = totals[ROWS] = totals[ROWS] + 1.0
    rate = 1.0 / min(rows, MEMORY)
    score = peak = 0.0
    unexplained = 0.0
    for f in range(n):
        field = fields[f]
        if math.isnan(x[f]) or field[AGE] <= SETTLING:
            continue
        own = 1.0 / min(field[AGE] - SETTLING, MEMORY)
        part = _part(out[f, ROW], field, EXCESS)
        peak = max(peak, part)
        out[f, PART] = part - field[USUAL]
        field[USUAL] += own * (part - field[USUAL])
        residual = 0.0
        for j in range(n):
            residual += links[1, f, j] * out[j, ROW]
        scale = links[1, f, f] * field[REST]
        residual = residual / math.sqrt(scale) if scale > 0.0 else 0.0
        out[f, RESIDUAL] = residual
        field[REST] += (min(residual * residual, 9.0) - 1.0) * field[REST] / min(field[AGE] - SETTLING + 20.0, MEMORY)
        part = _part(residual, field, EXCESS_REST)
        unexplained += math.log1p(residual * residual / _CORE)
        peak = max(peak, part)
        out[f, PART_REST] = part - field[USUAL_REST]
        field[USUAL_REST] += own * (part - field[USUAL_REST])
        score += out[f, PART] + out[f, PART_REST]
    totals[SCORE] = score / math.sqrt(float(settled))
    totals[PEAK] = peak - math.log1p(_BEYOND * _BEYOND / _CORE) - math.log(2.0 * settled * _SHARE_BEYOND)
    freedom = float(settled)
    if n > 1:
        _climb(unexplained / settled, fields[n], ladders[n], out[n])
        if fields[n, AGE] > SETTLING and out[n, STRETCH] > 0.0:
            # a mean of squares has a longer tail above than below
            squares += min((out[n, STRETCH] / 1.5) ** 2, _STRETCH_CAP)
    decades = _rarity(squares * totals[FREEDOM], max(freedom * totals[FREEDOM], 1.0))
    mean = totals[SURPRISE]
    surprise = min(decades, _SURPRISE_CAP) / _TO_DECADES
    totals[SURPRISE] = mean + (surprise - mean) / min(rows + _SURPRISE_PRIOR, _SURPRISE_MEMORY)
    totals[DECADES] = decades / max(mean, 1.0)
    for f in range(n):
        a = min(max(out[f, ROW], -_LINK_CAP), _LINK_CAP)
        if math.isnan(x[f]) or fields[f, AGE] <= SETTLING:
            continue
        for j in range(f + 1):
            if math.isnan(x[j]) or fields[j, AGE] <= SETTLING:
                continue
            b = min(max(out[j, ROW], -_LINK_CAP), _LINK_CAP)
            moved = links[0, f, j] + (a * b - links[0, f, j]) * rate
            links[0, f, j] = links[0, j, f] = moved
    totals[SINCE] += 1.0
    if totals[SINCE] >= max(_REFRESH, float(n)):
        totals[SINCE] = 0.0
        unused = float(n - settled)
        total = _invert(links, n, 0.5 * settled / (rows + settled) + _SHRINK) - unused
        totals[FREEDOM] = freedom / max(total, freedom)
