"""Whether a field's regime has ended: a Bayesian change point test on the errors of a one-step predictor, as kernels.

A change is an error that stays, whatever the stream does by itself. The test is the change point posterior of Adams & MacKay
(2007) and Fearnhead & Liu (2007) with a normal-gamma prior, restricted to no change or one since the regime began:
the marginal likelihood of "one regime" is held against that of "another since L rows", for a bounded grid of L. A new mean
shares the spread of before; a new spread is also held against how far the spread of blocks has strayed in this stream, so
bursts that are usual are no news.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from qraft.detect.compiled import kernel
from qraft.detect.drift.layout import (
    BLOCK_MEAN,
    BLOCK_ROWS,
    BLOCK_SQUARES,
    BLOCK_SUM,
    BLOCK_SUM2,
    BLOCKS,
    COARSE,
    COEFFICIENTS,
    ERRORS,
    FILL,
    FILL_SUM,
    FIRST,
    HELD,
    JUMPED,
    KEPT,
    MEAN,
    MEAN_DECADES,
    MEAN_EFFECT,
    MEAN_LEVEL,
    MEAN_ROWS,
    MEMORY,
    OLD_MEAN,
    OLD_ROWS,
    OLD_SQUARES,
    ORDER,
    ORDERS,
    RAW,
    ROWS,
    SINCE,
    SIZE,
    SPREAD_DECADES,
    SPREAD_EFFECT,
    SPREAD_ROWS,
    STEPS,
    USUAL,
    VALUES,
    WINDOW,
    Floats,
)
from qraft.detect.drift.predict import align, fit, learn, mispredict

LENGTHS: Final = np.array([2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 17, 20, 24, 28, 34, 40, 48, 56, 64], dtype=np.int64)
"""Rows since a change that are tried."""

_LOG_GAMMA: Final = np.array([0.0] + [math.lgamma(0.5 * twice) for twice in range(1, 1100)])
"""Logarithms of the gamma function at halves."""

_PRIOR_ROWS: Final = 0.1
"""Weight of the prior mean in rows: a new mean is expected within some three spreads of the old."""
_TAIL: Final = 10.0
"""Degrees of freedom to which errors are normalised (Wallace 1959), so that a wild value counts little."""
_LEAST_BEFORE: Final = 8
"""Least rows of a regime before a change in it is looked for."""
_BLOCK: Final = 16
"""Rows of a block whose spread is remembered."""
_BLOCKS: Final = 64.0
_MOST_RAW: Final = 5.0
"""Errors count for a spread up to so many usual ones."""
_LEAST_SPREAD_ROWS: Final = 14
_SPREAD_PENALTY: Final = 1.0
"""In a young stream a spread that seems to have changed needs a decade more: how far it strays is not known well yet."""
_DECADE: Final = math.log(10.0)
_LEAST_VARIANCE: Final = 0.01
_FLAT: Final = -4.0
"""A field whose log variance was below has stood still: its first move is a new mean, not a new spread."""
_SHORT: Final = 4
"""Up to so many rows, the first must itself lie where the others do: one wild row is no new mean."""
_LEAST_CHI: Final = 5.0
"""Square of the standardised shift below which the evidence for it is less than a decade, so it is not worked out."""
_TELL: Final = 2.5
"""Decades by which a new mean must be likelier than a new spread before it is told, once there is time to wait."""
_FADED: Final = 0.4
"""A predictor that has taken up more of a jump than what remains here is looked through for jumps."""
_JUMP_PENALTY: Final = 0.5
"""A jump seen through a predictor needs a decade more: the predictor is an estimate."""
_JUMP_ROWS: Final = 40
_LEAST_SEEN: Final = 1.5
"""What a predictor leaves of a jump must be more than its first row, or it could be one wild value."""
_SETTLED: Final = 512
"""Rows after which a change must show for longer, up to eight rows, and must be told from a new spread."""


@kernel
def decades_of_t(z: float, freedom: float) -> float:
    """-log10 of the two-sided chance of ``z`` under Student's t (Wallace 1959), as `evidence.normal_decades` has it."""
    normal = math.sqrt(freedom * math.log1p(z * z / freedom))
    return float(-math.log10(max(math.erfc(normal / math.sqrt(2.0)), 1e-300)))


