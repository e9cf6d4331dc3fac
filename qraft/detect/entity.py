"""All detectors of one entity of one source."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from qraft.config.detect import DetectSettings
from qraft.detect.anomaly.forest import ForestAnomaly
from qraft.detect.base import Detector, Judgement
from qraft.detect.clusters.change import ClusterChange
from qraft.detect.drift.adwin import AdwinDrift
from qraft.detect.drift.ddm import DdmDrift
from qraft.detect.report import QUIET
from qraft.detect.track import Tracks

DETECTORS: Final = ("adwin", "ddm", "forest", "clusters")
"""Names of the detectors, in the order in which they judge a row."""

LIGHT: Final = frozenset({"adwin", "ddm"})
"""The cheap detectors, which judge on when the engine falls behind."""


class Verdict(NamedTuple):
    """What the detectors say of one row together: the largest onset of an anomaly, the largest state, the largest onset of
    a change, the mean share of warm-up done, and the judgements that raise a pattern.
    """

    anomaly: float
    abnormal: float
    change: float
    warm: float
    raised: list[tuple[Detector, Judgement]]


_NONE: Final[list[tuple[Detector, Judgement]]] = []


class EntityDetectors:
    """Judges one entity's rows in order. The whole object is picklable."""

    def __init__(self, settings: DetectSettings) -> None:
        self._tracks = Tracks()
        self._detectors: list[Detector] = []
        if settings.adwin.enabled:
            self._detectors.append(AdwinDrift(settings.adwin, self._tracks))
        if settings.ddm.enabled:
            self._detectors.append(DdmDrift(settings.ddm, self._tracks))
        if settings.forest.enabled:
            self._detectors.append(ForestAnomaly(settings.forest, self._tracks))
        if settings.clusters.enabled:
            self._detectors.append(ClusterChange(settings.clusters, self._tracks))

    def step(self, time_us: int, row: Mapping[str, float], lines: Mapping[str, float], *, light: bool = False) -> Verdict:
        """Judges one row, then learns it.

        Args:
            time_us: event time, UTC microseconds.
            row: the numeric fields.
            lines: the alert line by detector name.
            light: only the cheap detectors see the row.
        """
        self._tracks.update(row)
        anomaly = abnormal = change = warm = 0.0
        raised = _NONE
        detectors = [one for one in self._detectors if one.name in LIGHT] if light else self._detectors
        for detector in detectors:
            judgement = detector.step(time_us, row, lines[detector.name])
            if judgement is QUIET:  # nearly always
                warm += 1.0
                continue
            onset, state, ready, finding = judgement
            warm += ready
            if detector.type == "anomaly":
                anomaly = max(anomaly, onset)
            else:
                change = max(change, onset)
            abnormal = max(abnormal, state)
            if finding is not None:
                raised = [*raised, (detector, judgement)]
        return Verdict(anomaly, abnormal, change, warm / len(detectors) if detectors else 1.0, raised)
