"""The algorithms against River's own objects: the same numbers, bit for bit."""

from __future__ import annotations

import pickle
from random import Random

import pytest
from river.anomaly import HalfSpaceTrees
from river.drift import ADWIN
from river.drift.binary import DDM

from qraft.detect.backend import HalfSpaceForest, RiverAdwin, RiverDdm


@pytest.mark.parametrize(
    ("fields", "trees", "height", "window"), [(6, 10, 8, 250), (1, 3, 3, 20), (5, 2, 12, 100), (2, 20, 2, 50)]
)
@pytest.mark.parametrize("missing", [0.0, 0.15])
def test_forest_is_rivers(fields: int, trees: int, height: int, window: int, missing: float) -> None:
    draw = Random(fields)
    river = HalfSpaceTrees(n_trees=trees, height=height, window_size=window, seed=7)
    ours = HalfSpaceForest(fields, trees, height, window, seed=7)
    scores = set()
    for at in range(3 * window + 60):
        row = [draw.betavariate(5, 5) if at == 0 or draw.random() >= missing else None for _ in range(fields)]
        named = {field: value for field, value in enumerate(row) if value is not None}
        expected = river.score_one(named)
        assert ours.score(row) == expected
        assert ours.observe(row) == expected
        river.learn_one(named)
        scores.add(expected)
        if at % 97 == 0:
            ours = pickle.loads(pickle.dumps(ours))
    assert len(scores) > 20


def test_adwin_is_rivers_and_survives_a_pickle() -> None:
    draw = Random(1)
    river, ours = ADWIN(delta=0.002, clock=16), RiverAdwin(0.002, 16)
    seen = 0
    for at in range(20_000):
        x = draw.gauss(at // 1000 % 2, 0.5)
        river.update(x)
        assert ours.update(x) == river.drift_detected
        seen += river.drift_detected
        if at % 777 == 0:
            ours = pickle.loads(pickle.dumps(ours))
    assert seen > 10


def test_ddm_is_rivers_and_survives_a_pickle() -> None:
    draw = Random(1)
    river, ours = DDM(warm_start=30, warning_threshold=2.0, drift_threshold=3.0), RiverDdm(30, 3.0)
    seen = 0
    for at in range(10_000):
        missed = draw.random() < (0.1 if at // 800 % 2 == 0 else 0.5)
        river.update(missed)
        assert ours.update(missed) == river.drift_detected
        seen += river.drift_detected
        if at % 777 == 0:
            ours = pickle.loads(pickle.dumps(ours))
    assert seen > 5
