"""kill -9 of the engine at any moment leaves the tables of an undisturbed run: nothing lost, nothing twice."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest

from qraft.embedded.nats import start_nats
from tests.e2e.harness import TABLES, EngineProcess, count, give_verdicts, ids, until, write_rows

SOURCES = 4
ROWS = 50_000
KILLS = 5


STEPS: dict[int, list[dict[str, object]]] = {
    2: [
        {"do": "window", "every": "5s", "aggregate": {"a": ["ohlc", "std"], "b": ["mean", "p90"]}},
        {"do": "features", "of": {"a.close": ["diff", "rolling_z(20)"], "b.mean": ["ewm(0.1)"]}},
    ],
    3: [
        {"do": "derive", "fields": {"gap": "a - b"}},
        {"do": "filter", "expression": "c < 55"},
        {"do": "features", "of": {"gap": ["lag(3)", "rolling_mean(30s)"]}, "calendar": ["time_of_day"]},
    ],
}
"""State that crosses micro-batches and snapshots, in two of the sources."""


def config(nats_url: str, clickhouse_url: str, database: str, folder: Path) -> dict[str, object]:
    return {
        "engine": {"barrier_seconds": 1.0, "barrier_rows": 5000},
        "nats": {"url": nats_url},
        "clickhouse": {"url": clickhouse_url, "database": database},
        "detect": {"forest": {"trees": 5, "height": 6}},
        # on a busy machine one of the two runs may fall behind, and what is judged lightly is judged otherwise
        "pressure": {"wait_seconds": 2.0, "light_seconds": 600.0, "archive_seconds": 700.0, "drop_seconds": 800.0},
        "sources": {
            f"rows-{n}": {
                "adapter": "file",
                "path": str(folder / f"rows-{n}.csv"),
                "mode": "replay",
                "time": "t",
                "steps": STEPS.get(n, []),
            }
            for n in range(SOURCES)
        },
    }


@pytest.mark.timeout(500)
async def test_five_kills_leave_the_tables_of_an_undisturbed_run(tmp_path: Path, clickhouse_url: str, database: str) -> None:
    for n in range(SOURCES):
        write_rows(tmp_path / f"rows-{n}.csv", ROWS, seed=n, broken_every=7000)
    servers, engines = [], []
    databases = (f"{database}_calm", f"{database}_killed")
    try:
        for name in databases:
            server = await start_nats(tmp_path / name / "nats", max_store=1024**3, log=tmp_path / name / "nats.log")
            servers.append(server)
            await give_verdicts(server.url, SOURCES)
            settings = config(server.url, clickhouse_url, name, tmp_path) | {
                "nats": {"url": server.url, "max_bytes": "512 MiB"}
            }
            engines.append(EngineProcess(tmp_path / name, settings))
        calm, killed = engines
        calm.start()
        rng = random.Random(20261122)
        kills = 0
        killed.start()
        while kills < KILLS:
            goal = count(clickhouse_url, databases[1], "raw_events") + rng.randint(3_000, 30_000)
            await until(lambda goal=goal: count(clickhouse_url, databases[1], "raw_events") >= goal, 200, "progress")  # type: ignore[misc]
            await asyncio.sleep(rng.random())
            killed.kill()
            kills += 1
            assert count(clickhouse_url, databases[1], "raw_events") < SOURCES * ROWS, "the kill came after the end"
            killed.start()
        for engine, name in zip(engines, databases, strict=True):
            await until(
                lambda name=name: count(clickhouse_url, name, "raw_events") >= SOURCES * ROWS,
                300,
                f"all rows in {name}",  # type: ignore[misc]
            )
            assert engine.stop() == 0, engine.said()
        for table in TABLES:
            undisturbed, disturbed = (ids(clickhouse_url, name, table) for name in databases)
            assert len(undisturbed) == len(set(undisturbed)), f"{table}: repeats in the undisturbed run"
            assert disturbed == undisturbed, f"{table}: {len(disturbed)} rows, undisturbed {len(undisturbed)}"
            assert undisturbed, f"{table} is empty, so the test shows nothing"
        assert len(ids(clickhouse_url, databases[0], "raw_events")) == SOURCES * ROWS
    finally:
        for engine in engines:
            if engine.alive():
                engine.kill()
        for server in servers:
            await server.stop()
