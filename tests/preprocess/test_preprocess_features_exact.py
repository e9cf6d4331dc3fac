from __future__ import annotations

import math
import random
import statistics
from fractions import Fraction

import msgspec
import numpy as np
import pytest
from hypothesis import given, strategies as st

from qraft.preprocess.operators.exact import Moments, WeightedMean, quantile

numbers = st.floats(-1e100, 1e100)
several = st.lists(numbers, min_size=1, max_size=30)


def moments(values: list[float]) -> Moments:
    out = Moments()
    for value in values:
        out.add(value)
    return out


def read(one: Moments) -> tuple[float, float, float | None]:
    return one.sum(), one.mean(), one.std()


@given(values=several)
def test_sum_and_mean_are_correctly_rounded_and_std_within_an_ulp(values: list[float]) -> None:
    total, mean, std = read(moments(values))
    assert total == math.fsum(values)
    assert mean == float(sum(map(Fraction, values)) / len(values))
    if std is None:
        assert len(values) == 1
        return
    expected = statistics.stdev(values)
    assert abs(std - expected) <= math.ulp(expected) or expected < 1e-150  # the variance of such is below the least float


@given(values=several, gone=several, seed=st.integers(0, 999))
def test_what_was_taken_away_leaves_no_trace(values: list[float], gone: list[float], seed: int) -> None:
    mixed = moments([*gone, *values])
    random.Random(seed).shuffle(gone)
    for value in gone:
        mixed.remove(value)
    assert read(mixed) == read(moments(values))


@given(first=several, second=several)
def test_the_grouping_of_sums_does_not_matter(first: list[float], second: list[float]) -> None:
    merged = moments(first)
    merged.merge(moments(second))
    restored = Moments()
    restored.load(msgspec.msgpack.decode(msgspec.msgpack.encode(merged.state())))
    assert read(merged) == read(restored) == read(moments([*second, *first]))


@given(pairs=st.lists(st.tuples(numbers, st.floats(0, 1e100)), min_size=1, max_size=20), cut=st.integers(0, 20))
def test_a_weighted_mean_is_correctly_rounded(pairs: list[tuple[float, float]], cut: int) -> None:
    one, other, whole = WeightedMean(), WeightedMean(), WeightedMean()
    for n, (value, weight) in enumerate(pairs):
        (one if n < cut else other).add(value, weight)
        whole.add(value, weight)
    one.merge(other)
    restored = WeightedMean()
    restored.load(msgspec.msgpack.decode(msgspec.msgpack.encode(one.state())))
    weights = sum(Fraction(weight) for _, weight in pairs)
    expected = float(sum(Fraction(value) * Fraction(weight) for value, weight in pairs) / weights) if weights else None
    assert restored.mean() == whole.mean() == expected


def test_weights_that_cancel_make_no_mean() -> None:
    mean = WeightedMean()
    mean.add(1e100, 1e100)
    mean.add(-1e100, math.nextafter(-1e100, 0))
    assert mean.mean() is not None
    mean.add(1.0, -1e100)
    assert mean.mean() is None


def test_a_weighted_mean_beyond_all_floats_is_none() -> None:
    mean = WeightedMean()
    mean.add(1e100, 1e100)
    mean.add(0.0, -1e100)
    mean.add(0.0, 5e-324)
    assert mean.mean() is None


@given(values=st.lists(st.floats(-1e12, 1e12), min_size=1, max_size=40), share=st.floats(0, 1))
def test_quantiles_are_numpys(values: list[float], share: float) -> None:
    ordered = sorted(values)
    assert quantile(ordered, share) == pytest.approx(float(np.quantile(ordered, share)), rel=1e-12, abs=1e-3)
