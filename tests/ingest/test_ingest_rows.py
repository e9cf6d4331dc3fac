from __future__ import annotations

import csv
import io
import json

import pytest
from hypothesis import given, strategies as st

from qraft.ingest.base import SourceError
from qraft.ingest.records import KEPT_BYTES, MAX_RECORD_BYTES
from qraft.ingest.rows import Cursor, Format, Row, RowFormat, RowParser
from qraft.model import DeadLetter, Event, event_id

CSV = RowFormat("s", "f.csv", "csv")


def parse(data: bytes, form: RowFormat = CSV, cuts: tuple[int, ...] = ()) -> list[Row]:
    parser, rows, last = RowParser(form), [], 0
    for cut in (*sorted(cuts), len(data)):
        rows += parser.feed(data[last:cut]).rows
        last = cut
    return [*rows, *parser.finish().rows]


def payloads(rows: list[Row]) -> list[object]:
    return [row.payload if isinstance(row, Event) else row.original for row in rows]


def reasons(rows: list[Row]) -> list[str]:
    return [row.reason for row in rows if isinstance(row, DeadLetter)]


def test_a_row_keeps_its_columns_as_text() -> None:
    (row,) = parse(b"t,a,b\r\n2014-04-01 00:00:00,1.50, x\r\n", RowFormat("s", "f", "csv", time="t"))
    assert isinstance(row, Event)
    assert row.payload == {"t": "2014-04-01 00:00:00", "a": "1.50", "b": " x"}
    assert row.timestamp == "2014-04-01T00:00:00.000000Z"
    assert (row.source, row.type, row.meta["version"]) == ("s", "row", "1.0")


def test_ids_come_from_fingerprint_and_offset() -> None:
    data = b"a\n1\n\n22\n333"
    rows = parse(data)
    assert [row.meta["cursor"].split(":")[1:3] for row in rows if isinstance(row, Event)] == [
        ["4", "1"],
        ["8", "2"],
        ["11", "3"],
    ]
    fingerprint = rows[0].meta["cursor"].split(":")[0]  # type: ignore[union-attr]
    assert [row.event_id for row in rows if isinstance(row, Event)] == [
        event_id("s", f"{fingerprint}:{n}") for n in (2, 5, 8)
    ]
    other = parse(b"a\n2\n")
    assert other[0].meta["cursor"].split(":")[0] != fingerprint  # type: ignore[union-attr]


def test_quoted_fields() -> None:
    data = b'a;b\n"x;y";"say ""hi"""\n"two\nlines";2\n5" pipe;3\n'
    rows = parse(data, RowFormat("s", "f", "csv", delimiter=";"))
    assert payloads(rows) == [{"a": "x;y", "b": 'say "hi"'}, {"a": "two\nlines", "b": "2"}, {"a": '5" pipe', "b": "3"}]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"1", "1 column where the header has 2"),
        (b"1,2,3", "3 columns where the header has 2"),
        (b"\xff,2", "not UTF-8: byte 0xff"),
        (b'"x"y,2', "bad quoting"),
        (b'"x,2', "a quoted field is never closed"),
    ],
)
def test_a_broken_line_is_a_dead_letter_and_costs_no_other(line: bytes, reason: str) -> None:
    rows = parse(b"a,b\n1,1\n" + line + b"\n2,2\n3,3\n")
    assert payloads(rows) == [{"a": "1", "b": "1"}, line, {"a": "2", "b": "2"}, {"a": "3", "b": "3"}]
    assert reasons(rows)[0].startswith("f.csv, byte 8: ")
    assert reason in reasons(rows)[0]
    assert len({row.dead_id if isinstance(row, DeadLetter) else row.event_id for row in rows}) == 4


