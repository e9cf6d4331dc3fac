"""A generator of past data: for tests and trials of the interface. It stands for no server.

Deterministic: what it tells of a moment, a pattern or a source is the same whenever it is asked.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable
from typing import Any

from qraft.model import (
    CleanEvent,
    Feedback,
    Pattern,
    Scope,
    derive_id,
    iso_from_us,
    us_from_iso,
)
from qraft.store import (
    EpisodeQuery,
    FieldSeen,
    LabelQuery,
    PastSource,
    RawEvent,
    SeriesPoint,
    StoredLabel,
)
from tui.feed.fake import MARKET, World
from tui.history.base import EpisodePage, HistoryUnavailable, PastEpisode, Story
from tui.history.invented import (
    DAY_US,
    HOUR_US,
    SECOND_US,
    earlier,
    invented,
    invented_episodes,
    label_of,
    level_of,
    raw_event,
    said_on,
)
from tui.state.episodes import Episode
from tui.state.filter import parse
from tui.state.inbox import Past
from tui.state.verdicts import NO_MARK, Delivery, Mark

__all__ = ["FakeHistory", "invented"]

SECONDS = 0.042
"""How long each question is said to have taken."""
_ORDERS: dict[str, Callable[[Episode], tuple[Any, ...]]] = {
    "last": lambda one: (one.last_us, one.key),
    "score": lambda one: (one.confidence, one.last_us, one.key),
    "n": lambda one: (one.n, one.last_us, one.key),
    "source": lambda one: (one.name, one.last_us, one.key),
}


class FakeHistory:
    """A past that was never stored. ``up`` may be switched to look like a database that is away.

    Args:
        past: what was stored last, the oldest first.
        now_us: the moment at which the invented past ends where a question does not say; by default that of the last of
            ``past``.
    """

    def __init__(self, past: list[Past] | None = None, *, now_us: int = 0) -> None:
        self._past = past or []
        self._now_us = now_us or (us_from_iso(self._past[-1].pattern.timestamp) if self._past else 0)
        self._names = World().names
        self.last_seconds = SECONDS
        self.up = True

    async def recent(self, limit: int, since_us: int | None = None) -> list[Past]:
        """See ``History``; arrival is taken for event time."""
        self._check()
        since = -math.inf if since_us is None else since_us
        return [past for past in self._past if us_from_iso(past.pattern.timestamp) >= since][-limit:]

    async def around(self, pattern: Pattern) -> list[CleanEvent]:
        """See ``History``."""
        self._check()
        return invented(pattern)

    async def episodes(self, query: EpisodeQuery) -> EpisodePage:
        """See ``History``; a cursor is the number of rows before it."""
        self._check()
        until = query.until_us or query.now_us or self._now_us
        since = query.since_us if query.since_us is not None else until - DAY_US
        chosen = parse(query.filter.text)
        found = [
            (episode, said)
            for episode, said in invented_episodes(since, until)
            if chosen.matches(episode, Mark(said.verdict, said, Delivery.STORED) if said else NO_MARK, until)
        ]
        found.sort(key=lambda one: _ORDERS[query.order](one[0]), reverse=query.descending)
        start = int(query.after or 0)
        rows = [
            PastEpisode(episode, said, str(start + i + 1))
            for i, (episode, said) in enumerate(found[start : start + query.limit])
        ]
        return EpisodePage(rows, None if query.after else len(found), SECONDS)

    def sql(self, query: EpisodeQuery) -> str:
        """See ``History``; no statement that could be run, but one that looks like it."""
        return f"SELECT * FROM qraft.pattern_events FINAL\nORDER BY timestamp DESC\nLIMIT {query.limit}"

    async def story(self, episode: Episode) -> Story:
        """See ``History``."""
        self._check()
        draw = random.Random(episode.peak.pattern_id)
        similar = [earlier(episode.peak, draw, i) for i in range(5)]
        counts = Counter(one.verdict or "" for one in similar) + Counter({"false_positive": 6, "": draw.randint(4, 30)})
        return Story(said_on(episode.peak), similar, dict(counts))

    async def raw(self, pattern: Pattern, before: int, after: int, *, cursor: str = "") -> list[RawEvent]:
        """See ``History``; one a second, for ever."""
        self._check()
        middle = us_from_iso(pattern.timestamp)
        at = int(cursor) if cursor else 0
        first, last = (at - before, at + after) if cursor else (at - before + 1, at + after)
        return [raw_event(pattern, i, middle + i * SECOND_US) for i in range(first, last + 1) if not cursor or i != at]

    async def series(
        self, source: str, entity: str, field: str, *, since_us: int, until_us: int, buckets: int
    ) -> list[SeriesPoint]:
        """See ``History``."""
        self._check()
        level = level_of(source, entity, field)
        points = []
        for i in range(buckets):
            at = since_us + i * (until_us - since_us) // buckets
            mean = level * (1 + 0.2 * math.sin(at / HOUR_US) + 0.04 * math.sin(at / (97 * SECOND_US)))
            points.append(
                SeriesPoint(at, mean * 0.97, mean, mean * 1.03, max(1, (until_us - since_us) // buckets // SECOND_US))
            )
        return points

    async def sources_in(self, since_us: int, until_us: int, buckets: int) -> list[PastSource]:
        """See ``History``."""
        self._check()
        found = []
        patterns = Counter(episode.source for episode, _ in invented_episodes(since_us, until_us))
        for i, name in enumerate(sorted(self._names)):
            rate = (1.0, 412.0, 188.4, 20.1, 57.0, 0.5)[i % 6]
            each = rate * (until_us - since_us) / buckets / SECOND_US
            counts = [
                round(each * (1 + 0.45 * math.sin(i + at / 5) + 0.2 * math.sin(at * (1 + i)))) for at in range(buckets)
            ]
            entities = len(MARKET) if name == "market" else 1
            found.append(
                PastSource(
                    name, counts, sum(counts), until_us - (i + 1) * 40_000, patterns[name], entities, 3 if i == 2 else 0
                )
            )
        return found

    async def fields(self, source: str, until_us: int) -> list[FieldSeen]:
        """See ``History``."""
        self._check()
        found = []
        for i, name in enumerate(sorted(World().fields(source))):
            level = level_of(source, "", name)
            last = level * (1 + 0.2 * math.sin(until_us / HOUR_US))
            found.append(FieldSeen(name, 1.0 if i else 0.985, last, level * 0.78, level * 1.23))
        return found

    async def bounds(self) -> tuple[int, int] | None:
        """See ``History``."""
        self._check()
        return (self._now_us - 30 * DAY_US, self._now_us) if self._now_us else None

    async def labels(self, query: LabelQuery) -> list[StoredLabel]:
        """See ``History``; only users, words, texts and times narrow."""
        self._check()
        until = query.until_us or self._now_us
        since = query.since_us if query.since_us is not None else until - DAY_US
        found = []
        for episode, said in reversed(list(invented_episodes(since, until))):
            label = label_of(episode, said) if said else None
            if label is None or (query.user and label.feedback.user != query.user):
                continue
            if query.verdicts and label.feedback.verdict not in query.verdicts:
                continue
            text = f"{label.feedback.note}\n{label.feedback.user}\n{episode.name}\n{label.detector}\n{label.summary}"
            if query.text.lower() in text.lower() and not (query.before and label.cursor >= query.before):
                found.append(label)
        return found[: query.limit]

    async def mutes(self, now_us: int) -> list[Feedback]:
        """See ``History``."""
        self._check()
        return [
            Feedback(
                feedback_id=f"mute-{user}",
                pattern_id=derive_id("muted", user),
                verdict="mute",
                timestamp=iso_from_us(now_us - ago),
                source=scope.source,
                user=user,
                note=note,
                scope=scope,
                until=iso_from_us(now_us + left),
            )
            for user, scope, ago, left, note in (
                (
                    "ann",
                    Scope(source="orders-eu", type="anomaly"),
                    20 * 60 * SECOND_US,
                    40 * 60 * SECOND_US,
                    "release night",
                ),
                ("me", Scope(source="sensor-hall-3"), 3 * HOUR_US, 21 * HOUR_US, ""),
            )
        ]

    async def counts(self) -> dict[str, int]:
        """See ``History``."""
        self._check()
        return {
            "raw_events": 4_180_233,
            "clean_events": 4_178_120,
            "pattern_events": 9_214,
            "pattern_feedback": 388,
            "dead_letters": 57,
        }

    async def close(self) -> None:
        """See ``History``."""

    def _check(self) -> None:
        if not self.up:
            raise HistoryUnavailable("ClickHouse does not answer: switched off")
