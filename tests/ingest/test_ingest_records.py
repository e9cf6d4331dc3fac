from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from qraft.ingest.records import RecordError, decode_json, event_time, lookup
from qraft.model import encode, iso_from_us, us_from_iso
from qraft.preprocess.times import parse_time


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2014-04-01 00:00:00", "2014-04-01T00:00:00.000000Z"),
        ("2014-04-01T02:00:00+02:00", "2014-04-01T00:00:00.000000Z"),
        ("2014-04-01T00:00:00.123456789Z", "2014-04-01T00:00:00.123456Z"),
        ("2014-04-01 00:00:00 UTC", "2014-04-01T00:00:00.000000Z"),
        (" 2014-04-01 ", "2014-04-01T00:00:00.000000Z"),
        ("20161007123000", "2016-10-07T12:30:00.000000Z"),
        ("1723161254087", "2024-08-08T23:54:14.087000Z"),
        (1723161254, "2024-08-08T23:54:14.000000Z"),
        (1723161254.087, "2024-08-08T23:54:14.087000Z"),
        ("1723161254.5", "2024-08-08T23:54:14.500000Z"),
        (1723161254087896, "2024-08-08T23:54:14.087896Z"),
        (1723161254087896568, "2024-08-08T23:54:14.087896Z"),
        (0, "1970-01-01T00:00:00.000000Z"),
        ("-1", "1969-12-31T23:59:59.000000Z"),
    ],
)
def test_event_time_takes_iso_and_epochs_by_magnitude(value: object, expected: str) -> None:
    assert event_time(value) == expected


@pytest.mark.parametrize(
    "value",
    [
        "",
        "noon",
        "2014/04/01",
        "nan",
        "inf",
        float("nan"),
        float("inf"),
        True,
        None,
        [],
        {},
        "2014-13-01",
        10**30,
        pytest.param("1" * 5000, id="long"),
    ],
)
def test_event_time_refuses_what_is_no_time(value: object) -> None:
    with pytest.raises(RecordError, match="not a time: "):
        event_time(value)


@given(st.integers(min_value=0, max_value=253_402_300_799_999_999))
def test_event_time_agrees_with_the_wire_form(time_us: int) -> None:
    text = iso_from_us(time_us)
    assert event_time(text) == text
    assert us_from_iso(event_time(text)) == time_us


@given(st.integers(min_value=0, max_value=10**18))
def test_event_time_agrees_with_preprocessing(number: int) -> None:
    try:
        expected = iso_from_us(parse_time(str(number)))
    except ValueError:
        with pytest.raises(RecordError):
            event_time(str(number))
    else:
        assert event_time(str(number)) == expected


def test_json_with_nan_becomes_null() -> None:
    assert decode_json(b'{"a": NaN, "b": [Infinity, -Infinity, 1], "c": 1e999}') == {
        "a": None,
        "b": [None, None, 1],
        "c": None,
    }


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b'{"a": 1', "not JSON"),
        (b"", "not JSON"),
        (b'{"a": 1} x', "not JSON"),
        (b'{"a": "\\ud800"}', "not JSON"),
        (b'{"a": "\xff"}', "not UTF-8: byte 0xff"),
        (b"\xff\xfe\x00", "not UTF-8"),
        (b"[" * 100_000 + b"]" * 100_000, "nested too deeply"),
        (b'{"a": 1' + b"0" * 5000 + b"}", "not JSON"),
    ],
)
def test_json_that_is_none_says_why(raw: bytes, reason: str) -> None:
    with pytest.raises(RecordError, match=reason):
        decode_json(raw)


@given(st.binary(max_size=200))
def test_any_bytes_give_json_that_can_be_sent_or_a_reason(raw: bytes) -> None:
    try:
        value = decode_json(raw)
    except RecordError:
        return
    encode(value)


def test_lookup_prefers_the_key_over_the_path() -> None:
    assert lookup({"a.b": 1, "a": {"b": 2}}, "a.b") == 1
    assert lookup({"a": {"b": {"c": 3}}}, "a.b.c") == 3
    assert lookup({"a": {"b": 2}}, "a.c") is None
    assert lookup({"a": 5}, "a.b") is None
    assert lookup([1], "a") is None
