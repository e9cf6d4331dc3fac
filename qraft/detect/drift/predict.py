"""What the next value of a field is predicted from: an autoregression of its values, or of its steps, as kernels.

Both are fitted by Levinson and Durbin's recursion (Durbin 1960) to the values kept, with the order that Akaike's criterion
(1974) prefers. Noise around a level, a wandering price and a cycle are all predicted as well as they can be from the last
32 values.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from qraft.detect.compiled import kernel
from qraft.detect.drift.layout import (
    COEFFICIENTS,
    COVARIANCES,
    FITS,
    JUMPED,
    KEPT,
    LOSSES,
    MEAN,
    MEMORY,
    ORDER,
    ORDERS,
    ROWS,
    SINCE,
    STEP,
    STEPS,
    USUAL,
    VALUES,
    Floats,
)

_FAVOUR, _STAY = 0.8, 0.97
"""The predictor of steps comes into use when its loss is so much less, and goes when that of values is."""

_WALK: Final = 3
"""Steps that need no more values than this to be predicted are those of a walk: their predictor is in use as soon as it
is no worse, for the level of a walk is a mean that means nothing."""


@kernel
def levinson(covariances: Floats, order: int, rows: float, out: Floats) -> int:
    """Coefficients of the best autoregression of at most this order, into ``out``; returns its order.

    Args:
        covariances: autocovariances at the lags 0 to ``order``, a positive definite sequence.
        order: the highest order tried.
        rows: the rows behind the covariances, for Akaike's criterion.
        out: gets the coefficients, zeros behind the order chosen.
    """
    for at in range(ORDER):
        out[at] = 0.0
    error = covariances[0]
    if not error > 1e-200:
        return 0
    least = 1e-12 * error
    found, lowest = 0, math.log(error)
    now = np.zeros(ORDER)
    new = np.zeros(ORDER)
    for m in range(1, order + 1):
        partial = covariances[m]
        for at in range(m - 1):
            partial -= now[at] * covariances[m - 1 - at]
        reflection = max(-0.9999, min(0.9999, partial / error))
        for at in range(m - 1):
            new[at] = now[at] - reflection * now[m - 2 - at]
        new[m - 1] = reflection
        for at in range(m):
            now[at] = new[at]
        error = max(error * (1.0 - reflection * reflection), least)
        criterion = math.log(error) + 2.0 * m / rows
        if criterion < lowest:
            found, lowest = m, criterion
            for at in range(m):
                out[at] = now[at]
    return found


@kernel
def fit(state: Floats) -> None:  # noqa: PLR0912 one loop over both predictors
    """Fits both predictors to the values kept; rows before the last change count about their own mean."""
    rows = int(state[ROWS])
    window = np.zeros(KEPT)
    lags = np.zeros(ORDER + 1)
    for kind in range(2):
        many = min(rows, KEPT) - kind
        if many < 8:
            continue
        for at in range(many):
            place = rows - many + at
            window[at] = state[VALUES + (place & (KEPT - 1))]
            if kind == 1:
                window[at] -= state[VALUES + ((place - 1) & (KEPT - 1))]
        since = int(state[SINCE]) - (rows - many)
        cut = since if kind == 0 and 0 < since < many and state[JUMPED] == 0.0 else 0
        before = after = 0.0
        for at in range(cut):
            before += window[at]
        for at in range(cut, many):
            after += window[at]
        after /= many - cut
        if cut:
            before /= cut
        for at in range(many):
            window[at] -= before if at < cut else after
        order = min(ORDER - 1, many // 8)
        rate = 1.0
        if rows >= KEPT and state[FITS + kind] > 0.0:
            rate = max(64.0 / MEMORY, 1.0 / (state[FITS + kind] + 1.0))
        state[FITS + kind] = state[FITS + kind] + 1.0 if rows >= KEPT else 0.0
        base = COVARIANCES + kind * (ORDER + 1)
        for lag in range(ORDER + 1):
            total = 0.0
            if lag <= order:
                for at in range(lag, many):
                    total += window[at] * window[at - lag]
            state[base + lag] += (total / many - state[base + lag]) * rate
            lags[lag] = state[base + lag]
        lags[0] *= 1.0 + 1e-6
        state[MEAN + kind] = after
        place = COEFFICIENTS + kind * ORDER
        state[ORDERS + kind] = levinson(lags, order, min(many / rate, MEMORY), state[place : place + ORDER])
    favour = 1.0 if state[ORDERS + 1] <= _WALK and rows >= KEPT else _FAVOUR
    if state[LOSSES + 1] < favour * state[LOSSES]:
        state[STEPS] = 1.0
    elif state[LOSSES] < _STAY * state[LOSSES + 1]:
        state[STEPS] = 0.0


@kernel
def align(state: Floats, length: int) -> None:
    """Lifts the values before the last ``length`` rows, and the mean, by the jump between them.

    The jump is the least-squares estimate through the predictor: of a jump by one, the errors keep what the coefficients
    have not taken up yet.
    """
    rows = int(state[ROWS])
    order = min(int(state[ORDERS]), KEPT - length - 1, rows - length)
    if order < 0:
        return
    left, seen, jump = 1.0, 0.0, 0.0
    for at in range(length):
        place = rows - length + at
        error = state[VALUES + (place & (KEPT - 1))] - state[MEAN]
        for lag in range(order):
            error -= state[COEFFICIENTS + lag] * (state[VALUES + ((place - 1 - lag) & (KEPT - 1))] - state[MEAN])
        jump += error * left
        seen += left * left
        if at < order:
            left -= state[COEFFICIENTS + at]
    jump /= seen
    state[MEAN] += jump
    for at in range(length, min(rows, KEPT)):
        state[VALUES + ((rows - 1 - at) & (KEPT - 1))] += jump


@kernel
def mispredict(state: Floats, x: float, step: float) -> tuple[float, float]:
    """The errors of both predictors: of the value ``x`` (from the first) and of its step from the one before."""
    rows = int(state[ROWS])
    level_error = x - state[MEAN]
    for at in range(min(int(state[ORDERS]), rows)):
        level_error -= state[COEFFICIENTS + at] * (state[VALUES + ((rows - 1 - at) & (KEPT - 1))] - state[MEAN])
    step_error = step - state[STEP]
    newer = state[VALUES + ((rows - 1) & (KEPT - 1))]
    for at in range(min(int(state[ORDERS + 1]), rows - 1)):
        older = state[VALUES + ((rows - 2 - at) & (KEPT - 1))]
        step_error -= state[COEFFICIENTS + ORDER + at] * (newer - older - state[STEP])
        newer = older
    return level_error, step_error


@kernel
def learn(state: Floats, x: float, step: float, errors: tuple[float, float]) -> None:
    """Learns how large errors usually are, and in the first rows the means; the row is counted already."""
    rows = int(state[ROWS]) - 1
    for kind in range(2):
        seen = rows + 1.0 - kind
        if seen < 1.0:
            continue
        loss = abs(errors[kind])
        state[LOSSES + kind] = state[LOSSES + kind] * (1.0 - 1.0 / min(seen + 1.0, 300.0)) + loss
        spread = loss * 1.2533141373155001
        if state[USUAL + kind] > 0.0 and seen > 5.0:
            spread = min(spread, 5.0 * state[USUAL + kind])
        if seen > 1.0:
            state[USUAL + kind] += (spread - state[USUAL + kind]) / min(seen - 1.0, 0.5 * MEMORY)
        if rows < 8:
            state[MEAN + kind] += ((x if kind == 0 else step) - state[MEAN + kind]) / seen
