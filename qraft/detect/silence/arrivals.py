"""What one source knows of the passing of time: whose row is due when, and whether the source as a whole is silent."""

from __future__ import annotations

import math
from heapq import heapify, heappop, heappush
from typing import Any, Final

from qraft.detect.base import Judgement
from qraft.detect.silence.detector import told
from qraft.detect.silence.rhythm import Rhythm
from qraft.model import PatternType

MOST_AWAY: Final = 8
"""While so many entities are away after their silence was told, no more are: here they come and go by themselves."""

_LONG_AGO: Final = -(1 << 62)


class SourceSilence:
    """Silence of a source as a whole, told as its own and not its entities'."""

    name = "silence"
    type: PatternType = "anomaly"


class Arrivals:
    """When rows of a source and of its entities are due; about 0.3 kB an entity.

    Time is the second largest event time seen, so that one row from the future makes nobody late, or that of a tick. While
    the source as a whole is silent its entities are not told, and afterwards their time begins anew, as it does after
    the engine itself was away (`interrupted`).

    Attributes:
        floor_us: since when the source has been watched without interruption.
    """

    def __init__(self) -> None:
        self.floor_us = _LONG_AGO
        self._top = self._clock = _LONG_AGO
        self._interrupted = False
        self._only: str | None = None
        self._source: Rhythm | None = None
        self._due: dict[str, tuple[float, float]] = {}
        self._queued: set[str] = set()
        self._heap: list[tuple[float, str]] = []
        self._away: set[str] = set()

    @property
    def churning(self) -> bool:
        """Whether entities of this source come and go, so that one more that is away is no news."""
        return len(self._away) >= MOST_AWAY

    def away(self, entity: str) -> None:
        """The silence of an entity was told."""
        self._away.add(entity)

    def interrupted(self) -> None:
        """The time until the next row was not watched: no silence."""
        self._interrupted = True

    def row(self, entity: str, time_us: int, line: float) -> Judgement | None:
        """Takes a row before its entity does; what is to be told of the source as a whole."""
        if time_us > self._top:
            self._clock, self._top = self._top, time_us
        elif time_us > self._clock:
            self._clock = time_us
        self._away.discard(entity)
        if self._interrupted:
            self._interrupted = False
            self.floor_us = max(self.floor_us, time_us, self._clock)
        source = self._source
        if source is None:
            if self._only is None or self._only == entity:
                self._only = entity
                return None
            source = self._source = Rhythm()
        silent = source.told
        judgement = told(source.row(time_us, self.floor_us, line), line)
        if silent or judgement is not None:
            self.floor_us = max(self.floor_us, time_us)
        return judgement

    def expect(self, entity: str, due_us: float, gap: float) -> None:
        """Notes when an entity's silence is due (infinite for never), and after which gap."""
        self._due[entity] = (due_us, gap)
        if due_us < math.inf and entity not in self._queued:
            self._queued.add(entity)
            heappush(self._heap, (due_us, entity))

    def forget(self, entity: str) -> None:
        """An entity gave way."""
        self._due.pop(entity, None)
        self._away.discard(entity)

    def tick(self, now_us: int, line: float) -> Judgement | None:
        """Lets time pass; what is to be told of the source as a whole."""
        self._clock = max(self._clock, now_us)
        if self._source is None or self._interrupted:
            return None
        return told(self._source.silent(now_us, self.floor_us, line), line)

    def overdue(self) -> list[str]:
        """Entities whose silence is due by now, in order; each once until `expect` is told of it again."""
        clock, heap = self._clock, self._heap
        if not heap or heap[0][0] >= clock or self._interrupted or (self._source is not None and self._source.told):
            return []
        found = []
        while heap and heap[0][0] < clock:
            _, entity = heappop(heap)
            due, gap = self._due.get(entity, (math.inf, math.inf))
            due = max(due, self.floor_us + gap)  # whoever was not watched begins anew
            if due < clock:
                found.append((due, entity))
            elif due < math.inf:
                heappush(heap, (due, entity))
                continue
            self._queued.discard(entity)
        return [entity for _, entity in sorted(found)]

    def now_us(self) -> int:
        """The source's time."""
        return self._clock

    def state(self) -> dict[str, Any]:
        """Everything, as plain values and this package's own."""
        return {
            "floor": self.floor_us,
            "top": self._top,
            "clock": self._clock,
            "interrupted": self._interrupted,
            "only": self._only,
            "source": self._source,
            "due": dict(self._due),
            "away": sorted(self._away),
        }

    def load(self, state: dict[str, Any]) -> None:
        """Takes up what `state` gave."""
        self.floor_us, self._top, self._clock = state["floor"], state["top"], state["clock"]
        self._interrupted, self._only, self._source = state["interrupted"], state["only"], state["source"]
        self._due, self._away = dict(state["due"]), set(state["away"])
        self._heap = [(due, entity) for entity, (due, _) in self._due.items() if due < math.inf]
        self._queued = {entity for _, entity in self._heap}
        heapify(self._heap)
