"""What gives way as the engine falls behind, and how it comes back."""

from __future__ import annotations

from hypothesis import given, strategies as st

from qraft.config.settings import PressureSettings
from qraft.engine.ladder import TREND_SECONDS, Ladder
from qraft.model import LEVELS

STEP = 0.25


def run(
    lags: list[float], *, growth: int = 1, start: int = 10_000, waiting: bool = False, ladder: Ladder | None = None
) -> list[str]:
    """The level at each step of a quarter second, while the backlog changes by ``growth`` a step."""
    ladder = ladder or Ladder(PressureSettings())
    return [ladder.update(n * STEP, lag, start + growth * n, waiting=waiting) for n, lag in enumerate(lags)]


def ramp(start: float, slope: float, seconds: float) -> list[float]:
    return [start + slope * n * STEP for n in range(round(seconds / STEP))]


def test_a_lag_that_grows_takes_the_steps_in_order_and_only_beyond_their_lag() -> None:
    lags = ramp(0, 1, 60)
    levels = run(lags)
    assert list(dict.fromkeys(levels)) == ["full", "light", "archive"]
    assert lags[levels.index("light")] > 10
    assert lags[levels.index("archive")] > 30


def test_a_backlog_that_shrinks_is_worked_off_with_full_detection_however_old_it_is() -> None:
    assert set(run([3600.0] * 2000, growth=-1)) == {"full"}


def test_a_backlog_that_stays_gives_way_too() -> None:
    assert run([15.0] * 40, growth=0)[-1] == "light"


def test_an_engine_that_waits_for_a_server_does_not_give_way() -> None:
    assert set(run(ramp(0, 1, 60), waiting=True)) == {"full"}


def test_it_comes_back_step_by_step_once_the_lag_is_short() -> None:
    ladder = Ladder(PressureSettings())
    run(ramp(0, 1, 60), ladder=ladder)
    assert ladder.level == "archive"
    levels = [ladder.update(60 + n * STEP, lag, 9_000 - n, waiting=False) for n, lag in enumerate(ramp(60, -5, 11.9))]
    assert list(dict.fromkeys(levels)) == ["archive", "light", "full"]


MOMENTS = st.tuples(st.floats(0, 100), st.integers(0, 50), st.booleans())


@given(st.lists(MOMENTS, min_size=1, max_size=300))
def test_it_moves_one_step_at_a_time_down_only_while_behind_and_back_only_when_not(
    moments: list[tuple[float, int, bool]],
) -> None:
    ladder, position = Ladder(PressureSettings()), 0
    for n, (lag, backlog, waiting) in enumerate(moments):
        now = LEVELS.index(ladder.update(n * STEP, lag, backlog, waiting=waiting))
        assert abs(now - position) <= 1
        if now > position:
            assert lag > (10, 30)[position]
            assert not waiting
            assert n * STEP >= TREND_SECONDS
        if now < position:
            assert lag < (2, 10)[now]
        position = now
