"""What is followed of each field: a robust one-step prediction, its error, and the recent past in blocks.

Three predictors run side by side: a slow level (for noise around a level), exponential smoothing (for slow cycles) and the
last value plus its usual step (for prices and counters). The one that has been closest block after block is used; it
changes only after it has been beaten for a while, so a sudden change shows up as error before it is followed.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Mapping
from typing import Final

from qraft.detect.noise import Noise

BLOCK: Final = 8
"""Rows of a block."""

KEPT: Final = 128
"""Blocks that are kept of each field."""

MAX_FIELDS: Final = 256
"""Fields of one entity that are followed; the least recently seen gives way."""

CLIP: Final = 4.0
"""Errors count at most so many spreads, so that one wild value is not a shift."""

MISS: Final = 2.0
"""A miss is an error beyond so many usual errors."""

_SLACK: Final = 32
_LAG: Final = 32
"""Blocks after which a block counts as noise, and how many count at once in the beginning."""
_AT_ONCE: Final = 24
_SLOW: Final = 0.016
"""How far the slow level moves towards a block's mean: a memory of 500 rows."""
_SCALE: Final = 0.008
"""How far usual errors and the usual step move towards a block's: a memory of 1000 rows."""
_SMOOTH: Final = 0.1
_CAP: Final = 5.0
"""Errors teach at most so many times their usual size."""
_TO_SPREAD: Final = 1.2533141373155001
"""Standard deviation over mean absolute deviation of the normal distribution."""
_VOTE_BLOCKS: Final = 8
_FIRST_VOTE: Final = 3
_VOTES_TO_CHANGE: Final = 4
_FAVOUR: Final = (0.93, 0.97, 1.0)
"""A simpler predictor is preferred unless the next is so much closer."""
_MISS_RATE: Final = 0.1


