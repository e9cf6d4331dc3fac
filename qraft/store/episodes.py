"""Episodes of the past: runs of patterns of one source, entity, type and detector without a gap of more than ``GAP_US``.

They are the terminal's own episodes, made by SQL from the same patterns. All patterns of a group within one slot of that
length are of one run. So slots are counted first, by a plain GROUP BY; window functions then join the few slots to runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple

import msgspec

from qraft.filter import Filter
from qraft.model import ASIDES, VERDICTS, Feedback, Pattern
from qraft.store.client import Client, Row
from qraft.store.errors import StoreRejected
from qraft.store.filters import Conditions, conditions, refused
from qraft.store.history import PATTERN_COLUMNS, stored_pattern
from qraft.store.literal import Value, with_literals
from qraft.store.verdicts import FEEDBACK_COLUMNS, feedback_of

GAP_US: Final = 5 * 60 * 1_000_000
MARGIN_US: Final = 6 * 3600 * 1_000_000
"""How far beyond either end of its window a query looks for the rest of a run."""
MOST: Final = 10_000

Order = Literal["last", "score", "n", "source"]

_EARLIEST_US: Final = -2_208_988_800_000_000
_LATEST_US: Final = 10_413_791_999_999_999
_SHIFT_US: Final = 3_000_000_000_000_000
_GROUP: Final = "source, entity, type, detector"
_SLOT: Final = f"intDiv(toUnixTimestamp64Micro(timestamp) + {_SHIFT_US}, {GAP_US})"
_TIME: Final = f"hex(toUnixTimestamp64Micro(timestamp) + {1 << 60})"
_PEAK: Final = f"concat(hex(bitNot(reinterpretAsUInt64(greatest(confidence, 0)))), {_TIME}, pattern_id)"
"""Grows with (-confidence, time, id): of two texts of 16 digits the greater number has the greater text, and the bits of a
number that is not negative grow with it. Minima of texts take a third of the time that those of tuples take."""
_JUDGING: Final = ", ".join(f"'{word}'" for word in VERDICTS if word not in ASIDES and word != "undo")
_VALUES: Final = "name, n, first_us, last_us, confidence, peak_us, pattern_id, key, " + ", ".join(
    f"said.{at}" for at in range(1, 12)
)
_READABLE: Final = """
    fromUnixTimestamp64Micro(first_us, 'UTC') AS first, fromUnixTimestamp64Micro(last_us, 'UTC') AS last,
    source, entity, type, kind, detector, n, confidence, verdict, user, summary, fields, pattern_id, key"""
_CURSORS: Final[dict[Order, Any]] = {
    "last": tuple[str, int, str],
    "score": tuple[str, float, int, str],
    "n": tuple[str, int, int, str],
    "source": tuple[str, str, int, str],
}
_SORTS: Final[dict[Order, tuple[tuple[str, str], ...]]] = {
    "last": (("last_us", "Int64"),),
    "score": (("confidence", "Float64"), ("last_us", "Int64")),
    "n": (("n", "UInt64"), ("last_us", "Int64")),
    "source": (("name", "String"), ("-last_us", "Int64")),
}


@dataclass(frozen=True, slots=True)
class EpisodeQuery:
    """Which episodes, and in what order.

    Attributes:
        filter: what they must be like; an empty one lets all through.
        since_us: those whose last pattern is not before it, UTC microseconds of event time; None for no bound.
        until_us: those whose first pattern is before it; None for no bound.
        now_us: the moment from which ages count back, UTC microseconds.
        order: by the last pattern, the peak's confidence, the number of patterns, or the name; among equals by the last
            pattern (among those of one name the latest first), then by the key.
        descending: the greatest first.
        limit: most episodes to give, up to 10,000.
        after: `StoredEpisode.cursor` of the last episode of the page before, from a query of the same order.
    """

    filter: Filter = Filter()  # noqa: RUF009 - it is immutable
    since_us: int | None = None
    until_us: int | None = None
    now_us: int = 0
    order: Order = "last"
    descending: bool = True
    limit: int = 100
    after: str = ""


@dataclass(frozen=True, slots=True)
class StoredEpisode:
    """One episode. Times are UTC microseconds of event time.

    Attributes:
        peak: its pattern of highest confidence, of several the earliest, of those the one of least id.
        n: how many patterns it has.
        key: the id of its earliest pattern, of several the least.
        feedback: the verdict that stands on it: the last given of all on its patterns that were not taken back.
        cursor: where it stands in the order of the query.
    """

    peak: Pattern
    n: int
    first_us: int
    last_us: int
    key: str
    feedback: Feedback | None = None
    cursor: str = ""


class EpisodeHistory:
    """The episodes of one database. Every method that asks may raise `StoreUnavailable` or `StoreRejected`.

    An episode is whole although the window cuts it: patterns up to ``MARGIN_US`` (6 hours) beyond either end are looked at.
    A run that reaches further out is counted from there.
    """

    def __init__(self, client: Client, database: str) -> None:
        self._client = client
        self._database = database

    async def list(self, query: EpisodeQuery) -> list[StoredEpisode]:
        """The episodes of a page."""
        sql, values = self._page(query, conditions(query.filter, query.now_us), _VALUES)
        found = [_Found.of(row) for row in await self._ask(query, sql, values)]
        peaks = await self._patterns(found)
        return [_episode(one, peaks[one.pattern_id], query.order) for one in found if one.pattern_id in peaks]

    async def total(self, query: EpisodeQuery) -> int:
        """How many episodes there are on all pages together."""
        episodes, values = self._episodes(query, conditions(query.filter, query.now_us))
        rows = await self._ask(query, f"SELECT count() FROM ({episodes})", values)
        return int(rows[0][0])

    def sql(self, query: EpisodeQuery) -> str:
        """The statement of that very list with its values written into it; for people, so with the peak's texts."""
        wanted = conditions(query.filter, query.now_us)
        wanted.texts = True
        return with_literals(*self._page(query, wanted, _READABLE))

    async def _ask(self, query: EpisodeQuery, sql: str, values: dict[str, Value]) -> Sequence[Row]:
        try:
            return await self._client.query(sql, values)
        except StoreRejected as error:
            raise refused(error, query.filter) from None

    async def _patterns(self, found: Sequence[_Found]) -> dict[str, Pattern]:
        if not found:
            return {}
        times = [one.peak_us for one in found]
        rows = await self._client.query(
            f"""
            SELECT {PATTERN_COLUMNS}
            FROM (
                SELECT * FROM {self._database}.pattern_events
                WHERE timestamp >= fromUnixTimestamp64Micro({{since:Int64}}, 'UTC')
                    AND timestamp <= fromUnixTimestamp64Micro({{until:Int64}}, 'UTC')
                    AND pattern_id IN {{ids:Array(String)}}
                ORDER BY version DESC LIMIT 1 BY pattern_id
            ) AS p
            CROSS JOIN (SELECT '' AS verdict, '' AS user, toInt64(0) AS time_us, '' AS feedback_id) AS v""",
            {"since": min(times), "until": max(times), "ids": [one.pattern_id for one in found]},
        )
        return {stored.pattern.pattern_id: stored.pattern for stored in map(stored_pattern, rows)}

    def _page(self, query: EpisodeQuery, wanted: Conditions, columns: str) -> tuple[str, dict[str, Value]]:
        episodes, values = self._episodes(query, wanted)
        after = ""
        sorts = _SORTS[query.order]
        names = [name for name, _ in sorts] + ["key"]
        if query.after:
            place = _place(query.after, query.order)
            kinds = [kind for _, kind in sorts] + ["String"]
            values |= {f"after{at}": value for at, value in enumerate(place)}
            bound = ", ".join(f"{{after{at}:{kind}}}" for at, kind in enumerate(kinds))
            after = f"\nWHERE ({', '.join(names)}) {'<' if query.descending else '>'} ({bound})"
        values["limit"] = min(max(query.limit, 0), MOST)
        order = ", ".join(f"{name} {'DESC' if query.descending else 'ASC'}" for name in names)
        return f"SELECT {columns}\nFROM ({episodes}){after}\nORDER BY {order}\nLIMIT {{limit:UInt32}}", values

    def _episodes(self, query: EpisodeQuery, wanted: Conditions) -> tuple[str, dict[str, Value]]:
        values = dict(wanted.values)
        patterns, episodes = list(wanted.patterns), list(wanted.episodes)
        if query.since_us is not None:
            values |= {"since": query.since_us, "scan_from": max(query.since_us - MARGIN_US, _EARLIEST_US)}
            patterns.append("timestamp >= fromUnixTimestamp64Micro({scan_from:Int64}, 'UTC')")
            episodes.append("last_us >= {since:Int64}")
        if query.until_us is not None:
            values |= {"until": query.until_us, "scan_to": min(query.until_us + MARGIN_US, _LATEST_US)}
            patterns.append("timestamp < fromUnixTimestamp64Micro({scan_to:Int64}, 'UTC')")
            episodes.append("first_us < {until:Int64}")
        rows = " AND ".join(patterns) or "1"
        runs = _runs(self._database, rows, texts=wanted.texts)
        return f"{runs}\n    WHERE {' AND '.join(episodes) or '1'}\n", values


