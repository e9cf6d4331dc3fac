"""The live engine and `qraft replay` find the same patterns in the same file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec

from qraft.config import ClickHouseAddress
from qraft.model import Pattern, decode_pattern
from qraft.store import PatternQuery, Store
from tests.e2e.harness import EngineProcess, count, until, write_rows

ROWS = 12_000


async def live(folder: Path, rows: Path, nats_url: str, clickhouse_url: str, database: str) -> list[Pattern]:
    engine = EngineProcess(
        folder,
        {
            "engine": {"barrier_seconds": 0.5},
            "nats": {"url": nats_url, "max_bytes": "256 MiB"},
            "clickhouse": {"url": clickhouse_url, "database": database},
            "sources": {"rows": {"adapter": "file", "path": str(rows), "mode": "replay", "time": "t"}},
        },
    )
    engine.start()
    try:
        await until(lambda: count(clickhouse_url, database, "raw_events") >= ROWS, 90, "all rows: " + engine.said())
        assert engine.stop() == 0, engine.said()
    finally:
        if engine.alive():
            engine.kill()
    async with await Store.connect(ClickHouseAddress(clickhouse_url), database=database) as store:
        return [stored.pattern for stored in await store.history.patterns(PatternQuery(limit=10_000))]


def replayed(folder: Path, rows: Path) -> list[Pattern]:
    command = [sys.executable, "-m", "qraft.cli", "replay", str(rows), "--time", "t", "--out", str(folder), "--json"]
    subprocess.run(command, check=True, capture_output=True, timeout=100)
    return [decode_pattern(line) for line in (folder / "patterns.jsonl").read_bytes().splitlines()]


async def test_live_and_replay_find_the_same(tmp_path: Path, nats_url: str, clickhouse_url: str, database: str) -> None:
    rows = tmp_path / "rows.csv"
    write_rows(rows, ROWS, seed=3)
    from_engine = await live(tmp_path / "engine", rows, nats_url, clickhouse_url, database)
    from_file = replayed(tmp_path / "out", rows)
    assert from_file, "nothing was found, so the test shows nothing"
    by_id = {pattern.pattern_id: pattern for pattern in from_engine}
    assert sorted(by_id) == sorted(pattern.pattern_id for pattern in from_file)
    for pattern in from_file:
        assert msgspec.to_builtins(by_id[pattern.pattern_id]) == msgspec.to_builtins(pattern)
