"""Drift of a field's level: ADWIN over the deviations of a one-step predictor."""

from __future__ import annotations

import math
from array import array
from typing import Any, Final

from qraft.config.detect import AdwinSettings
from qraft.detect.backend import MeanWatch, RiverAdwin
from qraft.detect.drift.shift import Shift, ShiftDetector
from qraft.detect.evidence import effect_confidence
from qraft.detect.noise import Noise
from qraft.detect.report import pair, short
from qraft.detect.track import BLOCK, CLIP, Track, Tracks

_TO_UNIT: Final = 2.0 / CLIP
"""ADWIN's bound is made for a range of 1 and slow for short bursts; a range of 4 makes it quicker, and what it proposes is
weighed anyway."""

_CLOCK: Final = 16
"""Rows between two of ADWIN's checks."""


class AdwinDrift(ShiftDetector[MeanWatch]):
    """Each field's mean deviation from its prediction is watched: a level that moves, or a step that grows."""

    name = "adwin"

    def __init__(self, settings: AdwinSettings, tracks: Tracks) -> None:
        super().__init__(tracks, settings.warmup)
        self._delta = settings.delta
        self._least = settings.min_effect

    def propose(self) -> MeanWatch:
        """A fresh ADWIN."""
        return RiverAdwin(self._delta, _CLOCK)

    def feed(self, proposer: MeanWatch, track: Track) -> bool:
        """Deviations have a known range."""
        return proposer.update(track.deviation * _TO_UNIT)

    def sums(self, track: Track) -> array[float]:
        """Sums of deviations."""
        return track.deviations

    def since(self, track: Track) -> int:
        """Deviations begin anew with each change of predictor."""
        return track.since

    def noise(self, track: Track) -> Noise:
        """Noise of the deviations."""
        return track.deviation_noise

    def effect(self, track: Track, shift: Shift, floor: int) -> float:
        """Change of the mean deviation and of the mean itself, each in spreads of before."""
        effect = abs(shift.after - shift.before)
        if not track.follows_steps:
            before, spread, after, _ = _levels(track, shift, floor)
            if spread > 0.0:
                effect = min(effect, abs(after - before) / spread)
        return effect_confidence(effect, self._least)

    def sides(self, track: Track, shift: Shift, floor: int) -> tuple[float, float]:
        """Mean before and after; for a field that is followed by its steps, the step from row to row."""
        if track.follows_steps:
            return _step(track, floor, shift.split), _step(track, shift.split, len(track.levels))
        before, _, after, _ = _levels(track, shift, floor)
        return before, after

    def describe(self, track: Track, shift: Shift, floor: int) -> tuple[dict[str, Any], dict[str, Any], str]:
        """Mean and spread on both sides, and the step where that is what changed."""
        before, spread_before, after, spread_after = _levels(track, shift, floor)
        rows_before, rows_after = shift.blocks_before * BLOCK, shift.blocks_after * BLOCK
        prev: dict[str, Any] = {"field": track.name, "mean": before, "spread": spread_before, "n": rows_before}
        new: dict[str, Any] = {"field": track.name, "mean": after, "spread": spread_after, "n": rows_after}
        if track.follows_steps:
            prev["step"], new["step"] = self.sides(track, shift, floor)
            step_before, step_after = pair(prev["step"], new["step"])
            prev["label"], new["label"] = f"{step_before} a row", f"{step_after} a row"
            summary = f"{track.name} moves by {step_after} a row, before by {step_before}, for about {rows_after} rows"
            return prev, new, summary
        was, now = pair(before, after)
        prev["label"], new["label"] = f"{was} ± {short(spread_before)}", f"{now} ± {short(spread_after)}"
        verb = "rose" if after > before else "fell"
        size = f" ({short(abs(after - before) / spread_before)} spreads)" if spread_before > 0.0 else ""
        return prev, new, f"{track.name} {verb} from {was} to {now}{size} about {rows_after} rows ago"

    def adapt(self, track: Track, shift: Shift, floor: int) -> None:  # noqa: ARG002 part of the interface
        """The predictors start from the mean after the split."""
        track.rebase(track.first + shift.split)


def _levels(track: Track, shift: Shift, floor: int) -> tuple[float, float, float, float]:
    before, spread_before = _mean_spread(track, floor, shift.split)
    after, spread_after = _mean_spread(track, shift.split, len(track.levels))
    return before, spread_before, after, spread_after


def _mean_spread(track: Track, start: int, end: int) -> tuple[float, float]:
    rows = (end - start) * BLOCK
    mean = sum(track.levels[start:end]) / rows
    variance = sum(track.squares[start:end]) / rows - mean * mean
    return track.origin + mean, math.sqrt(max(variance, 0.0))


def _step(track: Track, start: int, end: int) -> float:
    """Mean change from row to row over blocks, from their means at either end."""
    blocks = end - 1 - start
    return (track.levels[end - 1] - track.levels[start]) / (BLOCK * BLOCK * blocks) if blocks else track.usual_step
