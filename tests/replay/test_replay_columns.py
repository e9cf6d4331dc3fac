import gzip
from pathlib import Path

import pytest

from qraft.replay.columns import check_columns, read_columns
from qraft.replay.errors import ReplayError
from qraft.replay.inputs import Input, find_inputs

CSV = b"datetime,Current,Volume Flow\n2026-01-01,1,2\n"
NDJSON = b'{"at":{"ms":1},"v":1}\n{"at":{"ms":2},"w":1}\n'


def one(tmp_path: Path, name: str, data: bytes) -> Input:
    (tmp_path / name).write_bytes(data)
    return find_inputs([tmp_path / name], tmp_path / "out")[0]


@pytest.mark.parametrize("packed", [False, True])
def test_columns_of_csv(tmp_path: Path, packed: bool) -> None:
    file = one(tmp_path, "a.csv.gz" if packed else "a.csv", gzip.compress(CSV) if packed else CSV)
    columns = read_columns(file, ",")
    assert columns.names == ("datetime", "Current", "Volume Flow")
    assert columns.csv
    check_columns(file, columns, "datetime", ["Current", "Volume Flow"])
    check_columns(file, columns, "row", [])


def test_columns_of_ndjson(tmp_path: Path) -> None:
    file = one(tmp_path, "a.ndjson", NDJSON)
    columns = read_columns(file, ",")
    assert columns.names == ("at", "at.ms", "v", "w")
    assert not columns.csv
    check_columns(file, columns, "at.ms", ["w", "v"])


@pytest.mark.parametrize(
    ("name", "data", "asked", "said"),
    [
        (
            "a.csv",
            CSV,
            ("datetme", []),
            'no column "datetme" for --time; its columns are datetime, .*; did you mean "datetime"?',
        ),
        ("a.csv", CSV, ("zzz", []), r"its columns are datetime, Current, Volume Flow; --time row takes the row number$"),
        ("a.csv", CSV, ("datetime", ["Curent"]), 'no column "Curent" for --fields; .*; did you mean "Current"?'),
        ("a.csv", CSV.replace(b",", b";"), ("datetime", []), r"not split by this delimiter; did you mean --delimiter ';'\?"),
        ("a.csv", CSV.replace(b",", b"\t"), ("Volume Flow", []), r"did you mean --delimiter '\\t'\?"),
        (
            "a.ndjson",
            NDJSON,
            ("at.s", []),
            'no column "at.s" for --time; its columns are at, at.ms, v, w; did you mean "at.ms"?',
        ),
    ],
)
def test_missing_columns_are_named(tmp_path: Path, name: str, data: bytes, asked: tuple[str, list[str]], said: str) -> None:
    file = one(tmp_path, name, data)
    with pytest.raises(ReplayError, match=said.replace('"?', r'"\?')) as caught:
        check_columns(file, read_columns(file, ","), *asked)
    assert str(file.path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_time_of_a_broken_row_is_found(tmp_path: Path) -> None:
    columns = read_columns(one(tmp_path, "a.csv", CSV), ",")
    assert columns.time_in(b"2026-01-02,1", "datetime", ",") == "2026-01-02"
    assert columns.time_in(b'"2026-01-02, late",1,2,3,4', "datetime", ",") == "2026-01-02, late"
    assert columns.time_in(b"only this", "Current", ",") is None
    lines = read_columns(one(tmp_path, "a.ndjson", NDJSON), ",")
    assert lines.time_in(b'{"at":{"ms":7},"v":1}', "at.ms", ",") == 7
    assert lines.time_in(b'{"at":', "at.ms", ",") is None


def test_an_empty_file_has_no_columns(tmp_path: Path) -> None:
    file = one(tmp_path, "a.csv", b"")
    columns = read_columns(file, ",")
    assert columns.names == ()
    check_columns(file, columns, "anything", ["goes"])


def test_a_file_that_is_no_gzip_is_named(tmp_path: Path) -> None:
    file = one(tmp_path, "a.csv.gz", gzip.compress(CSV * 1000)[:40])
    with pytest.raises(ReplayError, match="gzip data break off"):
        read_columns(file, ",")
