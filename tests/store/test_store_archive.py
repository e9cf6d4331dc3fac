"""The archive of a real database in a folder: what it holds, what is deleted when, and that being cut short does no harm."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from qraft.config.store import ArchiveSettings, StoreSettings
from qraft.model import Contributor, DeadLetter, Details, Event, Feedback, Pattern, event_id, iso_from_us
from qraft.store import Block, RawRow, Store, StoreRejected, archive_write
from qraft.store.archive import MARGIN_US, Archive, Progress
from qraft.store.archive_errors import ArchiveError
from qraft.store.archive_manifest import day_of, end_us, read_manifest
from qraft.store.archive_place import open_place
from qraft.store.archive_tables import TABLES
from qraft.store.archive_write import Stopped

Ask = Callable[[str], str]

DAY_US = 86_400_000_000
NOW_US = time.time_ns() // 1000
TODAY = day_of(NOW_US)


def day(ago: int) -> date:
    return TODAY - timedelta(days=ago)


def noon(ago: int) -> int:
    return end_us(day(ago)) - DAY_US // 2


def after(ago: int, days: int = 0) -> int:
    """The first moment at which a day is finished, or its rows are past so many days."""
    return end_us(day(ago)) + max(days * DAY_US, MARGIN_US)


def pattern(name: str, confidence: float) -> Pattern:
    return Pattern(
        pattern_id=name,
        type="drift",
        timestamp="2020-01-01T00:00:00Z",
        source="s",
        details=Details(prev_state={"a": 1}, new_state={"wörd": "é"}, metrics={"z": 1.5}, confidence=confidence),
        contributors=[Contributor(field="x", score=0.75, before=1.0), Contributor(field="y", score=0.25)],
        summary="what\nwas found",
    )


def verdict(name: str, number: int, said: Any, undoes: str = "") -> Feedback:
    return Feedback(
        feedback_id=f"f{number}", pattern_id=name, verdict=said, timestamp="2020-01-01T00:00:00Z", source="s", undoes=undoes
    )


def block(ago: int, rows: int = 10, *, patterns: Any = (), feedback: Any = (), dead: Any = (), source: str = "s") -> Block:
    """Events in messages of five, the later of a message with the earlier time; what comes with them arrived last."""
    start = noon(ago)
    events = [
        Event(
            event_id=event_id(source, f"{ago}:{n}"),
            source=source,
            type="row",
            timestamp=iso_from_us(start - n * 1_000_000),
            payload={"n": n, "text": 'é\n"x"'},
            meta={"version": "1.0", "cursor": str(n)},
        )
        for n in range(rows)
    ]
    return Block(
        token=f"{source}{ago}:{rows}:{len(patterns)}:{len(feedback)}",
        ingested_at=start + rows * 1000,
        raw=[RawRow(event, 0, ago * -1000 + 50_000 + n // 5, start + n // 5 * 1000) for n, event in enumerate(events)],
        patterns=patterns,
        feedback=feedback,
        dead=dead,
    )


def settings(folder: Path | str, **given: Any) -> StoreSettings:
    return StoreSettings(archive=ArchiveSettings(url=str(folder), **given))


class Run:
    """The archive of one database, with a clock of its own."""

    def __init__(self, store: Store, folder: Path, database: str, **given: Any) -> None:
        self.settings = settings(folder / "cold", **given)
        self.place = open_place(self.settings.archive)
        self.progress, self.stop = Progress(), threading.Event()
        self.work = folder / "work"
        self._store, self._database = store, database

    def __call__(self, now_us: int, settled_us: int | None = None, **days: int) -> None:
        made = self.settings.model_copy(update=days)
        link = self._store.link()
        archive = Archive(link, self._database, made, work=self.work, stop=self.stop, progress=self.progress)
        archive.run(now_us, now_us if settled_us is None else settled_us)


@pytest.fixture
async def run(store: Store, tmp_path: Path, database: str) -> Run:
    one = Run(store, tmp_path, database)
    await store.migrate(one.settings)
    return one


@pytest.fixture
def small_stretches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sorting and files as for a day of many rows."""
    monkeypatch.setattr(archive_write, "STRETCH_ROWS", 300)
    monkeypatch.setattr(archive_write, "_HELD_BYTES", 20_000)
    monkeypatch.setattr(archive_write, "FILE_ROWS", 1000)


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


