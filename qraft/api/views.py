"""What the REST interface answers and takes on patterns, verdicts and sources: models of its OpenAPI document."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Literal

import msgspec
from pydantic import BaseModel, ConfigDict, Field

from qraft.api import examples
from qraft.api.moments import Moment
from qraft.api.views_events import EventView
from qraft.model import (
    EngineStats,
    Feedback,
    PatternType,
    Scope,
    SourceStats,
    Verdict,
    iso_from_us,
    us_from_datetime,
)
from qraft.store import Similar, SourceTotals, StoredPattern

Standing = Literal["confirmed", "false_positive", "expected", "new_normal"]


def _example(value: dict[str, Any]) -> ConfigDict:
    return ConfigDict(json_schema_extra={"examples": [value]}, use_attribute_docstrings=True)


class ContributorView(BaseModel):
    """One field's share in a pattern."""

    model_config = _example(examples.CONTRIBUTOR)

    field: str
    score: float
    """Its share; the shares of a pattern add up to 1."""
    before: float | None = None
    after: float | None = None
    origin: str = ""
    """The source's own field where this one is a feature made of it."""


class DetailsView(BaseModel):
    """What was, what is now, and the numbers that say so."""

    prev_state: dict[str, Any]
    new_state: dict[str, Any]
    metrics: dict[str, float | None]
    confidence: float


class PatternView(BaseModel):
    """A pattern, with the verdict in force on it."""

    model_config = _example(examples.PATTERN)

    pattern_id: str
    type: PatternType
    timestamp: str
    """Event time, ISO 8601."""
    source: str
    details: DetailsView
    contributors: list[ContributorView]
    detector: str = ""
    event_id: str = ""
    entity: str = ""
    line: float
    """The alert line it was judged by."""
    summary: str = ""
    kind: str = ""
    """What was found, more closely than the type: mean, variance, silence, …"""
    began: str = ""
    """Event time from which the change is there, where that is known to be before ``timestamp``."""
    verdict: Standing | None = None
    verdict_user: str = ""
    verdict_at: str = ""
    feedback_id: str = ""
    """The verdict's id; an undo names it."""

    @classmethod
    def of(cls, stored: StoredPattern) -> PatternView:
        """The view of a stored pattern."""
        return cls.model_validate(_pattern(stored))


class PatternPage(BaseModel):
    """Some patterns of a list, in its order."""

    model_config = _example({"patterns": [examples.PATTERN], "next": f"1795356501000000_{examples.PATTERN_ID}"})

    patterns: list[PatternView]
    next: str | None = None
    """The cursor of the next page; null on the last."""

    @classmethod
    def of(cls, found: Sequence[StoredPattern], limit: int) -> PatternPage:
        """A page of at most ``limit`` patterns; ``found`` holds one more where there is a next page."""
        page = found[:limit]
        return cls(
            patterns=[PatternView.of(stored) for stored in page], next=page[-1].cursor if len(found) > len(page) else None
        )


