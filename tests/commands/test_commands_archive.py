"""`qraft archive`: listing and restoring without an engine, and the sentences for what cannot be."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path

import pytest

from qraft import cli
from qraft.config import ClickHouseAddress, RunInfo, write_run
from qraft.config.store import ArchiveSettings, StoreSettings
from qraft.model import Event, event_id, iso_from_us
from qraft.store import Block, RawRow, Store
from qraft.store.archive import Archive, Progress
from qraft.store.archive_manifest import day_of, end_us
from tests.commands.stored import instance

NOW_US = time.time_ns() // 1000
DAY = day_of(NOW_US) - timedelta(days=2)


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["qraft", "archive", *arguments])
    return cli.main()


@pytest.fixture
def cold(tmp_path: Path, clickhouse_url: str, database: str) -> Path:
    """A configuration whose archive, folder "cold" beside it, holds a day of five events."""
    at = end_us(DAY) - 3_600_000_000

    async def fill() -> None:
        async with await Store.connect(ClickHouseAddress(clickhouse_url), database=database) as store:
            settings = StoreSettings(archive=ArchiveSettings(url=str(tmp_path / "cold")))
            await store.migrate(settings)
            events = [
                Event(event_id=event_id("s", str(n)), source="s", type="row", timestamp=iso_from_us(at), payload={"n": n})
                for n in range(5)
            ]
            await store.write(Block(token="t", ingested_at=at, raw=[RawRow(one, 0, n, at) for n, one in enumerate(events)]))
            work, stop = tmp_path / "work", threading.Event()
            one = Archive(store.link(), database, settings, work=work, stop=stop, progress=Progress())
            await asyncio.to_thread(one.run, NOW_US, NOW_US)

    asyncio.run(fill())
    path = tmp_path / "config.toml"
    path.write_text('[store.archive]\nurl = "cold"\n')
    return path


def test_what_is_archived_is_listed(cold: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    (cold.parent / f"cold/{DAY - timedelta(days=1)}").mkdir()
    assert run(monkeypatch, "list", "--config", str(cold)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["DAY", "raw_events", "FILES", "SIZE"]
    assert lines[1].split() == [str(DAY - timedelta(days=1)), "-", "-", "not", "finished"]
    assert lines[2].split()[:3] == [str(DAY), "5", "1"]
    assert lines[3].startswith(f"{cold.parent}/cold: 2 days, ")
    assert run(monkeypatch, "--config", str(cold), "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert [(one["day"], one["rows"], one["files"]) for one in found["days"]] == [(str(DAY), {"raw_events": 5}, 1)]
    assert found["unfinished"] == [str(DAY - timedelta(days=1))]
    assert run(monkeypatch, "list", "--url", str(cold.parent / "none")) == 0
    assert capsys.readouterr().out == f"{cold.parent}/none: no day is archived yet\n"


def test_events_are_restored_into_files(
    cold: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    back = cold.parent / "back"
    assert run(monkeypatch, "restore", f"{DAY}", "--config", str(cold), "--to", str(back)) == 0
    output = capsys.readouterr()
    assert output.out.splitlines()[:2] == ["SOURCE  ROWS", "s          5"]
    assert f"1 day restored; replay them with `qraft replay {back} --out RESULTS`" in output.out
    assert output.err == ""
    assert [json.loads(line)["payload"] for line in (back / "s.ndjson").read_text().splitlines()] == [
        {"n": n} for n in range(5)
    ]
    again = run(monkeypatch, "restore", f"{DAY}..{DAY}", "-s", "t", "--config", str(cold), "--to", str(back), "--json")
    assert (again, json.loads(capsys.readouterr().out)) == (0, {"days": [str(DAY)], "rows": {}})


def test_tables_are_restored_into_a_database(
    cold: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], clickhouse_url: str, database: str
) -> None:
    data_dir = instance(cold.parent / "data", clickhouse_url, database)
    given = ("restore", str(DAY), "--config", str(cold), "--data-dir", str(data_dir), "--into")
    assert run(monkeypatch, *given, database) == 1
    assert "this is the engine's own database, which would delete the days again; take another" in capsys.readouterr().err
    assert run(monkeypatch, *given, "a b") == 1
    assert '--into "a b": expected a name of letters' in capsys.readouterr().err

    async def drop() -> None:
        async with await Store.connect(ClickHouseAddress(clickhouse_url), database=database) as store:
            rows = await asyncio.to_thread(store.link().query, f"SELECT count() FROM {database}_2.raw_events")
            assert rows == [(5,)]
            await asyncio.to_thread(store.link().command, f"DROP DATABASE {database}_2")

    assert run(monkeypatch, *given, f"{database}_2") == 0
    assert capsys.readouterr().out.splitlines()[1].split() == ["raw_events", "5"]
    asyncio.run(drop())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["list"], 'no archive is configured; name a folder or "s3://bucket/prefix" in store.archive.url'),
        (["list", "--url", "ftp://x"], '--url: expected a folder, "s3://bucket/prefix", or "" for no archive'),
        (["restore", "yesterday", "--to", "x"], '"yesterday" is no day; expected 2026-11-01 or 2026-11-01..2026-11-07'),
        (["restore", "2026-02-30", "--to", "x"], '"2026-02-30" is no day'),
        (["restore", "2026-11-07..2026-11-01", "--to", "x"], "the last day is before the first"),
        (["restore", "2026-11-07"], "name one of --to FOLDER and --into DATABASE"),
        (["restore", "2026-11-07", "--to", "x", "--into", "y"], "name one of --to FOLDER and --into DATABASE"),
        (["restore", "2026-11-07", "--to", "x", "--url", "cold"], "no archived day from 2026-11-07 to 2026-11-07"),
    ],
)
def test_a_mistake_is_one_sentence(
    arguments: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, *arguments) == 1
    output = capsys.readouterr()
    assert said in output.err
    assert output.err.startswith("qraft: ")
    assert len(output.err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_without_an_engine_nothing_is_archived(
    tmp_path: Path, nats_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_run(tmp_path, RunInfo(pids={"engine": os.getpid()}, nats_url=nats_url, clickhouse_url="http://127.0.0.1:1"))
    assert run(monkeypatch, "run", "--data-dir", str(tmp_path)) == 1
    assert "no engine answers, and it is the engine that archives" in capsys.readouterr().err
