"""A person at a terminal: commands under a tmux of their own, and a real instance beside them."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest

from qraft.bus import Bus
from qraft.config import NatsAddress, RunInfo, read_run
from qraft.model import SELF

needs_tmux = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")
WIDE, NARROW = (120, 36), (80, 24)


def qraft(*arguments: str) -> list[str]:
    """The command line of a `qraft` command."""
    return [sys.executable, "-m", "qraft.cli", *arguments]


class Terminal:
    """One command in a tmux server of its own, so that no other tmux is touched; what it printed last stays to be read."""

    def __init__(self, command: Sequence[str], size: tuple[int, int] = WIDE, *, user: str = "ops1") -> None:
        self._socket = f"qraft-{uuid.uuid4().hex[:8]}"
        settings = {"status": "off", "set-clipboard": "on", "escape-time": "0"}
        set_all = [word for name, value in settings.items() for word in ("set-option", "-g", name, value, ";")]
        width, height = map(str, size)
        self.tmux(
            *("-u", "-f", "/dev/null", "start-server", ";", *set_all, "new-session", "-d", "-x", width, "-y", height),
            *("-e", "LANG=C.UTF-8", "-e", f"LOGNAME={user}", f"{shlex.join(command)}; echo [ended with $?]; sleep 600"),
        )

    def tmux(self, *arguments: str) -> str:
        """What a tmux command says."""
        command = ["tmux", "-L", self._socket, *arguments]
        environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "TMUX")}
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20, env=environment)
        return done.stdout

    def press(self, *keys: str) -> None:
        """Presses keys by tmux's names, one after the other."""
        self.tmux("send-keys", *keys)

    def write(self, text: str) -> None:
        """Types a text and enter."""
        self.tmux("send-keys", "-l", text)
        self.press("Enter")

    def screen(self) -> str:
        """What is on the screen; it must hold no traceback."""
        shown = self.tmux("capture-pane", "-p")
        assert "Traceback" not in shown, shown
        return shown

    def sees(self, *texts: str, seconds: float = 30) -> str:
        """Waits until all texts are on the screen together; the screen."""
        return self.until(lambda shown: all(text in shown for text in texts), " and ".join(texts), seconds)

    def lacks(self, text: str, seconds: float = 30) -> str:
        """Waits until a text is gone from the screen; the screen."""
        return self.until(lambda shown: text not in shown, f"no {text}", seconds)

    def until(self, condition: Callable[[str], bool], what: str, seconds: float = 30) -> str:
        """Waits until the screen is as asked; the screen."""
        deadline = time.monotonic() + seconds
        while not condition(shown := self.screen()):
            assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}\n{shown}"
            time.sleep(0.1)
        return shown

    def line(self, number: int = 0) -> str:
        """One line of the screen."""
        return self.screen().split("\n")[number]

    def at_cursor(self) -> str:
        """The row under the cursor of the list."""
        return row_of(self.screen())

    def row_shows(self, *texts: str, seconds: float = 30) -> None:
        """Waits until the row under the cursor holds all texts."""
        what = f"the row under the cursor shows {' and '.join(texts)}"
        self.until(lambda shown: all(text in row_of(shown) for text in texts), what, seconds)

    def down_to(self, text: str) -> None:
        """Moves the cursor down to the next row that holds the text; it stays where it is when that one does."""
        while text not in (row := self.at_cursor()):
            self.press("j")
            self.row_left(row)

    def row_left(self, row: str) -> None:
        """Waits until the cursor stands on another row."""
        self.until(lambda shown: row_of(shown) not in (row, ""), f"the cursor leaves {row}")

    def copied(self, key: str, said: str) -> str:
        """Presses a key that copies; what tmux has as its newest buffer then."""
        self.tmux("delete-buffer")
        self.press(key)
        self.sees(said)
        wait(lambda: self.tmux("list-buffers"), "something is copied")
        return self.tmux("show-buffer")

    @property
    def pid(self) -> int:
        """The command's process id."""
        shell = int(self.tmux("display-message", "-p", "#{pane_pid}"))
        return psutil.Process(shell).children()[0].pid

    def ended(self, seconds: float = 30) -> str:
        """Waits until the command has ended well; what it left on the screen."""
        shown = self.sees("[ended with ", seconds=seconds)
        assert "[ended with 0]" in shown, shown
        return shown

    def kill(self) -> None:
        """As a crash would end the command."""
        os.kill(self.pid, signal.SIGKILL)
        self.sees("[ended with 137]")

    def close(self) -> None:
        """Ends the command and its tmux."""
        self.tmux("kill-server")


