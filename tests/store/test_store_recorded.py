"""Those who look back: a source's events in the order in which they came, ids by their begin."""

from __future__ import annotations

import pytest

from qraft.model import Details, Event, Pattern, event_id, iso_from_us
from qraft.store import Block, RawRow, Store

START_US = 1_900_000_000_000_000


def event(source: str, number: int, time: int | None = None) -> Event:
    return Event(
        event_id=event_id(source, str(number)),
        source=source,
        type="row",
        timestamp=iso_from_us(START_US + (number if time is None else time) * 1_000_000),
        payload={"v": number / 2, "text": "größer"},
        meta={"version": "1.0", "cursor": str(number)},
    )


def pattern(name: str) -> Pattern:
    return Pattern(
        pattern_id=name,
        type="drift",
        timestamp=iso_from_us(START_US),
        source="a",
        details=Details(prev_state={}, new_state={}, metrics={}, confidence=0.9),
        contributors=[],
    )


async def test_events_come_back_whole_and_in_the_order_in_which_they_came(store: Store) -> None:
    events = [event("a", 0), event("a", 1, time=9), event("a", 2), event("b", 3), event("a", 4)]
    rows = [RawRow(one, 0, sequence, START_US + sequence * 1000) for sequence, one in enumerate(events)]
    await store.write(Block("t:0:1-9", START_US, raw=rows))
    own = [one for one in events if one.source == "a"]
    assert await store.recorded.events("a", 100) == own
    assert await store.recorded.events("a", 2) == own[-2:]
    assert await store.recorded.events("a", 0) == []
    assert await store.recorded.events("nobody", 100) == []


async def test_events_of_one_message_are_in_its_order(store: Store) -> None:
    events = [event("a", number) for number in reversed(range(20))]
    rows = [RawRow(one, 0, 7, START_US) for one in events]
    await store.write(Block("t:0:7-7", START_US, raw=rows))
    assert await store.recorded.events("a", 100) == events


async def test_ids_by_their_begin(store: Store) -> None:
    await store.write(Block("t:0:1-1", START_US, patterns=[pattern(name) for name in ("aa1", "aa2", "ab1", "a%")]))
    assert await store.recorded.pattern_ids("aa", 10) == ["aa1", "aa2"]
    assert await store.recorded.pattern_ids("a%", 10) == ["a%"]
    assert await store.recorded.pattern_ids("", 3) == ["a%", "aa1", "aa2"]


@pytest.mark.parametrize("prefix", ["'; DROP TABLE pattern_events; --", "\\", "{prefix:String}", "🦀", "\0"])
async def test_a_hostile_prefix_is_only_text(store: Store, prefix: str) -> None:
    await store.write(Block("t:0:1-1", START_US, patterns=[pattern("aa1")]))
    assert await store.recorded.pattern_ids(prefix, 3) == []
    assert await store.recorded.pattern_ids("aa", 3) == ["aa1"]
