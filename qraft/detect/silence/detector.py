"""Silence of one entity: no row for too long, or rows without a field that belongs to them."""

from __future__ import annotations

from collections.abc import Mapping

from qraft.config.detect import SilenceSettings
from qraft.detect.base import Judgement
from qraft.detect.report import QUIET
from qraft.detect.silence.presence import WARMUP_ROWS, Presence
from qraft.detect.silence.rhythm import Found, Rhythm
from qraft.model import PatternType


class SilenceAnomaly:
    """Rows that do not come (`Rhythm`, 2.5 kB) and fields that are missing from them (`Presence`, 0.8 kB a field).

    A silence is told as soon as time has passed far enough: by rows of other entities or ticks, through `silent`, or at
    the latest by the row that ends it. The rows of a silence are not there, so its state is 0; rows that lack a field
    have a state. A return is told once, and only where the silence was told before it.

    Attributes:
        floor_us: since when the source has been watched without interruption; set from outside.
        untold: whether silences of entities are not told now, because many come and go; set from outside.
    """

    name = "silence"
    type: PatternType = "anomaly"

    def __init__(self, settings: SilenceSettings) -> None:  # noqa: ARG002 every detector is made of its settings
        self._rhythm = Rhythm()
        self._presence = Presence()
        self._rows = 0
        self.floor_us = 0
        self.untold = False

    @property
    def due_gap(self) -> float:
        """How long after its last row the entity's silence is due; infinite while it is not judged, or told already."""
        return self._rhythm.due_gap

    def step(self, time_us: int, row: Mapping[str, float], line: float) -> Judgement:
        """Judges one row, then learns it."""
        rows = self._rows = self._rows + 1
        gap = self._rhythm.row(time_us, self.floor_us, line)
        if gap is not None and self.untold and gap.finding.kind == "silence":
            gap = None
        field = self._presence.take(time_us, row, line)
        if rows < WARMUP_ROWS:
            return Judgement(0.0, 0.0, rows / WARMUP_ROWS, None)
        if gap is None and field is None and not self._presence.missing:
            return QUIET
        state = self._presence.state
        found = _first(gap, field)
        if found is None:
            return Judgement(0.0, state, 1.0, None) if state else QUIET
        return Judgement(found.confidence, state, 1.0, found.finding if found.confidence >= line else None)

    def silent(self, now_us: int, line: float) -> Judgement | None:
        """What is to be told at this moment though no row has come; None for nothing."""
        return told(self._rhythm.silent(now_us, self.floor_us, line), line)

    def due_us(self) -> float:
        """The moment from which `silent` is worth asking; infinite while there is none."""
        return self._rhythm.due_us(self.floor_us)


def told(found: Found | None, line: float) -> Judgement | None:
    """A finding that is told without a row."""
    return None if found is None or found.confidence < line else Judgement(found.confidence, 0.0, 1.0, found.finding)


def _first(one: Found | None, other: Found | None) -> Found | None:
    """The one that is told where both would be: a silence before a return, then the surer."""
    if one is None or other is None:
        return one or other
    return max(one, other, key=lambda found: (found.finding.kind == "silence", found.confidence))
