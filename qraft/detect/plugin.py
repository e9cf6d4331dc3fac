"""What a package gives to add a detector: the object that an entry point of the group ``qraft.detectors`` names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from qraft.config.base import Section
from qraft.detect.base import Judgement
from qraft.model import PatternType

S = TypeVar("S", bound=Section)


class Steps(Protocol):
    """A detector without a name: its entry point has one."""

    def step(self, time_us: int, row: Mapping[str, float], line: float) -> Judgement:
        """Judges one row, then learns it: see `qraft.detect.Detector.step`."""
        ...


@dataclass(frozen=True, slots=True)
class DetectorPlugin(Generic[S]):
    """A detector of another package. Its name, that of its section and of its patterns' detector, is the entry point's.

    Attributes:
        settings: the model of [detect.NAME]: a `Section` with ``enabled``, whose keys all have defaults.
        make: makes the detector of one entity; may import what is heavy.
        type: the type of its patterns.
        light: whether it is cheap, and judges on when the engine falls behind.
    """

    settings: type[S]
    make: Callable[[S], Steps]
    type: PatternType
    light: bool = False
