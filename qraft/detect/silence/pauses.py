"""The pauses a stream is known to make at certain hours: a market's night, a weekend, a nightly stop."""

from __future__ import annotations

from typing import Final

DAY: Final = 86_400_000_000
WEEK: Final = 7 * DAY
LEAST: Final = 900_000_000
"""Shorter gaps are no matter of the hour (15 minutes)."""
KEPT: Final = 32

_SHARE: Final = 0.15
_NEAREST, _FARTHEST = 600_000_000, 3 * 3_600_000_000


class Pauses:
    """At most 32 pauses, the latest of each hour of the week: 16 bytes each. Times are UTC microseconds."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: list[tuple[int, int]] = []

    def note(self, start_us: int, length_us: int) -> None:
        """Remembers a pause in place of one at the same hour of the week."""
        if length_us < LEAST:
            return
        near = _nearness(length_us)
        self._known = [one for one in self._known if _apart(one[0], start_us, WEEK) > near][1 - KEPT :]
        self._known.append((start_us, length_us))

    def forget(self, start_us: int) -> None:
        """Takes back what was noted of this moment."""
        self._known = [one for one in self._known if one[0] != start_us]

    def until(self, start_us: int) -> int:
        """When a pause that began at this moment ends by what is known of this hour, with some grace; 0 for unknown.

        The same hour of the week counts before the same hour of another day.
        """
        for period in (WEEK, DAY):
            for known_us, length_us in reversed(self._known):
                apart = (start_us - known_us + period // 2) % period - period // 2
                if abs(apart) <= _nearness(length_us):
                    return start_us - apart + round(length_us * (1.0 + _SHARE))
        return 0


def _nearness(length_us: int) -> int:
    return min(max(round(_SHARE * length_us), _NEAREST), _FARTHEST)


def _apart(one_us: int, other_us: int, period: int) -> int:
    apart = (one_us - other_us) % period
    return min(apart, period - apart)
