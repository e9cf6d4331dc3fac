"""Where a line of values falls in two, if it does. Kernels."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from qraft.detect.compiled import kernel

Floats = npt.NDArray[np.float64]

_BINS: Final = 48
_JUMP: Final = 0.6
"""Mean step across the cut over the distance of the middles: 1 for independent rows, near 0 for a walk."""


@kernel
def best_cut(  # noqa: PLR0912, PLR0915 a kernel: a call would hide the sums it keeps
    y: Floats, least: int, grain: float, bar: tuple[float, float]
) -> tuple[float, float, float, float]:
    """Best cut of a line, the middles below and above, and the log-likelihood gained over BIC's price; that is 0 for none.

    ``grain``: distance of neighbouring values where they are few and repeat, else 0: what is empty between is no valley.
    ``bar``: how far apart the sides must be, and by how much the valley must be lower.
    """
    none = (0.0, 0.0, 0.0, 0.0)
    size = len(y)
    low, high = y.min(), y.max()
    if not high - low > 1e-9:
        return none
    step = (high - low) / _BINS
    counts, firsts, seconds = np.zeros(_BINS), np.zeros(_BINS), np.zeros(_BINS)
    for value in y:
        at = min(int((value - low) / step), _BINS - 1)
        counts[at] += 1.0
        firsts[at] += value
        seconds[at] += value * value
    n, s, q = float(size), firsts.sum(), seconds.sum()
    floor = step * step / 12.0
    whole = 0.5 * np.log(q / n - (s / n) ** 2 + floor)
    best, found = np.inf, -1
    n1 = s1 = q1 = 0.0
    first, second = 0.0, 0.0
    for at in range(_BINS - 1):
        n1 += counts[at]
        s1 += firsts[at]
        q1 += seconds[at]
        n2 = n - n1
        if counts[at] == 0.0 or n1 < least or n2 < least:
            continue
        m1, m2 = s1 / n1, (s - s1) / n2
        v1 = max(q1 / n1 - m1 * m1, 0.0) + floor
        v2 = max((q - q1) / n2 - m2 * m2, 0.0) + floor
        apart = (m2 - m1) ** 2 / (0.5 * (v1 + v2))
        if apart < bar[0] * bar[0]:
            continue
        p1, p2 = n1 / n, n2 / n
        cost = 0.5 * (p1 * np.log(v1 / (p1 * p1)) + p2 * np.log(v2 / (p2 * p2)))
        if cost < best - 1e-12:
            best, found, first, second = cost, at, m1, m2
    if found < 0:
        return none
    gain = n * (whole - best) - 1.5 * np.log(n)
    if gain <= 0.0:
        return none
    cut = low + (found + 1) * step
    empty = found + 1  # the middle of the empty stretch, where the cut lies in one
    while empty < _BINS - 1 and counts[empty] == 0.0:
        empty += 1
    cut = 0.5 * (cut + low + empty * step)
    half = max((second - first) / 8.0, 0.75 * grain)
    between = 0.0
    for value in y:
        if abs(value - cut) <= half:
            between += 1.0
    bins = max(int(2.0 * half / step + 0.5), 1)
    peaks = np.zeros(2)  # the fullest stretch of that length on either side
    run = 0.0
    for at in range(_BINS):
        if at == found + 1:
            run = 0.0
        begun = 0 if at <= found else found + 1
        run += counts[at]
        if at - bins >= begun:
            run -= counts[at - bins]
        side = 0 if at <= found else 1
        peaks[side] = max(peaks[side], run)
    peak = min(peaks[0], peaks[1]) * min(2.0 * half / (bins * step), 1.0)
    if 2.0 * between > peak or peak - between < bar[1] * np.sqrt(peak + between):
        return none
    return cut, first, second, gain


@kernel
def jumped(y: Floats, cut: float, gap: float, least: int) -> bool:
    """Whether rows cross the cut often enough, and by jumps."""
    if least == 0:
        return True
    crossings, length = 0, 0.0
    for at in range(1, len(y)):
        if (y[at] > cut) != (y[at - 1] > cut):
            crossings += 1
            length += abs(y[at] - y[at - 1])
    return crossings >= least and length >= _JUMP * gap * crossings