def test_a_quote_left_open_at_the_end_costs_its_line() -> None:
    assert payloads(parse(b'a,b\n"x,1\nsome,more,text\n5,6')) == [b'"x,1', b"some,more,text", {"a": "5", "b": "6"}]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"a": 1', "not JSON"),
        (b"[1]", "not a JSON object"),
        (b"17", "not a JSON object"),
        (b'{"a": 2}', 'has no "t" to take the time from'),
        (b'{"t": "soon"}', "not a time: 'soon'"),
    ],
)
def test_broken_ndjson(line: bytes, reason: str) -> None:
    rows = parse(b'{"t":1}\n' + line + b'\n{"t":2}\n', RowFormat("s", "f", "ndjson", time="t"))
    assert payloads(rows) == [{"t": 1}, line, {"t": 2}]
    assert reason in reasons(rows)[0]


def test_ndjson_time_at_a_path_and_a_mark_at_the_begin() -> None:
    (row,) = parse(b'\xef\xbb\xbf{"m": {"ts": 1700000000000}}', RowFormat("s", "f", "ndjson", time="m.ts"))
    assert isinstance(row, Event)
    assert row.timestamp == "2023-11-14T22:13:20.000000Z"


def test_row_numbers_as_time_count_rows_that_cannot_be_read() -> None:
    rows = parse(b"a,b\n1,1\nbroken\n2,2\n", RowFormat("s", "f", "csv", time="row"))
    assert [row.timestamp[17:19] for row in rows if isinstance(row, Event)] == ["00", "02"]
    (row,) = parse(b"row,b\n77,1\n", RowFormat("s", "f", "csv", time="row"))
    assert row.timestamp == "1970-01-01T00:01:17.000000Z"


def test_arrival_is_asked_for_each_row() -> None:
    ticks = iter((1_000_000, 2_000_000))
    rows = parse(b"a\n1\n2\n", RowFormat("s", "f", "csv", arrival=lambda: next(ticks)))
    assert [row.timestamp[17:19] for row in rows] == ["01", "02"]


def test_header_names_become_unique() -> None:
    assert payloads(parse(b"\xef\xbb\xbfa,a,, b \n1,2,3,4\n")) == [{"a": "1", "a_2": "2", "column_3": "3", "b": "4"}]


def test_a_missing_time_column_is_the_users_to_mend() -> None:
    with pytest.raises(SourceError, match=r'f\.csv: has no column "when" .* its columns are a, b'):
        parse(b"a,b\n1,2\n", RowFormat("s", "f.csv", "csv", time="when"))


def test_utf16_is_named() -> None:
    with pytest.raises(SourceError, match='is UTF-16; set encoding = "utf-16"'):
        parse("a,b\n1,2\n".encode("utf-16"))


@pytest.mark.parametrize("block", [KEPT_BYTES, MAX_RECORD_BYTES * 3])
def test_an_endless_line_is_cut_and_counted(block: int) -> None:
    long = b"x" * (MAX_RECORD_BYTES * 2)
    data = b"a\n1\n" + long + b"\n2\n"
    rows = parse(data, cuts=tuple(range(0, len(data), block)))
    assert payloads(rows) == [{"a": "1"}, long[:KEPT_BYTES], {"a": "2"}]
    assert "longer than 524288 bytes; the first 65536 are kept" in reasons(rows)[0]
    assert f":{len(data)}:3:" in rows[-1].meta["cursor"]  # type: ignore[union-attr]


def test_an_endless_line_at_the_end_and_in_an_open_quote() -> None:
    long = b"x" * (MAX_RECORD_BYTES + 1)
    data = b'a,b\n"1,1\n' + long
    rows = parse(data, cuts=tuple(range(0, len(data), KEPT_BYTES)))
    assert payloads(rows) == [b'"1,1', long[:KEPT_BYTES]]


# A text that holds a whole row on a line of its own is taken for that row: no commas where there are line breaks.
cells = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r,"), max_size=8),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r\n"), max_size=8),
)


