"""What a terminal asks of the past: windows of sources, a source's fields, raw events, long series, findings alike.

Everything a user can type travels as a bound parameter; only the database's checked name is part of the SQL. Each answer is
bounded by what is asked for.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from qraft.model import Event, Pattern, iso_from_us, us_from_iso
from qraft.store.client import Client, Row
from qraft.store.episodes import GAP_US
from qraft.store.errors import StoreRejected
from qraft.store.history import PATTERN_COLUMNS, StoredPattern, stored_pattern
from qraft.store.likeness import Similar, rank
from qraft.store.verdicts import in_force

_CANDIDATES: Final = 2_000
_MOST_ROWS: Final = 5_000
_MOST_ARRIVED: Final = 20_000
_MOST_BUCKETS: Final = 2_000
_NEAR_US: Final = 3_600_000_000
_EVER_US: Final = 300 * 365 * 86_400_000_000
_WINDOW: Final = """timestamp >= fromUnixTimestamp64Micro({since:Int64}, 'UTC')
                AND timestamp < fromUnixTimestamp64Micro({until:Int64}, 'UTC')"""
_BUCKET: Final = """intDiv(
                    (toUnixTimestamp64Micro(timestamp) - {since:Int64}) * {buckets:Int64}, {until:Int64} - {since:Int64})"""


@dataclass(frozen=True, slots=True)
class PastSource:
    """What one source did in a window of event time.

    Attributes:
        counts: events in each of the buckets, the oldest first.
        events: how many in all.
        last_us: the latest event time in the window, UTC microseconds; 0 without events.
        patterns: findings in the window.
        entities: how many entities had events.
        dead: dead letters in the window.
    """

    source: str
    counts: list[int]
    events: int
    last_us: int
    patterns: int
    entities: int
    dead: int


@dataclass(frozen=True, slots=True)
class FieldSeen:
    """One numeric field in the rows looked at: the share of them that have it, its last, least and greatest value."""

    field: str
    share: float
    last: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class RawEvent:
    """An event as it was sent. ``time_us`` is the event time of its row; ``cursor`` its place among its entity's events."""

    event: Event
    time_us: int
    cursor: str


@dataclass(frozen=True, slots=True)
class SeriesPoint:
    """A field's least, mean and greatest value and number of rows in the bucket that begins at ``time_us``."""

    time_us: int
    low: float
    mean: float
    high: float
    count: int


