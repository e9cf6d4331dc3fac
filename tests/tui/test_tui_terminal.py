"""The interface in a real pseudo-terminal, as a process of its own."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

PROGRAM = """
import pathlib, sys
from qraft.config import ClickHouseAddress, NatsAddress
from tui import app
sys.exit(app.run(nats=NatsAddress(sys.argv[1]), clickhouse=ClickHouseAddress("http://127.0.0.1:1"), database="qraft",
                 data_dir=pathlib.Path(sys.argv[2]), engine="main"))
"""


class Terminal:
    """A child process with a terminal of 100 by 30, and everything it wrote."""

    def __init__(self, nats_url: str, folder: Path, **environment: str) -> None:
        self.fd, inner = pty.openpty()
        fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
        base = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "SSH_CONNECTION", "COLUMNS", "LINES")}
        settings = {"TERM": "xterm-256color", "COLORTERM": "truecolor", "LC_ALL": "C.UTF-8", **environment}
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, nats_url, str(folder)],
            stdin=inner,
            stdout=inner,
            stderr=inner,
            env={**base, **settings},
            start_new_session=True,
        )
        os.close(inner)
        self.output = b""

    def read(self, text: str, seconds: float = 40.0) -> None:
        """Reads until the text was written."""
        limit = time.monotonic() + seconds
        while text.encode() not in self.output:
            assert time.monotonic() < limit, self.output[-2000:]
            self._take(0.2)

    def key(self, text: str) -> None:
        os.write(self.fd, text.encode())

    def end(self, seconds: float = 40.0) -> int:
        """Reads until the child has ended; its exit status."""
        limit = time.monotonic() + seconds
        while self.process.poll() is None:
            assert time.monotonic() < limit, self.output[-2000:]
            self._take(0.1)
        while self._take(0.1):
            pass
        return self.process.returncode

    def _take(self, seconds: float) -> bool:
        if not select.select([self.fd], [], [], seconds)[0]:
            return False
        try:
            data = os.read(self.fd, 65536)
        except OSError:  # on Linux the end of a terminal is an error
            return False
        self.output += data
        return bool(data)


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Callable[..., Terminal]]:
    made: list[Terminal] = []

    def start(nats_url: str, **environment: str) -> Terminal:
        made.append(Terminal(nats_url, tmp_path / "data", **environment))
        return made[-1]

    yield start
    for child in made:
        if child.process.poll() is None:
            child.process.kill()
            child.process.wait()
        os.close(child.fd)


LEFT_FULL_SCREEN = b"\x1b[?1049l"
NOWHERE = "nats://127.0.0.1:1"


def test_without_any_server_it_opens_says_so_and_leaves_cleanly(terminal: Callable[..., Terminal]) -> None:
    child = terminal(NOWHERE)
    child.read("NATS does not answer at")
    child.key("q")
    assert child.end() == 0
    assert LEFT_FULL_SCREEN in child.output
    assert b"Traceback" not in child.output


def test_against_a_server_it_waits_for_the_engine(terminal: Callable[..., Terminal], nats_url: str) -> None:
    child = terminal(nats_url)
    child.read("waiting for the engine")
    child.key("\x03")
    assert child.end() == 0
    assert LEFT_FULL_SCREEN in child.output


def test_being_told_to_end_restores_the_terminal(terminal: Callable[..., Terminal]) -> None:
    child = terminal(NOWHERE)
    child.read("NATS does not answer at")
    child.process.send_signal(signal.SIGTERM)
    assert child.end() == 0
    assert LEFT_FULL_SCREEN in child.output


def test_without_colour_and_without_utf8(terminal: Callable[..., Terminal]) -> None:
    child = terminal(NOWHERE, NO_COLOR="1", LC_ALL="C", PYTHONUTF8="1")
    child.read("NATS does not answer at")
    child.key("?")
    child.read("LABEL")
    child.key("G")
    child.read("FILTER")
    child.key("q")
    child.key("q")
    assert child.end() == 0
    assert child.output.isascii()
    assert b"38;2" not in child.output
    assert b"48;2" not in child.output
    assert b"Traceback" not in child.output
