from __future__ import annotations

from itertools import count
from typing import Any

import pytest
from hypothesis import given, strategies as st

from qraft.ingest import SourceError
from qraft.ingest.lines import Lines, LineSettings
from qraft.model import DeadLetter, Event

CSV = b'\xef\xbb\xbf\na,b\n1,2\n3,"x\ny"\n4\n5,6'
NDJSON = b'{"a": 1}\nnope\n{"a": 2}\n'
NUMBERS = b"1\n 2.5 \r\n\nno\n-3e4\n1_0\n\xff\n7"


def lines(**settings: Any) -> Lines:
    ticks = count(1_700_000_000_000_000)
    found = Lines(LineSettings(source="x", run="r", arrival=lambda: next(ticks), **settings))
    found.begin("stdin")
    return found


def read(data: bytes, size: int = 10**6, **settings: Any) -> list[Any]:
    reader, rows = lines(**settings), []
    for start in range(0, len(data), size):
        rows += reader.feed(data[start : start + size])
    return rows + reader.finish()


def payloads(rows: list[Any]) -> list[Any]:
    return [row.payload if isinstance(row, Event) else row.original for row in rows]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (CSV, [{"a": "1", "b": "2"}, {"a": "3", "b": "x\ny"}, b"4", {"a": "5", "b": "6"}]),
        (NDJSON, [{"a": 1}, b"nope", {"a": 2}]),
        (NUMBERS, [{"value": "1"}, {"value": "2.5"}, b"no", {"value": "-3e4"}, b"1_0", b"\xff", {"value": "7"}]),
        (b'{"a": 1}', [{"a": 1}]),
        (b"42", [{"value": "42"}]),
        (b"temperature\n1\n2\n", [{"temperature": "1"}, {"temperature": "2"}]),
        (b"", []),
        (b"\n\n", []),
    ],
)
def test_the_first_line_says_the_format(data: bytes, expected: list[Any]) -> None:
    assert payloads(read(data)) == expected


@pytest.mark.parametrize("data", [CSV, NDJSON, NUMBERS])
@given(size=st.integers(1, 40))
def test_any_cut_of_the_input_gives_the_same_rows_and_ids(data: bytes, size: int) -> None:
    def whole(rows: list[Any]) -> list[Any]:
        return [(row.event_id if isinstance(row, Event) else row.dead_id) for row in rows] + payloads(rows)

    assert whole(read(data, size)) == whole(read(data))


def test_ids_are_of_the_run_or_of_a_field() -> None:
    first, second = read(b'{"a": 1}\n{"a": 1}\n')
    assert first.event_id != second.event_id
    assert first.meta == {"version": "1.0"}
    first, second, dead = read(b'{"a": 1}\n{"a": 1}\n{"b": 1}\n', id="a")
    assert first.event_id == second.event_id == read(b'{"a": 1}', id="a")[0].event_id
    assert isinstance(dead, DeadLetter)
    assert dead.reason == 'stdin: has no "a" to take the id from'


def test_every_input_has_a_format_and_a_header_of_its_own() -> None:
    reader = lines(delimiter="\t")
    rows = reader.feed(b"a\tb\n1\t2\n") + reader.finish()
    reader.begin("other")
    rows += reader.feed(b'{"c": 3}') + reader.finish()
    assert payloads(rows) == [{"a": "1", "b": "2"}, {"c": 3}]
    assert len({row.event_id for row in rows}) == 2


def test_event_time_from_a_field() -> None:
    (row,) = read(b"t,a\n1700000000,1\n", time="t")
    assert row.meta["unmeasured"] == ["t"]
    assert row.timestamp == "2023-11-14T22:13:20.000000Z"
    with pytest.raises(SourceError, match='has no column "when"'):
        read(b"t,a\n1,1\n", time="when")


def test_what_is_no_header_is_told() -> None:
    with pytest.raises(SourceError, match="holds no column names"):
        read(b"1,2.5\n3,4\n")
    with pytest.raises(SourceError, match="one JSON object a line"):
        read(b'[{"a": 1}]\n')
    assert payloads(read(b"1,2\n3,4\n", format="csv")) == [{"1": "3", "2": "4"}]


@pytest.mark.parametrize("data", [b"a,b\n1,", b'{"a": 1}\n{"a"', b"1\n2"])
def test_a_line_cut_off_is_no_row(data: bytes) -> None:
    reader = lines()
    rows = reader.feed(data) + reader.cut_off("ended within its line")
    assert isinstance(rows[-1], DeadLetter)
    assert "ended within its line" in rows[-1].reason
    assert reader.cut_off("again") == []


def test_a_line_without_end_is_not_held() -> None:
    reader, rows = lines(format="text"), []
    for _ in range(10):
        rows += reader.feed(b"9" * 100_000)
    assert rows
    assert all(isinstance(row, DeadLetter) and len(row.original) < 100_000 for row in rows)
    assert payloads(lines().feed(b"x" * 100_000)) == []