class Track:
    """One field.

    After `update`, ``error`` is the prediction's error, ``scale`` its usual size until then (a standard
    deviation; infinite in the first block, 0 for a constant field), ``deviation`` the error in units of it, cut to
    ±`CLIP`, ``missed`` whether every predictor missed, and ``fill`` the rows of the block that is being filled: 0 where one
    has just been completed.

    ``levels``, ``squares``, ``deviations``, ``misses`` and ``errors`` hold sums over blocks (of the value minus ``origin``,
    of its square, of the deviation, of the misses and of the least absolute error); the block at position i is number
    ``first + i``. Deviations before block number ``since`` are from another predictor.
    """

    __slots__ = (
        "_age",
        "_ahead",
        "_best",
        "_last",
        "_learned",
        "_losses",
        "_missed_above",
        "_rate",
        "_slope",
        "_slow",
        "_smooth",
        "_smooth_cap",
        "_started",
        "_sum_deviation",
        "_sum_least",
        "_sum_level",
        "_sum_loss",
        "_sum_miss",
        "_sum_smooth_loss",
        "_sum_square",
        "_sum_step_loss",
        "_usual",
        "_usual_least",
        "_vote",
        "_votes",
        "deviation",
        "deviation_noise",
        "deviations",
        "error",
        "errors",
        "fill",
        "first",
        "index",
        "last_row",
        "levels",
        "miss_noise",
        "missed",
        "misses",
        "name",
        "origin",
        "rows",
        "scale",
        "since",
        "squares",
    )

    def __init__(self, name: str, index: int) -> None:
        self.name = name
        self.index = index
        self.rows = self.last_row = self.fill = self.first = self.since = 0
        self.error = self.deviation = self.origin = 0.0
        self.scale = self._missed_above = self._smooth_cap = math.inf
        self.missed = False
        self.levels, self.squares = array("d"), array("d")
        self.deviations, self.misses, self.errors = array("d"), array("d"), array("d")
        self.deviation_noise = Noise(1.0, BLOCK)
        self.miss_noise = Noise(_MISS_RATE * (1.0 - _MISS_RATE), BLOCK)
        self._rate = _MISS_RATE
        self._last = self._slow = self._smooth = self._slope = self._ahead = self._started = 0.0
        self._usual = [0.0, 0.0, 0.0]
        self._usual_least = 0.0
        self._losses = [0.0, 0.0, 0.0]
        self._best = self._vote = self._votes = self._learned = self._age = 0
        self._clear()

    @property
    def follows_steps(self) -> bool:
        """Whether the field is predicted from its last value: its level may wander, a change of its step is news."""
        return self._best == 2

    @property
    def usual_step(self) -> float:
        """Usual change from one row to the next."""
        return self._slope

    @property
    def blocks(self) -> int:
        """Number of the next block; blocks are counted from the field's first row."""
        return self.first + len(self.levels)

    def update(self, x: float) -> None:
        """Judges one value against its prediction, then learns it."""
        if not self.rows:
            self.rows = 1
            self.origin = self._last = self._slow = self._smooth = self._ahead = self._started = x
            return
        self.rows += 1
        from_slow = x - self._slow
        from_smooth = x - self._smooth
        from_step = x - self._ahead
        slow_loss = least = abs(from_slow)
        smooth_loss = abs(from_smooth)
        step_loss = abs(from_step)
        best = self._best
        error = self.error = from_slow if best == 0 else from_smooth if best == 1 else from_step
        scale = self.scale
        if scale > 0.0:
            deviation = error / scale
            if deviation > CLIP or deviation < -CLIP:
                deviation = CLIP if deviation > 0.0 else -CLIP
        else:
            deviation = 0.0 if error == 0.0 else CLIP if error > 0.0 else -CLIP
        self.deviation = deviation
        if smooth_loss < least:  # noqa: PLR1730 a call costs more than a branch here
            least = smooth_loss
        if step_loss < least:  # noqa: PLR1730 as above
            least = step_loss
        missed = self.missed = least > self._missed_above
        if smooth_loss <= self._smooth_cap:
            self._smooth += _SMOOTH * from_smooth
        else:  # one wild value does not move it
            self._smooth += math.copysign(_SMOOTH * self._smooth_cap, from_smooth)
        self._last = x
        self._ahead = x + self._slope
        level = x - self.origin
        self._sum_loss += slow_loss
        self._sum_smooth_loss += smooth_loss
        self._sum_step_loss += step_loss
        self._sum_level += level
        self._sum_square += level * level
        self._sum_deviation += deviation
        self._sum_least += least
        self._sum_miss += missed
        self.fill += 1
        if self.fill == BLOCK:
            self._close_block()

    def rebase(self, block: int) -> None:
        """Takes what came from block number ``block`` on as the new normal, so that one change is told once."""
        at = max(block - self.first, 0)
        blocks = len(self.levels) - at
        if blocks:
            self._slow = self.origin + sum(self.levels[at:]) / (blocks * BLOCK)
            if self._best == 2 and blocks > 1:
                self._slope = (self.levels[-1] - self.levels[at]) / (BLOCK * BLOCK * (blocks - 1))
        self._smooth = self._last
        self._ahead = self._last + self._slope
        self._age = blocks
        self._vote = self._votes = 0
        self._losses = [0.0, 0.0, 0.0]
        self._learned = self.blocks

    def rescale(self, ratio: float) -> None:
        """Takes errors ``ratio`` times as large as the usual ones of before."""
        self._usual = [usual * ratio for usual in self._usual]
        self._usual_least *= ratio
        self._learned = self.blocks
        self._measure()

    def _close_block(self) -> None:
        least = self._sum_least
        if self._usual_least > 0.0:
            least = min(least, _CAP * BLOCK * self._usual_least)
        self.levels.append(self._sum_level)
        self.squares.append(self._sum_square)
        self.deviations.append(self._sum_deviation)
        self.errors.append(least)
        self.misses.append(self._sum_miss)
        self._learn(least / BLOCK)
        self._clear()
        self._learn_noise()
        if len(self.levels) == KEPT + _SLACK:
            for ring in (self.levels, self.squares, self.deviations, self.errors, self.misses):
                del ring[:_SLACK]
            self.first += _SLACK
        if self.blocks % _VOTE_BLOCKS == 0 or self.blocks == _FIRST_VOTE:
            self._choose()
        self._measure()

    def _learn(self, least: float) -> None:
        """Levels and usual errors take the block, cut so that one wild block does not move them."""
        self._age += 1
        gain = 1.0 / self._age
        rate = max(_SCALE, gain)
        usual, losses = self._usual, self._losses
        step = self._sum_level / BLOCK + self.origin - self._slow
        self._slow += max(_SLOW, gain) * _cut(step, usual[0])
        step = (self._last - self._started) / BLOCK - self._slope
        self._slope += rate * _cut(step, usual[2])
        self._ahead = self._last + self._slope
        self._started = self._last
        for at, loss in enumerate((self._sum_loss, self._sum_smooth_loss, self._sum_step_loss)):
            mean = _cut(loss / BLOCK, usual[at])
            usual[at] += rate * (mean - usual[at])
            losses[at] += mean
        self._usual_least += rate * (least - self._usual_least)

    def _measure(self) -> None:
        """What the next block's errors are held against."""
        self.scale = self._usual[self._best] * _TO_SPREAD
        self._missed_above = MISS * self._usual_least
        self._smooth_cap = _CAP * self._usual[1] if self._usual[1] > 0.0 else math.inf

    def _clear(self) -> None:
        self._sum_loss = self._sum_smooth_loss = self._sum_step_loss = 0.0
        self._sum_level = self._sum_square = self._sum_deviation = self._sum_least = 0.0
        self._sum_miss = self.fill = 0

    def _learn_noise(self) -> None:
        """Noise is learned from blocks that have stood for a while: a change is not taken for it while it is weighed."""
        until = max(self.blocks - _LAG, min(self.blocks, _AT_ONCE))
        while self._learned < until:
            at = self._learned - self.first
            self.deviation_noise.add(self.deviations[at] / BLOCK)
            share = self.misses[at] / BLOCK
            self.miss_noise.add(share - self._rate)
            self._learned += 1
            self._rate += (share - self._rate) / min(self._learned + 8, 256)

    def _choose(self) -> None:
        """Every eight blocks, and once before, the closest predictor gets a vote; four in a row bring it into use."""
        losses = [loss * favour for loss, favour in zip(self._losses, _FAVOUR, strict=True)]
        found = losses.index(min(losses))
        if found == self._best:
            self._votes = 0
        else:
            self._votes = self._votes + 1 if found == self._vote else 1
            self._vote = found
            if self._votes >= _VOTES_TO_CHANGE or self.blocks <= _AT_ONCE:
                self._best = found
                self._votes = 0
                self.since = self._learned = self.blocks
                self.deviation_noise = Noise(1.0, BLOCK)
        self._losses = [0.0, 0.0, 0.0]


