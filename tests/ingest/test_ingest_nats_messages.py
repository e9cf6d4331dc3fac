from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, strategies as st

from qraft.config.sources import NatsSource
from qraft.ingest.nats_messages import RELAYED, Message, MessageReader
from qraft.model import DeadLetter, Event, encode

ARRIVED = 1_700_000_000_000_000


def read(data: bytes, subject: str = "ticks.BTC.bid", headers: dict[str, str] | None = None, **settings: Any) -> list[Any]:
    source = NatsSource(adapter="nats", url="nats://h", subject=">", **settings)
    return MessageReader("n", source, lambda: ARRIVED).items(Message(subject, data, headers or {}, "7", ARRIVED, "s:7"))


def payloads(items: list[Any]) -> list[dict[str, Any]]:
    assert all(isinstance(item, Event) for item in items), items
    return [item.payload for item in items]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b'{"a": 1}', [{"a": 1}]),
        (b'\n{"a": 1}\n{"a": 2}\r\n\n', [{"a": 1}, {"a": 2}]),
        (b'{\n "a": 1\n}', [{"a": 1}]),
        (b'[{"a": 1}, {"a": 2}]', [{"a": 1}, {"a": 2}]),
        (b'[{"a": 1}]\n[{"a": 2}]', [{"a": 1}, {"a": 2}]),
        (b'{"a": NaN}', [{"a": None}]),
        (b"  \n", []),
    ],
)
def test_each_form_of_json(data: bytes, expected: list[dict[str, Any]]) -> None:
    items = read(data)
    assert payloads(items) == expected
    assert len({item.event_id for item in items}) == len(items)
    assert [item.meta["cursor"] for item in items] == [f"s:7:{n}" for n in range(1, len(items) + 1)]
    assert read(data) == items


def test_a_broken_line_costs_itself_only() -> None:
    first, broken, last = read(b'{"a": 1}\n{"a": \n{"a": 3}')
    assert (first.payload, last.payload) == ({"a": 1}, {"a": 3})
    assert isinstance(broken, DeadLetter)
    assert broken.original == b'{"a": '
    assert "message on ticks.BTC.bid: not JSON" in broken.reason


@pytest.mark.parametrize("data", [b"12.5", b'"text"', b"[1, 2]", b"\xff\xfe", b"null"])
def test_what_is_no_object_is_a_dead_letter(data: bytes) -> None:
    items = read(data)
    assert items
    assert all(isinstance(item, DeadLetter) for item in items)


def test_plain_values_where_the_settings_say_so() -> None:
    assert 'format = "value"' in read(b"12.5")[0].reason
    assert payloads(read(b" 12.5\n13\n", format="value")) == [{"value": "12.5"}, {"value": "13"}]
    assert isinstance(read(b"\xff", format="value")[0], DeadLetter)


def test_the_record_and_its_time_around_it() -> None:
    data = b'{"ts": 1700000000, "data": {"rows": [{"p": 1}, {"p": 2, "ts": 1700000001}, 5]}}'
    first, second, third = read(data, record="data.rows", time="ts")
    assert (first.payload, second.payload) == ({"p": 1, "ts": 1700000000}, {"p": 2, "ts": 1700000001})
    assert [e.timestamp for e in (first, second)] == ["2023-11-14T22:13:20.000000Z", "2023-11-14T22:13:21.000000Z"]
    assert third.reason.endswith('"data.rows" is not a JSON object')
    assert read(b'{"x": 1}', record="data")[0].reason.endswith('has no "data"')
    assert read(b'{"x": 1}', time="ts")[0].reason.endswith('has no "ts" to take the time from')


def test_time_from_a_header_else_from_the_arrival() -> None:
    headers = {"Sent": "2024-01-02T03:04:05Z"}
    assert read(b'{"a":1}', headers=headers, time_header="Sent")[0].timestamp == "2024-01-02T03:04:05.000000Z"
    assert read(b'{"a":1}', time_header="Sent")[0].timestamp == "2023-11-14T22:13:20.000000Z"
    assert isinstance(read(b'{"a":1}', headers={"Sent": "soon"}, time_header="Sent")[0], DeadLetter)


def test_fields_from_the_subject() -> None:
    wanted = {"symbol": 2, "subject": 0, "absent": 9}
    assert payloads(read(b'{"a": 1, "symbol": "x"}', subject_fields=wanted)) == [
        {"a": 1, "symbol": "BTC", "subject": "ticks.BTC.bid"}
    ]


def test_a_qraft_event_is_taken_apart_once() -> None:
    stamp = "2024-01-02T03:04:05.000000Z"
    event = Event(event_id="x-1", source="theirs", type="trade", timestamp=stamp, payload={"p": 1})
    (taken,) = read(encode(event))
    assert (taken.source, taken.type, taken.timestamp, taken.payload) == ("n", "trade", stamp, {"p": 1})
    assert taken.meta[RELAYED] == "theirs"
    assert read(b"\n" + encode(event) + b"\n", subject="elsewhere")[0].event_id == taken.event_id != event.event_id
    assert read(encode(taken)) == []
    assert isinstance(read(encode(msgspec.structs.replace(event, timestamp="soon")))[0], DeadLetter)


def test_a_record_too_long_for_the_bus_is_a_dead_letter() -> None:
    data = json.dumps([{"a": 1}, {"a": "x" * 600_000}]).encode()
    first, second = read(data)
    assert first.payload == {"a": 1}
    assert isinstance(second, DeadLetter)
    assert len(second.original) < 100_000


@given(st.binary(max_size=60) | st.lists(st.sampled_from([b'{"a":1}', b"[", b"1", b"\n", b"{}", b"]", b","])).map(b"".join))
def test_any_bytes_become_events_or_dead_letters(data: bytes) -> None:
    for settings in ({}, {"format": "value"}, {"record": "a"}):
        assert all(isinstance(item, Event | DeadLetter) for item in read(data, **settings))
