"""How often the screen is painted: 4, 2 or 1 times a second, by load, distance and what a frame costs."""

from __future__ import annotations

BUSY_RATE = 200.0
"""Patterns a second from which the screen is painted less often."""
SLOW_FRAME_SECONDS = 0.050
"""CPU time of one frame from which the screen is painted once a second."""
CALM_FRAMES = 5
"""Frames in a row that must be fast before the pace goes up again."""


class FrameClock:
    """Chooses the pace. It reads no clock itself: the caller says what happened."""

    def __init__(self, *, remote: bool, most: int = 4) -> None:
        self._remote = remote
        self._most = most
        self._calm = CALM_FRAMES

    def note(self, frame_cpu_seconds: float) -> None:
        """Notes what the last frame cost."""
        self._calm = 0 if frame_cpu_seconds > SLOW_FRAME_SECONDS else self._calm + 1

    def hertz(self, patterns_per_second: float) -> int:
        """Frames a second from now on: 4 when calm and local, 2 in bursts or over SSH, 1 when they are dear.

        Never more than ``most``.
        """
        if self._calm < CALM_FRAMES:
            return 1
        return min(self._most, 2 if self._remote or patterns_per_second >= BUSY_RATE else 4)
