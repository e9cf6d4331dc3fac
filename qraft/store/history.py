"""What was stored, asked for: patterns with the verdict in force, verdicts, sources, the events around a moment.

Everything a user can type travels as a bound parameter; only the database's checked name is part of the SQL.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import msgspec

from qraft.model import CleanEvent, Contributor, Details, Feedback, Pattern, Verdict, iso_from_us
from qraft.store.client import Client, Row
from qraft.store.errors import StoreRejected
from qraft.store.filters import refused
from qraft.store.pattern_query import PatternQuery, conditions
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
        """Patterns by event time, then by id: newest first, or oldest first where that is asked for."""
        wanted = conditions(query)
        order = "ASC" if query.ascending else "DESC"
        sql = f"""
            SELECT {PATTERN_COLUMNS}
            FROM (
                SELECT *, toUInt64(1) AS n, toUnixTimestamp64Micro(timestamp) AS last_us, contributors.field AS fields
                FROM {self._database}.pattern_events FINAL WHERE {wanted.patterns}
            ) AS p
            LEFT JOIN (SELECT pattern_id AS judged_id, * EXCEPT pattern_id FROM ({in_force(self._database)})) AS v
            ON v.judged_id = p.pattern_id
            WHERE {wanted.judged}
            ORDER BY p.timestamp {order}, p.pattern_id {order}
            LIMIT {{limit:UInt32}}"""
        try:
            rows = await self._client.query(sql, {**wanted.values, "limit": min(max(query.limit, 0), _MAX_LIMIT)})
        except StoreRejected as error:
            raise refused(error, query.filter) from None
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