def _runs(database: str, rows: str, *, texts: bool) -> str:
    """Episodes of the patterns that ``rows`` lets through: group, n, times, confidence, pattern_id of the peak, verdict."""
    feedback = f"{database}.pattern_feedback FINAL"
    slot_texts = f",\n                        argMin((summary, toString(kind), contributors.field), {_PEAK}) AS slot_texts"
    run_texts = ",\n                argMin(slot_texts, slot_peak) AS texts"
    return f"""
    SELECT
        {_GROUP}, if(entity = '', toString(source), concat(source, '/', entity)) AS name, n, first_us, last_us, confidence,
        reinterpretAsInt64(reverse(unhex(substring(peak, 17, 16)))) - {1 << 60} AS peak_us,
        substring(peak, 33) AS pattern_id, substring(earliest, 17) AS key,
        said, toString(said.3) AS verdict, toString(said.8) AS user
        {", texts.1 AS summary, texts.2 AS kind, texts.3 AS fields" if texts else ""}
    FROM (
        SELECT
            {_GROUP},
            sum(slot_n) AS n,
            min(slot_first) AS first_us,
            max(slot_last) AS last_us,
            max(slot_confidence) AS confidence,
            min(slot_peak) AS peak,
            min(slot_earliest) AS earliest,
            max(slot_said) AS last_said{run_texts if texts else ""}
        FROM (
            SELECT *, sum(starts) OVER (PARTITION BY {_GROUP} ORDER BY slot) AS run
            FROM (
                SELECT *, slot_first - lagInFrame(slot_last, 1, {-(2**60)}) OVER (
                    PARTITION BY {_GROUP} ORDER BY slot ROWS BETWEEN 1 PRECEDING AND CURRENT ROW
                ) > {GAP_US} AS starts
                FROM (
                    SELECT
                        {_GROUP}, {_SLOT} AS slot,
                        count() AS slot_n,
                        min(toUnixTimestamp64Micro(timestamp)) AS slot_first,
                        max(toUnixTimestamp64Micro(timestamp)) AS slot_last,
                        max(confidence) AS slot_confidence,
                        min({_PEAK}) AS slot_peak,
                        min(concat({_TIME}, pattern_id)) AS slot_earliest{slot_texts if texts else ""}
                    FROM {database}.pattern_events FINAL
                    WHERE {rows}
                    GROUP BY {_GROUP}, slot
                ) AS slots
                LEFT JOIN (
                    SELECT {_GROUP}, slot, max(one_said) AS slot_said
                    FROM (
                        SELECT {_GROUP}, {_SLOT} AS slot, pattern_id
                        FROM {database}.pattern_events
                        WHERE {rows} AND pattern_id IN (SELECT pattern_id FROM {database}.pattern_feedback)
                    ) AS judged
                    INNER JOIN (
                        SELECT pattern_id, concat({_TIME}, feedback_id) AS one_said
                        FROM {feedback}
                        WHERE verdict IN ({_JUDGING})
                            AND feedback_id NOT IN (SELECT undoes FROM {feedback} WHERE verdict = 'undo')
                    ) AS standing USING pattern_id
                    GROUP BY {_GROUP}, slot
                ) AS verdicts USING ({_GROUP}, slot)
            )
        )
        GROUP BY {_GROUP}, run
    ) AS runs
    LEFT JOIN (
        SELECT feedback_id, ({FEEDBACK_COLUMNS}) AS said FROM {feedback} LIMIT 1 BY feedback_id
    ) AS feedback ON feedback.feedback_id = substring(runs.last_said, 17)"""


