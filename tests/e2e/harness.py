"""A real engine process over real servers, for tests that kill, stop and compare."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import clickhouse_connect
import tomli_w

from qraft.bus import Bus, ensure_streams
from qraft.config import NatsAddress, read_run
from qraft.model import SELF, Feedback

TABLES = {
    "raw_events": "event_id",
    "clean_events": "event_id",
    "pattern_events": "pattern_id",
    "pattern_feedback": "feedback_id",
    "dead_letters": "dead_id",
}


def write_rows(path: Path, rows: int, *, seed: int, broken_every: int = 0) -> None:
    """A CSV of three fields whose level, spread and shape change now and then; some lines are no rows."""
    rng = random.Random(seed)
    level = 0.0
    with path.open("w", encoding="utf-8") as out:
        out.write("t,a,b,c\n")
        for n in range(rows):
            if n % 3000 == 2999:
                level += rng.choice((-12.0, 12.0))
            wide = 6.0 if n // 5000 % 2 else 1.0
            a = level + rng.gauss(0, 1)
            b = rng.gauss(10, wide)
            c = a * 0.5 + rng.gauss(0, 1) if n % 1000 else 60.0
            out.write(f"{1_700_000_000 + n},{a:.6f},{b:.6f},{c:.6f}\n")
            if broken_every and n % broken_every == broken_every - 1:
                out.write('1700,"broken\n' if n % 2 else f"{n},1\n")


class EngineProcess:
    """`qraft engine` as a child of the test."""

    def __init__(self, folder: Path, config: dict[str, object]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.data_dir = folder / "data"
        self.config = folder / "config.toml"
        self.config.write_text(tomli_w.dumps(config), encoding="utf-8")
        self.log = folder / "engine.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        command = [
            sys.executable,
            "-m",
            "qraft.cli",
            "engine",
            "--config",
            str(self.config),
            "--data-dir",
            str(self.data_dir),
        ]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def kill(self) -> None:
        """As a crash would end it."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> int:
        """In order; its exit status."""
        assert self._process is not None
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        return self._process.wait(60)

    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def metrics(self) -> dict[str, float]:
        """Every sample of the engine's /metrics."""
        run = read_run(self.data_dir)
        if run is None or not run.metrics_url:
            return {}
        try:
            with urllib.request.urlopen(run.metrics_url, timeout=5) as answer:
                text = answer.read().decode()
        except OSError:
            return {}
        pairs = (line.rsplit(" ", 1) for line in text.splitlines() if line and not line.startswith("#"))
        return {name: float(value) for name, value in pairs}

    def said(self) -> str:
        """Its log so far."""
        return self.log.read_text(encoding="utf-8", errors="replace")


def ids(url: str, database: str, table: str) -> list[str]:
    """All ids of a table, repeats and all, in order; notices, which each run has of its own, left out."""
    column = TABLES[table]
    with clickhouse_connect.get_client(dsn=url, autogenerate_session_id=False) as client:
        rows = client.query(
            f"SELECT toString({column}) AS id FROM {database}.{table} WHERE source != '{SELF}' ORDER BY id"
        ).result_rows
    return [row[0] for row in rows]


def count(url: str, database: str, table: str) -> int:
    """Rows of a table, repeats and all, without notices; 0 while it is not there."""
    try:
        with clickhouse_connect.get_client(dsn=url, autogenerate_session_id=False) as client:
            return int(client.query(f"SELECT count() FROM {database}.{table} WHERE source != '{SELF}'").result_rows[0][0])
    except clickhouse_connect.driver.exceptions.Error:
        return 0


async def give_verdicts(url: str, sources: int) -> None:
    """Verdicts on ``rows-0`` and on that stand in the stream before any event: every run meets them at the same place."""
    bus = await Bus.connect(NatsAddress(url), name="test")
    await ensure_streams(bus, partitions=16, max_bytes=256 * 1024**2)
    for n in range(sources):
        for k in range(3):
            await bus.send_feedback(
                Feedback(
                    feedback_id=f"00000000-0000-4000-8000-0000000{n:02d}{k:03d}",
                    pattern_id=f"00000000-0000-4000-9000-0000000{n:02d}{k:03d}",
                    verdict="false_positive",
                    timestamp="2026-11-22T10:00:00.000000Z",
                    source=f"rows-{n}",
                    detector="forest",
                    user="ops1",
                )
            )
    await bus.close()


async def until(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Waits until ``condition`` holds; fails with ``what`` when it does not in time."""
    deadline = time.monotonic() + seconds
    while not await asyncio.to_thread(condition):
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        await asyncio.sleep(0.1)


def children_of(pid: int) -> list[int]:
    """Process ids of a process's children, and of theirs."""
    import psutil

    try:
        return [child.pid for child in psutil.Process(pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def gone(pid: int) -> bool:
    """Whether no process (or only a zombie) has this id."""
    import psutil

    try:
        os.kill(pid, 0)
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except (ProcessLookupError, psutil.NoSuchProcess):
        return True
