"""Test cases for detectors, as they are written: files that end in .test.toml, one ``[[case]]`` a case.

They stand in files of their own, not in config.toml, because the engine follows that file and they are no part of what it
does. The configuration in force (``--config``, else ./config.toml) is what they test.
"""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Final, Literal, Self

from pydantic import Field, field_validator, model_validator

from qraft.config.base import Probability, Seconds, Section
from qraft.config.detect import DetectSettings
from qraft.model import PatternType
from qraft.preprocess.times import parse_time

ENDING: Final = ".test.toml"
"""How the name of a file of cases ends."""

Row = Annotated[int, Field(ge=0)]
_NEEDS_LENGTH: Final = ("dropout", "gap", "freeze")


class Fault(Section):
    """Something that happens in a generated stream."""

    kind: Literal["shift", "spread", "period", "dropout", "gap", "freeze", "spike"]
    """shift: the level moves; spread: the noise widens; period: the sine's period changes; dropout: the field is missing;
    gap: whole rows are; freeze: the value stands still; spike: a few values far off."""
    row: Row
    """The first row that shows it, counted from 0."""
    rows: Row = 0
    """How many rows show it; 0 is to the end of the stream, of a spike one row. dropout, gap and freeze need it."""
    field: str = ""
    """The field that shows it; empty takes all. A gap takes whole rows, so it has none."""
    size: float = 3.0
    """shift and spike: how far, in spreads of the noise; spread and period: so many times what it was."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.kind in _NEEDS_LENGTH and not self.rows:
            raise ValueError(f"a {self.kind} needs rows, its length")
        if self.kind == "gap" and self.field:
            raise ValueError("a gap takes whole rows; leave field out, or use a dropout")
        if self.kind in ("spread", "period") and self.size <= 0:
            raise ValueError(f"the size of a {self.kind} is a factor above 0")
        return self


class Stream(Section):
    """A stream made up for a case; the same keys always make the same rows."""

    kind: Literal["noise", "walk", "sine"] = "noise"
    """noise: independent normal values; walk: their running sum; sine: a sine in noise."""
    rows: Annotated[int, Field(ge=1, le=1_000_000)]
    """How many rows, those that a gap takes included."""
    fields: Annotated[int, Field(ge=1, le=100)] | Annotated[list[str], Field(min_length=1, max_length=100)] = 1
    """Their names, or how many: f0, f1 and so on."""
    seed: int = 0
    """Seed of the random numbers."""
    interval_seconds: Seconds = 1.0
    """From one row to the next."""
    level: float = 0.0
    """What the values vary around; where a walk begins."""
    spread: Annotated[float, Field(gt=0)] = 1.0
    """Standard deviation of the noise; of a walk's steps."""
    period: Annotated[float, Field(ge=2)] = 1440.0
    """Rows of one turn of the sine."""
    height: Annotated[float, Field(ge=0)] = 3.0
    """Height of the sine, in spreads of the noise."""
    fault: list[Fault] = Field(default=[])
    """What happens in it."""

    @property
    def names(self) -> list[str]:
        """The names of the fields."""
        return [f"f{n}" for n in range(self.fields)] if isinstance(self.fields, int) else self.fields

    @model_validator(mode="after")
    def _fits(self) -> Self:
        for fault in self.fault:
            if fault.field and fault.field not in self.names:
                raise ValueError(f'a fault is of the field "{fault.field}", but the fields are {", ".join(self.names)}')
            if fault.row >= self.rows:
                raise ValueError(f"a fault begins at row {fault.row}, but the last row is {self.rows - 1}")
            if fault.kind == "period" and self.kind != "sine":
                raise ValueError(f'a {self.kind} has no period; expected kind = "sine"')
        return self


