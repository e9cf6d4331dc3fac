"""ClickHouse and NATS away for 20 s each: the engine waits, says so, goes on, and nothing is missing."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from qraft.embedded.clickhouse import start_clickhouse
from qraft.embedded.nats import start_nats
from tests.e2e.harness import EngineProcess, count, ids, until, write_rows

ROWS = 6000
RATE = 100.0
AWAY_SECONDS = 20.0


@pytest.mark.timeout(240)
async def test_the_engine_waits_for_its_servers_and_catches_up(tmp_path: Path, database: str) -> None:
    write_rows(tmp_path / "rows.csv", ROWS, seed=7)
    nats = await start_nats(tmp_path / "nats", max_store=1024**3, log=tmp_path / "nats.log")
    clickhouse = await start_clickhouse(tmp_path / "clickhouse", log=tmp_path / "clickhouse.log")
    nats_port, clickhouse_port = (int(child.url.rsplit(":", 1)[1]) for child in (nats, clickhouse))
    engine = EngineProcess(
        tmp_path / "engine",
        {
            "engine": {"barrier_seconds": 1.0},
            "nats": {"url": nats.url, "max_bytes": "256 MiB"},
            "clickhouse": {"url": clickhouse.url, "database": database},
            "sources": {
                "rows": {"adapter": "file", "path": str(tmp_path / "rows.csv"), "mode": "replay", "time": "t", "rate": RATE}
            },
        },
    )
    url = clickhouse.url
    try:
        engine.start()
        await until(lambda: count(url, database, "raw_events") > 300, 60, "first rows")
        assert engine.metrics()['qraft_engine_state{state="running"}'] == 1

        await clickhouse.kill()
        await until(lambda: engine.metrics().get("qraft_clickhouse_connected") == 0, 15, "ClickHouse seen away")
        await until(
            lambda: engine.metrics().get('qraft_engine_state{state="running"}') == 0, 15, "the engine says that it waits"
        )
        judged = engine.metrics()['qraft_stage_received_total{stage="detect"}']
        await asyncio.sleep(AWAY_SECONDS - 5)
        assert engine.metrics()['qraft_stage_received_total{stage="detect"}'] > judged, "detection goes on meanwhile"
        clickhouse = await start_clickhouse(tmp_path / "clickhouse", port=clickhouse_port, log=tmp_path / "clickhouse.log")
        await until(lambda: engine.metrics().get('qraft_engine_state{state="running"}') == 1, 30, "the engine goes on")

        await nats.kill()
        await until(lambda: engine.metrics().get("qraft_nats_connected") == 0, 15, "NATS seen away")
        await until(
            lambda: engine.metrics().get('qraft_engine_state{state="running"}') == 0, 15, "the engine says that it waits"
        )
        await asyncio.sleep(AWAY_SECONDS - 5)
        nats = await start_nats(tmp_path / "nats", port=nats_port, max_store=1024**3, log=tmp_path / "nats.log")
        await until(lambda: engine.metrics().get('qraft_engine_state{state="running"}') == 1, 30, "the engine goes on")

        await until(lambda: count(url, database, "raw_events") >= ROWS, 120, "all rows")
        assert engine.stop() == 0, engine.said()
        stored = ids(url, database, "raw_events")
        assert len(stored) == len(set(stored)) == ROWS
        assert "ClickHouse is back" in engine.said()
    finally:
        if engine.alive():
            engine.kill()
        await clickhouse.stop()
        await nats.stop()
