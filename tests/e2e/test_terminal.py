"""A person at a terminal: `qraft up` under tmux, a finding confirmed with one key, the verdict read back from ClickHouse."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from qraft.config import read_run
from tests.e2e.harness import gone, ids, until, write_rows

pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")

CONFIG = """
[engine]
barrier_seconds = 0.5
[nats]
max_bytes = "64 MiB"
[sources.bench-rig]
adapter = "file"
path = "rows.csv"
mode = "replay"
time = "t"
rate = 2000
"""


class Terminal:
    """A tmux session of its own server, so that no other tmux is touched."""

    def __init__(self, command: str, width: int, height: int) -> None:
        self._socket = f"qraft-{uuid.uuid4().hex[:8]}"
        self._tmux("new-session", "-d", "-x", str(width), "-y", str(height), command)

    def _tmux(self, *arguments: str) -> str:
        done = subprocess.run(
            ["tmux", "-L", self._socket, *arguments], capture_output=True, text=True, check=False, timeout=20
        )
        return done.stdout

    def press(self, key: str) -> None:
        self._tmux("send-keys", key)

    def screen(self) -> str:
        return self._tmux("capture-pane", "-p")

    def close(self) -> None:
        self._tmux("kill-server")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_rows(tmp_path / "rows.csv", 12_000, seed=3)
    (tmp_path / "config.toml").write_text(CONFIG, encoding="utf-8")
    return tmp_path


@pytest.fixture(params=[(120, 36), (80, 24)], ids=["120x36", "80x24"])
def terminal(folder: Path, request: pytest.FixtureRequest) -> Iterator[Terminal]:
    arguments = ["-m", "qraft.cli", "up", "--config", str(folder / "config.toml"), "--data-dir", str(folder / "data")]
    opened = Terminal(shlex.join([sys.executable, *arguments]), *request.param)
    yield opened
    opened.close()


def verdicts(folder: Path) -> set[str]:
    """What `qraft patterns` says of every pattern."""
    command = [
        sys.executable,
        "-m",
        "qraft.cli",
        "patterns",
        "--json",
        "--limit",
        "1000",
        "--data-dir",
        str(folder / "data"),
    ]
    listed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    return {json.loads(line)["verdict"] for line in listed.splitlines()}


async def test_a_key_confirms_a_finding_and_q_ends_all_of_it(folder: Path, terminal: Terminal) -> None:
    await until(lambda: "bench-rig" in terminal.screen() and "NEW" in terminal.screen(), 60, "a finding on the screen")
    run = read_run(folder / "data")
    assert run is not None
    terminal.press("c")
    await until(lambda: "stored" in terminal.screen() or "CONF" in terminal.screen(), 20, "the verdict is shown")
    await until(lambda: len(ids(run.clickhouse_url, run.database, "pattern_feedback")) == 1, 20, "the verdict is stored")
    await until(lambda: "confirmed" in verdicts(folder), 20, "the pattern is listed with its verdict")
    terminal.press("u")
    await until(lambda: len(ids(run.clickhouse_url, run.database, "pattern_feedback")) == 2, 20, "the undo is stored")
    terminal.press("q")
    await until(lambda: all(map(gone, run.pids.values())), 40, "nothing is left")
    assert read_run(folder / "data") is None
