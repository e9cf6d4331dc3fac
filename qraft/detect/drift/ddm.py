"""Drift of a field's predictability: DDM over the misses of the one-step predictors."""

from __future__ import annotations

import math
from array import array
from typing import Any, Final

from qraft.config.detect import DdmSettings
from qraft.detect.backend import RateWatch, RiverDdm
from qraft.detect.drift.shift import Shift, ShiftDetector
from qraft.detect.evidence import effect_confidence
from qraft.detect.noise import Noise
from qraft.detect.report import short
from qraft.detect.track import BLOCK, Track, Tracks

_LEAST_RATIO: Final = 1.5
"""Least growth of the error that is worth a pattern."""

_MOST_GROWTH: Final = 1e6

_LIFE: Final = 1024
"""Rows after which DDM starts again: its rate is a mean over all it has seen and would become too slow."""

_OVERLAP: Final = 256
"""Rows for which the next one runs along."""

_SETTLING: Final = 30
"""Rows after which a fresh DDM may speak."""


class AgingDdm:
    """River's DDM, started again at intervals; a young one runs along before it takes over, so there is no blind time."""

    __slots__ = ("_age", "_old", "_threshold", "_young")

    def __init__(self, drift_threshold: float) -> None:
        self._threshold = drift_threshold
        self._old = RiverDdm(_SETTLING, drift_threshold)
        self._young: RiverDdm | None = None
        self._age = 0

    def update(self, missed: bool) -> bool:
        """Takes one outcome; whether a rise is seen at it."""
        self._age += 1
        if self._age > _LIFE:
            self._run_along(missed)
        return self._old.update(missed)

    def _run_along(self, missed: bool) -> None:
        if self._young is None:
            self._young = RiverDdm(_SETTLING, self._threshold)
        elif self._age > _LIFE + _OVERLAP:
            self._old, self._young, self._age = self._young, None, _OVERLAP
            return
        self._young.update(missed)


class DdmDrift(ShiftDetector[RateWatch]):
    """Each field's rate of misses is watched: it rises when the field gets less predictable, as when its spread grows."""

    name = "ddm"

    def __init__(self, settings: DdmSettings, tracks: Tracks) -> None:
        super().__init__(tracks, settings.warmup)
        self._threshold = settings.drift_threshold

    def propose(self) -> RateWatch:
        """A fresh DDM."""
        return AgingDdm(self._threshold)

    def feed(self, proposer: RateWatch, track: Track) -> bool:
        """DDM takes hits and misses."""
        return proposer.update(track.missed)

    def sums(self, track: Track) -> array[float]:
        """Misses."""
        return track.misses

    def noise(self, track: Track) -> Noise:
        """Noise of the miss rate."""
        return track.miss_noise

    def effect(self, track: Track, shift: Shift, floor: int) -> float:
        """Growth of the error; a rate that fell is not a loss of predictability."""
        if shift.after <= shift.before:
            return 0.0
        before, after = self.sides(track, shift, floor)
        if before <= 0.0:
            return 1.0 if after > 0.0 else 0.0
        growth = math.log(after / before) if after > before else 0.0
        return effect_confidence(growth, math.log(_LEAST_RATIO))

    def sides(self, track: Track, shift: Shift, floor: int) -> tuple[float, float]:
        """Mean error of the best prediction before and after."""
        errors = track.errors
        return (
            sum(errors[floor : shift.split]) / (shift.blocks_before * BLOCK),
            sum(errors[shift.split :]) / (shift.blocks_after * BLOCK),
        )

    def describe(self, track: Track, shift: Shift, floor: int) -> tuple[dict[str, Any], dict[str, Any], str]:
        """Miss rate and error on both sides."""
        before, after = self.sides(track, shift, floor)
        prev = {"field": track.name, "miss_rate": shift.before, "error": before, "n": shift.blocks_before * BLOCK}
        new = {"field": track.name, "miss_rate": shift.after, "error": after, "n": shift.blocks_after * BLOCK}
        prev["label"] = f"error {short(before)}, {shift.before:.0%} missed"
        new["label"] = f"error {short(after)}, {shift.after:.0%} missed"
        times = f" ({short(after / before)} times)" if before > 0.0 else ""
        change = f"error {short(before)} → {short(after)}{times}"
        return prev, new, f"{track.name} became harder to predict: {change}, for about {new['n']} rows"

    def adapt(self, track: Track, shift: Shift, floor: int) -> None:
        """The usual error is what it was after the split."""
        before, after = self.sides(track, shift, floor)
        if before > 0.0 and after > 0.0:
            track.rescale(min(after / before, _MOST_GROWTH))
