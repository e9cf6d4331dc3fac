"""Which patterns are asked for, and what that is in SQL.

Everything a user can type travels as a bound parameter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from qraft.filter import Filter
from qraft.model import PatternType
from qraft.store.errors import StoreRejected
from qraft.store.filters import OF_GROUP, OF_VERDICT, conditions as filter_conditions

EARLIEST_US: Final = -2_208_988_800_000_000
LATEST_US: Final = 10_413_791_999_999_999
"""What a DateTime64 of ClickHouse can hold; a bound beyond it would come round at the other end."""


@dataclass(frozen=True, slots=True)
class PatternQuery:
    """Which patterns, newest first. What is left empty or None does not narrow.

    Attributes:
        kinds: what was found, more closely than the type.
        since_us: earliest event time, UTC microseconds, included.
        until_us: latest event time, excluded.
        min_confidence: least confidence.
        max_confidence: greatest confidence.
        verdict: the verdict in force; ``none`` for patterns that have none.
        text: part of the summary, source, entity or detector, in capitals or not.
        filter: the filter language; each pattern is an episode of its own there.
        now_us: the moment from which the filter's ages count back, UTC microseconds.
        ascending: oldest first.
        limit: most patterns to give, up to 10,000.
        before: `StoredPattern.cursor` of the last pattern of the page before.
    """

    types: Sequence[PatternType] = ()
    kinds: Sequence[str] = ()
    sources: Sequence[str] = ()
    entity: str | None = None
    detector: str = ""
    since_us: int | None = None
    until_us: int | None = None
    min_confidence: float = 0.0
    max_confidence: float | None = None
    verdict: str = ""
    text: str = ""
    filter: Filter = Filter()  # noqa: RUF009 - it is immutable
    now_us: int = 0
    ascending: bool = False
    limit: int = 100
    before: str = ""


@dataclass(frozen=True, slots=True)
class Conditions:
    """A query in SQL, in two parts, since the engine fails at some of the first where it has to move them there itself.

    Attributes:
        patterns: over pattern_events with n, last_us and fields, which make an episode of a pattern.
        judged: over the verdict in force.
        values: what both name.
    """

    patterns: str
    judged: str
    values: dict[str, Any]


def conditions(query: PatternQuery) -> Conditions:
    """What the query asks for.

    Raises:
        StoreRejected: its cursor is none.
    """
    wanted = filter_conditions(query.filter, query.now_us)
    others = [term for term in query.filter.terms if term.word not in OF_GROUP]
    of_verdict = [term.word in OF_VERDICT for term in others]
    where = ["confidence >= {least:Float64}", *wanted.patterns]
    where += [sql for sql, late in zip(wanted.episodes, of_verdict, strict=True) if not late]
    judged = [sql for sql, late in zip(wanted.episodes, of_verdict, strict=True) if late]
    values: dict[str, Any] = {"least": query.min_confidence, **wanted.values}

    def narrow(condition: str, **named: object) -> None:
        where.append(condition)
        values.update(named)

    if query.max_confidence is not None:
        narrow("confidence <= {most:Float64}", most=query.max_confidence)
    if query.types:
        narrow("type IN {types:Array(String)}", types=list(query.types))
    if query.kinds:
        narrow("kind IN {kinds:Array(String)}", kinds=list(query.kinds))
    if query.sources:
        narrow("source IN {sources:Array(String)}", sources=list(query.sources))
    if query.entity is not None:
        narrow("entity = {entity:String}", entity=query.entity)
    if query.detector:
        narrow("detector = {detector:String}", detector=query.detector)
    if query.since_us is not None:
        narrow("timestamp >= fromUnixTimestamp64Micro({since:Int64}, 'UTC')", since=held(query.since_us))
    if query.until_us is not None:
        narrow("timestamp < fromUnixTimestamp64Micro({until:Int64}, 'UTC')", until=held(query.until_us))
    if query.text:
        narrow(
            "positionCaseInsensitiveUTF8(concat(summary, '\\n', source, '/', entity, '\\n', detector), {text:String}) > 0",
            text=query.text,
        )
    if query.before:
        time_us, pattern_id = _place(query.before)
        sign = ">" if query.ascending else "<"
        narrow(
            f"(timestamp, pattern_id) {sign} (fromUnixTimestamp64Micro({{at:Int64}}, 'UTC'), {{last:String}})",
            at=held(time_us),
            last=pattern_id,
        )
    if query.verdict:
        judged.append("verdict = {verdict:String}")
        values["verdict"] = "" if query.verdict == "none" else query.verdict
    return Conditions(" AND ".join(where), " AND ".join(judged) or "1", values)


def held(time_us: int) -> int:
    """The nearest time that the tables can hold."""
    return min(max(time_us, EARLIEST_US), LATEST_US)


def _place(cursor: str) -> tuple[int, str]:
    time_us, _, pattern_id = cursor.partition("_")
    try:
        return int(time_us), pattern_id
    except ValueError:
        raise StoreRejected(
            f"{cursor!r} is no cursor; use the one that came with the last pattern of the page before"
        ) from None
