"""What the REST server answers, as immutable values. Keys that a newer server adds are passed over."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from qraft.model import Contributor, EngineStats, Feedback, PatternType

Standing = Literal["confirmed", "false_positive", "expected", "new_normal"]


class Value(msgspec.Struct, frozen=True, kw_only=True):
    """Base of all of them."""


class FoundDetails(Value, frozen=True):
    """What was, what is now, and the numbers that say so; a number that JSON lacks (infinite) is None."""

    prev_state: dict[str, Any]
    new_state: dict[str, Any]
    metrics: dict[str, float | None]
    confidence: float


class FoundPattern(Value, frozen=True):
    """A stored pattern with the verdict in force on it."""

    pattern_id: str
    type: PatternType
    timestamp: str
    source: str
    details: FoundDetails
    contributors: list[Contributor]
    detector: str = ""
    event_id: str = ""
    entity: str = ""
    line: float = 0.0
    summary: str = ""
    kind: str = ""
    began: str = ""
    verdict: Standing | None = None
    verdict_user: str = ""
    verdict_at: str = ""
    feedback_id: str = ""


class FoundEvent(Value, frozen=True):
    """An event as the detectors saw it (entity, fields), as it was sent (type, payload, meta), or both."""

    event_id: str
    source: str
    timestamp: str
    entity: str | None = None
    fields: dict[str, float] | None = None
    type: str | None = None
    payload: dict[str, Any] | None = None
    meta: dict[str, Any] | None = None


class PatternDetail(FoundPattern, frozen=True):
    """A pattern with all that was said on it, oldest first, and the events around it, in order of time."""

    feedback: list[Feedback] = []
    events: list[FoundEvent] = []


class SourceState(Value, frozen=True):
    """What is stored of a source and, where an engine reads it, how it does now."""

    source: str
    events: int = 0
    patterns: int = 0
    last_event: str = ""
    engine: str = ""
    adapter: str = ""
    state: str = ""
    detail: str = ""
    rate: float | None = None
    lag_seconds: float | None = None
    dropped: int = 0
    missing: int = 0


class Rejected(Value, frozen=True):
    """A record that was not taken; ``line`` counts from 1."""

    line: int
    reason: str


class Ingested(Value, frozen=True):
    """What became of records that were sent; ``rejected`` holds the first of those that were not taken."""

    accepted: int
    rejected: list[Rejected] = []
    rejected_total: int = 0


class PatternPage(Value, frozen=True):
    """A page of patterns; ``next`` is the cursor of the following one."""

    patterns: list[FoundPattern]
    next: str | None = None


class EventPage(Value, frozen=True):
    """A page of events."""

    events: list[FoundEvent]
    next: str | None = None


class SourceList(Value, frozen=True):
    """All sources."""

    sources: list[SourceState]


class Stats(Value, frozen=True):
    """What each engine that runs says of itself."""

    engines: list[EngineStats]
