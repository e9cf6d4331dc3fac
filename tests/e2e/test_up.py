"""`qraft up` and `qraft demo` as a user runs them: they start, find patterns, survive a crash, and leave nothing behind."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from qraft.config import RunInfo, read_run
from tests.e2e.harness import children_of, gone, until

CONFIG = """
[engine]
barrier_seconds = 1.0
[nats]
max_bytes = "64 MiB"
[sources.host]
adapter = "host"
interval_seconds = 0.2
"""


def qraft(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "qraft.cli", *arguments]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "config.toml").write_text(CONFIG, encoding="utf-8")
    return tmp_path


def start_up(folder: Path) -> subprocess.Popen[bytes]:
    with (folder / "up.log").open("wb") as log:
        return subprocess.Popen(
            qraft("up", "--no-tui", "--config", str(folder / "config.toml"), "--data-dir", str(folder / "data")),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )


async def running(folder: Path) -> RunInfo:
    def there() -> bool:
        run = read_run(folder / "data")
        return run is not None and bool(run.api_url)

    await until(there, 60, "qraft up is ready: " + (folder / "up.log").read_text())
    run = read_run(folder / "data")
    assert run is not None
    return run


async def test_up_starts_everything_survives_an_engine_crash_and_ends_clean(folder: Path) -> None:
    up = start_up(folder)
    try:
        run = await running(folder)
        assert set(run.pids) == {"up", "nats", "clickhouse", "engine", "api"}

        def reading() -> bool:
            return '"host"' in httpx.get(f"{run.api_url}/api/sources").text

        await until(reading, 20, "the REST server knows the source")
        second = await asyncio.to_thread(
            subprocess.run,
            qraft("up", "--no-tui", "--config", str(folder / "config.toml"), "--data-dir", str(folder / "data")),
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert second.returncode == 1
        assert "already runs" in second.stderr
        assert "Traceback" not in second.stderr

        os.kill(run.pids["engine"], signal.SIGKILL)

        def restarted() -> bool:
            now = read_run(folder / "data")
            return now is not None and now.pids.get("engine") not in (None, run.pids["engine"])

        await until(restarted, 30, "the engine is started again")
        family = children_of(up.pid)
        assert len(family) >= 4
        up.send_signal(signal.SIGTERM)
        assert up.wait(60) == 0
        assert read_run(folder / "data") is None
        await until(lambda: all(map(gone, family)), 5, "no child is left")
    finally:
        up.kill()
        up.wait()


async def test_a_killed_up_leaves_no_orphan(folder: Path) -> None:
    up = start_up(folder)
    try:
        await running(folder)
        family = children_of(up.pid)
        assert len(family) >= 4
    finally:
        up.kill()
        up.wait()
    await until(lambda: all(map(gone, family)), 30, "every child ends with its parent")


@pytest.mark.timeout(120)
def test_the_demo_finds_patterns_in_all_it_is_shown(tmp_path: Path) -> None:
    done = subprocess.run(
        qraft("demo", "--no-tui", "--seconds", "30", "--json", "--data-dir", str(tmp_path / "data")),
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary["events"] > 1000
    assert sum(summary["patterns"].values()) > 0
    assert summary["rows"]["raw_events"] == summary["events"]
    assert summary["rows"]["pattern_events"] == sum(summary["patterns"].values())
    assert "Traceback" not in done.stderr
