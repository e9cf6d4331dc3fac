"""What drift remembers of a field: known levels, daily habits."""

from __future__ import annotations

from random import Random

from qraft.config.detect import DriftSettings
from qraft.detect.drift.detector import DriftDetector
from qraft.detect.drift.past import Past
from tests.detect.streams import START_US

DAY_US = 86_400_000_000


def test_a_level_is_known_once_it_was_stood_at_long_enough() -> None:
    past = Past()
    past.leave(5.0, 1.0, 20)
    assert not past.returns(5.0, 0.5)
    past.leave(5.0, 1.0, 200)
    assert past.returns(5.4, 0.5)
    assert not past.returns(5.6, 0.5)


def test_the_oldest_level_gives_way() -> None:
    past = Past()
    for level in range(9):
        past.leave(10.0 * level, 1.0, 200)
    assert not past.returns(0.0, 1.0)
    assert past.returns(80.0, 1.0)


def test_a_change_at_the_same_time_of_two_earlier_days_is_a_habit() -> None:
    past = Past()
    past.note(START_US, 1.0)
    assert not past.daily(START_US + DAY_US, 1.0)
    past.note(START_US + DAY_US, 1.0)
    assert past.daily(START_US + 2 * DAY_US + 600_000_000, 1.0)
    assert not past.daily(START_US + 2 * DAY_US, -1.0)
    assert not past.daily(START_US + 2 * DAY_US + DAY_US // 4, 1.0)


def test_a_square_daily_wave_falls_silent() -> None:
    draw = Random(8)
    detector = DriftDetector(DriftSettings())
    found = 0
    for at in range(20_000):
        value = 3.0 * (at // 720 % 2) + draw.gauss(0.0, 1.0)
        found += detector.step(START_US + at * 60_000_000, {"x": value}, 0.5).finding is not None
    assert 1 <= found <= 8
