from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, strategies as st

from qraft.model import iso_from_us, us_from_datetime
from qraft.preprocess.times import EARLIEST_US, LATEST_US, parse_time

MOMENT = 1_700_000_000_123_456


@pytest.mark.parametrize(
    "value",
    [
        "2023-11-14T22:13:20.123456Z",
        "2023-11-14T22:13:20.123456+00:00",
        "2023-11-15T00:13:20.123456+02:00",
        "2023-11-14 22:13:20.123456",
        "2023-11-14 22:13:20.123456 UTC",
        " 2023-11-14T17:13:20.123456-05:00 ",
        "20231114T221320.123456Z",
        1_700_000_000_123_456,
        "1700000000123456",
        1_700_000_000.123456,
        "1700000000.123456",
        1_700_000_000_123_456_000,
        1_700_000_000_123.456,
    ],
)
def test_one_moment_in_many_forms(value: object) -> None:
    assert parse_time(value) == pytest.approx(MOMENT, abs=1)


@pytest.mark.parametrize(
    ("value", "micros"),
    [
        (0, 0),
        (12, 12_000_000),
        ("12.5", 12_500_000),
        (-1, -1_000_000),
        (1_700_000_000, 1_700_000_000_000_000),
        (1_700_000_000_000, 1_700_000_000_000_000),
        ("20161007123000", us_from_datetime(datetime(2016, 10, 7, 12, 30, tzinfo=UTC))),
        ("2016-10-07", us_from_datetime(datetime(2016, 10, 7, tzinfo=UTC))),
    ],
)
def test_magnitude_tells_the_unit(value: object, micros: int) -> None:
    assert parse_time(value) == micros


@pytest.mark.parametrize(
    "value",
    [
        "",
        "  ",
        "yesterday",
        "2023-13-01",
        "2023-02-30T00:00:00Z",
        "20161399000000",
        "1_000",
        "0x10",
        True,
        None,
        [],
        {},
        float("nan"),
        float("inf"),
        "nan",
        -3e20,
        3e20,
        10**400,
        "١٢",
    ],
)
def test_what_is_no_time(value: object) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        parse_time(value)


@given(st.datetimes(min_value=datetime(1900, 1, 1), max_value=datetime(2200, 1, 1)), st.integers(-14 * 60, 14 * 60))  # noqa: DTZ001 zones come from the offset
def test_any_offset_is_the_same_moment(naive: datetime, minutes: int) -> None:
    local = naive.replace(tzinfo=UTC).astimezone(timezone(timedelta(minutes=minutes)))
    assert parse_time(local.isoformat()) == us_from_datetime(naive)


@given(st.integers(EARLIEST_US, LATEST_US))
def test_what_the_project_writes_it_reads(micros: int) -> None:
    assert parse_time(iso_from_us(micros)) == micros
