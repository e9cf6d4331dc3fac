"""A whole instance, as `qraft up` starts it, and the memory of its parts."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil
import tomli_w

from qraft.config import RunInfo, read_run

START_SECONDS = 90.0
POLL_SECONDS = 0.05


@contextlib.asynccontextmanager
async def instance(config: Mapping[str, Any] | None = None, folder: Path | None = None) -> AsyncIterator[RunInfo]:
    """An instance on a data directory of its own, ended with the context.

    Its config.toml, with ``config`` in it, and its data stand in ``folder``, or in one that goes with it.
    """
    with tempfile.TemporaryDirectory(prefix="qraft-bench-") as own:
        place = folder or Path(own)
        data_dir, file = place / "data", place / "config.toml"
        file.write_text(tomli_w.dumps({"engine": {"log_level": "warning"}, **(config or {})}))
        command = [sys.executable, "-m", "qraft.cli", "up", "--no-tui", "--config", str(file), "--data-dir", str(data_dir)]
        with _process(command) as process:
            try:
                yield await _ready(process, data_dir)
            except Exception:
                log = data_dir / "logs" / "engine.log"
                print("".join(log.read_text().splitlines(keepends=True)[-20:]) if log.exists() else "", file=sys.stderr)
                raise


@contextlib.contextmanager
def _process(command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


async def _ready(process: subprocess.Popen[bytes], data_dir: Path) -> RunInfo:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        run = read_run(data_dir)
        if run is not None and run.api_url and "engine" in run.pids:
            return run
        if process.poll() is not None:
            raise RuntimeError(f"qraft up ended at start with status {process.returncode}")
        await asyncio.sleep(POLL_SECONDS)
    raise RuntimeError(f"qraft up was not ready after {START_SECONDS:.0f} s")


async def sample_memory(run: RunInfo, peaks: dict[str, int]) -> None:
    """The largest resident size of each part, its children included."""
    while True:
        for part, pid in run.pids.items():
            with contextlib.suppress(psutil.NoSuchProcess):
                top = psutil.Process(pid)
                own = top.memory_info().rss
                below = 0 if part == "up" else sum(p.memory_info().rss for p in top.children(recursive=True))
                peaks[part] = max(peaks.get(part, 0), own + below)
        await asyncio.sleep(0.25)
