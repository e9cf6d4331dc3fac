"""The arithmetic of the novelty detector: one call a row, over all fields of an entity, over flat arrays.

What a field's state holds is laid out by the offsets below; nothing in here knows names or times beyond seconds of the day.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from qraft.detect.compiled import kernel
from qraft.detect.digest import DIGEST, digest_add, digest_quantile

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]

SCALES: Final = 3
MEMBERS: Final = SCALES + 1
"""Window novelty at three scales, and the residual of the time of day."""
_BLOCK: Final = (3, 5, 7)
"""Rows of a block at each scale."""
_BLOCKS: Final = (8, 6, 4)
"""Blocks of a window at each scale."""
_WIDTH: Final = 18
"""Blocks of one window of each scale together."""
_RING: Final = 64
"""Rows of which block values are kept: two windows of the longest scale."""
KEPT_WINDOWS: Final = 256
"""Windows that are remembered at each scale; the oldest gives way."""
_CAP: Final = 2.0
"""A coordinate counts at most so many ranges."""
_NEW: Final = 0.2
"""A window nearer than this to a remembered one is not remembered."""
_STANDS_OUT: Final = 0.1
"""An extreme so many ranges from its block's mean stands for the block."""
_SLOTS: Final = 24
_SMOOTHED: Final = 10
"""Rows whose mean is compared with the profile of the day."""
_PROFILE_RATE: Final = 0.01
_FAST: Final = 30.0
"""Rows an hour from which the profile speaks on the second day only."""
_CORRELATION_RATE: Final = 0.002
_BINS: Final = 160
_QUANTILE: Final = 0.91
_TAIL_ROWS: Final = 100
"""Rows after which a tail is believed."""
_FORGET: Final = 4000.0
"""Scores after which a tail halves what it has counted."""
_RANK_SHARE: Final = 0.5
_NEAR: Final = 0.01
"""Distance at which the bins of a window's tail begin to grow."""
_DAY_WEIGHT: Final = 0.5
"""Weight of the time of day beside a scale's 1."""
_LARGEST: Final = 1e30
"""Values are cut here, in units of the field's first move, so that squares stay finite."""

# A tail: its bins, then these.
_T_COUNT: Final = _BINS
_T_BIN: Final = _BINS + 1
_T_ABOVE: Final = _BINS + 2
_T_EXCESS: Final = _BINS + 3
_T_EXCEEDED: Final = _BINS + 4
_T_ROWS: Final = _BINS + 5
_TAIL: Final = _BINS + 6

# A field: scalars, then its parts.
_ROWS, _ORIGIN, _UNIT, _RANGE, _LOW, _HIGH, _RESIDUALS, _RESIDUAL_ROWS = 0, 1, 2, 3, 4, 5, 6, 7
_CENTRE: Final = 8  # one a scale
_WINDOWS: Final = 11  # one a scale
_WINDOW_AT: Final = 14  # one a scale
_MEAN, _VARIANCE, _COVARIANCE, _BEFORE = 17, 18, 19, 20
_SLOT, _LONGEST_HOUR = 21, 22
_VALUES: Final = 23
_BLOCK_RING: Final = _VALUES + _RING
_FLAG_RING: Final = _BLOCK_RING + SCALES * _RING
_DIGEST: Final = _FLAG_RING + SCALES * _RING
_PROFILE: Final = _DIGEST + DIGEST
_TAILS: Final = _PROFILE + 4 * _SLOTS
STATE: Final = _TAILS + MEMBERS * _TAIL
"""Numbers of a field's state."""
MEMORY: Final = KEPT_WINDOWS * _WIDTH
"""Numbers (single precision) of a field's remembered windows."""
BYTES: Final = 8 * STATE + 4 * MEMORY
"""Bytes of a field."""

OUT_EVIDENCE, OUT_TAIL, OUT_DISTANCE, OUT_EXPECTED = 0, 1, 1 + MEMBERS, 1 + 2 * MEMBERS
OUT_NOW, OUT_LOW, OUT_HIGH, OUT_ROWS, OUT_USUAL, OUT_HOUR, OUT_HOUR_SPREAD = 10, 11, 12, 13, 14, 15, 16
OUT_INDEPENDENCE: Final = 17
OUT: Final = 18
"""What `step` says of a field: evidence; each member's tail and distance; the value of the nearest window's last block (own
units), the current one, the 5 % and 95 % quantiles, rows so far, the usual distance of the strongest member, mean and usual
residual of this time of day, and how far rows are independent of each other (`_independence`)."""