class PastHistory:
    """The queries over one database. Every method may raise `StoreUnavailable` or `StoreRejected`."""

    def __init__(self, client: Client, database: str) -> None:
        self._client = client
        self._database = database

    async def bounds(self) -> tuple[int, int] | None:
        """Earliest and latest event time of events and patterns, UTC microseconds; None where nothing is stored.

        Reads one column; repeats change neither.
        """
        parts = " UNION ALL ".join(
            f"""
            SELECT count(), min(toUnixTimestamp64Micro(timestamp)), max(toUnixTimestamp64Micro(timestamp))
            FROM {self._database}.{table}"""
            for table in ("clean_events", "pattern_events")
        )
        found = [(low, high) for n, low, high in await self._client.query(parts) if n]
        return (min(low for low, _ in found), max(high for _, high in found)) if found else None

    async def arrived(self, since_us: int, limit: int) -> list[StoredPattern]:
        """Findings of events that reached Qraft at ``since_us`` (UTC microseconds of wall time) or later.

        The newest by event time, at most ``limit`` (up to 20,000), the newest first. By arrival, because a recording that is
        replayed has the event times of long ago.
        """
        rows = await self._client.query(
            f"""
            SELECT {PATTERN_COLUMNS}
            FROM (
                SELECT * FROM {self._database}.pattern_events FINAL
                WHERE ingested_at >= fromUnixTimestamp64Milli({{since:Int64}}, 'UTC')
                ORDER BY timestamp DESC, pattern_id DESC LIMIT {{limit:UInt32}}
            ) AS p
            LEFT JOIN ({in_force(self._database)}) AS v ON v.pattern_id = p.pattern_id
            ORDER BY p.timestamp DESC, p.pattern_id DESC""",
            {"since": since_us // 1000, "limit": _bounded(limit, _MOST_ARRIVED)},
        )
        return await asyncio.to_thread(
            lambda: [stored_pattern(row) for row in rows]
        )  # thousands would hold up the caller's loop

    async def sources(self, since_us: int, until_us: int, buckets: int) -> list[PastSource]:
        """What each source did from ``since_us`` (included) to ``until_us``, by name; one that did nothing is left out.

        Args:
            since_us: UTC microseconds of event time; a dead letter counts by the time it has.
            until_us: excluded.
            buckets: equal parts of the window to count events in, up to 2,000.
        """
        values = _window(since_us, until_us, buckets)
        rows = await self._client.query(
            f"""
            SELECT
                'events' AS what, toString(source) AS name, {_BUCKET} AS bucket, count() AS n,
                max(toUnixTimestamp64Micro(timestamp)) AS last, uniqExact(entity) AS entities, grouping(bucket) AS whole
            FROM {self._database}.clean_events FINAL WHERE {_WINDOW}
            GROUP BY GROUPING SETS ((name, bucket), (name))
            UNION ALL
            SELECT 'patterns', toString(source) AS name, 0, count(), 0, 0, 1
            FROM {self._database}.pattern_events FINAL WHERE {_WINDOW} GROUP BY name
            UNION ALL
            SELECT 'dead', toString(source) AS name, 0, count(), 0, 0, 1
            FROM {self._database}.dead_letters FINAL WHERE {_WINDOW} AND source != '' GROUP BY name""",
            values,
        )
        found: dict[str, dict[str, Any]] = {}
        for what, name, bucket, n, last, entities, whole in rows:
            one = found.setdefault(
                name,
                {"counts": [0] * values["buckets"], "events": 0, "last_us": 0, "patterns": 0, "entities": 0, "dead": 0},
            )
            if not whole:
                one["counts"][bucket] = n
            else:
                one[what] = n
                if what == "events":
                    one["last_us"], one["entities"] = last, entities
        return [PastSource(source=name, **found[name]) for name in sorted(found)]

    async def fields(self, source: str, until_us: int, rows: int = 200) -> list[FieldSeen]:
        """The fields of a source as of a moment, by name, from its newest ``rows`` rows before it."""
        wanted = _bounded(rows, _MOST_ROWS)
        found: list[Row] = []
        for near_us in (_NEAR_US, _EVER_US):
            found = await self._client.query(
                f"""
                SELECT fields FROM {self._database}.clean_events FINAL
                WHERE source = {{source:String}} AND {_WINDOW}
                ORDER BY timestamp DESC, entity, event_id DESC LIMIT {{rows:UInt32}}""",
                {"source": source, "since": until_us - near_us, "until": until_us, "rows": wanted},
            )
            if len(found) == wanted:
                break
        values: dict[str, list[float]] = {}
        for (row,) in found:
            for name, value in row.items():
                values.setdefault(name, []).append(value)
        return [
            FieldSeen(name, len(seen) / len(found), seen[0], min(seen), max(seen)) for name, seen in sorted(values.items())
        ]

    async def raw_around(
        self, source: str, entity: str, time_us: int, before: int, after: int, *, cursor: str = ""
    ) -> list[RawEvent]:
        """Events of one entity as they were sent, around a moment or a place, in order of event time.

        Args:
            source: its name.
            entity: empty where the source is not split.
            time_us: the moment, UTC microseconds.
            before: how many events up to and including the moment.
            after: how many events after it.
            cursor: `RawEvent.cursor` of an event: counts are from it then, without it, whatever the moment.
        """
        wanted = _bounded(before, _MOST_ROWS), _bounded(after, _MOST_ROWS)
        values: dict[str, Any] = {"source": source, "entity": entity, "at": time_us, "before": wanted[0], "after": wanted[1]}
        earlier, later = (f"timestamp {sign} fromUnixTimestamp64Micro({{at:Int64}}, 'UTC')" for sign in ("<=", ">"))
        if cursor:
            values["at"], values["id"] = _place(cursor)
            place = "(fromUnixTimestamp64Micro({at:Int64}, 'UTC'), toUUID({id:String}))"
            earlier, later = (f"(timestamp, event_id) {sign} {place}" for sign in ("<", ">"))
        rows: list[Row] = []
        for near_us in (_NEAR_US, _EVER_US):  # a busy entity has enough near by, a quiet one has little to read
            values |= {"since": values["at"] - near_us, "until": values["at"] + near_us}
            rows = await self._client.query(self._raw(earlier, later), values)
            if len(rows) == sum(wanted):
                break
        return [
            RawEvent(
                Event(
                    event_id=name,
                    source=source,
                    type=kind,
                    timestamp=iso_from_us(sent_us),
                    payload=_object(payload),
                    meta=_object(meta),
                ),
                at_us,
                f"{at_us}_{name}",
            )
            for name, kind, sent_us, payload, meta, at_us in rows
        ]

    def _raw(self, earlier: str, later: str) -> str:
        """The select of `raw_around`. FINAL would read the payloads of all rows near by, so repeats go by hand."""
        own = f"""
            SELECT event_id, timestamp FROM {self._database}.clean_events FINAL
            WHERE source = {{source:String}} AND entity = {{entity:String}} AND {_WINDOW}"""
        return f"""
            WITH places AS (
                SELECT * FROM ({own} AND {earlier} ORDER BY timestamp DESC, event_id DESC LIMIT {{before:UInt32}})
                UNION ALL
                SELECT * FROM ({own} AND {later} ORDER BY timestamp, event_id LIMIT {{after:UInt32}})
            )
            SELECT
                toString(raw.event_id), toString(raw.type), toUnixTimestamp64Micro(raw.timestamp), raw.payload, raw.meta,
                toUnixTimestamp64Micro(places.timestamp)
            FROM (
                SELECT event_id, type, timestamp, payload, meta FROM {self._database}.raw_events
                PREWHERE source = {{source:String}} AND event_id IN (SELECT event_id FROM places)
                ORDER BY ingested_at DESC, seq DESC LIMIT 1 BY event_id
            ) AS raw
            INNER JOIN places ON places.event_id = raw.event_id
            ORDER BY places.timestamp, raw.event_id"""

    async def series(
        self, source: str, entity: str, field: str, *, since_us: int, until_us: int, buckets: int
    ) -> list[SeriesPoint]:
        """One field over a window in equal buckets, in order of time; buckets without a value are left out.

        Args:
            source: its name.
            entity: empty where the source is not split.
            field: its name.
            since_us: UTC microseconds, included.
            until_us: excluded.
            buckets: up to 2,000.
        """
        values = _window(since_us, until_us, buckets)
        rows = await self._client.query(
            f"""
            SELECT {_BUCKET} AS bucket, min(value), avg(value), max(value), count()
            FROM (
                SELECT timestamp, fields[{{field:String}}] AS value FROM {self._database}.clean_events FINAL
                WHERE source = {{source:String}} AND entity = {{entity:String}} AND {_WINDOW}
                    AND mapContains(fields, {{field:String}})
            )
            GROUP BY bucket ORDER BY bucket""",
            {**values, "source": source, "entity": entity, "field": field},
        )
        span = until_us - since_us
        return [SeriesPoint(since_us + bucket * span // values["buckets"], *numbers) for bucket, *numbers in rows]

    async def judged(self, pattern: Pattern, first_us: int, last_us: int) -> list[str]:
        """The ids of patterns of one run that anything was said on, at most 2,000, in order of time.

        Args:
            pattern: one of the run: its source, entity, type and detector are the run's.
            first_us: event time of the run's first pattern, UTC microseconds.
            last_us: that of its last.
        """
        rows = await self._client.query(
            f"""
            SELECT DISTINCT pattern_id, timestamp FROM {self._database}.pattern_events
            WHERE {_WINDOW} AND source = {{source:String}} AND entity = {{entity:String}} AND type = {{type:String}}
                AND detector = {{detector:String}}
                AND pattern_id IN (SELECT pattern_id FROM {self._database}.pattern_feedback)
            ORDER BY timestamp, pattern_id LIMIT {_CANDIDATES}""",
            {**_group(pattern), "since": first_us, "until": last_us + 1},
        )
        return [pattern_id for pattern_id, _ in rows]

    async def similar(self, pattern: Pattern, limit: int, *, before_us: int | None = None) -> Similar:
        """Earlier findings like this one, each with the verdict in force; of a run of findings one stands for all.

        The one that stands for a run has a verdict where any has, else it is the surest. At most 2,000 are looked at: those
        of the same type and kind, the same entity's first, then the same source's, then the same detector's elsewhere.

        Args:
            pattern: the finding in question.
            limit: how many to name at most.
            before_us: only findings before this time; by default the pattern's own.
        """
        earlier = f"""
            SELECT timestamp, pattern_id, source, entity, detector, confidence FROM {self._database}.pattern_events FINAL
            WHERE timestamp < fromUnixTimestamp64Micro({{before:Int64}}, 'UTC') AND pattern_id != {{id:String}}
                AND type = {{type:String}} AND kind = {{kind:String}}
                AND (source = {{source:String}} OR detector = {{detector:String}})"""
        one_a_run = f"""
            SELECT p.timestamp AS timestamp, p.pattern_id AS pattern_id, p.source AS source, p.entity AS entity
            FROM ({earlier}) AS p LEFT JOIN verdicts AS v ON v.pattern_id = p.pattern_id
            ORDER BY v.verdict != '' DESC, p.confidence DESC, p.timestamp, p.pattern_id
            LIMIT 1 BY p.source, p.entity, p.detector, intDiv(toUnixTimestamp64Micro(p.timestamp), {GAP_US})"""
        nearest = f"""
            SELECT timestamp, pattern_id FROM ({one_a_run})
            ORDER BY
                source = {{source:String}} AND entity = {{entity:String}} DESC, source = {{source:String}} DESC,
                timestamp DESC, pattern_id DESC
            LIMIT {_CANDIDATES}"""
        rows = await self._client.query(
            f"""
            WITH verdicts AS ({in_force(self._database)})
            SELECT {PATTERN_COLUMNS}
            FROM (SELECT * FROM {self._database}.pattern_events FINAL WHERE (timestamp, pattern_id) IN ({nearest})) AS p
            LEFT JOIN verdicts AS v ON v.pattern_id = p.pattern_id""",
            {
                "before": us_from_iso(pattern.timestamp) if before_us is None else before_us,
                "id": pattern.pattern_id,
                "kind": pattern.kind,
                **_group(pattern),
            },
        )
        return await asyncio.to_thread(lambda: rank(pattern, [stored_pattern(row) for row in rows], max(limit, 0)))


def _group(pattern: Pattern) -> dict[str, str]:
    return {"source": pattern.source, "entity": pattern.entity, "type": pattern.type, "detector": pattern.detector}


def _window(since_us: int, until_us: int, buckets: int) -> dict[str, int]:
    if until_us <= since_us:
        raise StoreRejected("the window is empty: its end is not after its start")
    return {"since": since_us, "until": until_us, "buckets": min(max(buckets, 1), _MOST_BUCKETS)}


def _bounded(rows: int, most: int) -> int:
    return min(max(rows, 0), most)


def _place(cursor: str) -> tuple[int, str]:
    time_us, _, event_id = cursor.partition("_")
    try:
        return int(time_us), event_id
    except ValueError:
        raise StoreRejected(f"{cursor!r} is no cursor; use the one that came with an event of the page before") from None


def _object(text: str) -> dict[str, Any]:
    return msgspec.json.decode(text, type=dict[str, Any])
