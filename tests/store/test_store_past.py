"""Looking back: windows of sources, fields, raw events by pages, long series, findings alike; hostile input."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from qraft.model import (
    CleanEvent,
    Contributor,
    DeadLetter,
    Details,
    Event,
    Feedback,
    Pattern,
    Verdict,
    event_id,
    iso_from_us,
)
from qraft.store import Block, FieldSeen, PastSource, RawEvent, RawRow, SeriesPoint, Similar, Store, StoreRejected
from qraft.store.likeness import ALIKE, likeness

SECOND_US = 1_000_000
DAY_US = 86_400 * SECOND_US
NOW = time.time_ns() // 1_000_000_000 * SECOND_US
START = NOW - 3 * DAY_US
EVIL = ["'; DROP TABLE pattern_events; --", "\\", "'", "{id:String}", "%s", "\0", "a\tb\nc", "🦀"]


def event(number: int, at: int, *, source: str = "s", entity: str = "", **fields: float) -> CleanEvent:
    """``at`` is seconds after START."""
    name = event_id(source, f"{entity} {number}")
    return CleanEvent(event_id=name, source=source, entity=entity, time_us=START + at * SECOND_US, fields=fields)


def sent(clean: CleanEvent) -> RawRow:
    payload = {"entity": clean.entity, "text": "größer", **clean.fields}
    raw = Event(
        event_id=clean.event_id, source=clean.source, type="row", timestamp=iso_from_us(clean.time_us), payload=payload
    )
    return RawRow(raw, 0, 1, NOW)


def pattern(name: str, at: int, **changes: Any) -> Pattern:
    """``at`` is seconds after START."""
    confidence = changes.pop("confidence", 0.8)
    values: dict[str, Any] = {
        "pattern_id": name,
        "type": "drift",
        "kind": "mean",
        "timestamp": iso_from_us(START + at * SECOND_US),
        "source": "s",
        "details": Details(prev_state={}, new_state={}, metrics={}, confidence=confidence),
        "contributors": [
            Contributor(field="x", score=0.75, before=1.0, after=2.0),
            Contributor(field="y", score=0.25, before=5.0, after=4.0),
        ],
        "detector": "adwin",
    }
    return Pattern(**{**values, **changes})


def verdict(name: str, on: str, word: Verdict, undoes: str = "") -> Feedback:
    return Feedback(
        feedback_id=name, pattern_id=on, verdict=word, timestamp=iso_from_us(NOW), source="s", user="ann", undoes=undoes
    )


async def write(store: Store, **parts: Sequence[Any]) -> None:
    await store.write(Block("t:0:1-9", NOW, **parts))


async def test_nothing_stored_is_no_error(store: Store) -> None:
    past = store.past
    assert await past.bounds() is None
    assert await past.sources(START, NOW, 10) == []
    assert await past.fields("s", NOW) == []
    assert await past.raw_around("s", "", NOW, 5, 5) == []
    assert await past.series("s", "", "x", since_us=START, until_us=NOW, buckets=10) == []
    assert await past.similar(pattern("p", 0), 5) == Similar()
    assert await past.judged(pattern("p", 0), START, NOW) == []
    assert await past.arrived(START, 100) == []


async def test_bounds_are_of_events_and_patterns(store: Store) -> None:
    await write(store, clean=[event(1, 10), event(2, 50)], patterns=[pattern("p", 70)])
    assert await store.past.bounds() == (START + 10 * SECOND_US, START + 70 * SECOND_US)


async def test_what_each_source_did_in_a_window(store: Store) -> None:
    clean = [event(i, i, entity=f"e{i % 3}") for i in range(100)] + [event(i, i * 10, source="t") for i in range(5)]
    dead = [
        DeadLetter(
            dead_id=f"d{i}",
            source=source,
            timestamp=iso_from_us(START + 30 * SECOND_US),
            stage="ingest",
            reason="",
            original=b"",
        )
        for i, source in enumerate(("s", "u", "u", ""))
    ]
    found_in = [pattern("p1", 20), pattern("p2", 60), pattern("p3", 45, source="t")]
    await write(store, clean=clean, patterns=found_in, dead=dead)
    again = Block("t:0:10-19", NOW, clean=clean[:50])
    await store.write(again)  # repeats are counted once
    found = await store.past.sources(START + 10 * SECOND_US, START + 50 * SECOND_US, 4)
    assert found == [
        PastSource("s", [10, 10, 10, 10], 40, START + 49 * SECOND_US, 1, 3, 1),
        PastSource("t", [1, 1, 1, 1], 4, START + 40 * SECOND_US, 1, 1, 0),
        PastSource("u", [0, 0, 0, 0], 0, 0, 0, 0, 2),
    ]


async def test_buckets_divide_a_window_that_they_do_not_fit(store: Store) -> None:
    await write(store, clean=[event(i, i) for i in range(100)])
    (found,) = await store.past.sources(START, START + 100 * SECOND_US, 7)
    assert found.counts == [15, 14, 14, 15, 14, 14, 14]
    assert await store.past.sources(START + 200 * SECOND_US, NOW, 7) == []
    with pytest.raises(StoreRejected, match="window is empty"):
        await store.past.sources(START, START, 7)


async def test_the_fields_of_a_source_as_of_a_moment(store: Store) -> None:
    clean = [event(i, i, x=float(i)) for i in range(50)] + [event(i, i, x=float(i), y=-1.0) for i in range(50, 60)]
    clean += [event(99, 0, source="other", z=1.0)]
    await write(store, clean=clean)
    at = START + 60 * SECOND_US
    assert await store.past.fields("s", at, rows=20) == [
        FieldSeen("x", 1.0, 59.0, 40.0, 59.0),
        FieldSeen("y", 0.5, -1.0, -1.0, -1.0),
    ]
    assert await store.past.fields("s", START + 10 * SECOND_US) == [FieldSeen("x", 1.0, 9.0, 0.0, 9.0)]
    assert [one.field for one in await store.past.fields("s", NOW + 300 * DAY_US)] == ["x", "y"], "however long ago"


async def test_raw_events_around_a_moment_and_by_pages(store: Store) -> None:
    clean = [event(i, i // 2, entity="a", x=float(i)) for i in range(60)]  # two at each moment
    others = [event(i, i // 2, entity="b") for i in range(60)]
    await write(store, clean=[*clean, *others], raw=[sent(one) for one in [*clean, *others]])
    around = store.past.raw_around
    middle = START + 15 * SECOND_US
    found = await around("s", "a", middle, 6, 4)
    assert [(one.time_us - START) // SECOND_US for one in found] == [13, 13, 14, 14, 15, 15, 16, 16, 17, 17]
    assert {one.event.payload["entity"] for one in found} == {"a"}
    assert found[0].event.payload["text"] == "größer"
    pages: list[RawEvent] = list(found)
    while page := await around("s", "a", middle, 7, 0, cursor=pages[0].cursor):
        pages = [*page, *pages]
    while page := await around("s", "a", middle, 0, 7, cursor=pages[-1].cursor):
        pages = [*pages, *page]
    assert len(pages) == 60
    await store.write(Block("t:0:10-19", NOW, clean=clean, raw=[sent(one) for one in clean]))
    assert await around("s", "a", middle, 6, 4) == found, "repeats are shown once"
    assert {one.event.event_id for one in pages} == {one.event_id for one in clean}
    assert [one.time_us for one in pages] == sorted(one.time_us for one in pages)
    both = await around("s", "a", 0, 2, 2, cursor=pages[30].cursor)
    assert [one.cursor for one in both] == [one.cursor for one in (*pages[28:30], *pages[31:33])]


async def test_raw_events_far_apart_are_found_too(store: Store) -> None:
    clean = [event(i, i * 20_000) for i in range(6)]
    await write(store, clean=clean, raw=[sent(one) for one in clean])
    found = await store.past.raw_around("s", "", START + 60_000 * SECOND_US, 10, 10)
    assert [one.event.event_id for one in found] == [one.event_id for one in clean]


async def test_a_series_in_buckets(store: Store) -> None:
    clean = [event(i, i, entity="a", x=float(i)) for i in range(30) if not 10 <= i < 20]
    await write(store, clean=[*clean, event(99, 5, entity="a", y=1.0), event(98, 5, entity="b", x=1e9)])
    found = await store.past.series("s", "a", "x", since_us=START, until_us=START + 30 * SECOND_US, buckets=3)
    assert found == [
        SeriesPoint(START, 0.0, 4.5, 9.0, 10),
        SeriesPoint(START + 20 * SECOND_US, 20.0, 24.5, 29.0, 10),
    ]


async def test_patterns_by_when_their_events_arrived(store: Store) -> None:
    old = [pattern(f"old{i}", i) for i in range(3)]
    late = [pattern(f"late{i}", -9_000 + i) for i in range(3)]
    await store.write(Block("t:0:1-3", NOW - 600 * SECOND_US, patterns=old))
    await store.write(Block("t:0:4-6", NOW, patterns=late, feedback=[verdict("f", "late1", "confirmed")]))
    found = await store.past.arrived(NOW - SECOND_US, 100)
    assert [(one.pattern.pattern_id, one.verdict) for one in found] == [
        ("late2", None),
        ("late1", "confirmed"),
        ("late0", None),
    ]
    assert [one.pattern.pattern_id for one in await store.past.arrived(0, 4)] == ["old2", "old1", "old0", "late2"]


async def test_what_was_said_within_a_run(store: Store) -> None:
    run = [pattern(f"p{i}", i) for i in range(5)]
    elsewhere = [pattern("q", 2, entity="e"), pattern("r", 2, detector="other"), pattern("late", 900)]
    said = [verdict(f"f-{name}", name, "confirmed") for name in ("p3", "p1", "q", "r", "late")]
    await write(store, patterns=[*run, *elsewhere], feedback=said)
    assert await store.past.judged(run[0], START, START + 4 * SECOND_US) == ["p1", "p3"]


async def test_similar_findings_are_of_other_runs_the_nearest_first_and_judged_ones_stand_for_theirs(store: Store) -> None:
    now = pattern("now", 50_000, entity="a")
    own_run = [pattern(f"own{i}", 49_000 + i * 100, entity="a") for i in range(10)]
    same = [pattern(f"same{i}", 20_000 + i, entity="a", confidence=0.8 - i / 100) for i in range(5)]
    source = pattern("source", 30_000, entity="b")
    away = pattern("away", 40_000, source="t")
    unlike = [
        pattern("other-type", 1_000, type="anomaly"),
        pattern("other-kind", 2_000, kind="variance"),
        pattern("other-field", 3_000, contributors=[Contributor(field="z", score=1.0)]),
        pattern("other-detector", 4_000, source="t", detector="other"),
        pattern("later", 60_000, entity="a"),
    ]
    said = [
        verdict("f1", "same3", "false_positive"),
        verdict("f2", "source", "confirmed"),
        verdict("f3", "source", "undo", undoes="f2"),
        verdict("f4", "away", "note"),
    ]
    await write(store, patterns=[now, *own_run, *same, source, away, *unlike], feedback=said)
    found = await store.past.similar(now, 10)
    assert [(one.pattern.pattern_id, one.verdict) for one in found.patterns] == [
        ("same3", "false_positive"),
        ("source", None),
        ("away", None),
    ]
    assert found.verdicts == {"false_positive": 1, "": 2}
    short = await store.past.similar(now, 1)
    assert (len(short.patterns), short.verdicts) == (1, found.verdicts)
    before = await store.past.similar(now, 10, before_us=START + 25_000 * SECOND_US)
    assert [one.pattern.pattern_id for one in before.patterns] == ["same3"]


def changed(before: float | None, after: float | None, share: float = 1.0) -> Pattern:
    rest = [Contributor(field="y", score=1 - share)] if share < 1 else []
    return pattern("p", 0, contributors=[Contributor(field="x", score=share, before=before, after=after), *rest])


def test_likeness_is_of_fields_direction_size_detector_and_confidence() -> None:
    one = changed(1.0, 2.0)
    assert likeness(one, one) == pytest.approx(1.0)
    assert likeness(changed(0.0, 0.0), changed(0.0, 0.0)) == pytest.approx(1.0)
    larger, unknown, opposite = changed(1.0, 3.0), changed(None, 2.0), changed(2.0, 1.9)
    assert 1 > likeness(one, larger) > likeness(one, unknown) > likeness(one, opposite) > ALIKE
    assert likeness(one, changed(1.0, 2.0, share=0.3)) < ALIKE
    assert likeness(one, pattern("p", 0, contributors=[])) < ALIKE
    silent = pattern("p", 0, contributors=[])
    assert likeness(silent, silent) == pytest.approx(1.0)
    assert likeness(silent, pattern("p", 0, contributors=[], confidence=0.3)) == pytest.approx(0.925)
    assert likeness(silent, pattern("p", 0, contributors=[], detector="other")) == pytest.approx(0.85)


@pytest.mark.parametrize("text", EVIL)
async def test_hostile_text_is_text(store: Store, ask: Callable[[str], str], text: str) -> None:
    clean = event(1, 0, source=text, entity=text, **{text: 1.0})
    await write(store, clean=[clean], raw=[sent(clean)], patterns=[pattern("p", 0, source=text, entity=text)])
    at = START + SECOND_US
    assert [one.field for one in await store.past.fields(text, at)] == [text]
    assert len(await store.past.raw_around(text, text, at, 5, 5)) == 1
    assert len(await store.past.series(text, text, text, since_us=START, until_us=at, buckets=2)) == 1
    assert [one.source for one in await store.past.sources(START, at, 2)] == [text]
    assert len((await store.past.similar(pattern(text, 900, source=text, entity=text, detector=text), 5)).patterns) == 1
    with pytest.raises(StoreRejected):
        await store.past.raw_around(text, text, at, 5, 5, cursor=text)
    with pytest.raises(StoreRejected):
        await store.past.raw_around(text, text, at, 5, 5, cursor=f"1_{text}")
    assert ask("SELECT count() FROM pattern_events").strip() == "1"