async def test_a_finished_day_is_archived_as_it_came_and_stays_until_its_days_are_over(
    store: Store, ask: Ask, run: Run, tmp_path: Path
) -> None:
    letter = DeadLetter(
        dead_id="d", source="s", timestamp="2020-01-01T00:00:00Z", stage="bus", reason="why\nnot", original=b"\xff\x00{"
    )
    await store.write(block(2, patterns=[pattern("p", 0.6), pattern("q", 0.95)], dead=[letter]))
    await store.write(block(2, rows=3))  # come again under another token: it collapses
    run(after(2) - 1)
    assert files(tmp_path / "cold") == {}
    run(after(2), settled_us=end_us(day(2)) - 1)
    assert files(tmp_path / "cold") == {}
    run(after(2))
    manifest = read_manifest(run.place, day(2))
    assert manifest is not None
    assert manifest.rows == {"raw_events": 10, "pattern_events": 2, "dead_letters": 1}
    assert (run.progress.rows, run.progress.pending, run.progress.days) == (13, 0, 1)
    rows = pq.read_table(tmp_path / f"cold/{day(2)}/raw_events-1-0001.parquet").to_pylist()
    assert [row["meta"] for row in rows] == [f'{{"version":"1.0","cursor":"{n}"}}' for n in range(10)]
    assert [(row["seq"], row["position"]) for row in rows][4:6] == [(rows[0]["seq"], 4), (rows[0]["seq"] + 1, 0)]
    assert rows[0]["event_id"] == event_id("s", "2:0")
    found = pq.read_table(tmp_path / f"cold/{day(2)}/pattern_events-1-0001.parquet").to_pylist()
    assert found[0]["contributors.before"] == [1.0, None]
    assert found[0]["metrics"] == [("z", 1.5)]
    assert ask("SELECT count() FROM raw_events FINAL") == "10\n"

    before = files(tmp_path / "cold")
    run(after(2, 7) - 1)
    assert ask("SELECT count() FROM raw_events FINAL") == "10\n"
    run(after(2, 7))
    assert ask("SELECT count() FROM raw_events") == "0\n"
    assert ask("SELECT count() FROM dead_letters") == "0\n"
    assert ask("SELECT pattern_id FROM pattern_events") == "q\n"
    run(after(2, 30) - 1)
    assert ask("SELECT count() FROM pattern_events") == "1\n"
    run(after(2, 30))
    assert ask("SELECT count() FROM pattern_events") == "0\n"
    assert files(tmp_path / "cold") == before
    assert list(run.work.iterdir()) == []


