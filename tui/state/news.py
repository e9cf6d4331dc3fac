"""What an engine tells operators besides patterns: which of its notices are new here, and for how long they are shown."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from qraft.model import EngineStats, Notice, us_from_iso

NEWS_US = 30_000_000
"""A notice is shown for so long."""
MAX_NEWS = 40


@dataclass(frozen=True, slots=True)
class News:
    """A notice on its way across the screen; ``others`` counts those said in the same time that are not shown."""

    notice: Notice
    others: int


class Notices:
    """The notices of one engine, the newest last. An engine repeats its latest in each word it says."""

    def __init__(self) -> None:
        self._heard: deque[tuple[int, Notice]] = deque(maxlen=MAX_NEWS)
        self._counted: deque[tuple[int, int]] = deque(maxlen=MAX_NEWS)
        self._known: frozenset[Notice] = frozenset()
        self._total = 0
        self._silent = True

    def take(self, stats: EngineStats, now_us: int) -> None:
        """Takes what the engine says. At its first word old notices count as heard when they were said."""
        first, self._silent = self._silent, False
        total = sum(stats.notice_counts.values())
        if total < self._total:  # it was started anew
            self._known, self._total = frozenset(), 0
        fresh = [notice for notice in stats.notices if notice not in self._known]
        self._known = frozenset(stats.notices)
        for notice in fresh:
            self._heard.append((min(now_us, _said_us(notice, now_us)) if first else now_us, notice))
        if first:
            self._counted.extend((heard, 1) for heard, _ in self._heard)
        elif more := max(len(fresh), total - self._total):
            self._counted.append((now_us, more))
        self._total = total

    def newest(self, now_us: int, without: frozenset[str] = frozenset()) -> News | None:
        """The newest notice that is still shown and of none of the kinds ``without``; None where there is none."""
        since = now_us - NEWS_US
        fresh = [notice for heard, notice in self._heard if heard > since]
        shown = next((notice for notice in reversed(fresh) if notice.kind not in without), None)
        if shown is None:
            return None
        hidden = sum(notice.kind in without for notice in fresh)
        said = sum(number for heard, number in self._counted if heard > since)
        return News(shown, max(0, said - hidden - 1))


def _said_us(notice: Notice, now_us: int) -> int:
    try:
        return us_from_iso(notice.timestamp)
    except ValueError:
        return now_us
