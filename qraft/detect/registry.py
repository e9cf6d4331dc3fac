"""Every detector there is: those of Qraft in the order in which they judge a row, then those of other packages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Generic, TypeVar

from qraft.config.base import Section
from qraft.config.detect import PLUGINS, DetectSettings
from qraft.config.detectors import Plugin
from qraft.config.plugins import Loaded
from qraft.detect.anomaly.forest import ForestAnomaly
from qraft.detect.anomaly.novelty import NoveltyAnomaly
from qraft.detect.base import Detector
from qraft.detect.clusters.change import ClusterChange
from qraft.detect.drift.adwin import AdwinDrift
from qraft.detect.drift.ddm import DdmDrift
from qraft.detect.drift.detector import DriftDetector
from qraft.detect.guest import Guest
from qraft.detect.silence.detector import SilenceAnomaly
from qraft.detect.silence.flat import FlatAnomaly
from qraft.detect.track import Tracks

D_co = TypeVar("D_co", bound=Detector, covariant=True)


@dataclass(frozen=True, slots=True)
class Registered(Generic[D_co]):
    """A detector by name.

    Attributes:
        name: of the detector, of its section in [detect], and of what its patterns call their detector.
        make: makes it for one entity, of its section and of what is followed of the entity's fields.
        light: whether it is cheap, and judges on when the engine falls behind.
    """

    name: str
    make: Callable[[Any, Tracks], D_co]
    light: bool = False

    def settings(self, detect: DetectSettings) -> Any:
        """The detector's own section."""
        return getattr(detect, self.name)


def _guest(name: str, loaded: Loaded[Plugin], settings: Section, _: Tracks) -> Guest:
    return Guest(name, loaded, settings)


BUILT_IN: Final[tuple[Registered[Detector], ...]] = (
    Registered("drift", lambda settings, _: DriftDetector(settings), light=True),
    Registered("adwin", AdwinDrift, light=True),
    Registered("ddm", DdmDrift, light=True),
    Registered("novelty", lambda settings, _: NoveltyAnomaly(settings)),
    Registered("forest", ForestAnomaly),
    Registered("clusters", ClusterChange),
    Registered("silence", lambda settings, _: SilenceAnomaly(settings), light=True),
    Registered("flat", lambda settings, _: FlatAnomaly(settings), light=True),
)
"""The detectors of Qraft itself."""

GUESTS: Final = tuple(Registered(name, partial(_guest, name, one), one.part.light) for name, one in PLUGINS.items())
"""Those of other packages."""

DETECTORS: Final = tuple(one.name for one in (*BUILT_IN, *GUESTS))
"""Names of the detectors, in the order in which they judge a row."""

LINED: Final = (*DETECTORS, "peers")
"""Names of all that have an alert line: the detectors, and what watches the entities among each other."""

LIGHT: Final = frozenset(one.name for one in (*BUILT_IN, *GUESTS) if one.light)
"""The cheap detectors, which judge on when the engine falls behind."""
