from __future__ import annotations

import copy
import pickle
from random import Random

import pytest

from qraft.detect.anomaly.tail import Tail
from qraft.detect.gate import Gate
from qraft.detect.quantiles import SIZE, Quantiles


def rarity(tail: Tail, score: float) -> float:
    """What the tail would say, without learning it."""
    return copy.deepcopy(tail).weigh(score)


@pytest.mark.parametrize("scale", [0.3, 1.0])
def test_rarities_come_as_often_as_they_say(scale: float) -> None:
    draw = Random(1)
    tail = Tail(-6.0, 12.0, 400)
    seen = []
    for row in range(40_000):
        score = -4.0 + scale * draw.expovariate(1.0)
        rarity = tail.weigh(score)
        if row >= 1000:
            seen.append(rarity)
    for decades in (2.0, 3.0):
        share = sum(one >= decades for one in seen) / len(seen)
        assert 0.25 * 10**-decades < share < 2.5 * 10**-decades


def test_rarity_rises_with_the_score_and_is_nothing_below_the_tail() -> None:
    draw = Random(2)
    tail = Tail(-6.0, 12.0, 400)
    for _ in range(2000):
        tail.weigh(draw.gauss(-3.0, 0.5))
    rarities = [rarity(tail, -4.0 + 0.05 * step) for step in range(300)]
    assert rarities == sorted(rarities)
    assert rarities[0] == 0.0
    assert rarities[-1] > 6.0


def test_what_happens_often_stops_being_rare() -> None:
    draw = Random(3)
    tail = Tail(-6.0, 12.0, 400)
    for _ in range(2000):
        tail.weigh(draw.gauss(-3.0, 0.2))
    before = rarity(tail, 2.0)
    for row in range(2000):
        tail.weigh(2.0 if row % 20 == 0 else draw.gauss(-3.0, 0.2))
    assert rarity(tail, 2.0) < before / 2


def test_a_tail_survives_a_pickle() -> None:
    draw = Random(4)
    tail = Tail(-6.0, 12.0, 400)
    for row in range(6000):
        score = draw.gauss(-3.0, 1.0)
        if row % 501 == 0:
            again = pickle.loads(pickle.dumps(tail))
            assert again.weigh(score) == tail.weigh(score)
            tail = again
        else:
            tail.weigh(score)


def test_quantiles_are_those_of_the_recent_sample() -> None:
    draw = Random(5)
    quantiles = Quantiles()
    values = [draw.gauss(10.0, 2.0) for _ in range(SIZE)]
    for value in values:
        quantiles.add(value)
    ordered = sorted(values)
    assert quantiles.mid == ordered[(SIZE - 1) // 2]
    assert quantiles.low == ordered[(SIZE - 1) * 5 // 100]
    assert quantiles.width == quantiles.high - quantiles.low > 0.0
    for _ in range(4 * SIZE):
        quantiles.add(50.0)
    assert (quantiles.low, quantiles.mid, quantiles.high) == (50.0, 50.0, 50.0)


def test_quantiles_survive_a_pickle() -> None:
    draw = Random(6)
    quantiles = Quantiles()
    for at in range(3000):
        if at % 100 == 0:
            again = pickle.loads(pickle.dumps(quantiles))
            assert (again.low, again.mid, again.high) == (quantiles.low, quantiles.mid, quantiles.high)
            quantiles = again
        quantiles.add(draw.choice((draw.random(), 0.5)))


def test_one_incident_passes_the_gate_once() -> None:
    gate = Gate()
    told = []
    for row in range(2000):
        level = 13.0 if row == 640 else 6.0 if 500 <= row < 700 or row == 1500 else 0.0
        if level >= 5.0 and not gate.holds(row, level):
            gate.alert(row, level)
            told.append(row)
    assert told == [500, 640, 1500]
