"""The past of the pictures: what a database would hold of the world in ``tests.snapshots.world``, the same at every run."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import msgspec

from qraft.model import (
    CleanEvent,
    Contributor,
    Event,
    Feedback,
    Pattern,
    Scope,
    Verdict,
    derive_id,
    iso_from_us,
    us_from_iso,
)
from qraft.store import EpisodeQuery, FieldSeen, LabelQuery, PastSource, RawEvent, StoredLabel, StoredPattern
from tests.snapshots.world import HOUR, MINUTE, NOW_US, SECOND, SOURCES, TALES, Tale, live, pattern, verdict_on
from tui.history.base import EpisodePage, PastEpisode, Story
from tui.history.fake import FakeHistory
from tui.state.episodes import Episode
from tui.state.filter import parse
from tui.state.verdicts import NO_MARK, Delivery, Mark

DAY = 24 * HOUR
SLOT = 6 * MINUTE
"""In each slot of this length something happened."""
BEFORE, AFTER = 240, 90
"""Events around a pattern that are drawn."""
NOISE = 997
OFTEN = (0, 1, 1, 2, 3, 4, 4, 5, 6, 7, 8, 8, 9, 9, 10, 11)
"""Which tales the past is made of, and how often each."""
SAYINGS: tuple[tuple[Verdict | None, str], ...] = (
    ("confirmed", "ann"),
    (None, ""),
    ("false_positive", "bo"),
    ("expected", "ann"),
    (None, ""),
    ("confirmed", "me"),
    ("new_normal", "me"),
    (None, ""),
)
NOTES: dict[tuple[str, str], str] = {
    ("market", "expected"): "the futures expire today",
    ("market", "confirmed"): "the venue changed its tick size",
    ("orders-eu", "expected"): "the nightly load",
    ("orders-us", "expected"): "the nightly load",
    ("orders-eu", "confirmed"): "a pool of connections ran dry",
    ("sensors-hall-3", "new_normal"): "another press tool since noon",
    ("sensors-hall-3", "confirmed"): "a bearing; mechanics are on the way",
    ("shuttle", "false_positive"): "a sensor was exchanged",
    ("host", "expected"): "backup",
}
"""What people write to which verdict on which source."""


class Archive(FakeHistory):
    """A database that holds this past, and what was ``heard`` since."""

    def __init__(self) -> None:
        super().__init__(now_us=NOW_US)
        self.heard: list[Kept] = []

    async def around(self, pattern: Pattern) -> list[CleanEvent]:
        """See ``History``."""
        middle = us_from_iso(pattern.timestamp)
        return [
            CleanEvent(
                event_id=derive_id(pattern.event_id, str(i)),
                source=pattern.source,
                entity=pattern.entity,
                time_us=middle + i * SECOND,
                fields=row,
            )
            for i, row in enumerate(course(pattern, -BEFORE, AFTER), -BEFORE)
            if row is not None and middle + i * SECOND <= NOW_US
        ]

    async def raw(self, pattern: Pattern, before: int, after: int, *, cursor: str = "") -> list[RawEvent]:
        """See ``History``; one a second."""
        middle = us_from_iso(pattern.timestamp)
        at = int(cursor) if cursor else 0
        first, last = (at - before, at + after) if cursor else (at - before + 1, at + after)
        return [
            _raw(pattern, i, middle + i * SECOND, row)
            for i, row in enumerate(course(pattern, first, last), first)
            if row is not None and (not cursor or i != at) and middle + i * SECOND <= NOW_US
        ]

    async def episodes(self, query: EpisodeQuery) -> EpisodePage:
        """See ``History``; a cursor is the number of rows before it."""
        until = query.until_us or NOW_US
        since = query.since_us if query.since_us is not None else until - DAY
        chosen = parse(query.filter.text)
        found = [
            one
            for one in stored(since, until)
            if chosen.matches(one.episode, Mark(one.said.verdict, one.said, Delivery.STORED) if one.said else NO_MARK, until)
        ]
        orders: dict[str, Callable[[Episode], Any]] = {
            "last": lambda e: e.last_us,
            "score": lambda e: e.confidence,
            "n": lambda e: e.n,
            "source": lambda e: e.name,
        }
        found.sort(key=lambda one: (orders[query.order](one.episode), one.episode.last_us), reverse=query.descending)
        start = int(query.after or 0)
        page = found[start : start + query.limit]
        rows = [PastEpisode(one.episode, one.said, str(start + i + 1)) for i, one in enumerate(page)]
        return EpisodePage(rows, None if query.after else len(found), 0.042)

    async def story(self, episode: Episode) -> Story:
        """See ``History``."""
        peak = episode.peak
        wrong = verdict_on(peak, "false_positive", "bo", after_s=20)
        said = [
            wrong,
            msgspec.structs.replace(verdict_on(peak, "undo", "bo", after_s=31), undoes=wrong.feedback_id),
            verdict_on(peak, "note", "bo", "large seller on two venues, see the order book", after_s=40),
        ]
        similar = [_earlier(peak, i) for i in range(7)]
        counts = Counter(one.verdict or "" for one in similar) + Counter({"confirmed": 4, "": 9})
        return Story(said, similar, dict(counts))

    async def sources_in(self, since_us: int, until_us: int, buckets: int) -> list[PastSource]:
        """See ``History``."""
        found = []
        patterns = Counter(one.episode.source for one in stored(since_us, until_us))
        for i, (name, feed) in enumerate(sorted(SOURCES.items())):
            each = feed.rate * (until_us - since_us) / buckets / SECOND
            wave = [1 + 0.3 * math.sin(at / (4 + i)) + 0.1 * math.sin(at * (1 + i)) for at in range(buckets)]
            counts = [round(each * one) for one in wave]
            last = until_us - (i + 1) * 40_000
            found.append(PastSource(name, counts, sum(counts), last, patterns[name], max(1, len(feed.entities)), 0))
        return found

    async def fields(self, source: str, until_us: int) -> list[FieldSeen]:
        """See ``History``."""
        usual = SOURCES[source].fields if source in SOURCES else {}
        return [
            FieldSeen(name, 1.0 if i else 0.985, level + spread * 0.4, level - 3.2 * spread, level + 3.7 * spread)
            for i, (name, (level, spread)) in enumerate(sorted(usual.items()))
        ]

    async def labels(self, query: LabelQuery) -> list[StoredLabel]:
        """See ``History``; only users and words narrow."""
        found = [one for one in stored(NOW_US - 2 * DAY, NOW_US) if one.said is not None]
        labels = sorted((_label(one) for one in (*found, *self.heard)), key=lambda one: one.cursor, reverse=True)
        return [
            one
            for one in labels
            if (not query.user or one.feedback.user == query.user)
            and (not query.verdicts or one.feedback.verdict in query.verdicts)
            and (not query.before or one.cursor < query.before)
        ][: query.limit]

    async def counts(self) -> dict[str, int]:
        """See ``History``."""
        return {
            "raw_events": 61_204_118,
            "clean_events": 61_203_901,
            "pattern_events": 9_214,
            "pattern_feedback": 388,
            "dead_letters": 57,
        }

    async def mutes(self, now_us: int) -> list[Feedback]:
        """See ``History``."""
        return mutes(now_us)


@dataclass(frozen=True, slots=True)
class Kept:
    """An episode and what stands on it."""

    episode: Episode
    said: Feedback | None


@cache
def stored(since_us: int, until_us: int) -> tuple[Kept, ...]:
    """The episodes of a window, the earliest first."""
    out = []
    for peak, n, verdict, user, note in past(since_us, until_us):
        at = us_from_iso(peak.timestamp)
        episode = Episode.of(peak, n=n, first_us=at - n * SECOND, last_us=at + n * SECOND)
        out.append(Kept(episode, verdict_on(peak, verdict, user, note) if verdict else None))
    return tuple(out)


def mutes(now_us: int) -> list[Feedback]:
    """Two mutes that hold."""
    return [
        Feedback(
            feedback_id=derive_id("mute", user),
            pattern_id=live()[0].pattern_id,
            verdict="mute",
            timestamp=iso_from_us(now_us - ago),
            source=scope.source,
            user=user,
            note=note,
            scope=scope,
            until=iso_from_us(now_us + left),
        )
        for user, scope, ago, left, note in (
            ("ann", Scope(source="orders-eu", type="anomaly"), 20 * MINUTE, 40 * MINUTE, "release night"),
            ("me", Scope(source="shuttle"), 3 * HOUR, 21 * HOUR, ""),
        )
    ]


def past(since_us: int, until_us: int) -> Iterator[tuple[Pattern, int, Verdict | None, str, str]]:
    """The peaks of a window, the earliest first: the peak, how many findings, and the verdict with user and note."""
    for i in range(max(-(-since_us // SLOT), until_us // SLOT - 600), until_us // SLOT):
        draw = random.Random(i)
        tale = varied(TALES[draw.choice(OFTEN)], draw)
        at = i * SLOT + draw.randrange(SLOT // SECOND) * SECOND
        verdict, user = draw.choice(SAYINGS)
        yield pattern(tale, at), tale.n, verdict, user, NOTES.get((tale.source, verdict or ""), "")


def varied(tale: Tale, draw: random.Random) -> Tale:
    """The same on another day: other entity, other numbers."""
    much = draw.uniform(0.55, 1.3)
    entities = SOURCES[tale.source].entities
    names = (tale.entity,) if tale.kind in ("mean", "trend", "member") else entities  # whose levels these are
    return replace(
        tale,
        moved=tuple((f, s, was, was + (now - was) * much) for f, s, was, now in tale.moved),
        entity=draw.choice(names) if names else "",
        confidence=round(min(0.97, max(0.52, tale.confidence * draw.uniform(0.8, 1.08))), 3),
        n=1 + int(40 * draw.random() ** 4),
        began_s=tale.began_s and draw.randrange(60, 260),
    )


# --- events


def course(peak: Pattern, first: int, last: int) -> list[dict[str, float] | None]:
    """The fields of the events around a finding, one a second, from the ``first`` to the ``last`` relative to it.

    None is a second without an event.
    """
    usual = SOURCES[peak.source].fields
    moved = {c.field: (c.before, c.after) for c in peak.contributors if c.before is not None and c.after is not None}
    turn = (us_from_iso(peak.began) - us_from_iso(peak.timestamp)) // SECOND if peak.began else 0
    noise = {name: _noise(f"{peak.pattern_id} {name}") for name in usual}
    rows: list[dict[str, float] | None] = []
    for i in range(first, last + 1):
        if peak.kind == "silence" and -42 < i < 0:
            rows.append(None)
            continue
        row = {}
        for name, (level, spread) in usual.items():
            change = Change(*moved.get(name, (level, level)), level, spread, turn)
            row[name] = round(_value(peak.kind, change, i, noise[name][i % NOISE]), 4)
        rows.append(row)
    return rows


@dataclass(frozen=True, slots=True)
class Change:
    """How one field changes ``turn`` seconds from the finding."""

    was: float
    now: float
    level: float
    spread: float
    turn: int


@cache
def _noise(seed: str) -> Sequence[float]:
    """Steady noise of spread 1 in which neighbours are alike."""
    draw, x, out = random.Random(seed), 0.0, []
    for _ in range(NOISE):
        x = 0.6 * x + 0.8 * draw.gauss(0, 1)
        out.append(x)
    return out


def _value(kind: str, change: Change, i: int, e: float) -> float:
    was, step, since = change.was, change.now - change.was, i - change.turn
    if kind == "variance":
        return change.level + (was if since < 0 else change.now) * e
    if kind == "trend":
        return change.level + change.now * max(0, since) * 0.4 + change.spread * e
    if kind == "flat" and i > -60:
        return change.now
    share = {
        "mean": 1 / (1 + math.exp(-max(-60.0, min(60.0, since / 3)))),
        "joint": math.exp(-(max(0, i) ** 2) / 90) if i >= -1 else 0.0,
        "novelty": (0.5 + 0.5 * math.cos(i * 0.7)) if abs(i) < 9 else 0.0,
    }
    share["member"] = share["occupancy"] = share["mean"]
    return was + step * share.get(kind, 0.0) + change.spread * e


def _raw(pattern: Pattern, i: int, at_us: int, row: dict[str, float]) -> RawEvent:
    payload: dict[str, object] = {name: round(number, 2) for name, number in row.items()}
    if pattern.source == "market":
        payload["symbol"] = pattern.entity
    event = Event(
        event_id=derive_id("raw", pattern.pattern_id, str(i)) if i else pattern.event_id,
        source=pattern.source,
        type="row",
        timestamp=iso_from_us(at_us),
        payload=payload,
    )
    return RawEvent(event, at_us, str(i))


def _earlier(peak: Pattern, i: int) -> StoredPattern:
    """The ``i``-th finding like it, some days before."""
    draw = random.Random(f"{peak.pattern_id} {i}")
    at = us_from_iso(peak.timestamp) - round((i + draw.random() + 0.2) * 2.3 * DAY)
    name = derive_id("earlier", peak.pattern_id, str(i))
    verdict, user = SAYINGS[(i * 5) % len(SAYINGS)]
    details = msgspec.structs.replace(peak.details, confidence=round(peak.details.confidence * draw.uniform(0.85, 1.0), 3))
    contributors = [_shifted(one, draw) for one in peak.contributors]
    found = msgspec.structs.replace(
        peak, pattern_id=name, timestamp=iso_from_us(at), began="", details=details, contributors=contributors
    )
    said = verdict_on(found, verdict, user) if verdict else None
    return StoredPattern(
        found,
        f"{at}_{name}",
        verdict == "confirmed",
        verdict,
        user,
        said.timestamp if said else "",
        said.feedback_id if said else "",
    )


def _shifted(one: Contributor, draw: random.Random) -> Contributor:
    """A field as it was then: at another level, moved by about as much."""
    level, much = draw.uniform(0.93, 1.02), draw.uniform(0.6, 1.3)
    if one.before is None or one.after is None:
        return one
    was = one.before * level
    return msgspec.structs.replace(one, before=was, after=was + (one.after - one.before) * much)


def _label(kept: Kept) -> StoredLabel:
    assert kept.said is not None
    said, peak = kept.said, kept.episode.peak
    cursor = f"{us_from_iso(said.timestamp):020}_{said.feedback_id}"
    return StoredLabel(said, False, peak.source, peak.entity, peak.type, peak.detector, peak.summary, cursor)
