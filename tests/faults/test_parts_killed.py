"""kill -9 of each part of `qraft up`, of `up` itself, of three at once: it comes back and every row stands once."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from qraft.config import RunInfo, read_run
from tests.e2e.harness import count, gone, ids, until, write_rows

ROWS = 30_000
CONFIG = """
[engine]
barrier_seconds = 0.7
[nats]
max_bytes = "128 MiB"
[sources.rows]
adapter = "file"
path = "rows.csv"
mode = "replay"
time = "t"
rate = 1200
"""


class Instance:
    """`qraft up --no-tui` on one data directory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        self._process = process = self._spawn()

        def ready() -> bool:
            run = read_run(self.folder / "data")
            return run is not None and run.pids.get("up") == process.pid and bool(run.api_url)

        await until(ready, 90, "the instance is ready")

    def _spawn(self) -> subprocess.Popen[bytes]:
        options = ["--no-tui", "--config", str(self.folder / "config.toml"), "--data-dir", str(self.folder / "data")]
        with (self.folder / "up.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "qraft.cli", "up", *options], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    @property
    def run(self) -> RunInfo:
        found = read_run(self.folder / "data")
        assert found is not None
        return found

    def kill(self, *parts: str) -> None:
        for part in parts:
            os.kill(self.run.pids[part], signal.SIGKILL)

    def rows(self) -> int:
        run = read_run(self.folder / "data")
        return 0 if run is None or not run.clickhouse_url else count(run.clickhouse_url, run.database, "raw_events")

    def end(self, how: signal.Signals) -> int:
        assert self._process is not None
        self._process.send_signal(how)
        return self._process.wait(90)


@pytest.mark.timeout(300)
async def test_whatever_is_killed_every_row_stands_once(tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.csv", ROWS, seed=11)
    (tmp_path / "config.toml").write_text(CONFIG, encoding="utf-8")
    instance = Instance(tmp_path)
    await instance.start()
    family: set[int] = set()
    try:
        for part in ("nats", "clickhouse", "engine", "api"):
            await asyncio.sleep(2.0)
            family |= set(instance.run.pids.values())
            instance.kill(part)
        await asyncio.sleep(3.0)
        family |= set(instance.run.pids.values())
        instance.end(signal.SIGKILL)
        await instance.start()
        assert instance.rows() < ROWS, "the kills came after the end"
        instance.kill("engine", "clickhouse", "nats")
        await until(lambda: instance.rows() >= ROWS, 120, "all rows")
        run = instance.run
        family |= set(run.pids.values())
        for table in ("raw_events", "clean_events", "pattern_events"):
            stored = ids(run.clickhouse_url, run.database, table)
            assert len(stored) == len(set(stored)), f"repeats in {table}"
            assert stored, table
        assert len(ids(run.clickhouse_url, run.database, "raw_events")) == ROWS
    finally:
        instance.end(signal.SIGTERM)
    await until(lambda: all(map(gone, family)), 30, "nothing is left")
