"""Days brought back from a folder and from a real S3 server over HTTP, and what is said of damaged files."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from moto.server import ThreadedMotoServer

from qraft.config import ClickHouseAddress
from qraft.config.store import ArchiveSettings, StoreSettings
from qraft.model import DeadLetter, Event, decode_event, event_id, iso_from_us
from qraft.store import Block, RawRow, Store
from qraft.store.archive_errors import ArchiveError
from qraft.store.archive_manifest import days, read_manifest, write_manifest
from qraft.store.archive_place import Place, open_place
from qraft.store.archive_restore import choose_days, insert_tables, write_events
from tests.store.test_store_archive import Run, after, block, day, noon, pattern, verdict

Ask = Callable[[str], str]


def quiet(_: str, __: int) -> None:
    pass


def bring_back(place: Place, ago: int, folder: Path, *sources: str) -> dict[str, int]:
    return write_events(place, choose_days(place, day(ago), day(1)), folder, sources=sources, tell=quiet)


def half(place: Place) -> None:
    """A file whose writing does not come to its end."""
    with place.write("half") as sink:
        sink.write(b"half")
        raise RuntimeError("cut short")


def events(path: Path) -> list[Event]:
    return [decode_event(line) for line in path.read_bytes().splitlines()]


@pytest.fixture
async def run(store: Store, tmp_path: Path, database: str) -> Run:
    one = Run(store, tmp_path, database)
    await store.migrate(one.settings)
    return one


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """The address of an S3 server with a bucket named cold."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    address = f"http://{host}:{port}"
    httpx.put(f"{address}/cold").raise_for_status()
    yield address
    server.stop()


async def test_events_come_back_as_they_came_each_once(store: Store, run: Run, tmp_path: Path) -> None:
    whole = [*block(3).raw, *block(2, source="other").raw, *block(2).raw]
    for one in (block(3), block(2), block(2, source="other")):
        await store.write(one)
    notice = Event(
        event_id=event_id("_qraft", "1"), source="_qraft", type="qraft.notice", timestamp=iso_from_us(0), payload={}
    )
    await store.write(Block(token="n", ingested_at=noon(2), raw=[RawRow(notice, 0, 1, noon(2))]))
    run(after(2))
    await store.write(block(2, rows=12))  # so that there are two batches of that day
    run(after(2, 7))
    assert bring_back(run.place, 3, tmp_path / "back") == {"s": 22, "other": 10}
    for source in ("s", "other"):
        at_first = [row.event for row in whole if row.event.source == source]
        back = events(tmp_path / f"back/{source}.ndjson")
        assert back[: len(at_first)] == at_first
        assert len({event.event_id for event in back}) == len(back)
    assert bring_back(run.place, 3, tmp_path / "one", "other") == {"other": 10}
    assert [path.name for path in (tmp_path / "one").iterdir()] == ["other.ndjson"]
    assert bring_back(run.place, 3, tmp_path / "own", "_qraft") == {"_qraft": 1}
    with pytest.raises(ArchiveError, match=r"one/other.ndjson: is there already; name another folder"):
        bring_back(run.place, 3, tmp_path / "one", "other")


async def test_all_tables_come_back_into_a_database_of_their_own(
    store: Store, run: Run, ask: Ask, database: str, clickhouse_url: str
) -> None:
    letter = DeadLetter(
        dead_id="d", source="s", timestamp="2020-01-01T00:00:00Z", stage="bus", reason="é", original=b"\xff\x00{"
    )
    patterns = [pattern("p", 0.6), pattern("q", 0.95)]
    await store.write(block(2, patterns=patterns, dead=[letter], feedback=[verdict("p", 1, "confirmed")]))
    await store.write(block(2, source="other"))
    shown = {table: ask(f"SELECT * FROM {table} FINAL ORDER BY ALL") for table in run.settings.archive.tables}
    run(after(2, 30))
    assert ask("SELECT count() FROM raw_events") == "0\n"
    manifests = choose_days(run.place, day(2), day(2))
    other = f"{database}_back"
    try:
        async with await Store.connect(ClickHouseAddress(clickhouse_url), database=other) as there:
            await there.migrate(None)
            for _ in range(2):  # again adds nothing
                counts = insert_tables(run.place, manifests, there.link(), other, sources=[], tell=quiet)
                assert counts == {"raw_events": 20, "pattern_events": 2, "pattern_feedback": 1, "dead_letters": 1}
            for table, text in shown.items():
                assert ask(f"SELECT * FROM {other}.{table} FINAL ORDER BY ALL") == text
            found = await there.history.pattern("p")
            assert found is not None
            assert found.verdict == "confirmed"
            ask(f"TRUNCATE TABLE {other}.raw_events")
            insert_tables(run.place, manifests, there.link(), other, sources=["other"], tell=quiet)
            assert ask(f"SELECT DISTINCT source FROM {other}.raw_events") == "other\n"
    finally:
        ask(f"DROP DATABASE IF EXISTS {other}")