@kernel
def _one(n: float, mean: float, scatter: float) -> float:
    """Log marginal likelihood of one regime, without its powers of 2 pi."""
    weight = _PRIOR_ROWS + n
    loss = 1.0 + 0.5 * (scatter + _PRIOR_ROWS * n * mean * mean / weight)
    return float(_LOG_GAMMA[int(n) + 2] - (1.0 + 0.5 * n) * math.log(loss) + 0.5 * math.log(_PRIOR_ROWS / weight))


@kernel
def weigh(state: Floats, least_rows: int, settled: bool, jumps: bool) -> None:  # noqa: PLR0912, PLR0915 inlined for speed
    """Holds "another regime since L rows" against "one regime" for each L and keeps the strongest of each kind.

    Sets decades of evidence, rows since and effect: for a new mean the difference in spreads, for a new spread the logarithm
    of the ratio.
    """
    state[MEAN_DECADES] = state[SPREAD_DECADES] = -9.0
    held = int(state[HELD])
    rows = int(state[ROWS])
    old = state[OLD_ROWS]
    total, squares = old * state[OLD_MEAN], state[OLD_SQUARES] + old * state[OLD_MEAN] * state[OLD_MEAN]
    for at in range(held):
        error = state[ERRORS + ((rows - 1 - at) & (WINDOW - 1))]
        total += error
        squares += error * error
    n = old + held
    if n < _LEAST_BEFORE + LENGTHS[0]:
        return
    mean = total / n
    scatter = max(squares - total * mean, 1e-12)
    base = _LOG_GAMMA[int(n) + 2] - _one(n, mean, scatter)
    blocks = state[BLOCKS]
    usual = max(state[BLOCK_SQUARES] / (blocks - 1.0), 0.06) if blocks >= 4.0 else 0.0
    late = late2 = raw = raw2 = 0.0
    tell = _TELL * _DECADE if settled else -1e9
    left = np.ones(WINDOW)
    seen = np.zeros(WINDOW + 1)
    steps = int(state[STEPS])
    order = int(state[ORDERS + steps])
    for at in range(1, WINDOW):
        taken = state[COEFFICIENTS + steps * ORDER + at - 1] if at <= order else 0.0
        left[at] = -taken if steps else left[at - 1] - taken
        seen[at] = seen[at - 1] + left[at - 1] * left[at - 1]
    seen[WINDOW] = seen[WINDOW - 1] + left[WINDOW - 1] * left[WINDOW - 1]
    faded = jumps and order > 0 and abs(left[WINDOW - 1]) < _FADED
    likeliest_mean = likeliest_spread = -1e9
    sums = np.zeros(WINDOW + 1)
    done = 0
    for number in range(LENGTHS.size):
        length = LENGTHS[number]
        n_before = n - length
        if length > held or n_before < _LEAST_BEFORE:
            break
        while done < length:
            error = state[ERRORS + ((rows - 1 - done) & (WINDOW - 1))]
            late += error
            late2 += error * error
            unit = state[RAW + ((rows - 1 - done) & (WINDOW - 1))]
            raw += unit
            raw2 += unit * unit
            done += 1
            sums[done] = raw2
        if length < least_rows:
            continue
        before = (total - late) / n_before
        scatter_before = max(squares - late2 - n_before * before * before, 1e-12)
        shift = late / length - before
        scatter_after = max(late2 - late * late / length, 1e-12)
        moved = scatter_after + _PRIOR_ROWS * length * shift * shift / (_PRIOR_ROWS + length)
        variance = (scatter_before + scatter_after) / n
        growth = z = 0.0
        if length >= _LEAST_SPREAD_ROWS and blocks >= 4.0 and state[BLOCK_MEAN] > _FLAT:
            growth = math.log(max((raw2 - raw * raw / length) / (length - 1), _LEAST_VARIANCE)) - state[BLOCK_MEAN]
            leaped = 3.0 * (math.exp(growth / 3.0) - 1.0) if growth > 0.0 else growth  # Wilson & Hilferty 1931
            z = leaped / math.sqrt(usual * _BLOCK / length + usual / blocks)
        if abs(z) >= 2.0:  # the older half must show it too: a few wild rows at the end are no new spread
            half = length // 2
            older = math.log(max((raw2 - sums[half]) / (length - half), _LEAST_VARIANCE)) - state[BLOCK_MEAN]
            if older * growth < 0.5 * growth * growth:
                z = 0.0
        leap = shift * shift * length * n_before / n
        if length <= _SHORT and (error - before) * shift < 0.25 * shift * shift:
            leap = 0.0
        jump = gain = 0.0
        if faded and length <= _JUMP_ROWS and seen[length] >= _LEAST_SEEN and (length > _SHORT or leap > 0.0):
            for at in range(length):
                jump += (state[RAW + ((rows - length + at) & (WINDOW - 1))] - before) * left[at]
            gain = jump * jump / (_PRIOR_ROWS + seen[length])
        if max(leap, gain) < _LEAST_CHI * variance and abs(z) < 2.0:
            continue
        log_loss = math.log(
            1.0 + 0.5 * (scatter_before + _PRIOR_ROWS * n_before * before * before / (_PRIOR_ROWS + n_before))
        )
        prior = 0.5 * math.log(_PRIOR_ROWS / (_PRIOR_ROWS + n_before))
        new = 0.5 * math.log(_PRIOR_ROWS / (_PRIOR_ROWS + length))
        apart = (_LOG_GAMMA[int(n_before) + 2] - (1.0 + 0.5 * n_before) * log_loss + _LOG_GAMMA[length + 2] + prior) - (
            _LOG_GAMMA[int(n) + 2] - base
        )
        by_spread = apart - (1.0 + 0.5 * length) * math.log(1.0 + 0.5 * (scatter_after + length * shift * shift))
        if leap >= _LEAST_CHI * variance:
            by_mean = base - (1.0 + 0.5 * n) * math.log(math.exp(log_loss) + 0.5 * moved) + prior + new
            likeliest_mean = max(likeliest_mean, by_mean)
            if by_mean > by_spread + tell and by_mean > state[MEAN_DECADES] * _DECADE:
                state[MEAN_DECADES] = by_mean / _DECADE
                state[MEAN_ROWS] = length
                state[MEAN_EFFECT] = shift / math.sqrt(max(variance, 0.05))
                state[MEAN_LEVEL] = 0.0
        if gain >= _LEAST_CHI * variance:
            around = scatter_after + length * shift * shift
            around_raw = raw2 - 2.0 * before * raw + length * before * before
            apart_raw = math.exp(log_loss) + 0.5 * around_raw
            rival = (1.0 + 0.5 * n) * math.log(apart_raw / (math.exp(log_loss) + 0.5 * around))
            rival += (1.0 + 0.5 * length) * math.log((1.0 + 0.5 * around) / (1.0 + 0.5 * around_raw))
            by_jump = (1.0 + 0.5 * n) * math.log(apart_raw / (apart_raw - 0.5 * gain))
            by_jump += 0.5 * math.log(_PRIOR_ROWS / (_PRIOR_ROWS + seen[length])) - _JUMP_PENALTY * _DECADE
            if by_jump > by_spread + rival + _DECADE and by_jump > state[MEAN_DECADES] * _DECADE:
                state[MEAN_DECADES] = by_jump / _DECADE
                state[MEAN_ROWS] = length
                state[MEAN_EFFECT] = jump / (_PRIOR_ROWS + seen[length]) / math.sqrt(max(variance, 0.05))
                state[MEAN_LEVEL] = 1.0
        if abs(z) >= 2.0:
            both = apart - (1.0 + 0.5 * length) * math.log(1.0 + 0.5 * moved) + new
            strayed = decades_of_t(z, min(blocks - 1.0, 60.0 if settled else 30.0))
            decades = min(strayed, max(by_spread, both) / _DECADE) - (0.0 if settled else _SPREAD_PENALTY)
            likeliest_spread = max(likeliest_spread, by_spread, both)
            if decades > state[SPREAD_DECADES]:
                state[SPREAD_DECADES] = decades
                state[SPREAD_ROWS] = length
                state[SPREAD_EFFECT] = 0.5 * growth
    if settled and likeliest_spread < likeliest_mean + _DECADE:  # a jump that the last rows are half of looks like a spread
        state[SPREAD_DECADES] = -9.0


