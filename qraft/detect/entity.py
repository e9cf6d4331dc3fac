"""All detectors of one entity of one source."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from qraft.config.detect import DetectSettings
from qraft.detect.base import Detector, Judgement, Named
from qraft.detect.guest import Complaint, Guest
from qraft.detect.incident import Incident
from qraft.detect.registry import BUILT_IN, GUESTS, LIGHT
from qraft.detect.report import QUIET
from qraft.detect.silence.detector import SilenceAnomaly
from qraft.detect.track import Tracks


class Verdict(NamedTuple):
    """What the detectors say of one row together: the largest onset of an anomaly, the largest state, the largest onset of
    a change, the mean share of warm-up done, and the judgements that raise a pattern.
    """

    anomaly: float
    abnormal: float
    change: float
    warm: float
    raised: list[tuple[Named, Judgement]]


_NONE: Final[list[tuple[Named, Judgement]]] = []


class EntityDetectors:
    """Judges one entity's rows in order. The whole object is picklable.

    Attributes:
        silence: the detector that also speaks while no row comes, if it runs.
        guests: the detectors of other packages; they are among those that judge.
    """

    def __init__(self, settings: DetectSettings) -> None:
        self._tracks = Tracks()
        self._incident = Incident()
        enabled = [one for one in BUILT_IN if one.settings(settings).enabled]
        self._own: list[Detector] = [one.make(one.settings(settings), self._tracks) for one in enabled]
        self.silence = next((one for one in self._own if isinstance(one, SilenceAnomaly)), None)
        self.guests: list[Guest] = []
        self._detectors: list[Detector] = self._own
        self.configure(settings)

    def configure(self, settings: DetectSettings) -> list[Complaint]:
        """Takes the settings of the guests: one stays if its package, version and settings did, else it is made anew.

        Returns what is to be told of those that go.
        """
        before = {guest.name: guest for guest in self.guests}
        self.guests = []
        for one in GUESTS:
            section, known = one.settings(settings), before.get(one.name)
            if section.enabled:
                stays = known is not None and known.fits(section)
                self.guests.append(known if known is not None and stays else one.make(section, self._tracks))
        self._detectors = [*self._own, *self.guests]
        return [told for guest in before.values() if guest not in self.guests for told in guest.complaints()]

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
            if judgement.finding is not None and detector.type == "anomaly" and not isinstance(detector, Guest):
                judgement = self._incident.hear(self._tracks.row, time_us, detector.name, judgement, lines[detector.name])
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