class Expect(Section):
    """Patterns that a case expects. What is left out does not narrow; without ``count`` one or more are expected."""

    type: PatternType | None = None
    """drift, anomaly or cluster_change."""
    kind: str = ""
    """What was found more closely: mean, variance, novelty, silence and so on."""
    detector: str = ""
    """Name of the detector."""
    field: str = ""
    """The leading contributor: the field, or the source's own field that it was made of."""
    entity: str | None = None
    """The entity; "" is a source that is not split."""
    confidence: Probability | None = None
    """Least confidence."""
    row: Row | None = None
    """The row from which it counts; see ``within``."""
    within: Row = 0
    """So many rows after ``row`` at most."""
    rows: Annotated[list[Row], Field(min_length=2, max_length=2)] = Field(default=[])
    """First and last row it may be raised at, in place of ``row`` and ``within``."""
    times: Annotated[list[str], Field(min_length=2, max_length=2)] = Field(default=[])
    """First and last event time it may have, ISO 8601, in place of ``row`` and ``within``."""
    count: Row | None = None
    """Exactly so many; 0 for none."""

    @field_validator("kind")
    @classmethod
    def _known_kind(cls, kind: str) -> str:
        from qraft.detect.kinds import KINDS  # loads the detectors

        if kind and kind not in KINDS:
            raise ValueError(f"expected one of {', '.join(KINDS)}")
        return kind

    @field_validator("detector")
    @classmethod
    def _known_detector(cls, detector: str) -> str:
        from qraft.detect import LINED

        if detector and detector not in LINED:
            raise ValueError(f"expected one of {', '.join(LINED)}")
        return detector

    @field_validator("times")
    @classmethod
    def _are_times(cls, times: list[str]) -> list[str]:
        for time in times:
            parse_time(time)
        return times

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if sum((self.row is not None, bool(self.rows), bool(self.times))) > 1:
            raise ValueError("expected one of row, rows and times")
        if self.within and self.row is None:
            raise ValueError("within needs row")
        if self.rows and self.rows[0] > self.rows[1]:
            raise ValueError("rows: the first comes after the last")
        return self


class Case(Section):
    """One case: a stream, and what must be found in it."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    """What it tests; each name once a file."""
    file: str = ""
    """The input: a CSV or NDJSON file, plain, .gz or .zst. Relative paths start at this file's folder."""
    time: str = ""
    """Column of the file's event time; "row" for the row number. Required with ``file``."""
    delimiter: Annotated[str, Field(max_length=1)] = ""
    """Character between the file's columns; empty takes a comma, or a tab where the file's ending is .tsv."""
    fields: list[str] = Field(default=[])
    """Fields to judge; empty takes all that are numeric."""
    stream: Stream | None = None
    """A generated stream, in place of a file."""
    like: str = ""
    """Judge as this source of the configuration: its steps, entity, fields and detectors."""
    detect: DetectSettings | None = None
    """Detector settings that differ from those in force: what is left out stays as it is there."""
    expect: list[Expect] = Field(default=[])
    """What must be found; each by itself."""
    quiet: bool = False
    """Nothing may be found."""
    at_most: Row | None = None
    """No more than so many patterns in all."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if bool(self.file) == (self.stream is not None):
            raise ValueError(f'the case "{self.name}" needs either file or stream')
        if self.file and not self.time:
            raise ValueError(f'the case "{self.name}" needs time, the column of event time; "row" takes the row number')
        if self.stream is not None and (self.time or self.delimiter):
            raise ValueError(f'the case "{self.name}" generates its stream; time and delimiter are for files')
        if self.quiet and (self.at_most is not None or any(one.count != 0 for one in self.expect)):
            raise ValueError(f'the case "{self.name}" is quiet; leave out what it expects')
        if not (self.expect or self.quiet or self.at_most is not None):
            raise ValueError(f'the case "{self.name}" expects nothing; give [[case.expect]], quiet = true or at_most')
        return self


class CaseFile(Section):
    """A file of cases."""

    case: Annotated[list[Case], Field(min_length=1)]
    """The cases, in order."""

    @field_validator("case")
    @classmethod
    def _named_once(cls, cases: list[Case]) -> list[Case]:
        again = [name for name, count in Counter(case.name for case in cases).items() if count > 1]
        if again:
            raise ValueError(f'the name "{again[0]}" is given twice')
        return cases