async def test_a_large_day_is_cut_and_sorted(store: Store, run: Run, tmp_path: Path, small_stretches: None) -> None:
    rows = 25_000
    start = noon(1)
    events = [
        Event(event_id=event_id("s", str(n)), source="s", type="row", timestamp=iso_from_us(n), payload={"n": n})
        for n in range(rows)
    ]
    raw = [RawRow(event, 0, n // 4, start + n // 4 * 10_000) for n, event in enumerate(events)]
    await store.write(Block(token="t", ingested_at=start, raw=raw))
    run(after(1))
    manifest = read_manifest(run.place, day(1))
    assert manifest is not None
    parts = manifest.tables["raw_events"][0].files
    assert len(parts) > 5
    assert sum(part.rows for part in parts) == rows
    assert all(one.last < other.first for one, other in pairwise(parts))
    read = [text for part in parts for text in pq.read_table(tmp_path / f"cold/{day(1)}/{part.name}")["payload"].to_pylist()]
    assert read == [f'{{"n":{n}}}' for n in range(rows)]


async def test_what_changed_after_it_was_archived_is_archived_again_before_it_goes(store: Store, ask: Ask, run: Run) -> None:
    await store.write(block(3, patterns=[pattern("p", 0.6), pattern("q", 0.6)]))
    run(after(3))
    await store.write(block(3, rows=12))  # two that were held up somewhere
    await store.write(block(2, feedback=[verdict("p", 1, "confirmed")]))
    run(after(3, 7))
    manifest = read_manifest(run.place, day(3))
    assert manifest is not None
    assert [batch.rows for batch in manifest.tables["raw_events"]] == [10, 12]
    assert ask("SELECT pattern_id FROM pattern_events FINAL") == "p\n"  # confirmed, hence important
    await store.write(block(1, feedback=[verdict("p", 2, "undo", undoes="f1")]))
    run(after(3, 8))
    assert ask("SELECT count() FROM pattern_events") == "0\n"
    await store.write(block(3, rows=1))  # and one more when the rest is gone
    run(after(3, 8))
    manifest = read_manifest(run.place, day(3))
    assert manifest is not None
    assert [batch.rows for batch in manifest.tables["raw_events"]] == [10, 12, 1]
    assert ask(f"SELECT count() FROM raw_events WHERE toDate(ingested_at) = '{day(3)}'") == "0\n"


async def test_nothing_is_deleted_whose_files_are_not_there(store: Store, ask: Ask, run: Run, tmp_path: Path) -> None:
    await store.write(block(2))
    run(after(2))
    (tmp_path / f"cold/{day(2)}/raw_events-1-0001.parquet").write_bytes(b"PAR1")
    run(after(2, 7))
    manifest = read_manifest(run.place, day(2))
    assert manifest is not None
    assert [batch.rows for batch in manifest.tables["raw_events"]] == [10, 10]
    assert ask("SELECT count() FROM raw_events") == "0\n"


async def test_while_the_place_cannot_be_written_rows_stay(store: Store, ask: Ask, run: Run, tmp_path: Path) -> None:
    await store.write(block(2))
    (tmp_path / "cold").write_text("a file where the folder should be")
    with pytest.raises(ArchiveError, match=r"cold/.*: cannot be"):
        run(after(2, 7))
    assert ask("SELECT count() FROM raw_events FINAL") == "10\n"
    assert run.progress.pending == 1
    (tmp_path / "cold").unlink()
    run(after(2, 7))
    assert ask("SELECT count() FROM raw_events") == "0\n"


async def test_two_databases_never_share_an_archive(store: Store, run: Run, database: str) -> None:
    await store.write(block(2))
    run(after(2))
    store.link().command(
        f"ALTER TABLE {database}.schema_migrations UPDATE applied_at = '2001-01-01' WHERE 1 SETTINGS mutations_sync = 2"
    )
    with pytest.raises(ArchiveError, match=r"holds another database .*give each database a store.archive.url of its own"):
        run(after(2, 7))


async def test_asked_to_end_it_ends_and_goes_on_later(store: Store, run: Run, tmp_path: Path) -> None:
    await store.write(block(2))
    run.stop.set()
    with pytest.raises(Stopped):
        run(after(2))
    assert read_manifest(run.place, day(2)) is None
    run.stop.clear()
    run(after(2))
    assert sorted(files(tmp_path / "cold")) == [f"{day(2)}/manifest.json", f"{day(2)}/raw_events-1-0001.parquet"]


async def test_tables_that_are_archived_have_no_ttl_and_get_it_back(store: Store, ask: Ask, run: Run) -> None:
    def limited() -> list[str]:
        tables = "SELECT name FROM system.tables WHERE database = currentDatabase() AND create_table_query LIKE '% TTL %'"
        return sorted(set(ask(tables).split()) & set(TABLES))

    assert limited() == ["clean_events"]
    await store.migrate(run.settings)
    assert limited() == ["clean_events"]
    await store.migrate(settings("/x", tables=["clean_events"]))
    assert limited() == ["dead_letters", "pattern_events", "pattern_feedback", "raw_events"]
    await store.migrate(StoreSettings())
    assert len(limited()) == 5
    assert "toIntervalDay(30)" in ask("SHOW CREATE TABLE pattern_events")


async def test_a_database_that_is_kept_for_ever_has_no_ttl(store: Store, ask: Ask) -> None:
    await store.migrate(None)
    for table in TABLES:
        assert " TTL " not in ask(f"SHOW CREATE TABLE {table} FORMAT TSVRaw")
    with pytest.raises(StoreRejected):
        store.link().query("SELECT nothing FROM nowhere")
