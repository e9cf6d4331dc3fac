"""THE CORE: preprocess → detect → feedback as one deterministic object."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import msgspec

from qraft.config import Settings
from qraft.config.detect import PLUGINS, RESTING
from qraft.config.sources import SourceSettings
from qraft.detect import LINED, EntityTable, Judgement, Named, pattern_of, seal, unseal
from qraft.feedback import AlertLines
from qraft.model import (
    NOTICE,
    TICK,
    CleanEvent,
    DeadLetter,
    Event,
    Feedback,
    Level,
    Notice,
    Pattern,
    derive_id,
    iso_from_us,
    us_from_iso,
)
from qraft.preprocess import Cleaner, Outcome, Rejected, cleaner_state, steps_digest

if TYPE_CHECKING:
    from qraft.preprocess.preprocessor import Preprocessor

MAX_SOURCES: Final = 4096
"""Sources of which state is kept; the least recently seen gives way."""

_NOT_IN_FINGERPRINT: Final[Mapping[str, set[str] | bool]] = {"line": True, "max_entities": True, "silence": {"tick_seconds"}}
_GUESTS: Final = dict.fromkeys((*PLUGINS, *RESTING), True)  # each keeps a fingerprint of its own: see `qraft.detect.guest`


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


@dataclass(slots=True)
class Result:
    """What one step brought, each list in the order of the events that caused its members.

    Attributes:
        clean: the rows that preprocessing made of events, all of them judged; without steps, one an event.
        patterns: what was found.
        dead: events that could not be used, with the reason.
        feedback: the verdicts that were seen, in order.
        scores: one entry an event of the batch (verdicts and ticks left out), the highest of the rows it caused; None
            where it caused none.
        late: the events that came too late to be judged; the very objects of the batch.
        duplicates: the events seen before; the very objects of the batch.
        dropped_fields: by source, the numeric fields dropped because they were not finite or out of range.
        filtered: the events that a filter of their source's steps left out; the very objects of the batch.
        notices: what operators should be told of detectors of other packages, by event time.
        archived: how many events were neither cleaned nor judged, because the level was "archive" or they are notices.
    """

    clean: list[CleanEvent]
    patterns: list[Pattern]
    dead: list[DeadLetter]
    feedback: list[Feedback]
    scores: list[Scores | None]
    late: list[Event]
    duplicates: list[Event]
    dropped_fields: dict[str, int] = field(default_factory=dict)
    filtered: list[Event] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    archived: int = 0


class _Source:
    """One source's state: what makes its events rows, and the detectors of its entities."""

    def __init__(self, name: str, settings: Settings) -> None:
        own = settings.source(name)
        detect = settings.detect_for(name)
        self.fingerprint = _fingerprint(name, settings)
        self.time = own.time
        self.base = detect.line
        self.preprocess = _preprocess(name, own)
        self.entities = EntityTable(detect)
        self.lines: dict[str, float] = {}


def _preprocess(name: str, settings: SourceSettings) -> Cleaner | Preprocessor:
    if not settings.steps:
        return Cleaner(name, settings)
    from qraft.preprocess.preprocessor import Preprocessor  # imports polars, which only sources with steps need

    return Preprocessor(name, settings)