@kernel
def _weigh(tail: Floats, x: float, nearest: float, top: float) -> float:
    """Decades of rarity of ``x`` against the tail's past, 0 below its 91 % quantile; then the past takes ``x``.

    Half is the rank, half an exponential tail beyond the quantile. Bins are logarithmic: ``nearest`` is where they begin to
    grow, ``top`` where they end.
    """
    per_bin = math.log1p(top / nearest) / _BINS
    at = min(math.log1p(min(x, top) / nearest) / per_bin, _BINS - 1e-9)
    bin_ = int(at)
    count = tail[_T_COUNT]
    border = int(tail[_T_BIN])
    rarity = 0.0
    if count > 0.0:
        here = tail[border]
        share = 0.0
        if here > 0.0:
            share = min(max(((1.0 - _QUANTILE) * count - tail[_T_ABOVE]) / here, 0.0), 1.0)
        threshold = math.expm1((border + 1.0 - share) * per_bin) * nearest
        if x > threshold:
            if tail[_T_ROWS] >= _TAIL_ROWS:
                beyond = tail[bin_] * (1.0 - (at - bin_))
                for other in range(bin_ + 1, _BINS):
                    beyond += tail[other]
                by_tail = (x - threshold) * (tail[_T_EXCEEDED] + 1.0) / (tail[_T_EXCESS] + 1e-9 + 0.01 * nearest)
                by_tail = 0.4342944819032518 * by_tail - math.log10(1.0 - _QUANTILE)
                by_rank = -math.log10((1.0 + beyond) / (1.0 + count))
                rarity = max((1.0 - _RANK_SHARE) * by_tail + _RANK_SHARE * by_rank, 0.0)
            if tail[_T_ROWS] > 5.0:
                tail[_T_EXCESS] += x - threshold
                tail[_T_EXCEEDED] += 1.0
    tail[bin_] += 1.0
    tail[_T_COUNT] += 1.0
    tail[_T_ROWS] += 1.0
    if bin_ > border:
        tail[_T_ABOVE] += 1.0
    limit = (1.0 - _QUANTILE) * tail[_T_COUNT]
    while tail[_T_ABOVE] > limit and border < _BINS - 1:
        border += 1
        tail[_T_ABOVE] -= tail[border]
    while border > 0 and tail[_T_ABOVE] + tail[border] <= limit:
        tail[_T_ABOVE] += tail[border]
        border -= 1
    tail[_T_BIN] = border
    if tail[_T_COUNT] >= _FORGET:
        for other in range(_BINS):
            tail[other] *= 0.5
        tail[_T_COUNT] *= 0.5
        tail[_T_ABOVE] *= 0.5
        tail[_T_EXCESS] *= 0.5
        tail[_T_EXCEEDED] *= 0.5
    return rarity


@kernel
def _measure(state: Floats, x: float) -> None:
    """Takes the value into the digest and reads the range."""
    digest = state[_DIGEST : _DIGEST + DIGEST]
    if digest_add(digest, x):
        low = digest_quantile(digest, 0.01)
        high = digest_quantile(digest, 0.99)
        width = high - low
        if width <= 0.0:
            width = digest_quantile(digest, 1.0) - digest_quantile(digest, 0.0)
        state[_RANGE] = max(width, 1e-9 * (1.0 + abs(x)))
        state[_LOW] = digest_quantile(digest, 0.05)
        state[_HIGH] = digest_quantile(digest, 0.95)


@kernel
def _independence(state: Floats, x: float) -> float:
    """Learns the correlation r of a row with the one before it; decades by which rows count for more independent ones
    than where r is 0.7: log10((1 - r) / (1 + r) / 0.176), at least 0.

    What was found by chance is found in proportion to the number of independent trials, and (1 - r) / (1 + r) is the share
    of effectively independent rows of an autoregressive stream (Bayley & Hammersley 1946).
    """
    rate = max(_CORRELATION_RATE, 1.0 / (state[_ROWS] + 1.0))
    gap = x - state[_MEAN]
    before = state[_BEFORE] - state[_MEAN]
    if state[_VARIANCE] > 0.0:
        most = 4.0 * math.sqrt(state[_VARIANCE])
        gap = min(max(gap, -most), most)
        before = min(max(before, -most), most)
    state[_VARIANCE] += rate * (gap * gap - state[_VARIANCE])
    state[_COVARIANCE] += rate * (gap * before - state[_COVARIANCE])
    state[_MEAN] += rate * (x - state[_MEAN])
    state[_BEFORE] = x
    if state[_VARIANCE] <= 0.0:
        return 0.0
    r = min(max(state[_COVARIANCE] / state[_VARIANCE], 0.0), 0.7)
    return max(math.log10((1.0 - r) / (1.0 + r) / 0.176), 0.0)