class ScopeView(BaseModel):
    """What a mute covers: the patterns that agree with every key that is not empty. At least one key is needed."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [examples.SCOPE]}, use_attribute_docstrings=True
    )

    source: str = ""
    entity: str = ""
    type: Literal["", "drift", "anomaly", "cluster_change"] = ""
    detector: str = ""


class FeedbackView(BaseModel):
    """A verdict, a mute, a note or an undo as it was given."""

    model_config = _example(examples.VERDICT)

    feedback_id: str
    pattern_id: str
    verdict: Verdict
    timestamp: str
    source: str
    detector: str
    note: str
    user: str
    undoes: str
    """For an undo: the feedback it takes back."""
    scope: ScopeView | None = None
    """For a mute: what it covers."""
    until: str = ""
    """For a mute: when it ends, ISO 8601."""

    @classmethod
    def of(cls, feedback: Feedback) -> FeedbackView:
        """The view of a verdict."""
        return cls.model_validate(msgspec.to_builtins(feedback))


class SimilarView(BaseModel):
    """Earlier patterns like one, of each run of patterns one."""

    patterns: list[PatternView]
    """The nearest first: of the same entity, of the same source, from elsewhere."""
    verdicts: dict[str, int]
    """How many runs alike have which verdict in force; ``none`` counts those without."""

    @classmethod
    def of(cls, found: Similar) -> SimilarView:
        """The view of what was found."""
        return cls(
            patterns=[PatternView.of(one) for one in found.patterns],
            verdicts={verdict or "none": runs for verdict, runs in found.verdicts.items()},
        )


class PatternDetail(PatternView):
    """A pattern with all that was said on it and the events around it."""

    model_config = _example({**examples.PATTERN, "feedback": [examples.VERDICT], "events": [examples.EVENT]})

    feedback: list[FeedbackView]
    """All that was said, in the order in which it came: verdicts, mutes, notes and undos, what was undone too."""
    events: list[EventView]
    """Events of the same source and entity around the pattern, in order of time."""
    similar: SimilarView | None = None
    """Earlier patterns like it, where they were asked for."""

    @classmethod
    def assemble(
        cls, stored: StoredPattern, feedback: Iterable[Feedback], events: list[EventView], similar: Similar | None
    ) -> PatternDetail:
        """A pattern with what belongs to it."""
        return cls.model_validate(
            {
                **_pattern(stored),
                "feedback": [FeedbackView.of(one) for one in feedback],
                "events": events,
                "similar": None if similar is None else SimilarView.of(similar),
            }
        )


class SourceView(BaseModel):
    """A source: what is stored of it and, where an engine runs, how it does now."""

    model_config = _example(examples.SOURCE)

    source: str
    events: int = 0
    """Events stored."""
    patterns: int = 0
    """Patterns stored."""
    last_event: str = ""
    """Latest event time, ISO 8601; empty without events."""
    engine: str = ""
    """The engine that reads it now; empty, like all below, when none says so."""
    adapter: str = ""
    state: str = ""
    detail: str = ""
    rate: float | None = None
    """Events a second now."""
    lag_seconds: float | None = None
    """How far behind the newest event the engine is."""
    dropped: int = 0
    """Events given up since the engine started, as the source's when_full says."""
    missing: int = 0
    """Events that gaps in the feed's own sequence say never came, since the engine started."""


class SourceList(BaseModel):
    """Every source that is stored or read, by name."""

    sources: list[SourceView]


class FeedbackRequest(BaseModel):
    """What to say on a pattern."""

    model_config = ConfigDict(
        extra="forbid",
        use_attribute_docstrings=True,
        json_schema_extra={
            "examples": [
                {"verdict": "confirmed", "note": "backup job", "user": "ops1"},
                {"verdict": "mute", "scope": examples.SCOPE, "until": "2026-11-22T18:00:00Z", "user": "ops1"},
            ]
        },
    )

    verdict: Verdict
    """``undo`` takes back the last that the user said and that still stands, be it a verdict, a mute or a note."""
    note: Annotated[str, Field(max_length=2000)] = ""
    """Why; for ``note`` the note itself."""
    scope: ScopeView | None = None
    """What a mute covers, which needs it; nothing else takes it."""
    until: Moment | None = None
    """When a mute ends, which it must, within 30 days; ISO 8601, without a zone it is UTC."""
    user: Annotated[str, Field(max_length=100)] = ""
    """Who says it; the token's name where tokens are needed and it is left out."""
    feedback_id: Annotated[str | None, Field(pattern=r"^[A-Za-z0-9_-]{1,100}$")] = None
    """Send the same id again to be sure: it is stored once. Without it every request is a verdict of its own."""

    def wire_scope(self) -> Scope | None:
        """The scope as it travels."""
        return None if self.scope is None else Scope(**self.scope.model_dump())

    def wire_until(self) -> str:
        """The end as it travels, empty without one."""
        return "" if self.until is None else iso_from_us(us_from_datetime(self.until))


def sources_now(totals: Iterable[SourceTotals], engines: Iterable[EngineStats]) -> list[SourceView]:
    """What is stored of each source joined with what engines say of it, by name."""
    stored = {one.source: one for one in totals}
    live: dict[str, tuple[str, SourceStats]] = {s.source: (e.engine, s) for e in engines for s in e.sources}
    return [_source(name, stored.get(name), live.get(name)) for name in sorted({*stored, *live})]


def _source(name: str, totals: SourceTotals | None, live: tuple[str, SourceStats] | None) -> SourceView:
    view: dict[str, Any] = {"source": name}
    if totals is not None:
        view |= {"events": totals.events, "patterns": totals.patterns, "last_event": totals.last_event}
    if live is not None:
        engine, stats = live
        view |= {"engine": engine} | {
            key: getattr(stats, key) for key in ("adapter", "state", "detail", "rate", "lag_seconds", "dropped", "missing")
        }
    return SourceView.model_validate(view)


def _pattern(stored: StoredPattern) -> dict[str, Any]:
    return {
        **msgspec.to_builtins(stored.pattern),
        "verdict": stored.verdict,
        "verdict_user": stored.verdict_user,
        "verdict_at": stored.verdict_at,
        "feedback_id": stored.feedback_id,
    }