class Pipeline:
    """Everything between an ordered stream of events and verdicts, and the patterns in it.

    Attributes:
        preprocess_seconds: what ``stopwatch`` counted while events were made into rows. An observer's figure: no result
            depends on it, and no snapshot holds it.
    """

    def __init__(self, settings: Settings, *, stopwatch: Callable[[], float] = lambda: 0.0) -> None:
        self._settings = settings
        self._any_steps = _any_steps(settings)
        self._stopwatch = stopwatch
        self.preprocess_seconds = 0.0
        self._sources: OrderedDict[str, _Source] = OrderedDict()
        self._lines = AlertLines(settings.feedback)

    def step(self, batch: Sequence[Event | Feedback], *, level: Level = "full") -> Result:
        """Takes the next events and verdicts of the stream.

        Args:
            batch: what comes next.
            level: how much is done with events; what rests at a level below "full" goes on from where it stood.
        """
        result = Result([], [], [], [], [], [], [])
        if self._any_steps and len(batch) > 1 and self._may_evict(batch):
            for item in batch:  # whose state gives way must not depend on where the batch ends
                self._take([item], level, result)
        else:
            self._take(batch, level, result)
        return result

    def _take(self, batch: Sequence[Event | Feedback], level: Level, result: Result) -> None:
        outcomes = self._stepped(batch, result) if self._any_steps and level != "archive" else {}
        for at, item in enumerate(batch):
            if isinstance(item, Feedback):
                result.feedback.append(item)
                self._verdict(item)
            elif item.type == TICK:
                self._tick(item, result, level)
            elif level == "archive" or item.type == NOTICE:
                result.archived += 1
                result.scores.append(None)
                if item.source in self._sources:  # what is not judged is not missing
                    self._sources[item.source].entities.arrivals.interrupted()
            else:
                self._event(item, outcomes.get(at), result, light=level == "light")

    def _stepped(self, batch: Sequence[Event | Feedback], result: Result) -> dict[int, Outcome]:
        """What the steps make of the events of sources that have some, by place in the batch: each source's in one go."""
        places: dict[str, list[int]] = {}
        for at, item in enumerate(batch):
            if isinstance(item, Event) and item.type not in (NOTICE, TICK):
                places.setdefault(item.source, []).append(at)
        outcomes: dict[int, Outcome] = {}
        for name, positions in places.items():
            source = self._sources.get(name) or self._new(name)
            preprocess = source.preprocess
            if isinstance(preprocess, Cleaner):
                continue
            events = [item for at in positions if isinstance(item := batch[at], Event)]
            dropped, begun = preprocess.dropped, self._stopwatch()
            outcomes.update(zip(positions, preprocess.take(events), strict=True))
            self.preprocess_seconds += self._stopwatch() - begun
            _count_dropped(result, name, preprocess.dropped - dropped)
        return outcomes

    def _may_evict(self, batch: Sequence[Event | Feedback]) -> bool:
        new = {item.source for item in batch if isinstance(item, Event)} - self._sources.keys()
        return len(self._sources) + len(new) > MAX_SOURCES

    def snapshot(self) -> bytes:
        """The whole state. Entities without an event since the last snapshot cost next to nothing."""
        sources = [
            (name, source.fingerprint, source.time, source.preprocess.state(), source.entities.state())
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
        self._any_steps = _any_steps(settings)
        self._lines.configure(settings.feedback)
        for name, source in self._sources.items():
            detect = settings.detect_for(name)
            own = settings.source(name)
            fingerprint = _fingerprint(name, settings)
            source.preprocess = _reconfigured(name, source.preprocess, own)
            if own.time != source.time:
                source.preprocess.forget_time()
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
        return len(self._sources[source].entities) if source in self._sources else 0

    def look(self, source: str) -> _Source | None:
        """A source's state, only to be looked at; None for one that was not seen."""
        return self._sources.get(source)

    def _verdict(self, feedback: Feedback) -> None:
        key = self._lines.apply(feedback)
        if key is not None and key[0] in self._sources:
            self._set_lines(key[0], self._sources[key[0]])

    def _event(self, event: Event, outcome: Outcome | None, result: Result, *, light: bool) -> None:
        """Judges an event; ``outcome`` is what its source's steps made of it, None where the source has none."""
        source = self._sources.get(event.source)
        if source is None:
            source = self._new(event.source)
        else:
            self._sources.move_to_end(event.source)
        rows = self._cleaned(event, source.preprocess, result) if isinstance(source.preprocess, Cleaner) else outcome
        if isinstance(rows, CleanEvent):
            result.scores.append(self._judge(rows, source, result, light=light))
        elif isinstance(rows, list):
            result.scores.append(_highest([self._judge(row, source, result, light=light) for row in rows]))
        else:
            result.scores.append(None)
            if isinstance(rows, DeadLetter):
                result.dead.append(rows)
            elif rows is Rejected.LATE:
                result.late.append(event)
            elif rows is Rejected.DUPLICATE:
                result.duplicates.append(event)
            else:
                result.filtered.append(event)

    def _tick(self, tick: Event, result: Result, level: Level) -> None:
        """Lets time pass for a source that is known; one that is not has nothing to miss."""
        source = self._sources.get(tick.source)
        if source is None:
            return
        if level == "archive" or tick.payload.get("interrupted"):
            source.entities.arrivals.interrupted()
            return
        try:
            now_us = us_from_iso(tick.timestamp)
        except ValueError:  # whoever published it: it is no time
            return
        source.entities.tick(now_us, source.lines)
        _complain(tick.source, now_us, source, result)
        cause = CleanEvent(event_id=tick.event_id, source=tick.source, entity="", time_us=now_us, fields={})
        self._absent(cause, source, result)

    def _absent(self, cause: CleanEvent, source: _Source, result: Result) -> float:
        """Tells of entities without a row of their own, or of the source as a whole; the greatest confidence."""
        onset = 0.0
        for entity, detector, judgement in source.entities.absent:
            clean = msgspec.structs.replace(cause, entity=entity)
            identity = derive_id("absent", cause.event_id, entity)  # one event may show several to be silent
            self._raise(clean, identity, (detector, judgement), source, result)
            onset = max(onset, judgement.onset)
        return onset

    def _cleaned(self, event: Event, cleaner: Cleaner, result: Result) -> CleanEvent | DeadLetter | Rejected:
        dropped, begun = cleaner.dropped, self._stopwatch()
        clean = cleaner.take(event)
        self.preprocess_seconds += self._stopwatch() - begun
        _count_dropped(result, event.source, cleaner.dropped - dropped)
        return clean

    def _judge(self, clean: CleanEvent, source: _Source, result: Result, *, light: bool) -> Scores:
        result.clean.append(clean)
        verdict = source.entities.step(clean.entity, clean.time_us, clean.fields, source.lines, light=light)
        anomaly, abnormal, change, warm, raised = verdict
        _complain(clean.source, clean.time_us, source, result)
        if source.entities.absent:
            anomaly = max(anomaly, self._absent(clean, source, result))
        for one in raised:
            self._raise(clean, clean.event_id, one, source, result)
        quiet = warm == 1.0 and anomaly == abnormal == change == 0.0
        return _QUIET if quiet else Scores(anomaly, abnormal, change, warm)

    def _raise(
        self, clean: CleanEvent, identity: str, raised: tuple[Named, Judgement], source: _Source, result: Result
    ) -> None:
        pattern = pattern_of(clean, identity, raised, source.lines[raised[0].name], source.preprocess.origins)
        self._lines.remember(pattern.pattern_id, pattern.source, pattern.detector)
        result.patterns.append(pattern)

    def _new(self, name: str) -> _Source:
        source = self._sources[name] = _Source(name, self._settings)
        self._set_lines(name, source)
        if len(self._sources) > MAX_SOURCES:
            self._sources.popitem(last=False)
        return source

    def _restored(
        self, name: str, fingerprint: str, time: str, preprocess: dict[str, Any], entities: dict[str, Any]
    ) -> _Source:
        source = _Source(name, self._settings)
        own = source.preprocess
        own.load(cleaner_state(preprocess) if isinstance(own, Cleaner) else preprocess)
        if source.time != time:
            own.forget_time()
        if source.fingerprint == fingerprint:
            source.entities.load(entities)
        return source

    def _refresh_lines(self) -> None:
        for name, source in self._sources.items():
            self._set_lines(name, source)

    def _set_lines(self, name: str, source: _Source) -> None:
        source.lines = {detector: self._lines.line(source.base, name, detector) for detector in LINED}


def _fingerprint(name: str, settings: Settings) -> str:
    """What a source's detector state depends on: another fingerprint, and the state means nothing."""
    own = settings.source(name)
    detect = settings.detect_for(name).model_dump_json(exclude={**_NOT_IN_FINGERPRINT, **_GUESTS})
    return hashlib.sha256(
        "\x1f".join((detect, own.entity, own.time, *own.fields, "\x1e", *own.exclude, steps_digest(own.steps))).encode()
    ).hexdigest()


def _any_steps(settings: Settings) -> bool:
    return any(source.steps for source in settings.sources.values())


def _reconfigured(name: str, old: Cleaner | Preprocessor, settings: SourceSettings) -> Cleaner | Preprocessor:
    """What makes the source's events rows under new settings; what was seen stays as far as it still means something."""
    if isinstance(old, Cleaner) != bool(settings.steps):
        old.configure(settings)
        return old
    new = _preprocess(name, settings)
    new.load(cleaner_state(old.state()))
    return new


def _count_dropped(result: Result, source: str, dropped: int) -> None:
    if dropped:
        result.dropped_fields[source] = result.dropped_fields.get(source, 0) + dropped


def _complain(name: str, time_us: int, source: _Source, result: Result) -> None:
    if source.entities.complaints:
        told, source.entities.complaints = source.entities.complaints, []
        result.notices += [Notice(iso_from_us(time_us), name, "detector", one.text) for one in told]


def _highest(scores: Sequence[Scores]) -> Scores | None:
    if len(scores) < 2:
        return scores[0] if scores else None
    return Scores(
        anomaly=max(one.anomaly for one in scores),
        abnormal=max(one.abnormal for one in scores),
        change=max(one.change for one in scores),
        warm=max(one.warm for one in scores),
    )
