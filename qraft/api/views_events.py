"""Events as the REST interface answers them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict

from qraft.api import examples
from qraft.model import CleanEvent, Event, iso_from_us
from qraft.store import place_of


class EventView(BaseModel):
    """An event: as the detectors saw it (entity, fields), as it was sent (type, payload, meta), or both."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [examples.EVENT, examples.RAW_EVENT]}, use_attribute_docstrings=True
    )

    event_id: str
    source: str
    timestamp: str
    """Event time, ISO 8601."""
    entity: str | None = None
    """Empty for sources that are not split; null for an event as it was sent."""
    fields: dict[str, float] | None = None
    """What the detectors saw; null for an event as it was sent."""
    type: str | None = None
    payload: dict[str, Any] | None = None
    """What the source said; null unless it was asked for."""
    meta: dict[str, Any] | None = None

    @classmethod
    def of(cls, event: CleanEvent, sent: Event | None = None) -> EventView:
        """The view of an event as the detectors saw it, with what was sent where that is given."""
        view = cls(
            event_id=event.event_id,
            source=event.source,
            timestamp=iso_from_us(event.time_us),
            entity=event.entity,
            fields=event.fields,
        )
        if sent is not None:
            view.type, view.payload, view.meta = sent.type, sent.payload, sent.meta
        return view

    @classmethod
    def of_sent(cls, event: Event) -> EventView:
        """The view of an event as it was sent."""
        return cls(
            event_id=event.event_id,
            source=event.source,
            timestamp=event.timestamp,
            type=event.type,
            payload=event.payload,
            meta=event.meta,
        )


class EventPage(BaseModel):
    """Some events of a list, in its order."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"events": [examples.EVENT], "next": None}]}, use_attribute_docstrings=True
    )

    events: list[EventView]
    next: str | None = None
    """The cursor of the next page; null on the last."""

    @classmethod
    def of(cls, found: Sequence[CleanEvent] | Sequence[Event], limit: int) -> EventPage:
        """A page of at most ``limit`` events; ``found`` holds one more where there is a next page."""
        page = found[:limit]
        return cls(
            events=[EventView.of(one) if isinstance(one, CleanEvent) else EventView.of_sent(one) for one in page],
            next=place_of(page[-1]).cursor if len(found) > len(page) else None,
        )
