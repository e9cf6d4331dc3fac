"""THE CORE: preprocess → detect → feedback as one deterministic object."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from qraft.config import Settings
from qraft.config.settings import SourceSettings
from qraft.detect import DETECTORS, Detector, EntityTable, Judgement, seal, unseal
from qraft.feedback import AlertLines
from qraft.model import CleanEvent, DeadLetter, Details, Event, Feedback, Pattern, iso_from_us, pattern_id
from qraft.preprocess import Cleaner, Rejected

MAX_SOURCES: Final = 4096
"""Sources of which state is kept; the least recently seen gives way."""

_NOT_IN_FINGERPRINT: Final = {"line", "max_entities"}


@dataclass(frozen=True, slots=True)
class Scores:
    """What the detectors said of one event, each in [0, 1]; all 0 for an event that was not judged.

    Attributes:
        anomaly: what would raise an anomaly at this event (an onset).
        abnormal: how far this event lies inside an abnormal stretch (a state).
        change: what would raise a drift or a cluster change at this event (an onset).
        warm: share of the warm-up that is done, over the detectors.
    """

    anomaly: float
    abnormal: float
    change: float
    warm: float


_QUIET: Final = Scores(0.0, 0.0, 0.0, 1.0)


@dataclass(frozen=True, slots=True)
class Result:
    """What one step brought, each list in the order of the events that caused its members.

    Attributes:
        clean: the events that passed preprocessing and were judged.
        patterns: what was found.
        dead: events that could not be used, with the reason.
        feedback: the verdicts that were seen, in order.
        scores: one entry an event of the batch (verdicts left out), None where it was late, a duplicate or dead.
        late: the events that came too late to be judged; the very objects of the batch.
        duplicates: the events seen before; the very objects of the batch.
        dropped_fields: by source, the numeric fields dropped because they were not finite or out of range.
    """

    clean: list[CleanEvent]
    patterns: list[Pattern]
    dead: list[DeadLetter]
    feedback: list[Feedback]
    scores: list[Scores | None]
    late: list[Event]
    duplicates: list[Event]
    dropped_fields: dict[str, int] = field(default_factory=dict)


class _Source:
    """One source's state: what cleans its events, and the detectors of its entities."""

    def __init__(self, name: str, settings: Settings) -> None:
        own = _source_settings(name, settings)
        detect = settings.detect_for(name)
        self.fingerprint = _fingerprint(name, settings)
        self.time = own.time
        self.base = detect.line
        self.cleaner = Cleaner(name, own)
        self.entities = EntityTable(detect)
        self.lines: dict[str, float] = {}