class _Found(NamedTuple):
    """A row of the list."""

    name: str
    n: int
    first_us: int
    last_us: int
    confidence: float
    peak_us: int
    pattern_id: str
    key: str
    said: Row

    @classmethod
    def of(cls, row: Row) -> _Found:
        name, n, first_us, last_us, confidence, peak_us, pattern_id, key, *said = row
        return cls(name, n, first_us, last_us, confidence, peak_us, pattern_id, key, tuple(said))


def _episode(found: _Found, peak: Pattern, order: Order) -> StoredEpisode:
    places: dict[Order, tuple[Any, ...]] = {
        "last": (found.last_us,),
        "score": (found.confidence, found.last_us),
        "n": (found.n, found.last_us),
        "source": (found.name, -found.last_us),
    }
    return StoredEpisode(
        peak=peak,
        n=found.n,
        first_us=found.first_us,
        last_us=found.last_us,
        key=found.key,
        feedback=feedback_of(found.said) if found.said[0] else None,
        cursor=msgspec.json.encode((order, *places[order], found.key)).decode(),
    )


def _place(cursor: str, order: Order) -> tuple[Any, ...]:
    try:
        named, *place = msgspec.json.decode(cursor, type=_CURSORS[order])
    except msgspec.MsgspecError:
        named, place = "", []
    if named != order:
        raise StoreRejected(
            f"{cursor!r} is no cursor of episodes by {order}; use the one that came with the last episode of the page before"
        )
    return tuple(place)
