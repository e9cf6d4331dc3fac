from __future__ import annotations

import datetime as dt
import gzip
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import given, strategies as st

from qraft.ingest.base import SourceError
from qraft.ingest.file_json import JsonParser
from qraft.ingest.file_maker import Row, RowFormat
from qraft.ingest.files import format_of, read_rows
from qraft.ingest.records import KEPT_BYTES, MAX_RECORD_BYTES
from qraft.model import DeadLetter, Event, event_id


def rows_of(path: Path, data: bytes, **given: Any) -> list[Row]:
    """The rows; reading resumes behind each of them with the same ids."""
    path.write_bytes(data)
    rows = list(read_rows(path, "s", **given))
    for number, row in enumerate(rows):
        if isinstance(row, Event):
            rest = read_rows(path, "s", start=row.meta["cursor"], **given)
            assert list(map(identity, rest)) == list(map(identity, rows[number + 1 :]))
    return rows


def identity(row: Row) -> str:
    return row.event_id if isinstance(row, Event) else row.dead_id


def shown(rows: list[Row]) -> list[object]:
    return [row.payload if isinstance(row, Event) else row.original for row in rows]


@pytest.mark.parametrize(
    ("data", "record", "expected"),
    [
        (b'[{"a":1},{"a":"x]},[\\"{"} ,\n{"a":3}]\n', "", [{"a": 1}, {"a": 'x]},["{'}, {"a": 3}]),
        (b'\xef\xbb\xbf {"a":1}', "", [{"a": 1}]),
        (b'{"a":1}\n{"a":2}', "", [{"a": 1}, {"a": 2}]),
        (b"[]", "", []),
        (b"", "", []),
        (b'[1,"x",{"a":2},[3]]', "", [b"1", b'"x"', {"a": 2}, b"[3]"]),
        (b'[{"a":1},{"a":', "", [{"a": 1}, b'{"a":']),
        (b'[{"a":1}', "", [{"a": 1}, b""]),
        (b'{"m":{"n":[5],"rows":[{"a":1},{"a":2}]},"z":[{"a":9}]}', "m.rows", [{"a": 1}, {"a": 2}]),
        (b'{"rows":{"m":1},"m":{"x":[1,{"rows":[9]}],"rows":[{"a":1}]}}', "m.rows", [{"a": 1}]),
        (b'{"m.rows":[{"a":1}]}', "m.rows", [{"a": 1}]),
        (b'{"m":{"rows":{"a":7},"k":2}}', "m.rows", [{"a": 7}]),
    ],
)
def test_the_rows_of_a_json_file(tmp_path: Path, data: bytes, record: str, expected: list[object]) -> None:
    assert shown(rows_of(tmp_path / "a.json", data, record=record)) == expected


@pytest.mark.parametrize(
    ("data", "record", "said"),
    [(b'{"m":{"row":[]}}', "m.rows", 'no array or object at record = "m.rows"'), (b"hello", "", "not JSON")],
)
def test_a_json_file_without_rows_is_named(tmp_path: Path, data: bytes, record: str, said: str) -> None:
    with pytest.raises(SourceError, match=said):
        rows_of(tmp_path / "a.json", data, record=record)


