from __future__ import annotations

from tui.state.clock import CALM_FRAMES, FrameClock


def test_calm_and_local_is_four_a_second() -> None:
    assert FrameClock(remote=False).hertz(10) == 4


def test_a_burst_or_a_remote_terminal_is_two() -> None:
    assert FrameClock(remote=False).hertz(1000) == 2
    assert FrameClock(remote=True).hertz(0) == 2


def test_dear_frames_are_one_a_second_until_several_were_cheap() -> None:
    clock = FrameClock(remote=False)
    clock.note(0.08)
    assert clock.hertz(0) == 1
    for _ in range(CALM_FRAMES - 1):
        clock.note(0.01)
        assert clock.hertz(0) == 1
    clock.note(0.01)
    assert clock.hertz(0) == 4
