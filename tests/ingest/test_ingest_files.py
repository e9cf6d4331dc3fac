from __future__ import annotations

import gzip
import resource
from itertools import islice
from pathlib import Path

import pytest

from qraft.ingest.base import SourceError
from qraft.ingest.files import format_of, read_rows
from qraft.ingest.rows import Row
from qraft.model import DeadLetter, Event, us_from_iso


def ids(path: Path, start: str | None = None) -> list[str]:
    return [row.event_id if isinstance(row, Event) else row.dead_id for row in read_rows(path, "s", start=start)]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "data.csv"
    path.write_text("a,b\n" + "".join(f"{n},{n * n}\n" for n in range(200)) + "broken\n7,é\n")
    return path


def test_plain_gzip_and_renamed_give_the_same_ids(table: Path, tmp_path: Path) -> None:
    packed = tmp_path / "data.csv.gz"
    packed.write_bytes(gzip.compress(table.read_bytes()))
    expected = ids(table)
    assert len(set(expected)) == 202
    assert ids(packed) == expected
    assert ids(table.rename(tmp_path / "old.csv")) == expected
    assert ids(table_of(tmp_path / "other.csv", "a,b\n0,1\n")) != expected[:1]


def table_of(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_reading_resumes_behind_every_row(table: Path, tmp_path: Path) -> None:
    packed = tmp_path / "data.csv.gz"
    packed.write_bytes(gzip.compress(table.read_bytes()))
    rows = list(read_rows(table, "s"))
    everything = ids(table)
    for number, row in enumerate(rows):
        if isinstance(row, Event):
            assert ids(table, row.meta["cursor"]) == everything[number + 1 :]
            assert ids(packed, row.meta["cursor"]) == everything[number + 1 :]


def test_a_cursor_of_another_file_reads_from_the_begin(table: Path) -> None:
    assert len(ids(table, "0123456789abcdef:8:1")) == 202
    assert len(ids(table, "no cursor")) == 202


def test_without_a_clock_time_is_the_row_number(table: Path) -> None:
    assert [us_from_iso(row.timestamp) // 1_000_000 for row in read_rows(table, "s")] == list(range(202))


def test_a_gzip_file_that_breaks_off_gives_its_rows_first(table: Path, tmp_path: Path) -> None:
    packed = tmp_path / "data.csv.gz"
    whole = gzip.compress(table.read_bytes())
    packed.write_bytes(whole[: len(whole) * 2 // 3])
    rows: list[Row] = []
    with pytest.raises(SourceError, match=r"data\.csv\.gz: its gzip data break off after \d+ bytes of text"):
        rows.extend(read_rows(packed, "s"))
    assert len(rows) > 50
    assert isinstance(rows[-1], DeadLetter)
    assert "the file breaks off here" in rows[-1].reason


def test_faults_of_the_file_are_sentences(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"nothing\.csv: no such file; check path"):
        list(read_rows(tmp_path / "nothing.csv", "s"))
    with pytest.raises(SourceError, match="cannot be opened: Is a directory"):
        list(read_rows(tmp_path, "s", format="csv"))
    with pytest.raises(SourceError, match='set format = "csv" or format = "ndjson"'):
        list(read_rows(tmp_path / "a.log", "s"))


@pytest.mark.parametrize(
    ("name", "expected"),
    [("a.csv", "csv"), ("a.CSV.GZ", "csv"), ("a.tsv", "csv"), ("a.b.jsonl", "ndjson"), ("a.ndjson.gz", "ndjson")],
)
def test_format_by_ending(name: str, expected: str) -> None:
    assert format_of(Path(name), "auto") == expected
    assert format_of(Path("a.log"), "ndjson") == "ndjson"


def test_empty_files_have_no_rows(tmp_path: Path) -> None:
    for name, content in (("a.csv", b""), ("b.csv", b"a,b\n"), ("c.ndjson", b"\n\n"), ("d.csv.gz", gzip.compress(b""))):
        (tmp_path / name).write_bytes(content)
        assert ids(tmp_path / name) == []


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "large.csv"
    line = b"2014-04-01 00:00:00,123.456,0.123456\n"
    path.write_bytes(b"t,a,b\n" + line * 200_000)
    rows = read_rows(path, "s", time="t")
    assert sum(1 for _ in islice(rows, 20_000)) == 20_000
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert sum(1 for _ in islice(rows, 100_000)) == 100_000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 4096
    rows.close()  # type: ignore[attr-defined]


def test_recorded_files_are_read_whole(recordings: Path) -> None:
    trades = list(read_rows(recordings / "binance_ws" / "spot_btcusdt_20240808_235413_trades.csv", "s", time="trade_ts_ms"))
    assert len(trades) == 19_904
    assert isinstance(trades[0], Event)
    assert trades[0].timestamp == "2024-08-08T23:54:15.342000Z"
    host = list(read_rows(recordings / "host_metrics" / "psutil_1s.jsonl", "s", time="ts"))
    assert len(host) == 440
    assert all(isinstance(row, Event) for row in [*trades, *host])
