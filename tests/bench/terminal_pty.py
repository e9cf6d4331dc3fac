"""`qraft tui` as a process of its own in a real pseudo-terminal that is drained as fast as it fills."""

import contextlib
import fcntl
import os
import pty
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import psutil

import qraft

ROOT = Path(qraft.__file__).parents[1]
KEPT_BYTES = 256 * 1024
"""So much of what the process wrote first is kept; of the rest only the length is."""
END_SECONDS = 20.0
STATS_VARIABLE = "QRAFT_TUI_STATS"
SHOWN = "Qraft"
"""What the first line of every frame says."""
_DROPPED = ("NO_COLOR", "SSH_CONNECTION", "SSH_TTY", "TMUX", "COLUMNS", "LINES", "LANG", "LC_CTYPE", "COLORTERM")


class Own(msgspec.Struct, frozen=True):
    """What the interface says of its last ten seconds in one line of its statistics (`tui.cost.CostNow`)."""

    lag_ms_p99: float
    frame_ms: float
    frame_ms_p99: float
    hertz: float


@dataclass
class Terminal:
    """A process in a terminal.

    Attributes:
        begun: when it was started (`time.perf_counter`).
        written: bytes it wrote to the terminal so far.
        first: what it wrote first.
        chunks: when each piece of ``first`` came, and how long ``first`` was with it.
    """

    process: subprocess.Popen[bytes]
    stats: Path
    begun: float
    written: int = 0
    first: bytearray = field(default_factory=bytearray)
    chunks: list[tuple[float, int]] = field(default_factory=list)

    def drain(self, fd: int) -> None:
        """Reads until the other end is closed."""
        while True:
            try:
                data = os.read(fd, 65_536)
            except OSError:  # on Linux the end of a terminal is an error
                return
            if not data:
                return
            if len(self.first) < KEPT_BYTES:
                self.first += data
                self.chunks.append((time.perf_counter(), len(self.first)))
            self.written += len(data)

    def until(self, texts: Sequence[str], seconds: float = 60.0) -> float:
        """Seconds from the start until all ``texts`` had been written.

        Raises:
            RuntimeError: they were not, or the process has ended.
        """
        wanted = [text.encode() for text in texts]
        while not all(text in self.first for text in wanted):
            if self.process.poll() is not None or time.perf_counter() - self.begun > seconds:
                raise RuntimeError(f"the terminal does not show {texts}: {bytes(self.first[-2000:])!r}")
            time.sleep(0.005)
        reached = max(self.first.find(text) + len(text) for text in wanted)
        return next(when for when, length in self.chunks if length >= reached) - self.begun

    def cpu_seconds(self) -> float:
        """User and system time of the process so far."""
        times = psutil.Process(self.process.pid).cpu_times()
        return float(times.user + times.system)

    def rss(self) -> int:
        """Resident bytes of the process."""
        return int(psutil.Process(self.process.pid).memory_info().rss)

    def own(self) -> list[Own]:
        """Every line of its own statistics so far, once a second; empty where it keeps none."""
        if not self.stats.exists():
            return []
        lines = self.stats.read_bytes().splitlines(keepends=True)
        return [msgspec.json.decode(line, type=Own) for line in lines if line.endswith(b"\n")]


@contextlib.contextmanager
def terminal(nats_url: str, clickhouse_url: str, *, columns: int, rows: int) -> Iterator[Terminal]:
    """`qraft tui` of this tree in a terminal of ``columns`` by ``rows``, ended with the context."""
    with tempfile.TemporaryDirectory(prefix="qraft-bench-tui-") as folder:
        stats = Path(folder) / "stats.ndjson"
        environment = {name: value for name, value in os.environ.items() if name not in _DROPPED}
        environment |= {
            "TERM": "xterm-256color",
            "COLORTERM": "truecolor",
            "LC_ALL": "C.UTF-8",
            "PYTHONPATH": str(ROOT),
            STATS_VARIABLE: str(stats),
        }
        command = [sys.executable, "-m", "qraft.cli", "tui", "--data-dir", folder]
        command += ["--nats", nats_url, "--clickhouse", clickhouse_url]
        outer, inner = pty.openpty()
        try:
            fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
            begun = time.perf_counter()
            process = subprocess.Popen(
                command, stdin=inner, stdout=inner, stderr=inner, cwd=folder, env=environment, start_new_session=True
            )
        finally:
            os.close(inner)
        shown = Terminal(process, stats, begun)
        reader = threading.Thread(target=shown.drain, args=(outer,), name="drain")
        reader.start()
        try:
            yield shown
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            reader.join(END_SECONDS)
            os.close(outer)
