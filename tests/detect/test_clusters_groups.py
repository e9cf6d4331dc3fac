from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings, strategies as st

from qraft.detect.clusters.groups import Groups, grains_of, groups_of, labelled, scale_of, scaled
from tests.detect.mixtures import centres, sample, shares

Floats = npt.NDArray[np.float64]


def groups(rows: Floats, most: int = 8) -> Groups:
    middle, width = scale_of(rows)
    return groups_of(scaled(rows, middle, width), most, grains_of(rows) / width)


def sine(draw: np.random.Generator) -> Floats:
    at = np.arange(800)[:, None]
    return 3.0 * np.sin(2.0 * np.pi * (at / 1440.0 + 0.13 * np.arange(3))) + draw.normal(size=(800, 3))


@pytest.mark.parametrize(
    "stream",
    [
        lambda draw: draw.normal(size=(200, 1)),
        lambda draw: draw.normal(size=(800, 8)),
        lambda draw: draw.normal(size=(800, 3)).cumsum(axis=0),
        lambda draw: draw.standard_t(3, (200, 3)),
        lambda draw: np.exp(draw.normal(size=(200, 2))),
        lambda draw: draw.poisson(2.0, (200, 2)).astype(float),
        lambda draw: np.full((200, 2), 7.0),
        sine,
    ],
)
def test_what_is_one_group_has_one(stream: Callable[[np.random.Generator], Floats]) -> None:
    draw = np.random.default_rng(1)
    assert sum(len(groups(stream(draw)).shares) != 1 for _ in range(30)) <= 1


@pytest.mark.parametrize("number", [2, 3, 4, 5])
def test_the_number_of_groups_is_found(number: int) -> None:
    right = 0
    for seed in range(30):
        draw = np.random.default_rng([seed, number])
        at, spread = centres(draw, number, 4, 7.0), draw.uniform(0.6, 1.3, number)
        right += len(groups(sample(draw, 400, at, spread, shares(draw, number))).shares) == number
    assert right >= 27


def test_a_walk_between_two_places_is_one_group() -> None:
    there = np.concatenate([np.zeros(60), np.linspace(0.0, 20.0, 40), np.full(60, 20.0), np.linspace(20.0, 0.0, 40)])
    rows = np.tile(there, 4)[:, None] + np.random.default_rng(1).normal(size=(800, 1))
    assert len(groups(rows).shares) == 1


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 10**6),
    st.integers(1, 4),
    st.floats(1e-6, 1e6),
    st.integers(1, 8),
)
def test_units_do_not_matter_and_shares_add_up(seed: int, fields: int, size: float, most: int) -> None:
    draw = np.random.default_rng(seed)
    number = int(draw.integers(1, 5))
    rows = sample(draw, 200, centres(draw, number, fields, 12.0), np.ones(number), shares(draw, number))
    rows[draw.random(rows.shape) < 0.05] = np.nan
    found = groups(rows, most)
    assert 1 <= len(found.shares) <= most
    assert found.shares.sum() == pytest.approx(1.0)
    assert (found.spreads > 0.0).all()
    assert np.isfinite(found.centres).all()
    other = groups(size * rows, most)
    assert len(other.shares) == len(found.shares)
    assert sorted(np.bincount(other.labels)) == sorted(np.bincount(found.labels))


def test_a_row_belongs_to_the_group_it_is_likeliest_in() -> None:
    places, spreads = np.array([[0.0, 0.0], [6.0, 0.0]]), np.array([[0.5, 1.0], [3.0, 1.0]])
    rows = np.array([[0.2, 0.0], [2.5, 0.0], [6.0, np.nan], [np.nan, 0.0], [-4.0, 0.0]])
    assert labelled(rows, places, spreads).tolist() == [0, 1, 1, 0, 1]