values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text('ab"\\[]{},:\u00e9\n', max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text('a"\\]', max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(
    table=st.lists(st.dictionaries(st.sampled_from("abc"), values, max_size=3), max_size=5),
    indent=st.sampled_from([None, 1]),
    cuts=st.lists(st.integers(0, 400), max_size=8),
    below=st.booleans(),
)
def test_what_json_writes_is_read_back_however_it_is_cut(
    table: list[dict[str, Any]], indent: int | None, cuts: list[int], below: bool
) -> None:
    data = json.dumps({"k": {"j": [1]}, "r": table, "z": 0} if below else table, indent=indent).encode()
    parser = JsonParser(RowFormat("s", "f", "json", record="r" if below else ""))
    rows: list[Row] = []
    last = 0
    for cut in [*sorted(cut for cut in cuts if cut < len(data)), len(data)]:
        rows += parser.feed(data[last:cut]).rows
        last = cut
    assert shown([*rows, *parser.finish().rows]) == table


def test_an_endless_element_is_cut_and_costs_no_other(tmp_path: Path) -> None:
    long = b'{"a":"' + b"x" * (2 * MAX_RECORD_BYTES) + b'"}'
    rows = rows_of(tmp_path / "a.json", b'[{"a":1},' + long + b',{"a":2}]')
    assert shown(rows) == [{"a": 1}, long[:KEPT_BYTES], {"a": 2}]


TABLE = {
    "t": pa.array(
        [dt.datetime(2024, 1, 1, 0, 0, n, tzinfo=dt.UTC) for n in range(5)], pa.timestamp("ns", tz="Europe/Berlin")
    ),
    "x": pa.array([1.5, None, 2.5, 3.5, 4.5]),
    "day": pa.array([dt.date(2024, 1, 1)] * 5),
    "cost": pa.array([Decimal("1.20")] * 5),
    "raw": pa.array([b"\xff", b"ok", None, b"", b"a"]),
    "kind": pa.array(["p", "q", "p", "p", "q"]).dictionary_encode(),
    "tags": pa.array([[1], [2], None, [], [3]]),
}


def test_parquet_comes_row_by_row_as_json_has_it(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table(TABLE), path, row_group_size=2)
    rows = rows_of(path, path.read_bytes(), time="t")
    assert [row.timestamp[17:19] for row in rows] == ["00", "01", "02", "03", "04"]
    assert isinstance(rows[0], Event)
    assert rows[0].payload == {
        "t": "2024-01-01T00:00:00.000000Z",
        "x": 1.5,
        "day": "2024-01-01",
        "cost": 1.2,
        "raw": "ff",
        "kind": "p",
        "tags": [1],
    }
    assert rows[0].event_id == event_id("s", rows[0].meta["cursor"].split(":")[0] + ":0")


def test_a_parquet_file_that_is_none_or_lacks_the_time(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(b"no")
    with pytest.raises(SourceError, match="cannot be read as Parquet"):
        list(read_rows(tmp_path / "a.parquet", "s"))
    pq.write_table(pa.table(TABLE), tmp_path / "a.parquet")
    with pytest.raises(SourceError, match='has no column "when"'):
        list(read_rows(tmp_path / "a.parquet", "s", time="when"))
    with pytest.raises(SourceError, match="no such file"):
        list(read_rows(tmp_path / "b.parquet", "s"))


ROWS = b"a,b\n" + b"".join(b"%d,%d\n" % (n, n * n) for n in range(2000))


@pytest.mark.parametrize("name", ["a.csv.gz", "a.csv.zst", "a.csv"])
def test_packed_files_of_several_parts_have_the_ids_of_plain_ones(tmp_path: Path, name: str) -> None:
    pack = gzip.compress if name.endswith("gz") else zstandard.ZstdCompressor().compress
    plain = tmp_path / "plain.csv"
    plain.write_bytes(ROWS)
    (tmp_path / name).write_bytes(pack(ROWS[:17]) + pack(b"") + pack(ROWS[17:]))
    expected = list(map(identity, read_rows(plain, "s")))
    assert list(map(identity, read_rows(tmp_path / name, "s"))) == expected
    middle = list(read_rows(plain, "s"))[1200]
    assert isinstance(middle, Event)
    rest = read_rows(tmp_path / name, "s", start=middle.meta["cursor"])
    assert list(map(identity, rest)) == expected[1201:]


def test_a_zstd_file_that_breaks_off_gives_its_rows_first(tmp_path: Path) -> None:
    pack = zstandard.ZstdCompressor().compress
    (tmp_path / "a.csv.zst").write_bytes(pack(ROWS) + pack(ROWS)[:40])
    rows: list[Row] = []
    with pytest.raises(SourceError, match="its zstd data break off after"):
        rows.extend(read_rows(tmp_path / "a.csv.zst", "s"))
    assert len(rows) == 2000


def test_a_tsv_file_has_tabs(tmp_path: Path) -> None:
    assert shown(rows_of(tmp_path / "a.tsv", b"a\tb\n1,5\t2\n")) == [{"a": "1,5", "b": "2"}]
    assert shown(rows_of(tmp_path / "b.tsv", b"a;b\n1;2\n", delimiter=";")) == [{"a": "1", "b": "2"}]
    assert format_of(Path("a.tsv.zst"), "auto") == "csv"


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "gb18030", "utf-16", "utf-16-le", "utf-32", "utf-8-sig"])
@pytest.mark.parametrize("name", ["a.csv", "a.ndjson", "a.json"])
def test_encodings(tmp_path: Path, encoding: str, name: str) -> None:
    table = [{"é": str(n), "b": 'ü"x'} for n in range(50)]
    text = {
        "a.csv": "é,b\n" + "".join(f'{row["é"]},"ü""x"\n' for row in table),
        "a.ndjson": "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in table),
        "a.json": json.dumps(table, ensure_ascii=False),
    }[name]
    assert shown(rows_of(tmp_path / name, text.encode(encoding), encoding=encoding)) == table


def test_an_encoding_fault_costs_its_line(tmp_path: Path) -> None:
    rows = rows_of(tmp_path / "a.csv", b"a,b\n1,\x81\n2,3\n", encoding="cp1252")
    assert shown(rows) == [b"1,\x81", {"a": "2", "b": "3"}]
    assert isinstance(rows[0], DeadLetter)
    assert "not cp1252: byte 0x81" in rows[0].reason
    broken = "a,b\n1,2\n".encode("utf-16-le") + b"\x00\xd8" + "x,3\n4,5\n".encode("utf-16-le") + b"6"
    rows = rows_of(tmp_path / "b.csv", broken, encoding="utf-16-le")
    assert [row.payload["a"] if isinstance(row, Event) else "dead" for row in rows] == ["1", "dead", "4", "dead"]
