"""Whether a signal has moved, and since when: a proposer says "something", the split and its evidence decide.

ADWIN and DDM answer yes or no and, on streams that are not independent noise, say yes without end. Here their yes only
opens an inquiry: the row that best splits the recent past in two is found, and the difference between the two sides is
weighed block by block against how far means of that length stray by themselves. An inquiry ends in a finding or is dropped.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from array import array
from collections.abc import Mapping
from typing import Any, Final, Generic, NamedTuple, TypeVar

from qraft.detect.base import Finding, Judgement
from qraft.detect.evidence import LINE_DECADES, Habit, confidence, normal_decades
from qraft.detect.noise import Noise
from qraft.detect.report import QUIET, Weight, ranked
from qraft.detect.track import BLOCK, MAX_FIELDS, Track, Tracks
from qraft.model import DEFAULT_LINE, PatternType

_BEFORE: Final = 6
"""Least blocks before a split."""
_AFTER: Final = 3
"""Least blocks after it."""
_FREEDOM_LEAST, _FREEDOM_MOST, _FREEDOM_BLOCKS = 5.0, 20.0, 16
"""Degrees of freedom of the noise: one more for every sixteen blocks."""
_SHORT: Final = 6
"""Blocks after a split that count as sudden."""
_INQUIRY: Final = 32
"""Blocks after which an inquiry is dropped."""
_NEXT: Final = 0.99
"""No field's evidence counts for more than so much of that of the field that raised."""
_SAME_INCIDENT: Final = 400
"""Rows after a finding in which another field's earlier shift belongs to it."""


class Shift(NamedTuple):
    """Two sides of a split: block number, mean per row on each side, blocks on each side, difference over its error."""

    split: int
    before: float
    after: float
    blocks_before: int
    blocks_after: int
    z: float


def find_split(sums: array[float], floor: int) -> int | None:
    """Position in ``sums``, from ``floor`` on, where the mean changes most; None where either side is too short."""
    blocks = len(sums) - floor
    if blocks < _BEFORE + _AFTER:
        return None
    total = sum(sums[floor:])
    run = 0.0
    found, largest = None, -1.0
    for done in range(1, blocks - _AFTER + 1):
        run += sums[floor + done - 1]
        if done < _BEFORE:
            continue
        gap = total * done / blocks - run
        size = gap * gap / (done * (blocks - done))
        if size > largest:
            found, largest = floor + done, size
    return found


def measure(sums: array[float], floor: int, at: int, noise: Noise) -> Shift | None:
    """Blocks from ``floor`` to ``at`` against those from ``at`` on; None where either side is too short."""
    blocks_before = at - floor
    blocks_after = len(sums) - at
    if blocks_before < _BEFORE or blocks_after < _AFTER:
        return None
    side = sums[at:]
    before = sum(sums[floor:at]) / (blocks_before * BLOCK)
    after = sum(side) / (blocks_after * BLOCK)
    own = noise.variance(blocks_after)
    if blocks_after > _AFTER:
        scatter = sum((block / BLOCK - after) ** 2 for block in side) / (blocks_after - 1)
        own = max(own, scatter / blocks_after)
    error = math.sqrt(own + noise.variance(blocks_before))
    return Shift(at, before, after, blocks_before, blocks_after, (after - before) / error)


W = TypeVar("W")
"""The proposer: tells from one row to the next whether it sees a change."""


class Watch(Generic[W]):
    """What is kept for one field: proposer, first block that counts, and the inquiry (block numbers, -1 for none)."""

    __slots__ = ("floor", "opened", "proposer", "split")

    def __init__(self, proposer: W, floor: int) -> None:
        self.proposer = proposer
        self.floor = floor
        self.split = -1
        self.opened = -1


