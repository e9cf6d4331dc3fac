from __future__ import annotations

from typing import Any

import msgspec
import pytest

from qraft.config.sources import SourceSettings
from qraft.model import CleanEvent, DeadLetter, Event, decode_event, iso_from_us
from qraft.preprocess import Cleaner, Rejected
from qraft.preprocess.cleaner import REMEMBERED_IDS

SECOND = 1_000_000
START = 1_700_000_000 * SECOND


def make(payload: Any, event_id: str = "e", at: int = START) -> Event:
    return Event(event_id=event_id, source="s", type="t", timestamp=iso_from_us(at), payload=payload)


def cleaner(**settings: Any) -> Cleaner:
    return Cleaner("s", SourceSettings(**settings))


def test_an_event_becomes_a_row() -> None:
    clean = cleaner(entity="symbol", time="data.E").take(
        make({"symbol": "BTC", "data": {"E": START // 1000 + 5, "p": "1.5", "n": 3}})
    )
    assert clean == CleanEvent(
        event_id="e", source="s", entity="BTC", time_us=START + 5000, fields={"data.p": 1.5, "data.n": 3.0}
    )


@pytest.mark.parametrize(
    ("value", "entity"),
    [("x", "x"), (7, "7"), (1.5, "1.5"), (True, "True"), (None, ""), (10**400, ""), ([1], ""), ("y" * 999, "y" * 256)],
)
def test_entities_are_text(value: object, entity: str) -> None:
    clean = cleaner(entity="who").take(make({"who": value, "x": 1}))
    assert isinstance(clean, CleanEvent)
    assert clean.entity == entity
    assert clean.fields == {"x": 1.0}


@pytest.mark.parametrize(
    ("payload", "settings", "reason"),
    [
        ([1, 2], {}, "not an object"),
        ("text", {}, "not an object"),
        ({}, {}, "no numeric field"),
        ({"msg": "subscribed"}, {}, "no numeric field"),
        ({"x": 1}, {"time": "ts"}, "no time field 'ts'"),
        ({"x": 1, "ts": "soon"}, {"time": "ts"}, "'soon' is neither"),
        ({"x": 1}, {"fields": ["price", "size"]}, "none of the watched fields (price, size)"),
        ({"ts": 5}, {"time": "ts"}, "no numeric field"),
    ],
)
def test_unusable_events_are_dead_letters(payload: Any, settings: dict[str, Any], reason: str) -> None:
    event = make(payload)
    dead = cleaner(**settings).take(event)
    assert isinstance(dead, DeadLetter)
    assert reason in dead.reason
    assert dead.stage == "preprocess"
    assert dead.timestamp == event.timestamp
    assert msgspec.json.decode(dead.original) == msgspec.to_builtins(event)
    assert dead == cleaner(**settings).take(event)


def test_an_unreadable_timestamp_is_a_dead_letter_with_a_time() -> None:
    dead = cleaner().take(msgspec.structs.replace(make({"x": 1}), timestamp="never"))
    assert isinstance(dead, DeadLetter)
    assert "timestamp" in dead.reason
    assert dead.timestamp == "1970-01-01T00:00:00.000000Z"
    assert decode_event(dead.original).payload == {"x": 1}


def test_a_gap_is_no_dead_letter() -> None:
    for payload in ({"x": None}, {"x": ""}, {"x": float("nan")}, {"x": 1e200}):
        clean = cleaner().take(make(payload))
        assert isinstance(clean, CleanEvent)
        assert clean.fields == {}


def test_what_time_and_id_were_taken_from_is_no_measurement() -> None:
    event = make({"ts": START // SECOND, "seq": 7, "x": 1.5, "y": 2})
    for unmeasured, seen in (
        (["ts", "seq"], {"x", "y"}),
        (["ts", 3, None], {"seq", "x", "y"}),
        ("ts", {"ts", "seq", "x", "y"}),
    ):
        clean = cleaner().take(msgspec.structs.replace(event, meta={"version": "1.0", "unmeasured": unmeasured}))
        assert isinstance(clean, CleanEvent)
        assert set(clean.fields) == seen
    named = msgspec.structs.replace(event, meta={"version": "1.0", "unmeasured": ["ts", "seq"]})
    clean = cleaner(fields=["seq"]).take(named)
    assert isinstance(clean, CleanEvent)
    assert set(clean.fields) == {"seq"}, "what the operator asks for is watched"


def test_dropped_fields_are_counted() -> None:
    cleaning = cleaner()
    for at, value in enumerate((1.0, float("inf"), "nan", 2.0)):
        cleaning.take(make({"x": value, "y": 1}, str(at)))
    assert cleaning.dropped == 2


def test_repeats_are_found_within_a_bounded_memory() -> None:
    cleaning = cleaner()
    assert isinstance(cleaning.take(make({"x": 1}, "first")), CleanEvent)
    assert cleaning.take(make({"x": 1}, "first")) is Rejected.DUPLICATE
    for at in range(REMEMBERED_IDS - 1):
        assert isinstance(cleaning.take(make({"x": 1}, str(at))), CleanEvent)
    assert cleaning.take(make({"x": 1}, "first")) is Rejected.DUPLICATE
    cleaning.take(make({"x": 1}, "one more"))
    assert isinstance(cleaning.take(make({"x": 1}, "first")), CleanEvent)


def test_late_events_are_set_aside() -> None:
    cleaning = cleaner(allowed_lateness_seconds=10.0)
    for at, seconds in enumerate((0, 100, 101, 95, 91)):
        assert isinstance(cleaning.take(make({"x": 1}, str(at), START + seconds * SECOND)), CleanEvent)
    assert cleaning.take(make({"x": 1}, "late", START + 89 * SECOND)) is Rejected.LATE
    assert cleaning.take(make({"x": 1}, "late", START + 200 * SECOND)) is Rejected.DUPLICATE


def test_one_event_from_the_future_does_not_make_the_rest_late() -> None:
    cleaning = cleaner(allowed_lateness_seconds=10.0)
    cleaning.take(make({"x": 1}, "a", START))
    cleaning.take(make({"x": 1}, "crazy", START + 10**15))
    for at in range(1000):
        assert isinstance(cleaning.take(make({"x": 1}, str(at), START + at * SECOND)), CleanEvent)
    assert cleaning.take(make({"x": 1}, "late", START + 5 * SECOND)) is Rejected.LATE


def test_state_comes_back() -> None:
    one = cleaner(allowed_lateness_seconds=10.0)
    for at in range(100):
        one.take(make({"x": float("nan"), "y": 1}, str(at), START + at * SECOND))
    other = cleaner(allowed_lateness_seconds=10.0)
    other.load(one.state())
    assert other.dropped == 100
    assert other.take(make({"x": 1}, "50")) is Rejected.DUPLICATE
    assert other.take(make({"x": 1}, "new", START + 80 * SECOND)) is Rejected.LATE
    assert other.state()["watermark"] == one.state()["watermark"]


def test_the_row_number_stands_in_for_a_time_field() -> None:
    clean = cleaner(time="row").take(make({"x": 1}))
    assert isinstance(clean, CleanEvent)
    other = cleaner(time="row").take(make({"x": 1, "row": 7}))
    assert isinstance(other, CleanEvent)
    assert other.time_us == 7_000_000