def row_of(screen: str) -> str:
    """The row that the cursor of a list stands on."""
    return next((row for row in screen.split("\n") if row.startswith("▌")), "")


class Instance:
    """`qraft up --no-tui` on a folder, and the terminals opened on it."""

    def __init__(self, folder: Path, config: str) -> None:
        self.folder = folder
        self.data_dir = folder / "data"
        (folder / "config.toml").write_text(config, encoding="utf-8")
        self._up: subprocess.Popen[bytes] | None = None
        self._terminals: list[Terminal] = []

    @property
    def run(self) -> RunInfo:
        """Where its parts are."""
        found = read_run(self.data_dir)
        assert found is not None, self.said()
        return found

    def said(self) -> str:
        """What `qraft up` printed."""
        return (self.folder / "up.log").read_text(encoding="utf-8", errors="replace")

    def start(self) -> None:
        """Returns when every part answers."""
        with (self.folder / "up.log").open("ab") as log:
            self._up = up = subprocess.Popen(
                qraft("up", "--no-tui", *self._where()), stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

        def ready() -> bool:
            assert up.poll() is None, self.said()
            run = read_run(self.data_dir)
            return run is not None and bool(run.api_url)

        wait(ready, "the instance is ready", 90)

    def stop(self) -> None:
        """Ends terminals and instance in order."""
        for terminal in self._terminals:
            terminal.close()
        if self._up is not None:
            self._up.send_signal(signal.SIGTERM)
            self._up.wait(90)

    def terminal(self, size: tuple[int, int] = WIDE, *options: str, user: str = "ops1") -> Terminal:
        """`qraft tui` on it."""
        opened = Terminal(qraft("tui", *self._where(), *options), size, user=user)
        self._terminals.append(opened)
        return opened

    def call(self, *arguments: str) -> str:
        """What a `qraft` command prints."""
        command = qraft(*arguments, *self._where())
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def _where(self) -> list[str]:
        return ["--config", str(self.folder / "config.toml"), "--data-dir", str(self.data_dir)]

    def ask(self, sql: str) -> list[dict[str, Any]]:
        """The rows of a query in the instance's database, over plain HTTP."""
        return rows_of(self.run.clickhouse_url, self.run.database, sql)

    def number(self, table: str) -> int:
        """How many rows of the sources a table has."""
        return int(self.ask(f"SELECT toInt64(count()) AS n FROM {table} WHERE source != '{SELF}'")[0]["n"])

    def settle(self, rows: int) -> None:
        """Waits until so many rows, and all that was found in them, are stored."""
        wait(lambda: self.number("clean_events") == rows, "all rows are stored", 90)
        control(self.run.nats_url, "snapshot")

    def feedback(self) -> list[dict[str, Any]]:
        """What is stored of what was said, in the order it was said; every row, repeats and all."""
        return self.ask(
            "SELECT feedback_id, pattern_id, verdict, note, user, undoes, scope, source, detector,"
            " toFloat64(toUnixTimestamp64Micro(until) - toUnixTimestamp64Micro(timestamp)) / 1e6 AS lasts"
            " FROM pattern_feedback ORDER BY timestamp, feedback_id"
        )

    def kill(self, part: str) -> int:
        """As a crash would end a part; the process id it had."""
        pid = self.run.pids[part]
        os.kill(pid, signal.SIGKILL)
        return pid


def rows_of(url: str, database: str, sql: str) -> list[dict[str, Any]]:
    """The rows of a query, over plain HTTP."""
    address = f"{url}/?database={database}&default_format=JSONEachRow"
    with urllib.request.urlopen(urllib.request.Request(address, data=sql.encode()), timeout=30) as answer:
        return [json.loads(row) for row in answer.read().splitlines() if row]


def control(url: str, verb: str) -> Any:
    """What the engine answers to a verb of its control service."""

    async def ask() -> Any:
        bus = await Bus.connect(NatsAddress(url), name="test")
        try:
            return await bus.request(verb)
        finally:
            await bus.close()

    return asyncio.run(ask())


def wait(condition: Callable[[], object], what: str, seconds: float = 30) -> None:
    """Waits until ``condition`` holds; fails with ``what`` when it does not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.1)
