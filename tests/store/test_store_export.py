"""Tables in files: what they hold, page by page, and that a failure leaves the old file."""

from __future__ import annotations

import csv
from collections.abc import AsyncIterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from qraft.model import Contributor, Details, Feedback, Pattern
from qraft.store import StoredEpisode
from qraft.store.export import COLUMNS, ExportError, Row, episode_row, stored_row, write_pages, write_table

EVIL = "=cmd|\"x\", 'y'\n价格\\"


def episode(number: int, *, said: Feedback | None = None) -> StoredEpisode:
    peak = Pattern(
        pattern_id=f"p{number}",
        type="drift",
        timestamp="2026-11-22T10:00:00Z",
        source="host",
        entity="db,1",
        details=Details(prev_state={}, new_state={}, metrics={}, confidence=0.1 + 0.2),
        contributors=[Contributor(field="low", score=0.1), Contributor(field="cpu", score=0.9, before=1.5)],
        detector="drift",
        summary=EVIL,
        kind="mean",
    )
    return StoredEpisode(peak, 3, 1_700_000_000_000_000, 1_700_000_060_000_000, "p0", said)


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


SAID = Feedback(feedback_id="f", pattern_id="p", verdict="expected", timestamp="", user="ann", note="why\nnot")
PLAIN = Pattern(
    pattern_id="q",
    type="anomaly",
    timestamp="",
    source="s",
    details=Details(prev_state={}, new_state={}, metrics={}, confidence=1.0),
    contributors=[],
)
ROWS = [stored_row(episode(1, said=SAID)), episode_row(PLAIN, 1, 0, 0, None)]


def test_a_csv_holds_every_text_as_it_is(tmp_path: Path) -> None:
    assert write_table(tmp_path / "a.CSV", ROWS) == 2
    with (tmp_path / "a.CSV").open(newline="", encoding="utf-8") as file:
        first, second = csv.DictReader(file)
    assert list(first) == list(COLUMNS)
    assert first["summary"] == EVIL
    assert (first["entity"], first["field"], first["before"], first["after"]) == ("db,1", "cpu", "1.5", "")
    assert (first["verdict"], first["verdict_user"], first["verdict_note"]) == ("expected", "ann", "why\nnot")
    assert float(first["confidence"]) == 0.1 + 0.2
    assert (first["first"], first["last"]) == ("2023-11-14T22:13:20.000000Z", "2023-11-14T22:14:20.000000Z")
    assert (second["verdict"], second["field"], second["n"]) == ("", "", "1")


def test_a_parquet_holds_the_same(tmp_path: Path) -> None:
    write_table(tmp_path / "a.parquet", ROWS)
    table = pq.read_table(tmp_path / "a.parquet")
    assert [tuple(row.values()) for row in table.to_pylist()] == [tuple(row) for row in ROWS]


@pytest.mark.parametrize("name", ["a.csv", "a.parquet"])
async def test_pages_go_into_one_file(tmp_path: Path, name: str) -> None:
    seen: list[int] = []

    async def pages() -> AsyncIterator[list[Row]]:
        for start in range(0, 6, 2):
            yield [stored_row(episode(start)), stored_row(episode(start + 1))]
        yield []

    assert await write_pages(tmp_path / name, pages(), seen.append) == 6
    assert seen == [2, 4, 6, 6]
    assert names(tmp_path) == [name]
    if name.endswith("parquet"):
        assert pq.read_table(tmp_path / name)["pattern_id"].to_pylist() == [f"p{number}" for number in range(6)]


async def test_a_failure_on_the_way_leaves_the_old_file(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("old")

    async def pages() -> AsyncIterator[list[Row]]:
        yield ROWS
        raise RuntimeError("lost")

    with pytest.raises(RuntimeError, match="lost"):
        await write_pages(tmp_path / "a.csv", pages(), lambda _: None)
    assert names(tmp_path) == ["a.csv"]
    assert (tmp_path / "a.csv").read_text() == "old"


def test_an_empty_table_has_its_columns(tmp_path: Path) -> None:
    assert write_table(tmp_path / "a.parquet", []) == 0
    assert pq.read_table(tmp_path / "a.parquet").column_names == list(COLUMNS)


def test_what_cannot_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"does not end with \.csv or \.parquet"):
        write_table(tmp_path / "a.txt", ROWS)
    with pytest.raises(ExportError, match="cannot be written: No such file"):
        write_table(tmp_path / "none" / "a.csv", ROWS)
    (tmp_path / "b.csv").mkdir()
    with pytest.raises(ExportError, match="cannot be written: Is a directory"):
        write_table(tmp_path / "b.csv", ROWS)
    assert names(tmp_path) == ["b.csv"]
