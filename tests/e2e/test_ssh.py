"""`qraft tui --ssh`: the interface here, a real instance there, a real sshd between them."""

from __future__ import annotations

import asyncio
import os
import pty
import select
import shlex
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from qraft.config import RunInfo, read_run
from tests.e2e.harness import children_of, gone, until
from tests.remote.farhost import FarHost, running_host

CONFIG = """
[engine]
barrier_seconds = 0.5
[nats]
max_bytes = "64 MiB"
[sources.far-host]
adapter = "host"
interval_seconds = 0.2
"""


def qraft(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "qraft.cli", *arguments]


@dataclass
class There:
    """The machine and the instance that runs on it."""

    host: FarHost
    data_dir: Path

    @property
    def run(self) -> RunInfo:
        run = read_run(self.data_dir)
        assert run is not None
        return run


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The data directory of one `qraft up` for all tests of this file."""
    folder = tmp_path_factory.mktemp("there")
    (folder / "config.toml").write_text(CONFIG, encoding="utf-8")
    with (folder / "up.log").open("wb") as log:
        command = qraft("up", "--no-tui", "--config", str(folder / "config.toml"), "--data-dir", str(folder / "data"))
        up = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 60
        while (run := read_run(folder / "data")) is None or not run.api_url:
            assert up.poll() is None, (folder / "up.log").read_text()
            assert time.monotonic() < deadline, (folder / "up.log").read_text()
            time.sleep(0.1)
        yield folder / "data"
    finally:
        up.send_signal(signal.SIGTERM)
        up.wait(60)


@pytest.fixture
def there(instance: Path, tmp_path: Path) -> Iterator[There]:
    with running_host(tmp_path / "ssh") as host:
        yield There(host, instance)


class Terminal:
    """A command under a tmux server of its own; the status it ended with goes to a file."""

    def __init__(self, there: There, folder: Path, command: str) -> None:
        self._ended = folder / "status"
        self._socket = f"qraft-{uuid.uuid4().hex[:8]}"
        self._environment = {**there.host.environment, "LANG": "C.UTF-8"}
        script = f"{command}; echo $? > {shlex.quote(str(self._ended))}; sleep 60"
        self.tmux("-f", "/dev/null", "new-session", "-d", "-x", "120", "-y", "36", script)

    def tmux(self, *arguments: str) -> str:
        command = ["tmux", "-L", self._socket, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=20, env=self._environment).stdout

    def press(self, *keys: str) -> None:
        self.tmux("send-keys", *keys)

    def screen(self) -> str:
        return self.tmux("capture-pane", "-p")

    async def shows(self, text: str, seconds: float) -> None:
        """Waits until the text is on the screen."""
        deadline = time.monotonic() + seconds
        while text not in (screen := await asyncio.to_thread(self.screen)):
            assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {text}\n{screen}"
            await asyncio.sleep(0.1)

    @property
    def processes(self) -> list[psutil.Process]:
        """The interface and what it started."""
        shell = int(self.tmux("display-message", "-p", "#{pane_pid}"))
        return [child for child in psutil.Process(shell).children(recursive=True) if child.name() != "sleep"]

    def status(self) -> str:
        """The exit status, once it ended."""
        return self._ended.read_text().strip() if self._ended.exists() else ""

    def close(self) -> None:
        self.tmux("kill-server")


@pytest.fixture
def terminal(there: There, tmp_path: Path) -> Iterator[Terminal]:
    """`qraft tui --ssh far`."""
    if shutil.which("tmux") is None:
        pytest.skip("tmux is not installed")
    (tmp_path / "config.toml").write_text(f'[engine]\ndata_dir = "{tmp_path}/here"\n', encoding="utf-8")
    arguments = ("--config", str(tmp_path / "config.toml"), "--data-dir", str(there.data_dir))
    opened = Terminal(there, tmp_path, shlex.join(qraft("tui", "--ssh", "far", *arguments)))
    yield opened
    opened.close()


def no_trace(there: There, processes: list[psutil.Process]) -> bool:
    return all(gone(process.pid) for process in processes) and list(there.host.runtime.iterdir()) == []


async def test_a_line_lost_in_mid_run_comes_back_by_itself(there: There, terminal: Terminal) -> None:
    await terminal.shows("far-host", 30)
    first = {process.pid for process in terminal.processes if process.name() == "ssh"}
    there.host.stop()
    await terminal.shows("retrying", 30)
    assert "Connection refused" not in terminal.screen()
    there.host.start()
    await until(lambda: "retrying" not in terminal.screen(), 30, "the banner is gone")
    assert "far-host" in terminal.screen()
    processes = terminal.processes
    assert first.isdisjoint(process.pid for process in processes if process.name() == "ssh")
    terminal.close()
    await until(lambda: no_trace(there, processes), 15, "the end of the terminal ends all of it")


@pytest.fixture
def wary(there: There) -> There:
    """A host whose key is not known yet, reached with a key that a passphrase guards."""
    folder = there.host.folder
    subprocess.run(["ssh-keygen", "-q", "-p", "-P", "", "-N", "open sesame", "-f", str(folder / "user")], check=True)
    config = (folder / "config").read_text()
    (folder / "config").write_text(config.replace("accept-new", "ask"))
    return there


async def test_what_ssh_asks_is_asked_before_the_screen_is_taken(wary: There, terminal: Terminal) -> None:
    await terminal.shows("continue connecting", 20)
    assert "connecting to far …" in terminal.screen()
    terminal.press("yes", "Enter")
    await terminal.shows("passphrase", 20)
    terminal.press("open sesame", "Enter")
    await terminal.shows("far-host", 30)
    processes = terminal.processes
    assert "ssh" in {process.name() for process in processes}
    assert len(list(wary.host.runtime.iterdir())) == 1
    terminal.press("q")
    await until(lambda: terminal.status() == "0", 15, "q ends it")
    assert no_trace(wary, processes)
    assert "the line to far was down" not in terminal.screen()


async def test_it_is_ended_while_it_asks(wary: There, terminal: Terminal) -> None:
    await terminal.shows("continue connecting", 20)
    processes = terminal.processes
    terminal.press("C-c")
    await until(lambda: terminal.status() != "", 10, "Ctrl-C ends it")
    assert no_trace(wary, processes)
    assert "Traceback" not in terminal.screen()


def at_a_terminal(
    command: list[str], environment: dict[str, str], end: signal.Signals | None = None
) -> tuple[int, str, list[int]]:
    """Runs a command at a pseudo-terminal: its status, what it wrote to stderr, and its children when ``end`` was sent."""
    outer, inner = pty.openpty()
    family: list[int] = []
    try:
        with subprocess.Popen(
            command, stdin=inner, stdout=inner, stderr=subprocess.PIPE, text=True, env=environment
        ) as process:
            assert process.stderr is not None
            if end is not None:
                assert process.stderr.readline() == "connecting to far …\n"
                deadline = time.monotonic() + 10
                while not (family := children_of(process.pid)):
                    assert time.monotonic() < deadline
                    time.sleep(0.05)
                process.send_signal(end)
            said = process.stderr.read()
            while select.select([outer], [], [], 0)[0]:
                os.read(outer, 65_536)
            return process.wait(20), said, family
    finally:
        os.close(outer)
        os.close(inner)


async def test_what_cannot_be_reached_is_one_sentence(there: There, tmp_path: Path) -> None:
    async def tried(*arguments: str, **variables: str) -> list[str]:
        command = qraft("tui", *arguments)
        status, said, _ = await asyncio.to_thread(at_a_terminal, command, {**there.host.environment, **variables})
        assert status == 1
        assert list(there.host.runtime.iterdir()) == []
        return [line for line in said.splitlines() if line.startswith("qraft: ") or "Traceback" in line]

    nothing = f"qraft: nothing is running under {tmp_path} on far; start it with `qraft up` there"
    assert await tried("--ssh", "far", "--data-dir", str(tmp_path)) == [nothing]
    (line,) = await tried("--ssh", "me@no-such-host.invalid")
    assert line.startswith("qraft: me@no-such-host.invalid cannot be reached: ssh: Could not resolve hostname")
    assert await tried("--ssh", "-v") == ["qraft: --ssh -v: expected user@host or ssh://user@host:port"]
    (line,) = await tried("--ssh", "far", QRAFT_SSH="no-such-ssh")
    assert line.startswith("qraft: no-such-ssh was not found")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
async def test_a_signal_while_it_connects_leaves_nothing(there: There, number: signal.Signals) -> None:
    proxy = ["sleep", f"60.{there.host.port}"]
    command = f"{there.host.environment['QRAFT_SSH']} -o ProxyCommand='{shlex.join(proxy)}'"
    slow = {**there.host.environment, "QRAFT_SSH": command}
    status, said, family = await asyncio.to_thread(at_a_terminal, qraft("tui", "--ssh", "far"), slow, number)
    assert status == 128 + number
    assert "Traceback" not in said
    await until(lambda: all(map(gone, family)), 30, "ssh and what it started end")
    assert proxy not in [process.info["cmdline"] for process in psutil.process_iter(["cmdline"])]
    assert list(there.host.runtime.iterdir()) == []


async def test_the_interface_over_there_needs_a_terminal(there: There, tmp_path: Path) -> None:
    command = f"cd {shlex.quote(str(Path.cwd()))} && {shlex.join(qraft('tui', '--data-dir', str(there.data_dir)))}"
    ssh = ["ssh", "-F", str(there.host.folder / "config")]
    done = await asyncio.to_thread(
        subprocess.run, [*ssh, "far", command], stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(
        "qraft: the interface needs a terminal; over ssh ask for one with `ssh -t`"
    )
    if shutil.which("tmux") is not None:
        terminal = Terminal(there, tmp_path, shlex.join([*ssh, "-t", "far", command]))
        try:
            await terminal.shows("far-host", 30)
            terminal.press("q")
            await until(lambda: terminal.status() == "0", 15, "q ends it")
        finally:
            terminal.close()
