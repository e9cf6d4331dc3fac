"""Invented past data: episodes, verdicts, events; the same whenever the same is asked for."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

import msgspec

from qraft.model import CleanEvent, Event, Feedback, Pattern, Verdict, derive_id, iso_from_us, us_from_iso
from qraft.store import RawEvent, StoredLabel, StoredPattern
from tui.feed.fake import World
from tui.state.episodes import Episode

SLOT_US = 7 * 60_000_000
"""In each slot of this length there was one episode."""
MOST_SLOTS = 1_500
SECOND_US = 1_000_000
HOUR_US = 3_600 * SECOND_US
DAY_US = 24 * HOUR_US
_SAID: Sequence[tuple[Verdict | None, str, str]] = (
    (None, "", ""),
    ("confirmed", "ann", "the venue changed its tick size"),
    (None, "", ""),
    ("false_positive", "bo", ""),
    ("expected", "ann", "the nightly load"),
    (None, "", ""),
    ("new_normal", "me", ""),
)


def invented(pattern: Pattern, before: int = 160, after: int = 80) -> list[CleanEvent]:
    """Events around a pattern, one a second, the same for the same pattern."""
    draw = random.Random(pattern.pattern_id)
    middle = us_from_iso(pattern.timestamp)
    turn = (us_from_iso(pattern.began) - middle) // SECOND_US if pattern.began else 0
    events = []
    for i in range(-before, after):
        fields = {}
        for c in pattern.contributors:
            was, now = c.before or 0.0, c.after or 0.0
            moved = abs(now - was) * c.score
            level = was if i < turn else now if pattern.type != "anomaly" or i < 6 else was
            fields[c.field] = level + draw.gauss(0, max(moved * 0.18, abs(was) * 0.01))
        events.append(
            CleanEvent(
                event_id=f"{pattern.event_id}-{i}",
                source=pattern.source,
                entity=pattern.entity,
                time_us=middle + i * 1_000_000,
                fields=fields,
            )
        )
    return events


def invented_episodes(since_us: int, until_us: int) -> Iterator[tuple[Episode, Feedback | None]]:
    """The episodes of a window, the earliest first, at most the last 1,500, each with the verdict that stands on it."""
    last = until_us // SLOT_US
    for slot in range(max(-(-since_us // SLOT_US), last - MOST_SLOTS), last):
        at = slot * SLOT_US
        peak = World(seed=slot).pattern(at)
        peak = msgspec.structs.replace(peak, pattern_id=derive_id("invented", str(slot)))
        n = 1 + int(60 * random.Random(slot).random() ** 4)
        episode = Episode.of(peak, n=n, last_us=at + n * SECOND_US)
        verdict, user, note = _SAID[slot % len(_SAID)]
        yield episode, feedback_on(peak, verdict, user, note) if verdict else None


def feedback_on(pattern: Pattern, verdict: Verdict, user: str, note: str = "", after_us: int = 90 * SECOND_US) -> Feedback:
    """What somebody says on a pattern some time after it."""
    return Feedback(
        feedback_id=derive_id("said", pattern.pattern_id, verdict, user),
        pattern_id=pattern.pattern_id,
        verdict=verdict,
        timestamp=iso_from_us(us_from_iso(pattern.timestamp) + after_us),
        source=pattern.source,
        detector=pattern.detector,
        note=note,
        user=user,
    )


def said_on(pattern: Pattern) -> list[Feedback]:
    """All that was said on a pattern, in the order it came."""
    first = feedback_on(pattern, "false_positive", "bo", after_us=60 * SECOND_US)
    undo = feedback_on(pattern, "undo", "bo", after_us=75 * SECOND_US)
    return [
        first,
        msgspec.structs.replace(undo, undoes=first.feedback_id),
        feedback_on(pattern, "note", "bo", "the feed moved to another host at noon", 80 * SECOND_US),
        feedback_on(pattern, "confirmed", "ann", after_us=190 * SECOND_US),
    ]


def earlier(pattern: Pattern, draw: random.Random, i: int) -> StoredPattern:
    """The ``i``-th finding like it, some days before."""
    at = us_from_iso(pattern.timestamp) - round((i + draw.random() + 0.2) * 2.3 * DAY_US)
    name = derive_id("earlier", pattern.pattern_id, str(i))
    verdict, user, _ = _SAID[(i + 1) % len(_SAID)]
    confidence = round(pattern.details.confidence * draw.uniform(0.85, 1.0), 3)
    earlier = msgspec.structs.replace(
        pattern,
        pattern_id=name,
        timestamp=iso_from_us(at),
        began="",
        details=msgspec.structs.replace(pattern.details, confidence=confidence),
    )
    said_at = iso_from_us(at + 90 * SECOND_US) if verdict else ""
    said_id = derive_id("said", name) if verdict else ""
    return StoredPattern(earlier, f"{at}_{name}", verdict == "confirmed", verdict, user, said_at, said_id)


def label_of(episode: Episode, said: Feedback) -> StoredLabel:
    """A verdict with the episode it was given on."""
    peak = episode.peak
    cursor = f"{us_from_iso(said.timestamp):020}_{said.feedback_id}"
    return StoredLabel(said, False, peak.source, peak.entity, peak.type, peak.detector, peak.summary, cursor)


def raw_event(pattern: Pattern, i: int, at_us: int) -> RawEvent:
    """The ``i``-th event after a pattern as it was sent; those with ``i`` below 0 came before it."""
    draw = random.Random(f"{pattern.pattern_id} {i}")
    turn = (us_from_iso(pattern.began) - us_from_iso(pattern.timestamp)) // SECOND_US if pattern.began else 0
    payload: dict[str, object] = {"symbol": pattern.entity} if pattern.entity else {}
    for c in pattern.contributors:
        was, now = c.before or 0.0, c.after or 0.0
        payload[c.field] = round((was if i < turn else now) + draw.gauss(0, abs(now - was) * 0.1 + abs(was) * 0.01), 4)
    event = Event(
        event_id=derive_id("raw", pattern.pattern_id, str(i)) if i else pattern.event_id,
        source=pattern.source,
        type="row",
        timestamp=iso_from_us(at_us),
        payload=payload,
    )
    return RawEvent(event, at_us, str(i))


def level_of(source: str, entity: str, field: str) -> float:
    """About what a field is."""
    return float(10 ** random.Random(f"{source}/{entity}/{field}").uniform(-1, 4.8))
