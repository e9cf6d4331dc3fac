"""A day's data archived by the engine, deleted from the database, restored, replayed: the same patterns as at first."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
import tomli_w

from qraft.config import ClickHouseAddress
from qraft.config.store import StoreSettings
from qraft.model import Pattern, decode_pattern
from qraft.store import PatternQuery, Store
from tests.e2e.harness import EngineProcess, count, until, write_rows

ROWS = 6000
AGO = 31


class Instance:
    """An engine over the test's servers, and the command line beside it."""

    def __init__(self, folder: Path, nats_url: str, clickhouse_url: str, database: str) -> None:
        self.folder, self.url, self.database = folder, clickhouse_url, database
        self.table: dict[str, Any] = {
            "engine": {"barrier_seconds": 0.5},
            "nats": {"url": nats_url, "max_bytes": "256 MiB"},
            "clickhouse": {"url": clickhouse_url, "database": database},
            "store": {"archive": {"url": "cold"}},
            "sources": {"rows": {"adapter": "file", "path": str(folder / "rows.csv"), "mode": "replay", "time": "t"}},
        }
        self.engine = EngineProcess(folder, self.table)

    def qraft(self, *arguments: str, status: int = 0) -> str:
        command = [sys.executable, "-m", "qraft.cli", *arguments, "--config", str(self.engine.config)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
        assert done.returncode == status, done.stderr
        return done.stdout if not status else done.stderr

    def ask(self, sql: str) -> str:
        answer = httpx.post(self.url, params={"database": self.database}, content=sql, timeout=60)
        assert answer.status_code == 200, answer.text
        return answer.text

    def let_days_pass(self, days: int) -> None:
        """Everything stored so far has arrived so much earlier."""
        for table in ("raw_events", "clean_events", "pattern_events"):
            self.ask(f"CREATE TABLE old_{table} AS {table}")
            earlier = f"ingested_at - toIntervalDay({days}) AS ingested_at"
            self.ask(f"INSERT INTO old_{table} SELECT * REPLACE ({earlier}) FROM {table} FINAL")
            self.ask(f"TRUNCATE TABLE {table}")
            self.ask(f"INSERT INTO {table} SELECT * FROM old_{table}")
            self.ask(f"DROP TABLE old_{table}")

    async def patterns(self) -> list[Pattern]:
        async with await Store.connect(ClickHouseAddress(self.url), database=self.database) as store:
            return [stored.pattern for stored in await store.history.patterns(PatternQuery(limit=10_000))]


@pytest.fixture
def instance(tmp_path: Path, nats_url: str, clickhouse_url: str, database: str) -> Instance:
    write_rows(tmp_path / "rows.csv", ROWS, seed=3)
    return Instance(tmp_path, nats_url, clickhouse_url, database)


def as_read(patterns: list[Pattern]) -> dict[str, Any]:
    return {pattern.pattern_id: msgspec.to_builtins(pattern) for pattern in patterns}


async def test_what_is_archived_deleted_restored_and_replayed_gives_the_same_patterns(
    instance: Instance, tmp_path: Path, clickhouse_url: str
) -> None:
    engine, database = instance.engine, instance.database
    engine.start()
    try:
        await until(lambda: count(clickhouse_url, database, "raw_events") >= ROWS, 90, "all rows: " + engine.said())
        await until(lambda: count(clickhouse_url, database, "pattern_events") > 0, 60, "patterns")
        data_dir = ("--data-dir", str(engine.data_dir))
        instance.qraft("archive", "run", *data_dir)  # nothing is due
        found = await instance.patterns()
        await asyncio.to_thread(instance.let_days_pass, AGO)
        said = instance.qraft("archive", "run", *data_dir)
        assert f"{tmp_path}/cold: " in said
        assert count(clickhouse_url, database, "raw_events") == 0
        assert await instance.patterns() == []
        samples = engine.metrics()
        assert samples["qraft_archive_rows_total"] >= ROWS + len(found)
        assert samples["qraft_archive_failures_total"] == 0
        assert samples["qraft_archive_pending_partitions"] == 0
        assert abs(samples["qraft_archive_last_success_timestamp_seconds"] - time.time()) < 3600

        listed = json.loads(instance.qraft("archive", "list", "--json"))
        first, last = listed["days"][0]["day"], listed["days"][-1]["day"]
        assert sum(one["rows"]["raw_events"] for one in listed["days"]) >= ROWS

        back, out = tmp_path / "back", tmp_path / "out"
        restored = json.loads(instance.qraft("archive", "restore", f"{first}..{last}", "--to", str(back), "--json"))
        assert restored["rows"] == {"rows": ROWS}
        instance.qraft("replay", str(back), "--like", "rows", "--out", str(out), "--no-record", "--json")
        replayed = [decode_pattern(line) for line in (out / "patterns.jsonl").read_bytes().splitlines()]
        assert replayed, "nothing was found, so the test shows nothing"
        assert as_read(replayed) == as_read(found)

        other = f"{database}_back"
        try:
            instance.qraft("archive", "restore", f"{first}..{last}", "--into", other, *data_dir)
            instance.database = other
            assert as_read(await instance.patterns()) == as_read(found)
            assert "TTL" not in instance.ask("SHOW CREATE TABLE raw_events")
            listed = instance.qraft("patterns", "--database", other, "--limit", "10000", "--json", *data_dir)
            assert {json.loads(line)["pattern_id"] for line in listed.splitlines()} == {one.pattern_id for one in found}
        finally:
            instance.ask(f"DROP DATABASE IF EXISTS {other}")
        assert engine.stop() == 0, engine.said()
    finally:
        if engine.alive():
            engine.kill()


async def test_an_archive_that_fails_is_told_and_goes_on_once_it_is_configured_anew(
    instance: Instance, tmp_path: Path, clickhouse_url: str
) -> None:
    engine = instance.engine
    (tmp_path / "cold").write_text("a file where the folder should be")
    async with await Store.connect(ClickHouseAddress(clickhouse_url), database=instance.database) as store:
        await store.migrate(StoreSettings())
    arrived = datetime.now(UTC) - timedelta(days=3)
    instance.ask("ALTER TABLE raw_events REMOVE TTL")
    instance.ask(
        "INSERT INTO raw_events (event_id, source, type, timestamp, payload, meta, ingested_at) "
        f"SELECT generateUUIDv4(), 's', 'row', now64(6), '{{}}', '{{}}', '{arrived:%Y-%m-%d %H:%M:%S}' FROM numbers(5)"
    )

    def stored() -> int:
        return int(instance.ask(f"SELECT count() FROM raw_events WHERE toDate(ingested_at) = '{arrived:%Y-%m-%d}'"))

    def edit(**store: Any) -> None:
        engine.config.write_text(tomli_w.dumps({**instance.table, "sources": {}, "store": store}))

    edit(retention_days=1, archive={"url": "cold"})
    engine.start()
    try:
        sample: Callable[[str], float | None] = lambda name: engine.metrics().get(f"qraft_archive_{name}")  # noqa: E731
        await until(lambda: (sample("failures_total") or 0) > 0, 60, "a failure: " + engine.said())
        said = instance.qraft("archive", "run", "--data-dir", str(engine.data_dir), status=1)
        assert said.startswith(f"qraft: {tmp_path}/cold")
        assert sample("pending_partitions") == 1
        assert stored() == 5
        assert "nothing is deleted until the archive can be written" in engine.said()

        edit(retention_days=1, archive={"url": "elsewhere"})
        await until(lambda: stored() == 0, 60, "the day archived and deleted: " + engine.said())
        assert (tmp_path / f"elsewhere/{arrived:%Y-%m-%d}/manifest.json").is_file()
        assert "TTL" not in instance.ask("SHOW CREATE TABLE raw_events")
        edit(retention_days=1)
        await until(lambda: "toIntervalDay(1)" in instance.ask("SHOW CREATE TABLE raw_events"), 60, "TTL: " + engine.said())
        assert engine.stop() == 0, engine.said()
    finally:
        if engine.alive():
            engine.kill()
