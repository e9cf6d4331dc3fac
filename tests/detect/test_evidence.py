from __future__ import annotations

import math
from random import Random

import pytest
from hypothesis import given, strategies as st
from scipy import stats

from qraft.detect.evidence import (
    LINE_DECADES,
    Habit,
    confidence,
    decades_of,
    effect_confidence,
    normal_decades,
)


@given(st.floats(0, 1e4), st.floats(0, 1e4))
def test_confidence_is_monotone_and_a_share(one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert 0.0 <= confidence(low) <= confidence(high) < 1.0


def test_half_stands_at_the_line() -> None:
    assert confidence(LINE_DECADES) == 0.5
    assert confidence(0.0) == 0.0
    assert confidence(7.0, line=7.0) == 0.5


@given(st.floats(0.01, 0.99))
def test_decades_are_the_inverse(level: float) -> None:
    assert confidence(decades_of(level)) == pytest.approx(level)


@given(st.floats(0, 1e6), st.floats(0, 1e6), st.floats(0.01, 100))
def test_effects_are_monotone(one: float, other: float, least: float) -> None:
    low, high = sorted((one, other))
    assert 0.0 <= effect_confidence(low, least) <= effect_confidence(high, least) <= 1.0
    assert effect_confidence(least, least) == 0.5
    assert effect_confidence(low, 0.0) == 1.0


@pytest.mark.parametrize("z", [1.0, 3.0, 6.0, 10.0])
@pytest.mark.parametrize("freedom", [6.0, 20.0, 200.0])
def test_tails_are_students(z: float, freedom: float) -> None:
    exact = -math.log10(2.0 * stats.t.sf(z, freedom))
    assert normal_decades(z, freedom) == pytest.approx(exact, rel=0.15, abs=0.1)


def test_tails_never_overflow() -> None:
    assert normal_decades(0.0) == pytest.approx(0.0)
    assert math.isfinite(normal_decades(1e200))


def test_a_habit_grows_and_fades() -> None:
    habit = Habit()
    assert habit.demand(0) == 0.0
    draw = Random(1)
    row = 0
    for _ in range(7):
        row += draw.randrange(1, 20)
        habit.note(row)
    assert habit.demand(row) == pytest.approx(3.0, abs=0.02)
    assert habit.demand(row + 100_000) < 0.01
