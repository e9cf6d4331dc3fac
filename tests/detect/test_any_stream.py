"""Streams of every kind and magnitude, changing at random: nothing breaks, and what is said stays finite."""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random

import pytest

from qraft.config.detect import AdwinSettings, ClusterSettings, DdmSettings, DetectSettings, ForestSettings
from tests.detect.streams import Row, findings

QUICK = DetectSettings(
    adwin=AdwinSettings(warmup=20),
    ddm=DdmSettings(warmup=20),
    forest=ForestSettings(window=40, trees=3, height=4),
    clusters=ClusterSettings(window=50),
)


def field(draw: Random) -> Callable[[], float]:
    size = 10.0 ** (draw.randrange(-300, 99) if draw.random() < 0.3 else draw.randrange(-3, 6))
    level = draw.choice([0.0, 1.0, -5.0, 1e6]) * size
    at = [level]

    def walk() -> float:
        at[0] += size * draw.gauss(0.0, 1.0)
        return at[0]

    return draw.choice(
        [
            walk,
            lambda: level,
            lambda: level + size * draw.gauss(0.0, 1.0),
            lambda: size * (draw.random() < 0.05),
            lambda: draw.choice([level, level + size]),
            lambda: size * math.exp(min(200.0, 3.0 * draw.gauss(0.0, 1.0))),
            lambda: draw.choice([-1.0, 1.0]) * 10.0 ** draw.uniform(-300, 99),
        ]
    )


def anything(seed: int, rows: int) -> list[Row]:
    draw = Random(seed)
    fields = {f"f{number}": field(draw) for number in range(draw.randrange(1, 6))}
    out = []
    for at in range(rows):
        if draw.random() < 0.01:
            fields[draw.choice(list(fields))] = field(draw)
        row = {
            name: max(-1e100, min(1e100, value())) for name, value in fields.items() if draw.random() < (0.98, 0.7)[seed % 2]
        }
        if draw.random() < 0.01:
            row[f"new{at}"] = 1.0
        out.append({} if draw.random() < 0.02 else row)
    return out


@pytest.mark.parametrize("seed", range(24))
def test_any_stream(seed: int) -> None:
    for _, _, confidence, finding in findings(anything(seed, 700), QUICK, line=0.05):
        assert 0.05 <= confidence <= 1.0
        assert sum(one.score for one in finding.contributors) == pytest.approx(1.0)
        assert all(math.isfinite(value) for value in finding.metrics.values())
        assert all(math.isfinite(one.before or 0.0) and math.isfinite(one.after or 0.0) for one in finding.contributors)
        assert finding.summary
