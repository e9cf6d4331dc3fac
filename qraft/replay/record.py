"""What is kept of one replayed input beyond its score file: what scoring against labels and a picture need."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from qraft.model import CleanEvent, Pattern, us_from_iso
from qraft.preprocess.times import parse_time
from qraft.replay.decimate import MinMax
from qraft.replay.errors import ReplayError
from qraft.replay.labels import Span, Window, rows_of, runs_of
from qraft.replay.scoring import Ints, Series, Stream

if TYPE_CHECKING:
    from qraft.pipeline import Scores  # imports River, which the parent of the workers does not need

SCORES: Final = ("anomaly_score", "abnormal", "change_score")
"""The fused scores, as the columns of a score file name them."""

MOST_FIELDS: Final = 8
"""Fields drawn of one input: the first ones."""
MOST_PATTERNS: Final = 500
"""Patterns drawn of one input: the surest ones."""

_FLAGS: Final = {"0": False, "1": True, "false": False, "true": True}


@dataclass(frozen=True, slots=True)
class Marked:
    """One pattern: the row that raised it, and what a picture shows of it."""

    row: int
    time_us: int
    detector: str
    type: str
    confidence: float
    summary: str


@dataclass(frozen=True, slots=True)
class Watch:
    """What is recorded of one input.

    Attributes:
        windows: where labels say that something is wrong; None without labels.
        column: the column that says so, row by row; empty without.
        picture: whether values are kept for a picture.
    """

    windows: tuple[Window, ...] | None = None
    column: str = ""
    picture: bool = False

    @property
    def labelled(self) -> bool:
        """Whether there are labels."""
        return self.windows is not None or bool(self.column)


@dataclass(frozen=True, slots=True)
class Labelled:
    """One input as the scoring sees it: its labels, the fused scores and each detector's patterns as series, by name."""

    name: str
    stream: Stream
    fused: dict[str, Series]
    detectors: dict[str, Series]
    types: dict[str, str]


@dataclass(slots=True)
class Record:
    """Takes an input's rows in order. Without labels its size is bounded; with them it grows by 24 to 33 bytes a row.

    Attributes:
        values: the decimated values of the fields drawn, by name; x is UTC microseconds.
        scores: the decimated fused scores, by name.
        fields: how many fields there are.
    """

    name: str
    watch: Watch
    values: dict[str, MinMax] = field(default_factory=dict)
    scores: dict[str, MinMax] = field(default_factory=lambda: {name: MinMax() for name in SCORES})
    marks: list[Marked] = field(default_factory=list)
    first_us: int | None = None
    last_us: int = 0
    rows: int = 0
    _seen: set[str] = field(default_factory=set)
    _flags: bytearray = field(default_factory=bytearray)
    _times: array[int] = field(default_factory=lambda: array("q"))
    _at: dict[str, array[int]] = field(default_factory=lambda: {name: array("q") for name in SCORES})
    _said: dict[str, array[float]] = field(default_factory=lambda: {name: array("d") for name in SCORES})

    @property
    def fields(self) -> int:
        """How many fields the input has."""
        return len(self._seen)

    def row(self, stamp: str, scores: Scores | None, flag: object) -> None:
        """Takes the next row: its time as it stands there, what was said of it, and its label, if a column holds them.

        A row whose time cannot be read counts at the time of the row before.

        Raises:
            ReplayError: the label is neither 0 nor 1.
        """
        if self.watch.column:
            self._flags.append(self._flag(flag))
        try:
            time_us = parse_time(stamp)
        except ValueError:
            time_us = self.last_us
        else:
            self.first_us = time_us if self.first_us is None else min(self.first_us, time_us)
            self.last_us = time_us
        three = (scores.anomaly, scores.abnormal, scores.change) if scores is not None else (0.0, 0.0, 0.0)
        for name, score in zip(SCORES, three, strict=True):
            if self.watch.picture:
                self.scores[name].add(time_us, score)
            if self.watch.labelled and score > 0.0:
                self._at[name].append(self.rows)
                self._said[name].append(score)
        if self.watch.labelled:
            self._times.append(time_us)
        self.rows += 1

    def found(self, patterns: Sequence[Pattern], places: Mapping[str, int], clean: Sequence[CleanEvent]) -> None:
        """Takes what a batch brought: its patterns, the row number of each of its events, and its clean rows.

        A pattern of an event that preprocessing made itself counts at the last row of the batch.
        """
        for pattern in patterns:
            self.marks.append(
                Marked(
                    row=places.get(pattern.event_id, self.rows - 1),
                    time_us=us_from_iso(pattern.timestamp),
                    detector=pattern.detector,
                    type=pattern.type,
                    confidence=pattern.details.confidence,
                    summary=pattern.summary,
                )
            )
        if self.watch.picture:
            for one in clean:
                for name, value in one.fields.items():
                    self._seen.add(name)
                    if name in self.values or len(self.values) < MOST_FIELDS:
                        self.values.setdefault(name, MinMax()).add(one.time_us, value)

    def spans(self) -> tuple[Span, ...]:
        """The labelled windows by row.

        Raises:
            ReplayError: a window holds no row.
        """
        if self.watch.column:
            return runs_of(np.frombuffer(self._flags, dtype=np.bool_))
        try:
            return rows_of(self.watch.windows or (), self.times)
        except ValueError as error:
            raise ReplayError(f'--labels: "{self.name}": {error}') from None

    @property
    def times(self) -> Ints:
        """Event time of each row; empty without labels."""
        return np.frombuffer(self._times, dtype=np.int64) if self._times else np.zeros(0, dtype=np.int64)

    def labelled(self) -> Labelled:
        """What scoring needs.

        Raises:
            ReplayError: a window holds no row.
        """
        detectors = sorted({mark.detector for mark in self.marks})
        return Labelled(
            name=self.name,
            stream=Stream(windows=self.spans(), times_us=self.times),
            fused={name: _series(self._at[name], self._said[name]) for name in SCORES},
            detectors={name: _highest([mark for mark in self.marks if mark.detector == name]) for name in detectors},
            types={mark.detector: mark.type for mark in self.marks},
        )

    def _flag(self, value: Any) -> bool:
        text = str(value).strip().lower()
        number = text.removesuffix(".0")
        if number in _FLAGS:
            return _FLAGS[number]
        if value is None:
            raise ReplayError(
                f'{self.name}, row {self.rows + 1}: has no "{self.watch.column}"; expected 0 or 1 (--labels-column)'
            )
        raise ReplayError(
            f'{self.name}, row {self.rows + 1}: "{self.watch.column}" holds {text[:40]!r}; expected 0 or 1 (--labels-column)'
        )


def _series(rows: array[int], scores: array[float]) -> Series:
    return Series(rows=np.array(rows, dtype=np.int64), scores=np.array(scores, dtype=np.float64))


def _highest(marks: Sequence[Marked]) -> Series:
    """The surest pattern of each row."""
    best: dict[int, float] = {}
    for mark in marks:
        best[mark.row] = max(mark.confidence, best.get(mark.row, 0.0))
    rows = sorted(best)
    return Series(rows=np.array(rows, dtype=np.int64), scores=np.array([best[row] for row in rows], dtype=np.float64))