@pytest.mark.parametrize("harm", ["changed", "shorter", "gone"])
async def test_a_damaged_file_is_named_and_nothing_is_written(store: Store, run: Run, tmp_path: Path, harm: str) -> None:
    await store.write(block(3))
    await store.write(block(2))
    run(after(2))
    file = tmp_path / f"cold/{day(2)}/raw_events-1-0001.parquet"
    data = file.read_bytes()
    if harm == "gone":
        file.unlink()
    else:
        file.write_bytes(data[:-1] if harm == "shorter" else data[:100] + bytes([data[100] ^ 1]) + data[101:])
    with pytest.raises(ArchiveError, match=rf"cold/{day(2)}/raw_events-1-0001.parquet: is (damaged|missing)"):
        bring_back(run.place, 3, tmp_path / "back")
    assert list((tmp_path / "back").iterdir()) == []


async def test_what_is_not_archived_is_said(store: Store, run: Run, tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="it holds nothing"):
        choose_days(run.place, day(9), day(5))
    await store.write(block(2))
    run(after(2))
    with pytest.raises(ArchiveError, match=f"no archived day from {day(9)} to {day(5)}; it holds {day(2)} to {day(2)}"):
        choose_days(run.place, day(9), day(5))
    path = tmp_path / f"cold/{day(2)}/manifest.json"
    text = path.read_text()
    path.write_text(text[:-20])
    with pytest.raises(ArchiveError, match=r"manifest.json: is damaged"):
        read_manifest(run.place, day(2))
    path.write_text(json.dumps({**json.loads(text), "format": 2, "qraft": "9.9"}))
    with pytest.raises(ArchiveError, match=r"was written by Qraft 9\.9"):
        read_manifest(run.place, day(2))


async def test_the_same_in_a_bucket(
    store: Store, run: Run, ask: Ask, *, s3: str, tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QRAFT_KEY", "key")
    monkeypatch.setenv("QRAFT_SECRET", "secret")
    given: dict[str, Any] = {"access_key_env": "QRAFT_KEY", "secret_key_env": "QRAFT_SECRET", "region": "us-east-1"}
    archive = ArchiveSettings(url=f"s3://cold/{database}/deep", endpoint=s3, **given)
    run.settings = StoreSettings(archive=archive)
    place = run.place = open_place(archive)
    assert days(place) == []
    await store.write(block(2, patterns=[pattern("p", 0.6)]))
    run(after(2, 7))
    assert ask("SELECT count() FROM raw_events") == "0\n"
    assert days(place) == [day(2)]
    assert place.names(str(day(2))) == ["manifest.json", "pattern_events-1-0001.parquet", "raw_events-1-0001.parquet"]
    assert bring_back(place, 2, tmp_path / "back") == {"s": 10}
    assert events(tmp_path / "back/s.ndjson") == [row.event for row in block(2).raw]
    with pytest.raises(RuntimeError, match="cut short"):
        half(place)
    assert place.size("half") is None
    name = f"{day(2)}/raw_events-1-0001.parquet"
    place.delete(name)
    place.delete(name)
    assert place.size(name) is None
    with pytest.raises(ArchiveError, match=r"s3://cold/.*parquet: is missing"):
        bring_back(place, 2, tmp_path / "again")


async def test_an_s3_server_that_refuses_or_is_away_is_told(
    store: Store, run: Run, s3: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QRAFT_KEY", "key")
    given: dict[str, Any] = {"access_key_env": "QRAFT_KEY", "secret_key_env": "QRAFT_KEY", "region": "us-east-1"}
    await store.write(block(2))
    for url, endpoint in (("s3://nowhere/x", s3), ("s3://cold/x", "http://127.0.0.1:1")):
        run.settings = StoreSettings(archive=ArchiveSettings(url=url, endpoint=endpoint, **given))
        with pytest.raises(ArchiveError, match=rf"{url}/.*: cannot be "):
            run(after(2, 7))
    monkeypatch.delenv("QRAFT_KEY")
    with pytest.raises(ArchiveError, match="the environment variable QRAFT_KEY is not set"):
        open_place(run.settings.archive)


async def test_a_manifest_is_put_in_place_of_the_one_before(store: Store, run: Run) -> None:
    await store.write(block(2))
    run(after(2))
    manifest = read_manifest(run.place, day(2))
    assert manifest is not None
    write_manifest(run.place, manifest)
    assert read_manifest(run.place, day(2)) == manifest
