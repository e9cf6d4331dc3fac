"""The t-digest: quantiles of any stream, close to the exact ones, in bounded space."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, strategies as st

from qraft.detect.digest import DIGEST, FORGET, digest_add, digest_quantile


def digest_of(values: list[float]) -> np.ndarray:
    digest = np.zeros(DIGEST)
    for value in values:
        digest_add(digest, value)
    return digest


@pytest.mark.parametrize("draw", ["normal", "heavy", "skewed", "sorted", "discrete"])
def test_quantiles_lie_within_half_a_percent_of_rank(draw: str) -> None:
    random = np.random.default_rng(1)
    values = {
        "normal": random.normal(size=12_000),
        "heavy": random.standard_t(2, 12_000),
        "skewed": random.exponential(size=12_000),
        "sorted": np.sort(random.normal(size=12_000)),
        "discrete": random.integers(0, 7, 12_000).astype(float),
    }[draw]
    digest = digest_of(values.tolist())
    for share in (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99):
        low, high = np.quantile(values, [max(share - 0.005, 0.0), min(share + 0.005, 1.0)])
        assert low - 1e-9 <= digest_quantile(digest, share) <= high + 1e-9


@given(st.lists(st.floats(-1e12, 1e12), min_size=1, max_size=400))
def test_quantiles_rise_and_stay_within_the_values(values: list[float]) -> None:
    digest = digest_of(values)
    quantiles = [digest_quantile(digest, share / 20) for share in range(21)]
    slack = 1e-9 * max(abs(value) for value in values)
    assert all(low <= high + slack for low, high in itertools.pairwise(quantiles))
    assert min(values) - slack <= quantiles[0]
    assert quantiles[-1] <= max(values) + slack


def test_few_values_are_exact() -> None:
    digest = digest_of([5.0, 1.0, 3.0])
    assert digest_quantile(digest, 0.5) == 3.0


def test_the_distant_past_fades() -> None:
    digest = digest_of([0.0] * int(FORGET) + [1.0] * int(2 * FORGET))
    assert digest_quantile(digest, 0.5) == pytest.approx(1.0)
    assert digest_quantile(digest, 0.02) == pytest.approx(0.0)


def test_nothing_has_no_quantile() -> None:
    assert digest_quantile(np.zeros(DIGEST), 0.5) == 0.0
