"""What may be asked of lists: the query parameters of the REST interface."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from qraft import filter as language
from qraft.api.moments import Moment
from qraft.bus import StreamPlace
from qraft.model import PatternType, us_from_datetime
from qraft.store import EventQuery, PatternQuery, Place, StoreRejected

T = TypeVar("T")
Order = Literal["desc", "asc"]
Confidence = Annotated[float, Field(ge=0, le=1)]


def _readable(text: str) -> str:
    language.parse(text)  # a FilterError is a ValueError, and so a mistake in this parameter
    return text


def _place(cursor: str) -> str:
    if cursor:
        try:
            Place.read(cursor)
        except StoreRejected:
            raise ValueError("is no cursor; use next of the page before") from None
    return cursor


def _stream_place(text: str) -> str:
    if text and StreamPlace.read(text) is None:
        raise ValueError("is no id of this stream; send one that came with an event")
    return text


FilterText = Annotated[str, Field(max_length=500), AfterValidator(_readable)]
StreamId = Annotated[str, Field(max_length=40), AfterValidator(_stream_place)]
EventCursor = Annotated[str, Field(max_length=2000), AfterValidator(_place)]


class _Query(BaseModel):
    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class SourceFilter(_Query):
    """Which sources; what is left out does not narrow."""

    source: list[str] = []
    """May be given several times."""
    state: list[Literal["starting", "running", "retrying", "paused", "finished", "failed", "external", "none"]] = []
    """How it does now, ``none`` where no engine says so; may be given several times."""

    def wants(self, source: str, state: str) -> bool:
        """Whether a source is among them."""
        return (not self.source or source in self.source) and (not self.state or (state or "none") in self.state)


class PatternChoice(_Query):
    """Which patterns; what is left out does not narrow."""

    type: list[PatternType] = []
    """May be given several times."""
    source: list[str] = []
    """May be given several times."""
    entity: str | None = None
    """Empty for sources that are not split."""
    detector: str = ""
    """Name of the detector that found it."""
    kind: list[str] = []
    """What was found, more closely than the type: mean, variance, silence, …; may be given several times."""
    min_confidence: Confidence = 0.0
    """Least confidence."""
    max_confidence: Confidence | None = None
    """Greatest confidence."""
    q: FilterText = ""
    """The filter language of the terminal, such as ``src:bin* score>.7 !state:fp``; each pattern stands for itself."""

    def filter(self) -> language.Filter:
        """``q`` as it was read."""
        return language.parse(self.q)


class PatternFilter(PatternChoice):
    """Which patterns to list, and in what order."""

    since: Moment | None = None
    """Earliest event time, ISO 8601, included; without a zone it is UTC."""
    until: Moment | None = None
    """Latest event time, excluded."""
    verdict: Literal["confirmed", "false_positive", "expected", "new_normal", "none"] | None = None
    """The verdict in force; ``none`` for patterns without one."""
    text: Annotated[str, Field(max_length=500)] = ""
    """Part of the summary, source, entity or detector, in capitals or not."""
    order: Order = "desc"
    """By event time, then by id: ``desc`` is newest first."""
    limit: Annotated[int, Field(ge=1, le=1000)] = 100
    """Most patterns on the page."""
    cursor: Annotated[str, Field(pattern=r"^(-?[0-9]{1,18}_[A-Za-z0-9-]{1,64})?$")] = ""
    """``next`` of the page before."""

    def query(self, now_us: int) -> PatternQuery:
        """The store's query, for one pattern more than the page holds, which tells whether another page follows."""
        return PatternQuery(
            types=self.type,
            kinds=self.kind,
            sources=self.source,
            entity=self.entity,
            detector=self.detector,
            since_us=_us(self.since),
            until_us=_us(self.until),
            min_confidence=self.min_confidence,
            max_confidence=self.max_confidence,
            verdict=self.verdict or "",
            text=self.text,
            filter=self.filter(),
            now_us=now_us,
            ascending=self.order == "asc",
            limit=self.limit + 1,
            before=self.cursor,
        )


class EventFilter(_Query):
    """Which events to list, and in what order; what is left out does not narrow."""

    kind: Literal["clean", "raw"] = "clean"
    """``clean`` is what the detectors saw, ``raw`` what was sent."""
    source: list[str] = []
    """May be given several times."""
    entity: str | None = None
    """Empty for sources that are not split; for clean events only."""
    type: list[str] = []
    """May be given several times; for raw events only."""
    since: Moment | None = None
    """Earliest event time, ISO 8601, included; without a zone it is UTC."""
    until: Moment | None = None
    """Latest event time, excluded."""
    order: Order = "desc"
    """By event time, then by source and id: ``desc`` is newest first."""
    limit: Annotated[int, Field(ge=1, le=1000)] = 100
    """Most events on the page."""
    cursor: EventCursor = ""
    """``next`` of the page before."""

    @field_validator("entity", "type")
    @classmethod
    def _of_kind(cls, value: T, info: ValidationInfo) -> T:
        known = "clean" if info.field_name == "entity" else "raw"
        if info.data.get("kind", known) != known:
            raise ValueError(f"is for kind={known} only")
        return value

    def query(self) -> EventQuery:
        """The store's query, for one event more than the page holds, which tells whether another page follows."""
        return EventQuery(
            sources=self.source,
            entity=self.entity,
            types=self.type,
            since_us=_us(self.since),
            until_us=_us(self.until),
            ascending=self.order == "asc",
            limit=self.limit + 1,
            after=Place.read(self.cursor) if self.cursor else None,
        )


class DetailChoice(_Query):
    """What to tell of a pattern beside itself."""

    before: Annotated[int, Field(ge=0, le=1000)] = 50
    """Events up to and including the pattern's time, at most."""
    after: Annotated[int, Field(ge=0, le=1000)] = 50
    """Events after it, at most."""
    raw: bool = False
    """Whether each event comes with what was sent, too."""
    similar: Annotated[int, Field(ge=0, le=50)] = 0
    """Earlier patterns like it, at most; 0 asks for none."""


def _us(moment: datetime | None) -> int | None:
    return None if moment is None else us_from_datetime(moment)


class StreamChoice(PatternChoice):
    """Which patterns to be told of, and after which to begin."""

    last_event_id: StreamId = ""
    """The ``id`` after which to begin, for clients that cannot send the header Last-Event-ID, which goes before it.

    Without either it begins with what is published from now on.
    """
