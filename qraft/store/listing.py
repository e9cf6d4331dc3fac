"""Events a page at a time: as the detectors saw them, or as they were sent.

Everything a user can type travels as a bound parameter; only the database's checked name is part of the SQL.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from qraft.model import CleanEvent, Event, iso_from_us, us_from_iso
from qraft.store.client import Client, Row
from qraft.store.errors import StoreRejected
from qraft.store.pattern_query import held

_MAX_LIMIT: Final = 10_000
_TIME: Final = "toUnixTimestamp64Micro(timestamp)"
_RAW: Final = f"toString(event_id), toString(source), toString(type), {_TIME}, payload, meta"


class Place(msgspec.Struct, frozen=True, array_like=True):
    """Where an event stands in the order of a list; ``entity`` is empty for events as they were sent."""

    time_us: int
    source: str
    entity: str
    event_id: str

    @classmethod
    def read(cls, cursor: str) -> Place:
        """The place a cursor names.

        Raises:
            StoreRejected: it names none.
        """
        try:
            place = msgspec.json.decode(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)), type=cls)
            if not -(2**62) < place.time_us < 2**62:
                raise ValueError
        except (ValueError, binascii.Error, msgspec.DecodeError):
            raise StoreRejected(f"{cursor!r} is no cursor; use the one that came with the page before") from None
        return place

    @property
    def cursor(self) -> str:
        """The place as a text that can stand in a URL."""
        return base64.urlsafe_b64encode(msgspec.json.encode(self)).decode().rstrip("=")


@dataclass(frozen=True, slots=True)
class EventQuery:
    """Which events, newest first. What is left empty or None does not narrow.

    Attributes:
        entity: of events as the detectors saw them; those that were sent know none.
        types: of events as they were sent; the others know none.
        since_us: earliest event time, UTC microseconds, included.
        until_us: latest event time, excluded.
        ascending: oldest first.
        limit: most events to give, up to 10,000.
        after: where the last event of the page before stands.
    """

    sources: Sequence[str] = ()
    entity: str | None = None
    types: Sequence[str] = ()
    since_us: int | None = None
    until_us: int | None = None
    ascending: bool = False
    limit: int = 100
    after: Place | None = None


class EventListing:
    """The queries over one database. Every method may raise `StoreUnavailable` or `StoreRejected`."""

    def __init__(self, client: Client, database: str) -> None:
        self._client = client
        self._database = database

    async def clean(self, query: EventQuery) -> list[CleanEvent]:
        """Events as the detectors saw them, by event time, source, entity, id."""
        where, values = _conditions(query, ("source", "entity", "event_id"))
        rows = await self._client.query(
            f"""
            SELECT toString(event_id), toString(source), toString(entity), {_TIME}, fields
            FROM {self._database}.clean_events FINAL
            WHERE {where} {_order(query, ("timestamp", "source", "entity", "event_id"))}""",
            values,
        )
        return [CleanEvent(event_id=i, source=s, entity=e, time_us=t, fields=f) for i, s, e, t, f in rows]

    async def raw(self, query: EventQuery) -> list[Event]:
        """Events as they were sent, by event time, source, id; their time is the one they are stored by."""
        where, values = _conditions(query, ("source", "event_id"))
        order = _order(query, ("timestamp", "source", "event_id"))
        rows = await self._client.query(
            f"""
            WITH places AS (
                SELECT source, event_id FROM {self._database}.raw_events FINAL WHERE {where} {order}
            )
            SELECT {_RAW} FROM {self._database}.raw_events FINAL
            PREWHERE (source, event_id) IN (SELECT source, event_id FROM places)
            {order}""",
            values,
        )
        return [_event(row) for row in rows]

    async def sent(self, source: str, event_ids: Sequence[str]) -> Mapping[str, Event]:
        """Those of a source's events with these stored ids, as they were sent, by id."""
        if not event_ids:
            return {}
        rows = await self._client.query(
            f"""
            SELECT {_RAW} FROM {self._database}.raw_events
            PREWHERE source = {{source:String}} AND event_id IN (SELECT arrayJoin({{ids:Array(UUID)}}))
            ORDER BY ingested_at DESC, seq DESC LIMIT 1 BY event_id""",
            {"source": source, "ids": list(event_ids)},
        )
        return {event.event_id: event for event in map(_event, rows)}


def place_of(event: CleanEvent | Event) -> Place:
    """Where an event of a list stands."""
    if isinstance(event, CleanEvent):
        return Place(event.time_us, event.source, event.entity, event.event_id)
    return Place(us_from_iso(event.timestamp), event.source, "", event.event_id)


def _event(row: Row) -> Event:
    event_id, source, kind, time_us, payload, meta = row
    return Event(
        event_id=event_id,
        source=source,
        type=kind,
        timestamp=iso_from_us(time_us),
        payload=msgspec.json.decode(payload, type=dict[str, Any]),
        meta=msgspec.json.decode(meta, type=dict[str, Any]),
    )


def _conditions(query: EventQuery, names: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """SQL and its values; ``names`` are the columns that tell events of one time apart."""
    where = ["1"]
    values: dict[str, Any] = {"limit": min(max(query.limit, 0), _MAX_LIMIT)}

    def narrow(condition: str, **named: object) -> None:
        where.append(condition)
        values.update(named)

    if query.sources:
        narrow("source IN {sources:Array(String)}", sources=list(query.sources))
    if query.entity is not None:
        narrow("entity = {entity:String}", entity=query.entity)
    if query.types:
        narrow("type IN {types:Array(String)}", types=list(query.types))
    if query.since_us is not None:
        narrow("timestamp >= fromUnixTimestamp64Micro({since:Int64}, 'UTC')", since=held(query.since_us))
    if query.until_us is not None:
        narrow("timestamp < fromUnixTimestamp64Micro({until:Int64}, 'UTC')", until=held(query.until_us))
    if (after := query.after) is not None:
        sign = ">" if query.ascending else "<"
        bound = {"source": "{at_source:String}", "entity": "{at_entity:String}", "event_id": "toUUIDOrZero({at_id:String})"}
        time = "fromUnixTimestamp64Micro({at:Int64}, 'UTC')"
        narrow(f"timestamp {sign}= {time}", at=held(after.time_us))  # the tuple alone would not choose the rows to read
        narrow(
            f"(timestamp, {', '.join(names)}) {sign} ({time}, {', '.join(bound[name] for name in names)})",
            at_source=after.source,
            at_entity=after.entity,
            at_id=after.event_id,
        )
    return " AND ".join(where), values


def _order(query: EventQuery, names: Sequence[str]) -> str:
    direction = "ASC" if query.ascending else "DESC"
    return f"ORDER BY {', '.join(f'{name} {direction}' for name in names)} LIMIT {{limit:UInt32}}"