@kernel
def _hold(state: Floats, error: float, raw: float) -> None:
    place = ERRORS + ((int(state[ROWS]) - 1) & (WINDOW - 1))
    if state[HELD] < WINDOW:
        state[HELD] += 1.0
    else:
        old = state[place]
        n = state[OLD_ROWS] = state[OLD_ROWS] + 1.0
        gap = old - state[OLD_MEAN]
        state[OLD_MEAN] += gap / n
        state[OLD_SQUARES] += gap * (old - state[OLD_MEAN])
        if n > MEMORY:
            state[OLD_SQUARES] *= MEMORY / n
            state[OLD_ROWS] = MEMORY
        gone = state[place - ERRORS + RAW]
        state[BLOCK_SUM] += gone
        state[BLOCK_SUM2] += gone * gone
        state[BLOCK_ROWS] += 1.0
        if state[BLOCK_ROWS] == _BLOCK:
            many = float(_BLOCK)
            spread = (state[BLOCK_SUM2] - state[BLOCK_SUM] * state[BLOCK_SUM] / many) / (many - 1.0)
            level = math.log(max(spread, _LEAST_VARIANCE))
            state[BLOCK_SUM] = state[BLOCK_SUM2] = state[BLOCK_ROWS] = 0.0
            blocks = state[BLOCKS] = state[BLOCKS] + 1.0
            if blocks > _BLOCKS:
                state[BLOCK_SQUARES] *= _BLOCKS / blocks
                blocks = state[BLOCKS] = _BLOCKS
            gap = level - state[BLOCK_MEAN]
            state[BLOCK_MEAN] += gap / blocks
            state[BLOCK_SQUARES] += gap * (level - state[BLOCK_MEAN])
    state[place] = error
    state[place - ERRORS + RAW] = raw