class ShiftDetector(ABC, Generic[W]):
    """Drift of one signal of each field: proposed by a detector that says yes or no, decided by the evidence of a split."""

    name: str
    type: PatternType = "drift"

    def __init__(self, tracks: Tracks, warmup: int) -> None:
        self._tracks = tracks
        self._warmup = warmup
        self._watches: dict[int, Watch[W]] = {}
        self._habit = Habit()
        self._raised = -_SAME_INCIDENT
        self._oldest = 0
        self._warm = False

    @abstractmethod
    def propose(self) -> W:
        """A fresh proposer for one field."""

    @abstractmethod
    def feed(self, proposer: W, track: Track) -> bool:
        """Gives the proposer this row's signal; whether it sees a change."""

    @abstractmethod
    def sums(self, track: Track) -> array[float]:
        """Sums of the signal over the field's blocks."""

    @abstractmethod
    def noise(self, track: Track) -> Noise:
        """How far the signal's mean strays by itself."""

    @abstractmethod
    def effect(self, track: Track, shift: Shift, floor: int) -> float:
        """How surely the change is large enough to matter, in [0, 1]."""

    @abstractmethod
    def describe(self, track: Track, shift: Shift, floor: int) -> tuple[dict[str, Any], dict[str, Any], str]:
        """State before, state after, and the sentence that a person reads first."""

    @abstractmethod
    def sides(self, track: Track, shift: Shift, floor: int) -> tuple[float, float]:
        """The field before and after, in its own units."""

    @abstractmethod
    def adapt(self, track: Track, shift: Shift, floor: int) -> None:
        """Makes what came after the split the field's new normal."""

    def since(self, track: Track) -> int:  # noqa: ARG002 for those whose signal has a beginning
        """Number of the first block in which the signal means what it means now."""
        return 0

    def step(self, time_us: int, row: Mapping[str, float], line: float) -> Judgement:  # noqa: ARG002 tracks hold the row
        """Judges this row's fields; `Tracks.update` must have taken the row."""
        watches = self._watches
        inquiries: list[Track] | None = None
        for track in self._tracks.active:
            watch = watches.get(track.index)
            if watch is None:
                watch = self._new(track)
            if self.feed(watch.proposer, track) and track.rows >= self._warmup:
                watch.opened = track.blocks
                watch.split = -1
            if watch.opened >= 0 and not track.fill:
                if inquiries is None:
                    inquiries = []
                inquiries.append(track)
        warm = 1.0 if self._warm else self._warming()
        if inquiries is None:
            return QUIET if warm == 1.0 else Judgement(0.0, 0.0, warm, None)
        return self._inquire(inquiries, line, warm)

    def _inquire(self, inquiries: list[Track], line: float, warm: float) -> Judgement:
        demand = LINE_DECADES + self._habit.demand(self._tracks.row)
        onset, lead, lead_shift = 0.0, None, None
        for track in inquiries:
            watch = self._watches[track.index]
            shift = self._weigh(track, watch)
            level = self._level(track, watch, shift, demand) if shift is not None else 0.0
            if level < line and track.blocks - watch.opened >= _INQUIRY:
                watch.opened = watch.split = -1
            if shift is None:
                continue
            if level >= DEFAULT_LINE and self._belongs(shift):
                self._settle(track, shift)
            elif (level, abs(shift.z)) > (onset, abs(lead_shift.z) if lead_shift is not None else 0.0):
                onset, lead, lead_shift = level, track, shift
        if lead is None or lead_shift is None or onset < line:
            return Judgement(onset, 0.0, warm, None)
        finding = self._finding(lead, lead_shift)
        self._raised = self._tracks.row
        self._habit.note(self._raised)
        for track in inquiries:
            watch = self._watches[track.index]
            shift = self._weigh(track, watch)
            if track is not lead and shift is not None and self._level(track, watch, shift, demand) >= DEFAULT_LINE:
                self._settle(track, shift)
        self._settle(lead, lead_shift)
        return Judgement(onset, 0.0, warm, finding)

    def _weigh(self, track: Track, watch: Watch[W]) -> Shift | None:
        sums = self.sums(track)
        floor = self._floor(track, watch)
        if watch.split < 0:
            at = find_split(sums, floor)
            if at is None:
                return None
            watch.split = track.first + at
        return measure(sums, floor, watch.split - track.first, self.noise(track))

    def _floor(self, track: Track, watch: Watch[W]) -> int:
        """Position of the first block that counts."""
        return max(watch.floor, self.since(track), track.first) - track.first

    def _level(self, track: Track, watch: Watch[W], shift: Shift, demand: float) -> float:
        decades = normal_decades(shift.z, self._freedom(track, shift)) - math.log10(len(self._tracks.active))
        sure = confidence(decades, demand)
        return min(sure, self.effect(track, shift, self._floor(track, watch)))

    def _freedom(self, track: Track, shift: Shift) -> float:
        """Degrees of freedom of the noise: long means have been seen seldom, so a young field is trusted little."""
        seen = track.blocks if shift.blocks_after <= _SHORT else self.noise(track).blocks
        return min(_FREEDOM_MOST, _FREEDOM_LEAST + seen / _FREEDOM_BLOCKS)

    def _belongs(self, shift: Shift) -> bool:
        """Whether a shift began before the last finding was told: then it is part of that incident."""
        since = self._tracks.row - self._raised
        return since < _SAME_INCIDENT and shift.blocks_after * BLOCK >= since

    def _settle(self, track: Track, shift: Shift) -> None:
        watch = self._watches[track.index]
        self.adapt(track, shift, self._floor(track, watch))
        watch.proposer = self.propose()
        watch.floor = shift.split + track.first
        watch.opened = watch.split = -1

    def _finding(self, lead: Track, shift: Shift) -> Finding:
        floor = self._floor(lead, self._watches[lead.index])
        weights = {lead.name: Weight(shift.z**2, *self.sides(lead, shift, floor))}
        for track in self._tracks.by_name.values():
            watch = self._watches.get(track.index)
            if track is lead or watch is None or self._tracks.absent(track.name) >= shift.blocks_after * BLOCK:
                continue
            own_floor = self._floor(track, watch)
            other = measure(self.sums(track), own_floor, len(self.sums(track)) - shift.blocks_after, self.noise(track))
            if other is not None:
                z = min(abs(other.z), _NEXT * abs(shift.z))
                weights[track.name] = Weight(z * z, *self.sides(track, other, own_floor))
        prev_state, new_state, summary = self.describe(lead, shift, floor)
        metrics = {
            "z": shift.z,
            "decades": normal_decades(shift.z),
            "effect_confidence": self.effect(lead, shift, floor),
            "rows_before": float(shift.blocks_before * BLOCK),
            "rows_since": float(shift.blocks_after * BLOCK),
            "habit_decades": self._habit.demand(self._tracks.row),
        }
        return Finding(prev_state, new_state, ranked(weights), summary, metrics)

    def _new(self, track: Track) -> Watch[W]:
        if len(self._watches) > 2 * MAX_FIELDS:
            known = {other.index for other in self._tracks.by_name.values()}
            self._watches = {index: watch for index, watch in self._watches.items() if index in known}
        watch = self._watches[track.index] = Watch(self.propose(), track.blocks)
        return watch

    def _warming(self) -> float:
        rows = max((track.rows for track in self._tracks.active), default=0)
        self._oldest = max(self._oldest, rows)
        self._warm = self._oldest >= self._warmup
        return min(1.0, self._oldest / self._warmup)
