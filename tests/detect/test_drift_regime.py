"""The kernels of drift against plain references: the evidence of the paper's predictive densities, the autoregression."""

from __future__ import annotations

import math
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy.linalg import solve_toeplitz

from qraft.detect.drift.layout import (
    ERRORS,
    HELD,
    MEAN_DECADES,
    MEAN_ROWS,
    OLD_MEAN,
    OLD_ROWS,
    OLD_SQUARES,
    ORDER,
    ROWS,
    SIZE,
    SPREAD_DECADES,
    WINDOW,
    Floats,
)
from qraft.detect.drift.predict import levinson
from qraft.detect.drift.regime import LENGTHS, advance, settle, weigh

PRIOR = 0.1


def marginal(sides: list[list[float]], centres: list[float]) -> float:
    """Log of the marginal likelihood of samples with means of their own and one variance, without powers of 2 pi.

    Normal-gamma prior with a unit shape and rate and a mean of weight 0.1 at each centre, predicted one by one: the product
    of Student t's of Adams & MacKay (2007), section 2.3, with the variance's shape and rate handed on.
    """
    alpha, beta, log = 1.0, 1.0, 0.0
    for values, centre in zip(sides, centres, strict=True):
        kappa, mu = PRIOR, centre
        for x in values:
            width = beta * (kappa + 1.0) / kappa
            grown = 1.0 + (x - mu) ** 2 / (2.0 * width)
            log += math.lgamma(alpha + 0.5) - math.lgamma(alpha) - 0.5 * math.log(width) - (alpha + 0.5) * math.log(grown)
            beta += kappa * (x - mu) ** 2 / (2.0 * (kappa + 1.0))
            mu = (kappa * mu + x) / (kappa + 1.0)
            kappa += 1.0
            alpha += 0.5
    return log


def held(errors: list[float]) -> Floats:
    """A state with these errors: the newest in the window, the rest as sums."""
    state = np.zeros(SIZE)
    state[ROWS] = len(errors)
    kept = min(len(errors), WINDOW)
    state[HELD] = kept
    for at in range(len(errors) - kept, len(errors)):
        state[ERRORS + at % WINDOW] = errors[at]
    old = errors[: len(errors) - kept]
    if old:
        state[OLD_ROWS], state[OLD_MEAN] = len(old), np.mean(old)
        state[OLD_SQUARES] = float(((np.array(old) - np.mean(old)) ** 2).sum())
    return state


@pytest.mark.parametrize("rows", [12, 40, 64, 65, 200])
@pytest.mark.parametrize("shift", [1.5, 4.0])
def test_the_evidence_is_the_ratio_of_marginal_likelihoods(rows: int, shift: float) -> None:
    draw = Random(rows)
    errors = [draw.gauss(0.0, 1.0) + (shift if at >= rows - 4 else 0.0) for at in range(rows)]
    state = held(errors)
    weigh(state, 2, False, False)
    ratios = {}
    for length in LENGTHS.tolist():
        if length > min(rows, WINDOW) or rows - length < 8:
            continue
        if length <= 4 and errors[rows - length] < 0.25 * float(np.mean(errors[rows - length :])) + 0.5:
            continue  # the first must itself lie where the others do
        before, after = errors[: rows - length], errors[rows - length :]
        ratio = marginal([before, after], [0.0, float(np.mean(before))]) - marginal([errors], [0.0])
        ratios[length] = ratio / math.log(10.0)
    best = max(ratios, key=lambda length: ratios[length])
    if ratios[best] >= 1.0:
        assert state[MEAN_DECADES] == pytest.approx(ratios[best], rel=1e-9)
        assert state[MEAN_ROWS] == best
    else:
        assert state[MEAN_DECADES] < 1.0


@given(st.lists(st.floats(-3, 3), min_size=12, max_size=150), st.floats(-5, 5))
@settings(max_examples=50, deadline=None)
def test_the_evidence_is_finite_and_no_matter_of_sign(errors: list[float], shift: float) -> None:
    errors = [*errors[:-3], *(error + shift for error in errors[-3:])]
    one, other = held(errors), held([-error for error in errors])
    weigh(one, 2, True, False)
    weigh(other, 2, True, False)
    assert np.isfinite(one).all()
    assert one[MEAN_DECADES] == pytest.approx(other[MEAN_DECADES], rel=1e-9)
    assert one[SPREAD_DECADES] == -9.0


@pytest.mark.parametrize("order", [1, 2, 5])
def test_levinson_solves_the_normal_equations(order: int) -> None:
    draw = np.random.default_rng(order)
    values = draw.normal(size=500).cumsum()
    values = values - values.mean()
    lags = np.array([float(values[lag:] @ values[: len(values) - lag]) for lag in range(ORDER + 1)])
    out = np.zeros(ORDER)
    found = levinson(lags, order, 1e9, out)
    assert out[:found] == pytest.approx(solve_toeplitz(lags[:found], lags[1 : found + 1]))
    assert not out[found:].any()


def test_levinson_of_nothing_is_nothing() -> None:
    out = np.ones(ORDER)
    assert levinson(np.zeros(ORDER + 1), 8, 100.0, out) == 0
    assert not out.any()


@given(st.lists(st.floats(-1e100, 1e100) | st.sampled_from([0.0, 1e-300, 5.0]), min_size=1, max_size=120))
@settings(max_examples=60, deadline=None)
def test_any_values_leave_a_finite_state(values: list[float]) -> None:
    state = np.zeros(SIZE)
    for at, value in enumerate(values):
        advance(state, value, 12, 64)
        assert np.isfinite(state).all()
        if at % 37 == 36:
            settle(state, 3, at % 2 == 0)
    assert state[ROWS] == len(values)
