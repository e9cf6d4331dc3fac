"""What was stored, asked for: patterns with the verdict in force, verdicts, sources, the events around a moment.

Everything a user can type travels as a bound parameter; only the database's checked name is part of the SQL.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from qraft.model import CleanEvent, Contributor, Details, Feedback, Pattern, PatternType, Verdict, iso_from_us
from qraft.store.client import Client, Row
from qraft.store.errors import StoreRejected
from qraft.store.rows import TABLES
from qraft.store.verdicts import FEEDBACK_COLUMNS, feedback_of, in_force

PATTERN_COLUMNS: Final = """
    p.pattern_id, p.type, toUnixTimestamp64Micro(p.timestamp), p.source, p.entity, p.detector, p.event_id, p.confidence,
    p.line, p.summary, p.prev_state, p.new_state, p.metrics, p.contributors.field, p.contributors.score,
    p.contributors.before, p.contributors.after, p.contributors.origin, p.kind, toUnixTimestamp64Micro(p.began),
    p.important, v.verdict, v.user, v.time_us, v.feedback_id"""
_CLEAN: Final = "toString(event_id), source, entity, toUnixTimestamp64Micro(timestamp), fields"
_NEVER: Final = -(2**62)
_MAX_LIMIT: Final = 10_000

Parameters = dict[str, Any]


@dataclass(frozen=True, slots=True)
class PatternQuery:
    """Which patterns, newest first. What is left empty or None does not narrow.

    Attributes:
        since_us: earliest event time, UTC microseconds, included.
        until_us: latest event time, excluded.
        min_confidence: least confidence.
        verdict: the verdict in force; ``none`` for patterns that have none.
        text: part of the summary, source, entity or detector, in capitals or not.
        limit: most patterns to give, up to 10,000.
        before: `StoredPattern.cursor` of the last pattern of the page before.
    """

    types: Sequence[PatternType] = ()
    sources: Sequence[str] = ()
    entity: str | None = None
    detector: str = ""
    since_us: int | None = None
    until_us: int | None = None
    min_confidence: float = 0.0
    verdict: str = ""
    text: str = ""
    limit: int = 100
    before: str = ""


@dataclass(frozen=True, slots=True)
class StoredPattern:
    """A pattern with the verdict in force; the last four are empty where there is none.

    Attributes:
        cursor: where it stands in the order of `History.patterns`.
        important: whether it stays longer.
        verdict_at: ISO 8601.
    """

    pattern: Pattern
    cursor: str
    important: bool
    verdict: Verdict | None = None
    verdict_user: str = ""
    verdict_at: str = ""
    feedback_id: str = ""


@dataclass(frozen=True, slots=True)
class SourceTotals:
    """What is stored of one source. ``last_event`` is the latest event time, ISO 8601; empty without events."""

    source: str
    events: int
    last_event: str
    patterns: int


class History:
    """The queries over one database. Every method may raise `StoreUnavailable` or `StoreRejected`."""

    def __init__(self, client: Client, database: str) -> None:
        self._client = client
        self._database = database

    async def patterns(self, query: PatternQuery) -> list[StoredPattern]:
        """Patterns, newest first by event time, then by id."""
        where, having, values = _conditions(query)
        values["limit"] = min(max(query.limit, 0), _MAX_LIMIT)
        rows = await self._client.query(
            f"""
            SELECT {PATTERN_COLUMNS}
            FROM (SELECT * FROM {self._database}.pattern_events FINAL WHERE {where}) AS p
            LEFT JOIN ({in_force(self._database)}) AS v ON v.pattern_id = p.pattern_id
            WHERE {having}
            ORDER BY p.timestamp DESC, p.pattern_id DESC
            LIMIT {{limit:UInt32}}""",
            values,
        )
        return [stored_pattern(row) for row in rows]

    async def pattern(self, pattern_id: str) -> StoredPattern | None:
        """The pattern with this id."""
        one = "pattern_id = {id:String}"
        rows = await self._client.query(
            f"""
            SELECT {PATTERN_COLUMNS}
            FROM (SELECT * FROM {self._database}.pattern_events FINAL WHERE {one}) AS p
            LEFT JOIN ({in_force(self._database, one)}) AS v ON v.pattern_id = p.pattern_id""",
            {"id": pattern_id},
        )
        return stored_pattern(rows[0]) if rows else None

    async def feedback(self, pattern_id: str) -> list[Feedback]:
        """All that was said on a pattern, what was undone and the undoing too, in the order in which it came."""
        rows = await self._client.query(
            f"""
            SELECT {FEEDBACK_COLUMNS} FROM {self._database}.pattern_feedback FINAL
            WHERE pattern_id = {{id:String}} ORDER BY ingested_at, position""",
            {"id": pattern_id},
        )
        return [feedback_of(row) for row in rows]

    async def sources(self) -> list[SourceTotals]:
        """What is stored of each source, by name."""
        rows = await self._client.query(
            f"""
            SELECT name, sum(events), max(last), sum(patterns)
            FROM (
                SELECT
                    toString(source) AS name,
                    count() AS events,
                    max(toUnixTimestamp64Micro(timestamp)) AS last,
                    0 AS patterns
                FROM {self._database}.raw_events FINAL GROUP BY source
                UNION ALL
                SELECT toString(source) AS name, 0 AS events, toInt64({_NEVER}) AS last, count() AS patterns
                FROM {self._database}.pattern_events FINAL GROUP BY source
            )
            GROUP BY name ORDER BY name"""
        )
        return [SourceTotals(name, events, iso_from_us(last) if events else "", found) for name, events, last, found in rows]

    async def events_around(self, source: str, entity: str, time_us: int, before: int, after: int) -> list[CleanEvent]:
        """Events of one entity around a moment, in order of time.

        Args:
            source: its name.
            entity: empty where the source is not split.
            time_us: the moment, UTC microseconds.
            before: how many events up to and including the moment.
            after: how many events after it.
        """
        events = f"""
            SELECT {_CLEAN} FROM {self._database}.clean_events FINAL
            WHERE source = {{source:String}} AND entity = {{entity:String}}"""
        moment = "fromUnixTimestamp64Micro({at:Int64}, 'UTC')"
        rows = await self._client.query(
            f"""
            SELECT * FROM ({events} AND timestamp <= {moment} ORDER BY timestamp DESC, event_id DESC LIMIT {{before:UInt32}})
            UNION ALL
            SELECT * FROM ({events} AND timestamp > {moment} ORDER BY timestamp, event_id LIMIT {{after:UInt32}})""",
            {"source": source, "entity": entity, "at": time_us, "before": max(before, 0), "after": max(after, 0)},
        )
        found = [CleanEvent(event_id=i, source=s, entity=e, time_us=t, fields=f) for i, s, e, t, f in rows]
        return sorted(found, key=lambda event: (event.time_us, event.event_id))

    async def counts(self) -> dict[str, int]:
        """Rows of each table, repeats left out."""
        parts = [f"SELECT '{table}', count() FROM {self._database}.{table} FINAL" for table in TABLES]
        return {str(table): int(rows) for table, rows in await self._client.query(" UNION ALL ".join(parts))}


def _conditions(query: PatternQuery) -> tuple[str, str, Parameters]:
    """SQL over pattern_events, SQL over the joined verdict, and the values they name."""
    where = ["confidence >= {least:Float64}"]
    values: Parameters = {"least": query.min_confidence}

    def narrow(condition: str, **named: object) -> None:
        where.append(condition)
        values.update(named)

    if query.types:
        narrow("type IN {types:Array(String)}", types=list(query.types))
    if query.sources:
        narrow("source IN {sources:Array(String)}", sources=list(query.sources))
    if query.entity is not None:
        narrow("entity = {entity:String}", entity=query.entity)
    if query.detector:
        narrow("detector = {detector:String}", detector=query.detector)
    if query.since_us is not None:
        narrow("timestamp >= fromUnixTimestamp64Micro({since:Int64}, 'UTC')", since=query.since_us)
    if query.until_us is not None:
        narrow("timestamp < fromUnixTimestamp64Micro({until:Int64}, 'UTC')", until=query.until_us)
    if query.text:
        narrow(
            "positionCaseInsensitiveUTF8(concat(summary, '\\n', source, '/', entity, '\\n', detector), {text:String}) > 0",
            text=query.text,
        )
    if query.before:
        time_us, pattern_id = _place(query.before)
        narrow(
            "(timestamp, pattern_id) < (fromUnixTimestamp64Micro({at:Int64}, 'UTC'), {last:String})",
            at=time_us,
            last=pattern_id,
        )
    having = "1"
    if query.verdict:
        having = "v.verdict = {verdict:String}"
        values["verdict"] = "" if query.verdict == "none" else query.verdict
    return " AND ".join(where), having, values


def _place(cursor: str) -> tuple[int, str]:
    time_us, _, pattern_id = cursor.partition("_")
    try:
        return int(time_us), pattern_id
    except ValueError:
        raise StoreRejected(
            f"{cursor!r} is no cursor; use the one that came with the last pattern of the page before"
        ) from None


def stored_pattern(row: Row) -> StoredPattern:
    """A row of ``PATTERN_COLUMNS`` as a value."""
    (
        pattern_id,
        kind,
        time_us,
        source,
        entity,
        detector,
        event_id,
        confidence,
        line,
        summary,
        prev_state,
        new_state,
        metrics,
    ) = row[:13]
    fields, scores, before, after, origins, word, began_us = row[13:20]
    important, verdict, user, verdict_us, feedback_id = row[20:]
    pattern = Pattern(
        pattern_id=pattern_id,
        type=kind,
        timestamp=iso_from_us(time_us),
        source=source,
        details=Details(
            prev_state=_json(prev_state), new_state=_json(new_state), metrics=dict(metrics), confidence=confidence
        ),
        contributors=[
            Contributor(field=field, score=score, before=was, after=now, origin=origin)
            for field, score, was, now, origin in zip(fields, scores, before, after, origins, strict=True)
        ],
        detector=detector,
        event_id=event_id,
        entity=entity,
        line=line,
        summary=summary,
        kind=word,
        began=iso_from_us(began_us) if began_us < time_us else "",
    )
    cursor = f"{time_us}_{pattern_id}"
    if not verdict:
        return StoredPattern(pattern, cursor, important)
    return StoredPattern(pattern, cursor, important, verdict, user, iso_from_us(verdict_us), feedback_id)


def _json(text: str) -> dict[str, Any]:
    return msgspec.json.decode(text, type=dict[str, Any])