@kernel
def advance(state: Floats, value: float, warmup: int, settled: int) -> None:
    """Judges one value, then learns it; after ``settled`` rows a regime is begun anew once its mean is known."""
    rows = int(state[ROWS])
    if rows == 0:
        state[FIRST] = value
    x = value - state[FIRST]
    step = x - state[VALUES + ((rows - 1) & (KEPT - 1))] if rows else 0.0
    errors = mispredict(state, x, step)
    used = int(state[STEPS])
    state[VALUES + (rows & (KEPT - 1))] = x
    state[ROWS] = rows + 1.0
    state[MEAN_DECADES] = state[SPREAD_DECADES] = -9.0
    if rows >= 4:
        scale = max(state[USUAL + used], 1e-9 * abs(value)) * math.sqrt(
            1.0 + (state[ORDERS + used] + 1.0) / min(rows + 1.0, MEMORY)
        )
        error = errors[used]
        if scale > 0.0:
            unit = max(-1e6, min(1e6, error / scale))
        elif error == 0.0:
            unit = 0.0
        else:
            unit = 10.0 if error > 0.0 else -10.0
        normal = math.sqrt(_TAIL * math.log1p(unit * unit / _TAIL))
        _hold(state, normal if unit >= 0.0 else -normal, max(-_MOST_RAW, min(_MOST_RAW, unit)))
        if rows == warmup and warmup > WINDOW:  # the errors of a predictor that knew little yet are no regime
            state[HELD] = state[OLD_ROWS] = state[OLD_MEAN] = state[OLD_SQUARES] = 0.0
        if rows >= warmup:
            least_rows = 2
            if rows > _SETTLED:
                least_rows = min(8, 4 + int(2.0 * math.log2(rows / _SETTLED)))
            weigh(state, least_rows, rows > _SETTLED, rows > settled)
    learn(state, x, step, errors)
    age = rows + 1 - int(state[SINCE])
    if rows >= 7 and ((rows < 128 and rows % 4 == 3) or rows % 64 == 63 or age in (4, 8, 16, 32)):
        if state[JUMPED] == 1.0 and age <= WINDOW:
            align(state, age)
        fit(state)
        if age == 32 and rows > settled:  # from here on the new mean is known; errors from before would tell a change twice
            state[HELD] = state[OLD_ROWS] = state[OLD_MEAN] = state[OLD_SQUARES] = 0.0