@given(
    table=st.lists(st.tuples(cells, cells, cells), min_size=1, max_size=8),
    cuts=st.lists(st.integers(min_value=0, max_value=300), max_size=6).map(tuple),
)
def test_what_csv_writes_is_read_back_however_it_is_cut(table: list[tuple[str, str, str]], cuts: tuple[int, ...]) -> None:
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows([("a", "b", "c"), *table])
    data = text.getvalue().encode()
    rows = parse(data, cuts=tuple(cut for cut in cuts if cut < len(data)))
    assert rows == parse(data)
    assert payloads(rows) == [dict(zip("abc", row, strict=True)) for row in table]


lines = st.one_of(
    st.binary(max_size=12).map(lambda raw: raw.replace(b"\n", b"")),
    st.sampled_from([b"1,2", b'"a,1', b'x"', b'1,"y"', b"", b"\r", b'{"t":1}', b'{"t":', b"\xff,1", b'{"t":NaN}']),
)


@given(
    body=st.lists(lines, max_size=12),
    head=st.sampled_from([b"a,b", b'{"t":0}']),
    cuts=st.lists(st.integers(min_value=0, max_value=150), max_size=6).map(tuple),
    last=st.sampled_from([b"", b"\n"]),
)
def test_any_bytes_come_out_once_however_they_are_cut(
    body: list[bytes], head: bytes, cuts: tuple[int, ...], last: bytes
) -> None:
    kind: Format = "csv" if head == b"a,b" else "ndjson"
    data = b"\n".join([head, *body]) + last
    form = RowFormat("s", "f", kind)
    rows = parse(data, form, tuple(cut for cut in cuts if cut < len(data)))
    assert rows == parse(data, form)
    assert len({row.event_id if isinstance(row, Event) else row.dead_id for row in rows}) == len(rows)
    if kind == "ndjson":
        assert len(rows) == sum(1 for line in data.split(b"\n") if line.strip(b" \r"))


@given(
    body=st.lists(st.sampled_from([b"1,2", b'"x\ny",2', b"broken", b'"open,1', b"\xff,1", b""]), min_size=1, max_size=10),
    data=st.data(),
)
def test_resuming_behind_any_row_gives_the_rest(body: list[bytes], data: st.DataObject) -> None:
    text = b"\n".join([b"a,b", b"0,0", *body]) + b"\n"
    rows = parse(text)
    events = [number for number, row in enumerate(rows) if isinstance(row, Event)]
    stop = data.draw(st.sampled_from(events))
    last = rows[stop]
    assert isinstance(last, Event)
    cursor = Cursor.parse(last.meta["cursor"])
    assert cursor is not None
    parser = RowParser(CSV)
    parser.feed(text[:8])
    parser.seek(cursor)
    assert [*parser.feed(text[cursor.offset :]).rows, *parser.finish().rows] == rows[stop + 1 :]


@pytest.mark.parametrize("text", ["", "abc", "a:1", "a:b:c", "a:1:-1", "a:1:2:x", "a:1:2:123456789", "a:١:x"])
def test_a_cursor_of_another_kind_is_none(text: str) -> None:
    assert Cursor.parse(text) is None


def test_a_cursor_comes_back() -> None:
    for cursor in (Cursor("ab", 3, 4), Cursor("ab-cd.2", 3, 4, "0f"), Cursor("ab", 3, 4, "", "a: b/ü.csv")):
        assert Cursor.parse(str(cursor)) == cursor


def test_cut_off_hands_over_the_rest() -> None:
    parser = RowParser(CSV)
    parser.feed(b'a,b\n1,2\n"x,1\nhal')
    assert payloads(parser.cut_off("gone").rows) == [b'"x,1\nhal']
    assert parser.cut_off("gone").rows == []


def test_row_bytes_are_near_the_wire() -> None:
    block = RowParser(CSV).feed(b"alpha,beta\n" + b"1.25,2.5\n" * 100)
    wire = len(json.dumps({"alpha": "1.25", "beta": "2.5"}))
    assert wire + 200 < block.row_bytes < wire + 400