def _cut(step: float, usual: float) -> float:
    """A step of at most `_CAP` usual ones; any where none is known yet."""
    most = _CAP * usual
    return math.copysign(most, step) if 0.0 < most < abs(step) else step


class Tracks:
    """The tracks of one entity, updated once a row before its detectors look.

    ``active`` holds the tracks of this row's fields, in the row's order; it is another list whenever they are other fields.
    ``row`` counts rows.
    """

    def __init__(self) -> None:
        self.row = 0
        self.active: list[Track] = []
        self.by_name: dict[str, Track] = {}
        self._names: list[str] = []
        self._next = 0

    def update(self, row: Mapping[str, float]) -> None:
        """Takes one row."""
        self.row += 1
        if list(row) != self._names:
            self._change(list(row))
        for track, value in zip(self.active, row.values(), strict=True):
            track.update(value)

    def absent(self, name: str) -> int:
        """Rows since a field was last seen."""
        if name in self._names:
            return 0
        track = self.by_name.get(name)
        return self.row - track.last_row if track is not None else self.row

    def _change(self, names: list[str]) -> None:
        for track in self.active:
            track.last_row = self.row - 1
        self._names = names
        self.active = [self.by_name.get(name) or self._new(name) for name in names]

    def _new(self, name: str) -> Track:
        if len(self.by_name) >= MAX_FIELDS:
            here = set(self._names)
            gone = [track for track in self.by_name.values() if track.name not in here]
            oldest = min(gone, key=lambda track: (track.last_row, track.index))
            del self.by_name[oldest.name]
        track = self.by_name[name] = Track(name, self._next)
        self._next += 1
        return track