@kernel
def settle(state: Floats, length: int, spread: bool) -> None:
    """Makes the last ``length`` rows the regime; ``spread``: it is their spread that is new."""
    rows = int(state[ROWS])
    length = min(length, int(state[HELD]))
    state[HELD] = length
    state[OLD_ROWS] = state[OLD_MEAN] = state[OLD_SQUARES] = 0.0
    state[BLOCK_SUM] = state[BLOCK_SUM2] = state[BLOCK_ROWS] = 0.0
    state[SINCE] = rows - length
    state[JUMPED] = 1.0 if state[MEAN_LEVEL] == 1.0 and not spread and length else 0.0
    if state[JUMPED] == 1.0:
        align(state, length)
    elif length:
        level = 0.0
        for at in range(length):
            level += state[VALUES + ((rows - 1 - at) & (KEPT - 1))]
        state[MEAN] = level / length
    if spread and length > 1:
        total = squares = 0.0
        for at in range(length):
            error = state[RAW + ((rows - 1 - at) & (WINDOW - 1))]
            total += error
            squares += error * error
        if state[BLOCKS] > 8.0:
            state[BLOCK_SQUARES] *= 8.0 / state[BLOCKS]
            state[BLOCKS] = 8.0
        state[BLOCK_MEAN] = math.log(max((squares - total * total / length) / (length - 1), _LEAST_VARIANCE))


@kernel
def asked(rows: float) -> float:
    """Decades demanded after so many rows: one a tenfold, and from 2,000 rows on two, up to 100,000."""
    return math.log10(rows) + math.log10(min(max(rows, 2e3), 1e5) / 2e3)


@kernel
def margin(state: Floats, limits: Floats) -> float:
    """Evidence beyond what is demanded, in decades, of mean or spread, whichever is more; -9 where none counts."""
    demand = limits[2] + asked(state[ROWS])
    found = -9.0
    if abs(state[MEAN_EFFECT]) >= limits[3]:
        found = state[MEAN_DECADES] - demand
    if abs(state[SPREAD_EFFECT]) >= limits[4]:
        found = max(found, state[SPREAD_DECADES] - demand)
    return found


@kernel
def advance_row(states: Floats, times: Floats, fields: NDArray[np.int64], row: Floats, limits: Floats) -> float:
    """Takes one row of an entity: each field on the scale of rows and, every `COARSE` rows, on that of their means.

    Args:
        states: one row of ``2 * SIZE`` floats a field.
        times: one row of `KEPT` event times a field, a ring by the field's own row number.
        fields: the numbers of this row's fields.
        row: event time, then this row's values.
        limits: warm-up on each scale in its own rows; the demand of the first row in decades; least effects of a new mean
            and of a new spread.

    Returns:
        the highest of the evidence beyond what is demanded, in decades, over fields and scales.
    """
    highest = -9.0
    for at in range(fields.size):
        state = states[fields[at]]
        times[fields[at], int(state[ROWS]) & (KEPT - 1)] = row[0]
        advance(state[:SIZE], row[at + 1], int(limits[0]), _SETTLED)
        highest = max(highest, margin(state[:SIZE], limits))
        state[FILL] += 1.0
        state[FILL_SUM] += row[at + 1] / COARSE
        if state[FILL] == COARSE:
            advance(state[SIZE:], state[FILL_SUM], int(limits[1]), _SETTLED // COARSE)
            state[FILL] = state[FILL_SUM] = 0.0
            highest = max(highest, margin(state[SIZE:], limits))
        else:
            state[SIZE + MEAN_DECADES] = state[SIZE + SPREAD_DECADES] = -9.0
    return highest
