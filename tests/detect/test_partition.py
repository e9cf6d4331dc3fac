from __future__ import annotations

from random import Random

import pytest

from qraft.detect.clusters.blocks import Block, block_of, merged, move_test, occupancy_test
from qraft.detect.clusters.partition import FARTHEST, Scaling, first_centres


def test_scaling_is_robust_and_cut() -> None:
    draw = Random(1)
    rows = [{"x": draw.gauss(100.0, 5.0), "flat": 3.0} for _ in range(400)]
    rows[7]["x"] = 1e30
    scaling = Scaling(rows)
    assert scaling.names == ["x", "flat"]
    x, flat = scaling.vector({"x": 105.0, "flat": 3.0})
    assert x == pytest.approx(1.0, abs=0.3)
    assert flat == 0.0
    assert scaling.vector({"x": 1e30, "flat": -9e9}) == [FARTHEST, -FARTHEST]
    assert scaling.vector({}) == [0.0, 0.0]
    assert scaling.unit(0, x) == pytest.approx(105.0)


def test_a_field_that_is_mostly_missing_is_left_out() -> None:
    rows = [{"x": 1.0 * at} if at % 3 else {"x": 1.0 * at, "rare": 2.0} for at in range(90)]
    assert Scaling(rows).names == ["x"]


def test_first_centres_find_the_clusters() -> None:
    draw = Random(2)
    places = [(0.0, 0.0), (5.0, 0.0), (0.0, 5.0)]
    points = [[at + draw.gauss(0.0, 0.3) for at in places[number % 3]] for number in range(300)]
    centres, labels = first_centres(points, 3, seed=1)
    assert sorted(tuple(round(at) for at in centre) for centre in centres) == [(0, 0), (0, 5), (5, 0)]
    assert all(labels[at] == labels[at % 3] for at in range(300))
    assert first_centres(points, 3, seed=1) == (centres, labels)


def test_fewer_points_give_fewer_centres() -> None:
    assert first_centres([[1.0], [1.0], [1.0]], 4, seed=1) == ([[1.0]], [0, 0, 0])
    assert first_centres([[], []], 4, seed=1) == ([[]], [0, 0])


def blocks(draw: Random, number: int, shares: tuple[float, ...], move: float = 0.0) -> list[Block]:
    out = []
    for _ in range(number):
        labels = draw.choices(range(len(shares)), shares, k=50)
        vectors = [
            [label * 5.0 + draw.gauss(0.0, 1.0) + (move if label == 1 else 0.0), draw.gauss(0.0, 1.0)] for label in labels
        ]
        out.append(block_of(labels, vectors, len(shares)))
    return out


def test_a_block_holds_the_sums() -> None:
    block = block_of([0, 1, 1], [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], 3)
    assert list(block.counts) == [1.0, 2.0, 0.0]
    assert list(block.sums) == [1.0, 2.0, 8.0, 10.0, 0.0, 0.0]
    assert list(block.squares) == [1.0, 4.0, 34.0, 52.0, 0.0, 0.0]
    assert block.mean(0) == 3.0
    assert block.mean(1, 1) == 5.0
    both = merged([block, block])
    assert both.rows == 6
    assert list(both.sums) == [2.0, 4.0, 16.0, 20.0, 0.0, 0.0]


def test_chance_is_seldom_taken_for_a_change() -> None:
    draw = Random(3)
    found = 0
    for _ in range(200):
        reference, current = blocks(draw, 20, (0.5, 0.3, 0.2)), blocks(draw, 4, (0.5, 0.3, 0.2))
        before, after = merged(reference), merged(current)
        found += occupancy_test(reference, before, after).decades > 2.0
        found += move_test(reference, current, before, after).decades > 2.0
    assert found <= 8


def test_changed_shares_and_moved_centres_are_found() -> None:
    draw = Random(4)
    reference = blocks(draw, 20, (0.5, 0.3, 0.2))
    shares = blocks(draw, 4, (0.2, 0.3, 0.5))
    occupancy = occupancy_test(reference, merged(reference), merged(shares))
    assert occupancy.decades > 4.0
    assert occupancy.moved_share == pytest.approx(0.3, abs=0.1)
    moved = blocks(draw, 4, (0.5, 0.3, 0.2), move=2.0)
    move = move_test(reference, moved, merged(reference), merged(moved))
    assert (move.cluster, move.field) == (1, 0)
    assert move.decades > 4.0
    assert move.distance == pytest.approx(2.0, abs=0.5)


def test_a_stream_that_wanders_between_clusters_is_not_a_change() -> None:
    draw = Random(5)
    reference = [block for at in range(20) for block in blocks(draw, 1, (0.9, 0.1) if at // 4 % 2 else (0.1, 0.9))]
    current = blocks(draw, 4, (0.9, 0.1))
    occupancy = occupancy_test(reference, merged(reference), merged(current))
    assert occupancy.dispersion > 10.0
    assert occupancy.decades < 2.0