@kernel
def _close(state: Floats, scale: int) -> None:
    """Notes the value of the block that ends at this row: its mean, or its extreme where that stands out."""
    block = _BLOCK[scale]
    row = int(state[_ROWS])
    seen = min(row + 1, block)
    total = 0.0
    high = -1e300
    low = 1e300
    for back in range(seen):
        value = state[_VALUES + (row - back) % _RING]
        total += value
        high = max(high, value)
        low = min(low, value)
    mean = total / seen
    centre = state[_CENTRE + scale] if row > 0 else mean
    extreme = high if abs(high - centre) >= abs(low - centre) else low
    noted = extreme if abs(extreme - mean) > _STANDS_OUT * state[_RANGE] else mean
    state[_BLOCK_RING + scale * _RING + row % _RING] = noted
    if row % block == block - 1 or row == 0:
        state[_CENTRE + scale] = 0.5 * (centre + mean)


@kernel
def _window(state: Floats, memory: Singles, scale: int, first: int, out: Floats) -> float:
    """Novelty of the window that ends at this row: its distance to the nearest remembered one, in ranges."""
    block = _BLOCK[scale]
    blocks = _BLOCKS[scale]
    row = int(state[_ROWS])
    ring = _BLOCK_RING + scale * _RING
    flags = _FLAG_RING + scale * _RING
    length = block * blocks
    state[flags + row % _RING] = 0.0
    if row < length - 1:
        return 0.0
    kept = int(state[_WINDOWS + scale])
    base = first * KEPT_WINDOWS
    old = row - length
    if old >= length - 1 and old % block == 0 and state[flags + old % _RING] > 0.0:
        at = int(state[_WINDOW_AT + scale])
        for part in range(blocks):
            memory[base + part * KEPT_WINDOWS + at] = state[ring + (old - part * block) % _RING]
        state[_WINDOW_AT + scale] = (at + 1) % KEPT_WINDOWS
        kept = min(kept + 1, KEPT_WINDOWS)
        state[_WINDOWS + scale] = kept
    if kept == 0:
        state[flags + row % _RING] = 1.0
        return 0.0
    gaps = np.zeros(KEPT_WINDOWS, np.float32)
    per_range = np.float32(1.0 / state[_RANGE])
    cap = np.float32(_CAP)
    for part in range(blocks):
        now = np.float32(state[ring + (row - part * block) % _RING])
        remembered = memory[base + part * KEPT_WINDOWS : base + (part + 1) * KEPT_WINDOWS]
        for at in range(KEPT_WINDOWS):  # one coordinate of all windows at once: the compiler makes vectors of this
            step = min(abs(remembered[at] - now) * per_range, cap)
            gaps[at] += step * step
    which = 0
    for at in range(1, kept):
        if gaps[at] < gaps[which]:
            which = at
    distance = math.sqrt(gaps[which])
    if distance >= _NEW:
        state[flags + row % _RING] = 1.0
    out[OUT_EXPECTED] = memory[base + which]
    return distance


