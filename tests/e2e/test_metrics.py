"""What the engine shows of itself adds up: /metrics, `qraft status`, `qraft sources`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.harness import EngineProcess, count, until, write_rows

ROWS = 2000
LATE = 5
BROKEN = 4


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.csv"
    write_rows(path, ROWS, seed=1)
    with path.open("a", encoding="utf-8") as out:
        out.writelines(f"{1_600_000_000 + n},1,2,3\n" for n in range(LATE))
        out.writelines(f"no time {n},1,2,3\n" for n in range(BROKEN))
    return path


async def test_every_event_is_accounted_for(rows: Path, nats_url: str, clickhouse_url: str, database: str) -> None:
    engine = EngineProcess(
        rows.parent / "engine",
        {
            "engine": {"barrier_seconds": 0.5},
            "nats": {"url": nats_url, "max_bytes": "256 MiB"},
            "clickhouse": {"url": clickhouse_url, "database": database},
            "sources": {"rows": {"adapter": "file", "path": str(rows), "mode": "replay", "time": "t"}},
        },
    )
    engine.start()
    try:
        await until(lambda: count(clickhouse_url, database, "raw_events") >= ROWS + LATE, 60, "all rows: " + engine.said())
        await until(lambda: count(clickhouse_url, database, "dead_letters") >= BROKEN, 20, "the dead letters")
        await until(lambda: engine.metrics().get('qraft_stage_depth{stage="store"}') == 0, 20, "all stored")
        seen = engine.metrics()

        def stage(name: str, stage: str) -> float:
            return seen[f'qraft_stage_{name}{{stage="{stage}"}}']

        assert stage("received_total", "ingest") == ROWS + LATE + BROKEN
        assert stage("sent_total", "ingest") == ROWS + LATE
        assert seen['qraft_stage_dropped_total{reason="dead",stage="ingest"}'] == BROKEN
        assert stage("received_total", "preprocess") == ROWS + LATE
        assert stage("late_total", "preprocess") == LATE
        assert stage("sent_total", "preprocess") == stage("received_total", "detect") == ROWS
        assert stage("sent_total", "detect") == count(clickhouse_url, database, "pattern_events")
        assert stage("received_total", "store") == stage("sent_total", "store") == ROWS + LATE
        for name in ("ingest", "preprocess", "detect", "publish", "store"):
            assert stage("seconds_total", name) > 0
            assert stage("lag_seconds", name) == 0
            assert stage("depth", name) == 0
        assert seen['qraft_source_processed_total{source="rows"}'] == ROWS + LATE
        assert seen['qraft_source_late_total{source="rows"}'] == LATE
        assert seen['qraft_source_dead_letters_total{reason="unreadable",source="rows"}'] == BROKEN
        assert seen['qraft_engine_state{state="running"}'] == 1
        found = {name: value for name, value in seen.items() if name.startswith("qraft_patterns_total{")}
        assert sum(found.values()) == stage("sent_total", "detect") == stage("sent_total", "publish")
        assert seen["qraft_pattern_delay_seconds_count"] == stage("sent_total", "publish")
        assert seen["qraft_event_delay_seconds_count"] == ROWS + LATE
        assert seen["qraft_barrier_rows_sum"] == ROWS + LATE
        for table in ("raw_events", "clean_events", "pattern_events", "dead_letters"):
            stored = seen[f'qraft_clickhouse_rows_total{{table="{table}"}}']
            assert stored == count(clickhouse_url, database, table)

        assert seen['qraft_nats_stream_limit_bytes{stream="events"}'] == 256 * 1024**2
        disks = [name for name in seen if name.startswith("qraft_clickhouse_disk_size_bytes{")]
        assert disks
        assert all(0 < seen[name.replace("size", "free")] <= seen[name] for name in disks)

        said = qraft("status", "--json", "--data-dir", str(engine.data_dir), "--config", str(engine.config))
        assert [told["state"] for told in json.loads(said)["engines"]] == ["running"]
        [source] = json.loads(qraft("sources", "--json", "--data-dir", str(engine.data_dir), "--config", str(engine.config)))
        assert source["source"] == "rows"
        assert source["state"] == "finished"
        assert engine.stop() == 0, engine.said()
    finally:
        if engine.alive():
            engine.kill()


def qraft(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "qraft.cli", *arguments], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
