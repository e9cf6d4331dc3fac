"""How good detections are against labelled windows: the score of the Numenta Anomaly Benchmark, precision, recall, delay.

The score is that of Lavin & Ahmad, "Evaluating Real-time Anomaly Detection Algorithms: the Numenta Anomaly Benchmark"
(ICMLA 2015). The first 15 % of the rows of a stream, at most 750, are not scored. A window earns the best weight among the
detections in it, more the earlier they are, or costs the profile's weight of a miss; each detection outside costs up to the
profile's weight of a false alarm, less shortly after a window. 0 is silence, 100 every window at its first row and nothing
else. One threshold holds for all streams. A score of 0 is never a detection.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from qraft.replay.labels import Span

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


class Profile(NamedTuple):
    """The weights of a window missed and of a false alarm; a window caught weighs 1."""

    miss: float
    false: float


PROFILES: Final = {"standard": Profile(1.0, 0.11), "low_fp": Profile(1.0, 0.22), "low_fn": Profile(2.0, 0.11)}

_PROBATION_SHARE: Final = 0.15
_PROBATION_ROWS: Final = 750
_STEEPNESS: Final = 5.0
_FAR: Final = 3.0


@dataclass(frozen=True, slots=True)
class Stream:
    """One labelled stream: its windows by row, in order and without overlap, and the event time of each row."""

    windows: tuple[Span, ...]
    times_us: Ints

    @property
    def probation(self) -> int:
        """How many rows at the beginning are not scored."""
        return min(int(_PROBATION_SHARE * len(self.times_us)), _PROBATION_ROWS)


@dataclass(frozen=True, slots=True)
class Series:
    """What one detector said of one stream: the rows it gave a score above 0, in order, and the scores."""

    rows: Ints
    scores: Floats


@dataclass(frozen=True, slots=True)
class Detections:
    """What a threshold finds.

    Attributes:
        windows: how many there are, ``caught`` how many have a detection that counts.
        inside: detections in windows, ``outside`` those outside.
        delay_rows: from the first row of a window to its first detection, mean over the windows caught; None without any.
        delay_seconds: the same in event time.
    """

    windows: int
    caught: int
    inside: int
    outside: int
    delay_rows: float | None
    delay_seconds: float | None

    @property
    def precision(self) -> float | None:
        """Share of the detections that lie in windows; None without detections."""
        found = self.inside + self.outside
        return self.inside / found if found else None

    @property
    def recall(self) -> float | None:
        """Share of the windows that were caught; None without windows."""
        return self.caught / self.windows if self.windows else None


def nab_score(streams: Sequence[Stream], series: Sequence[Series], profile: Profile, threshold: float) -> float | None:
    """The score at a threshold; None where no stream has a window."""
    windows = sum(len(stream.windows) for stream in streams)
    raw = sum(_raw(stream, said, profile, threshold) for stream, said in zip(streams, series, strict=True))
    return _normalised(raw, windows, profile)


def best_threshold(streams: Sequence[Stream], series: Sequence[Series], profile: Profile) -> float:
    """The highest threshold at which the score is best; infinite where silence is."""
    scores, gains = [np.zeros(0)], [np.zeros(0)]
    for stream, said in zip(streams, series, strict=True):
        rows, found = _scored(stream, said)
        weights, window = weigh(stream, rows, profile)
        scores.append(found[window < 0])
        gains.append(weights[window < 0])
        for number in range(len(stream.windows)):
            inside = np.flatnonzero(window == number)
            inside = inside[np.argsort(-found[inside], kind="stable")]
            best = np.maximum.accumulate(np.maximum(weights[inside], -profile.miss))
            scores.append(found[inside])
            gains.append(np.diff(best, prepend=-profile.miss))
    score, gain = np.concatenate(scores), np.concatenate(gains)
    order = np.argsort(-score, kind="stable")
    score, total = score[order], np.cumsum(gain[order])
    ends = np.flatnonzero(np.append(np.diff(score) != 0, np.full(min(score.size, 1), True)))
    if not ends.size or total[ends].max() <= 0:
        return math.inf
    return float(score[ends[int(np.argmax(total[ends]))]])


def detections(streams: Sequence[Stream], series: Sequence[Series], threshold: float) -> Detections:
    """What a threshold finds in all streams, the rows of probation left out."""
    caught = inside = outside = 0
    delays: list[int] = []
    seconds: list[float] = []
    for stream, said in zip(streams, series, strict=True):
        rows, found = _scored(stream, said)
        rows = rows[found >= threshold]
        window = _window_of(stream, rows)
        outside += int(np.sum(window < 0))
        for number, (first, _) in enumerate(stream.windows):
            hits = rows[window == number]
            inside += hits.size
            if hits.size:
                caught += 1
                delays.append(int(hits[0]) - first)
                seconds.append(float(stream.times_us[hits[0]] - stream.times_us[first]) / 1e6)
    windows = sum(len(stream.windows) for stream in streams)
    return Detections(
        windows=windows,
        caught=caught,
        inside=inside,
        outside=outside,
        delay_rows=sum(delays) / len(delays) if delays else None,
        delay_seconds=sum(seconds) / len(seconds) if seconds else None,
    )


def weigh(stream: Stream, rows: Ints, profile: Profile) -> tuple[Floats, Ints]:
    """What a detection at each of the rows weighs, and the number of the window it lies in, -1 outside."""
    window = _window_of(stream, rows)
    position = np.full(rows.size, np.inf)
    if stream.windows:
        first, last = np.array(stream.windows, dtype=np.int64).T
        width = last - first + 1
        before = np.searchsorted(first, rows, side="right") - 1
        known = before >= 0
        at = np.maximum(before, 0)
        within = -(width[at] - (rows - first[at])) / width[at]
        past = (rows - last[at]) / np.maximum(width[at] - 1, 1)
        position = np.where(known, np.where(window >= 0, within, past), np.inf)
    shape = _sigmoid(position)
    return np.where(window >= 0, shape / float(_sigmoid(np.array([-1.0]))[0]), shape * profile.false), window


def _window_of(stream: Stream, rows: Ints) -> Ints:
    if not stream.windows:
        return np.full(rows.size, -1, dtype=np.int64)
    first, last = np.array(stream.windows, dtype=np.int64).T
    at = np.searchsorted(first, rows, side="right") - 1
    return np.where((at >= 0) & (rows <= last[np.maximum(at, 0)]), at, -1)


def _sigmoid(position: Floats) -> Floats:
    """1 towards -infinity, 0 at the end of a window, -1 three widths behind it; the paper's scaled sigmoid."""
    shape: Floats = 2.0 / (1.0 + np.exp(_STEEPNESS * np.minimum(position, _FAR))) - 1.0
    return np.where(position > _FAR, -1.0, shape)


def _scored(stream: Stream, series: Series) -> tuple[Ints, Floats]:
    kept = (series.rows >= stream.probation) & (series.scores > 0)
    return series.rows[kept], series.scores[kept]


def _raw(stream: Stream, series: Series, profile: Profile, threshold: float) -> float:
    rows, found = _scored(stream, series)
    weights, window = weigh(stream, rows[found >= threshold], profile)
    raw = float(weights[window < 0].sum())
    for number in range(len(stream.windows)):
        inside = weights[window == number]
        raw += max(float(inside.max()), -profile.miss) if inside.size else -profile.miss
    return raw


def _normalised(raw: float, windows: int, profile: Profile) -> float | None:
    silent = -profile.miss * windows
    return 100.0 * (raw - silent) / (windows - silent) if windows else None