@kernel
def _time_of_day(state: Floats, second: float, told: Floats) -> float:
    """How far the mean of the last rows is from what this time of day brings, in usual residuals; -1 where nobody knows.

    Where an hour has few rows, the first day already compares each with those before it in its hour.
    """
    row = int(state[_ROWS])
    seen = min(row + 1, _SMOOTHED)
    mean = 0.0
    for back in range(seen):
        mean += state[_VALUES + (row - back) % _RING]
    mean /= seen
    slot = min(int(second * _SLOTS / 86400.0), _SLOTS - 1)
    level = _PROFILE + slot
    usual = level + _SLOTS
    count = usual + _SLOTS
    days = count + _SLOTS
    if row == 0 or int(state[_SLOT]) != slot:
        state[_SLOT] = slot
        state[days] += 1.0
    times = state[count]
    if state[days] < 2.0:
        state[_LONGEST_HOUR] = max(state[_LONGEST_HOUR], times)
    told[OUT_HOUR] = state[level]
    told[OUT_HOUR_SPREAD] = state[usual]
    residual = abs(mean - state[level])
    ratio = 0.0
    if state[_LONGEST_HOUR] > _FAST and state[days] < 2.0:
        ratio = -1.0
    elif times >= 2.0:
        overall = state[_RESIDUALS] / max(state[_RESIDUAL_ROWS], 1.0)
        ratio = residual / (state[usual] + 0.1 * overall + 1e-12)
    if times > 0.0:
        state[_RESIDUALS] += residual
        state[_RESIDUAL_ROWS] += 1.0
        state[usual] += max(_PROFILE_RATE, 1.0 / times) * (residual - state[usual])
    state[level] += max(_PROFILE_RATE, 1.0 / (times + 1.0)) * (mean - state[level])
    state[count] = times + 1.0
    return ratio


@kernel
def _field(state: Floats, memory: Singles, value: float, second: float, told: Floats) -> None:
    """Judges one field's value, then learns it."""
    value = min(max(value, -1e150), 1e150)
    row = state[_ROWS]
    if row == 0.0:
        state[_ORIGIN] = value
    gap = value - state[_ORIGIN]
    if state[_UNIT] == 0.0 and gap != 0.0:
        state[_UNIT] = max(abs(gap), 1e-290)
    unit = state[_UNIT]
    x = 0.0 if unit == 0.0 else min(max(gap / unit, -_LARGEST), _LARGEST)
    _measure(state, x)
    told[OUT_EXPECTED] = state[_MEAN] if row > 0.0 else x  # as long as no window is remembered
    told[OUT_INDEPENDENCE] = _independence(state, x)
    state[_VALUES + int(row) % _RING] = x
    total = 0.0
    strongest = -1.0
    first = 0
    for scale in range(SCALES):
        top = _CAP * math.sqrt(_BLOCKS[scale])
        before = told[OUT_EXPECTED]
        _close(state, scale)
        distance = _window(state, memory, scale, first, told)
        first += _BLOCKS[scale]
        tail = state[_TAILS + scale * _TAIL : _TAILS + (scale + 1) * _TAIL]
        rarity = _weigh(tail, distance, _NEAR, top)
        told[OUT_TAIL + scale] = rarity
        told[OUT_DISTANCE + scale] = distance
        total += rarity
        if rarity > strongest:
            strongest = rarity
            told[OUT_USUAL] = math.expm1(tail[_T_BIN] * math.log1p(top / _NEAR) / _BINS) * _NEAR
        else:
            told[OUT_EXPECTED] = before
    ratio = _time_of_day(state, second, told)
    rarity = _weigh(state[_TAILS + SCALES * _TAIL :], ratio, 0.1, 100.0) if ratio >= 0.0 else 0.0
    told[OUT_TAIL + SCALES] = rarity
    told[OUT_DISTANCE + SCALES] = ratio
    told[OUT_EVIDENCE] = (total + _DAY_WEIGHT * rarity) / (SCALES + _DAY_WEIGHT)
    origin = state[_ORIGIN]
    told[OUT_EXPECTED] = told[OUT_EXPECTED] * unit + origin
    told[OUT_NOW] = value
    told[OUT_LOW] = state[_LOW] * unit + origin
    told[OUT_HIGH] = state[_HIGH] * unit + origin
    told[OUT_HOUR] = told[OUT_HOUR] * unit + origin
    told[OUT_HOUR_SPREAD] *= unit
    state[_ROWS] = row + 1.0
    told[OUT_ROWS] = row + 1.0


@kernel
def step(states: Floats, memories: Singles, values: Floats, second: float, out: Floats) -> None:
    """Judges one row of all fields before it is learned, then learns it.

    Args:
        states: (fields, `STATE`), zeros for a new field.
        memories: (fields, `MEMORY`), zeros for a new field; by scale, then by block of the window, then by window.
        values: (fields,); NaN for a field that is not in the row.
        second: second of the day of the row's time.
        out: (fields, `OUT`), written for the fields that are in the row; evidence is in decades, before any demand.
    """
    for field in range(len(values)):
        if not math.isnan(values[field]):
            _field(states[field], memories[field], values[field], second, out[field])