class Pipeline:
    """Everything between an ordered stream of events and verdicts, and the patterns in it.

    Attributes:
        preprocess_seconds: what ``stopwatch`` counted while events were made into rows. An observer's figure: no result
            depends on it, and no snapshot holds it.
    """

    def __init__(self, settings: Settings, *, stopwatch: Callable[[], float] = lambda: 0.0) -> None:
        self._settings = settings
        self._stopwatch = stopwatch
        self.preprocess_seconds = 0.0
        self._sources: OrderedDict[str, _Source] = OrderedDict()
        self._lines = AlertLines(settings.feedback)

    def step(self, batch: Sequence[Event | Feedback]) -> Result:
        """Takes the next events and verdicts of the stream."""
        result = Result([], [], [], [], [], [], [])
        for item in batch:
            if isinstance(item, Feedback):
                result.feedback.append(item)
                self._verdict(item)
            else:
                self._event(item, result)
        return result

    def snapshot(self) -> bytes:
        """The whole state. Entities without an event since the last snapshot cost next to nothing."""
        sources = [
            (name, source.fingerprint, source.time, source.cleaner.state(), source.entities.freeze())
            for name, source in self._sources.items()
        ]
        return seal({"sources": sources, "lines": self._lines.state()})

    def restore(self, snapshot: bytes) -> None:
        """Takes up a state. Sources whose own settings changed since start fresh.

        Raises:
            ValueError: the bytes are no snapshot, are damaged or were made by other versions; the state is then as before.
        """
        state = unseal(snapshot)
        try:
            lines = AlertLines(self._settings.feedback)
            lines.load(state["lines"])
            sources = OrderedDict((name, self._restored(name, *rest)) for name, *rest in state["sources"])
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"the snapshot holds something else than a pipeline: {error}") from error
        self._lines = lines
        self._sources = sources
        self._refresh_lines()

    def reconfigure(self, settings: Settings) -> None:
        """Takes new settings; detector state stays where its own settings did not change."""
        self._settings = settings
        self._lines.configure(settings.feedback)
        for name, source in self._sources.items():
            detect = settings.detect_for(name)
            own = _source_settings(name, settings)
            fingerprint = _fingerprint(name, settings)
            source.cleaner.configure(own)
            if own.time != source.time:
                source.cleaner.forget_time()
                source.time = own.time
            if fingerprint != source.fingerprint:
                source.entities = EntityTable(detect)
                source.fingerprint = fingerprint
            else:
                source.entities.configure(detect)
            source.base = detect.line
        self._refresh_lines()

    def line(self, source: str, detector: str) -> float:
        """The alert line that a detector of a source is judged by now."""
        return self._lines.line(self._settings.detect_for(source).line, source, detector)

    def lines(self) -> dict[str, dict[str, float]]:
        """The alert line of every detector of every source seen."""
        return {name: dict(source.lines) for name, source in self._sources.items()}

    def entities(self, source: str) -> int:
        """How many entities of a source are judged."""
        known = self._sources.get(source)
        return len(known.entities) if known is not None else 0

    def _verdict(self, feedback: Feedback) -> None:
        key = self._lines.apply(feedback)
        if key is not None and key[0] in self._sources:
            self._set_lines(key[0], self._sources[key[0]])

    def _event(self, event: Event, result: Result) -> None:
        source = self._sources.get(event.source)
        if source is None:
            source = self._new(event.source)
        else:
            self._sources.move_to_end(event.source)
        cleaner = source.cleaner
        dropped = cleaner.dropped
        begun = self._stopwatch()
        clean = cleaner.take(event)
        self.preprocess_seconds += self._stopwatch() - begun
        if cleaner.dropped != dropped:
            known = result.dropped_fields.get(event.source, 0)
            result.dropped_fields[event.source] = known + cleaner.dropped - dropped
        if not isinstance(clean, CleanEvent):
            result.scores.append(None)
            if isinstance(clean, DeadLetter):
                result.dead.append(clean)
            elif clean is Rejected.LATE:
                result.late.append(event)
            else:
                result.duplicates.append(event)
            return
        result.clean.append(clean)
        verdict = source.entities.step(clean.entity, clean.time_us, clean.fields, source.lines)
        anomaly, abnormal, change, warm, raised = verdict
        quiet = warm == 1.0 and anomaly == abnormal == change == 0.0
        result.scores.append(_QUIET if quiet else Scores(anomaly, abnormal, change, warm))
        for detector, judgement in raised:
            pattern = _pattern(clean, detector, judgement, source.lines[detector.name])
            self._lines.remember(pattern.pattern_id, pattern.source, pattern.detector)
            result.patterns.append(pattern)

    def _new(self, name: str) -> _Source:
        source = self._sources[name] = _Source(name, self._settings)
        self._set_lines(name, source)
        if len(self._sources) > MAX_SOURCES:
            self._sources.popitem(last=False)
        return source

    def _restored(
        self, name: str, fingerprint: str, time: str, cleaner: dict[str, Any], entities: list[tuple[str, bytes]]
    ) -> _Source:
        source = _Source(name, self._settings)
        source.cleaner.load(cleaner)
        if source.time != time:
            source.cleaner.forget_time()
        if source.fingerprint == fingerprint:
            source.entities.thaw(entities)
        return source

    def _refresh_lines(self) -> None:
        for name, source in self._sources.items():
            self._set_lines(name, source)

    def _set_lines(self, name: str, source: _Source) -> None:
        source.lines = {detector: self._lines.line(source.base, name, detector) for detector in DETECTORS}


def _source_settings(name: str, settings: Settings) -> SourceSettings:
    found = settings.sources.get(name)
    return found if found is not None else SourceSettings()


def _fingerprint(name: str, settings: Settings) -> str:
    """What a source's detector state depends on: another fingerprint, and the state means nothing."""
    own = _source_settings(name, settings)
    detect = settings.detect_for(name).model_dump_json(exclude=_NOT_IN_FINGERPRINT)
    return hashlib.sha256(
        "\x1f".join((detect, own.entity, own.time, *own.fields, "\x1e", *own.exclude)).encode()
    ).hexdigest()


def _pattern(clean: CleanEvent, detector: Detector, judgement: Judgement, line: float) -> Pattern:
    finding = judgement.finding
    assert finding is not None  # a raised judgement has one
    return Pattern(
        pattern_id=pattern_id(clean.event_id, detector.name, detector.type),
        type=detector.type,
        timestamp=iso_from_us(clean.time_us),
        source=clean.source,
        details=Details(
            prev_state=finding.prev_state, new_state=finding.new_state, metrics=finding.metrics, confidence=judgement.onset
        ),
        contributors=list(finding.contributors),
        detector=detector.name,
        event_id=clean.event_id,
        entity=clean.entity,
        line=line,
        summary=finding.summary,
    )
