"""What a detector is: the interface, and the values that pass through it.

A detector watches the rows of one entity of one source, in order. It is pure: no I/O, no clock, no unseeded random number.
Its whole state is picklable, and restoring it changes nothing of what it says next.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from qraft.model import Contributor, PatternType


@dataclass(frozen=True, slots=True)
class Finding:
    """Why a detector raised: what was, what is now, the numbers, the fields in order of their share.

    Attributes:
        kind: what was found, more closely than the detector's type says: one word of the list in `qraft.detect.kinds`.
        began_us: event time from which the change is there, UTC microseconds; None where it begins at the row judged.
    """

    prev_state: dict[str, Any]
    new_state: dict[str, Any]
    contributors: tuple[Contributor, ...]
    summary: str
    metrics: dict[str, float] = field(default_factory=dict)
    kind: str = ""
    began_us: int | None = None


class Judgement(NamedTuple):
    """What a detector says of one row, before it has learned it.

    Attributes:
        onset: confidence in [0, 1] that something begins at this row; at or above the line it raises a pattern.
            Gated: one incident has one row at or above the line.
        state: confidence in [0, 1] that this row lies within something abnormal (drift detectors: always 0).
        warm: share in [0, 1] of the warm-up that is done; below 1 onset and state stay under the line.
        finding: given exactly when ``onset >= line``.
    """

    onset: float
    state: float
    warm: float
    finding: Finding | None


class Named(Protocol):
    """Whoever speaks: a detector's name and the type of its patterns."""

    name: str
    type: PatternType


class Detector(Named, Protocol):
    """One detector over one entity's rows."""

    def step(self, time_us: int, row: Mapping[str, float], line: float) -> Judgement:
        """Judges one row against those before it, then learns it.

        Args:
            time_us: event time, UTC microseconds.
            row: the finite numeric fields of this row; fields may come and go.
            line: the alert line, a confidence in (0, 1).
        """
        ...
