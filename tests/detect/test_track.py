from __future__ import annotations

import pickle
from random import Random

import pytest

from qraft.detect.noise import Noise
from qraft.detect.track import BLOCK, KEPT, MAX_FIELDS, Track, Tracks
from tests.detect.streams import cycle, noise, walk


def followed(values: list[float]) -> Track:
    track = Track("x", 0)
    for value in values:
        track.update(value)
    return track


def test_each_kind_of_stream_gets_its_predictor() -> None:
    level = followed([row["f0"] for row in noise(5000, 1)])
    steps = followed([row["f0"] for row in walk(5000, 1)])
    counter = followed([1000.0 * at for at in range(2000)])
    assert not level.follows_steps
    assert steps.follows_steps
    assert counter.follows_steps
    assert counter.usual_step == pytest.approx(1000.0)
    assert level.scale == pytest.approx(1.0, rel=0.1)
    assert steps.scale == pytest.approx(1.0, rel=0.1)


def test_a_slow_cycle_is_followed() -> None:
    track = followed([row["f0"] for row in cycle(8000, height=10.0, fields=1)])
    assert track.scale < 2.0


def test_one_wild_value_changes_little() -> None:
    values = [row["f0"] for row in noise(3000, 1)]
    values[2000] = 1e12
    track = followed(values)
    assert track.scale == pytest.approx(1.0, rel=0.15)
    assert abs(track.deviation) < 4.0


def test_memory_is_bounded() -> None:
    track = followed([row["f0"] for row in noise(20_000, 1)])
    assert track.blocks == 19_999 // BLOCK
    assert len(track.levels) <= KEPT + 32
    assert len(track.levels) == len(track.deviations) == len(track.misses) == len(track.errors) == len(track.squares)
    tracks = Tracks()
    for at in range(3 * MAX_FIELDS):
        tracks.update({"x": 1.0, f"f{at}": 2.0})
    assert len(tracks.by_name) == MAX_FIELDS
    assert "x" in tracks.by_name
    assert "f0" not in tracks.by_name
    assert tracks.absent("x") == 0
    assert tracks.absent(f"f{3 * MAX_FIELDS - 11}") == 10


def test_a_constant_field_has_no_deviation_until_it_moves() -> None:
    track = followed([5.0] * 100)
    assert (track.error, track.deviation, track.scale, track.missed) == (0.0, 0.0, 0.0, False)
    track.update(5.1)
    assert track.deviation == 4.0
    assert track.missed


def test_a_track_survives_a_pickle() -> None:
    one, other = Track("x", 0), Track("x", 0)
    for at, row in enumerate(walk(3000, 1)):
        one.update(row["f0"])
        other.update(row["f0"])
        assert (one.deviation, one.missed) == (other.deviation, other.missed)
        if at % 311 == 0:
            other = pickle.loads(pickle.dumps(other))


@pytest.mark.parametrize("blocks", [1, 2, 4, 9, 16, 40])
def test_noise_of_independent_rows(blocks: int) -> None:
    draw = Random(1)
    noise_ = Noise(1.0, 8)
    for _ in range(4000):
        noise_.add(draw.gauss(0.0, 8**-0.5))
    assert noise_.variance(blocks) == pytest.approx(1.0 / (8 * blocks), rel=0.8)


def test_noise_of_rows_that_depend_on_each_other_is_larger() -> None:
    draw = Random(1)
    noise_ = Noise(1.0, 8)
    at = 0.0
    for _ in range(4000):
        at = 0.9 * at + draw.gauss(0.0, 1.0)
        noise_.add(at)
    assert noise_.variance(16) > 4.0 * noise_.variance(1) / 16


def test_noise_of_a_flat_signal_never_vanishes() -> None:
    noise_ = Noise(1.0, 8)
    for _ in range(60_000):
        noise_.add(0.0)
    assert 0.0 < noise_.variance(3) < 1.0 / 24
