"""All that operators said, asked for: on certain patterns, lately, and the mutes that hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from qraft.model import Feedback, Verdict
from qraft.store.client import Client, Row
from qraft.store.errors import StoreRejected
from qraft.store.verdicts import FEEDBACK_COLUMNS, feedback_of

_MAX_LIMIT: Final = 10_000
_IDS_AT_ONCE: Final = 500
"""Ids travel in the address of the request, which servers bound."""
_WIDTH: Final = 11
"""How many columns a feedback has."""


@dataclass(frozen=True, slots=True)
class LabelQuery:
    """Which feedback, newest first. What is left empty or None does not narrow.

    Attributes:
        user: who said it.
        since_us: earliest time it was said, by the operator's clock, UTC microseconds, included.
        until_us: latest such time, excluded.
        verdicts: which words; without any, all of them, undos too.
        text: part of the note, user, source, entity, detector or the pattern's summary, in capitals or not.
        limit: most to give, up to 10,000.
        before: `StoredLabel.cursor` of the last of the page before.
    """

    user: str = ""
    since_us: int | None = None
    until_us: int | None = None
    verdicts: Sequence[Verdict] = ()
    text: str = ""
    limit: int = 100
    before: str = ""


@dataclass(frozen=True, slots=True)
class StoredLabel:
    """A feedback and the pattern it was given on.

    Attributes:
        undone: whether somebody took it back.
        source: the pattern's, like what follows; entity, type and summary are empty where the pattern is gone.
        cursor: where it stands in the order of `LabelHistory.recent`.
    """

    feedback: Feedback
    undone: bool
    source: str
    entity: str
    type: str
    detector: str
    summary: str
    cursor: str


class LabelHistory:
    """The queries over one database. Every method may raise `StoreUnavailable` or `StoreRejected`."""

    def __init__(self, client: Client, database: str) -> None:
        self._client = client
        self._database = database
        self._feedback = f"{database}.pattern_feedback FINAL"
        self._undone = f"SELECT undoes FROM {self._feedback} WHERE verdict = 'undo'"

    async def of_patterns(self, pattern_ids: Sequence[str]) -> list[Feedback]:
        """All that was said on these patterns, what was taken back and the taking back too, in the order it came."""
        found: list[Row] = []
        ids = sorted(set(pattern_ids))
        for at in range(0, len(ids), _IDS_AT_ONCE):
            found += await self._client.query(
                f"""
                SELECT {FEEDBACK_COLUMNS}, toUnixTimestamp64Micro(ingested_at), position FROM {self._feedback}
                WHERE pattern_id IN {{ids:Array(String)}}""",
                {"ids": ids[at : at + _IDS_AT_ONCE]},
            )
        found.sort(key=lambda row: (row[_WIDTH:], row[0]))
        return [feedback_of(row[:_WIDTH]) for row in found]

    async def recent(self, query: LabelQuery) -> list[StoredLabel]:
        """What was said, newest first by the time it was said, then by id."""
        where, values = _conditions(query)
        values["limit"] = min(max(query.limit, 0), _MAX_LIMIT)
        newest = "ORDER BY timestamp DESC, feedback_id DESC LIMIT {limit:UInt32}"
        having = "1"
        if query.text:  # the pattern's words are looked at too, so nothing is cut off before it is known
            having = "positionCaseInsensitiveUTF8(concat(note, '\\n', user, '\\n', shown), {text:String}) > 0"
            values["text"] = query.text
        said = f"SELECT * FROM {self._feedback} WHERE {where} {'' if query.text else newest}"
        rows = await self._client.query(
            f"""
            WITH
                said AS ({said}),
                judged AS (
                    SELECT
                        pattern_id AS known, toString(source) AS at_source, toString(entity) AS entity,
                        toString(type) AS type, toString(detector) AS found_by, summary
                    FROM {self._database}.pattern_events FINAL
                    WHERE pattern_id IN (SELECT pattern_id FROM said)
                )
            SELECT
                {FEEDBACK_COLUMNS}, feedback_id IN ({self._undone}),
                if(known = '', toString(source), at_source) AS place, entity, type,
                if(known = '', toString(detector), found_by) AS finder, summary,
                concat(place, '/', entity, '\\n', finder, '\\n', summary) AS shown
            FROM said LEFT JOIN judged ON known = pattern_id
            WHERE {having}
            {newest}""",
            values,
        )
        return [_label(row) for row in rows]

    async def mutes(self, now_us: int) -> list[Feedback]:
        """The mutes that hold at ``now_us`` (UTC microseconds): not taken back, not ended; in the order they came."""
        rows = await self._client.query(
            f"""
            SELECT {FEEDBACK_COLUMNS} FROM {self._feedback}
            WHERE verdict = 'mute' AND until > fromUnixTimestamp64Micro({{now:Int64}}, 'UTC')
                AND feedback_id NOT IN ({self._undone})
            ORDER BY ingested_at, position""",
            {"now": now_us},
        )
        return [feedback_of(row) for row in rows]


def _conditions(query: LabelQuery) -> tuple[str, dict[str, Any]]:
    where = ["1"]
    values: dict[str, Any] = {}

    def narrow(condition: str, **named: object) -> None:
        where.append(condition)
        values.update(named)

    if query.user:
        narrow("user = {user:String}", user=query.user)
    if query.since_us is not None:
        narrow("timestamp >= fromUnixTimestamp64Micro({since:Int64}, 'UTC')", since=query.since_us)
    if query.until_us is not None:
        narrow("timestamp < fromUnixTimestamp64Micro({until_us:Int64}, 'UTC')", until_us=query.until_us)
    if query.verdicts:
        narrow("verdict IN {verdicts:Array(String)}", verdicts=list(query.verdicts))
    if query.before:
        time_us, _, feedback_id = query.before.partition("_")
        if not time_us.removeprefix("-").isdecimal() or not feedback_id:
            raise StoreRejected(
                f"{query.before!r} is no cursor; use the one that came with the last label of the page before"
            )
        narrow(
            "(timestamp, feedback_id) < (fromUnixTimestamp64Micro({at:Int64}, 'UTC'), {last:String})",
            at=int(time_us),
            last=feedback_id,
        )
    return " AND ".join(where), values


def _label(row: Row) -> StoredLabel:
    feedback = feedback_of(row[:_WIDTH])
    undone, source, entity, kind, detector, summary = row[_WIDTH : _WIDTH + 6]
    return StoredLabel(feedback, bool(undone), source, entity, kind, detector, summary, f"{row[3]}_{row[0]}")
