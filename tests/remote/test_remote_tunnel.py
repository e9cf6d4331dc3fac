"""Ports here that lead to servers there, through a real sshd, whatever becomes of the line."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from qraft.config import RunInfo, write_run
from qraft.remote import Destination, RemoteError, Tunnel, Wanted
from tests.remote.farhost import FarHost, free_port


class Server:
    """Says one line to each who connects."""

    def __init__(self, text: bytes) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._socket.getsockname()[1])
        self._text = text
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                connection.sendall(self._text)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()


@pytest.fixture
def serve() -> Iterator[Callable[[bytes], Server]]:
    servers: list[Server] = []

    def one(text: bytes) -> Server:
        servers.append(Server(text))
        return servers[-1]

    yield one
    for server in servers:
        server.close()


def note(folder: Path, nats: int, clickhouse: int) -> None:
    info = RunInfo(nats_url=f"nats://127.0.0.1:{nats}", clickhouse_url=f"http://127.0.0.1:{clickhouse}", engine="there")
    write_run(folder, info)


def heard(url: str) -> bytes:
    """What the server behind an address says; nothing when it cannot be reached."""
    try:
        with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), timeout=5) as connection:
            return connection.recv(100)
    except OSError:
        return b""


def becomes(condition: Callable[[], bool], seconds: float = 20) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def ssh_children() -> list[psutil.Process]:
    """The ssh processes of this process, zombies left out."""
    alive = [child for child in psutil.Process().children(recursive=True) if child.status() != psutil.STATUS_ZOMBIE]
    return [child for child in alive if child.name() in ("ssh", "plain-ssh")]


def open_tunnel(far: FarHost, folder: Path, environment: dict[str, str] | None = None, name: str = "far") -> Tunnel:
    tunnel = Tunnel(Destination.parse(name), Wanted(str(folder)), environment or far.environment)
    return tunnel.open(lambda _: None)


@pytest.fixture(params=["shared", "plain"])
def environment(far: FarHost, request: pytest.FixtureRequest) -> dict[str, str]:
    """An ssh that shares its connections, and one that cannot."""
    if request.param == "shared":
        return far.environment
    wrapper = far.folder / "plain-ssh"
    wrapper.write_text(
        "#!/bin/sh\n"
        'case " $* " in *" -M "*|*" -O "*) echo "unknown option -- M" >&2; exit 255;; esac\n'
        f'ssh -F {far.folder / "config"} "$@"\n'
    )
    wrapper.chmod(wrapper.stat().st_mode | stat.S_IXUSR)
    return {**far.environment, "QRAFT_SSH": str(wrapper)}


def test_ports_lead_there_come_back_and_follow(
    far: FarHost, environment: dict[str, str], tmp_path: Path, serve: Callable[[bytes], Server]
) -> None:
    nats, clickhouse, moved = serve(b"INFO first"), serve(b"HTTP"), serve(b"INFO second")
    note(tmp_path / "data", nats.port, clickhouse.port)
    with open_tunnel(far, tmp_path / "data", environment) as tunnel:
        url = tunnel.run.nats_url
        assert tunnel.run.engine == "there"
        assert heard(url) == b"INFO first"
        assert heard(tunnel.run.clickhouse_url) == b"HTTP"

        for child in ssh_children():
            child.kill()
        assert becomes(lambda: heard(url) == b"INFO first")
        assert becomes(lambda: heard(tunnel.run.clickhouse_url) == b"HTTP")

        note(tmp_path / "data", moved.port, clickhouse.port)
        assert becomes(lambda: heard(url) == b"INFO second")
        assert becomes(lambda: heard(tunnel.run.clickhouse_url) == b"HTTP")
        assert becomes(lambda: not tunnel.trouble)
    assert heard(url) == b""
    assert ssh_children() == []
    assert list(far.runtime.iterdir()) == []


def test_the_line_comes_back_when_the_machine_does(
    far: FarHost, tmp_path: Path, serve: Callable[[bytes], Server], capfd: pytest.CaptureFixture[str]
) -> None:
    note(tmp_path / "data", serve(b"INFO").port, serve(b"HTTP").port)
    with open_tunnel(far, tmp_path / "data") as tunnel:
        far.stop()
        assert becomes(lambda: "Connection refused" in tunnel.trouble)
        assert heard(tunnel.run.nats_url) == b""
        far.start()
        assert becomes(lambda: heard(tunnel.run.nats_url) == b"INFO")
        assert becomes(lambda: not tunnel.trouble)
    assert capfd.readouterr() == ("", "")


def test_what_cannot_be_reached_is_said_and_nothing_is_left(
    far: FarHost, tmp_path: Path, serve: Callable[[bytes], Server]
) -> None:
    def why(folder: str, name: str = "far") -> str:
        with pytest.raises(RemoteError) as caught:
            open_tunnel(far, tmp_path / folder, name=name)
        assert ssh_children() == []
        assert list(far.runtime.iterdir()) == []
        return str(caught.value)

    assert why("data") == f"nothing is running under {tmp_path}/data on far; start it with `qraft up` there"
    assert why("data", "no-such-host.invalid").startswith("no-such-host.invalid cannot be reached: ssh: Could not resolve")
    assert why("data", "nobody@far").endswith("Permission denied (publickey).")

    note(tmp_path / "data", free_port(), free_port())
    assert "nobody answers at the addresses that run.json there names" in why("data")

    write_run(tmp_path / "old", RunInfo(nats_url="nats://127.0.0.1:1"))
    assert "just starting" in why("old")

    far.stop()
    assert "far cannot be reached: ssh: connect to host 127.0.0.1" in why("data")
    note(tmp_path / "data", serve(b"INFO").port, serve(b"HTTP").port)
    far.start("AllowTcpForwarding=no")
    assert "far lets no port be forwarded" in why("data")


def test_an_account_without_a_shell_is_said(far: FarHost, tmp_path: Path) -> None:
    far.stop()
    far.start("ForceCommand=echo This account serves another purpose.")
    with pytest.raises(RemoteError, match=r"far cannot be reached: This account serves another purpose\."):
        open_tunnel(far, tmp_path)
    assert list(far.runtime.iterdir()) == []


PROGRAM = """
import os, sys
from qraft.remote import Destination, Tunnel, Wanted
tunnel = Tunnel(Destination.parse("far"), Wanted(sys.argv[1]), os.environ)
tunnel.open(lambda text: None)
print(tunnel.run.nats_url, flush=True)
sys.stdin.read()
"""


def test_a_killed_process_leaves_no_ssh(far: FarHost, tmp_path: Path, serve: Callable[[bytes], Server]) -> None:
    note(tmp_path / "data", serve(b"INFO").port, serve(b"HTTP").port)
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "data")]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=far.environment) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert heard(url) == b"INFO"
        family = psutil.Process(process.pid).children(recursive=True)
        assert [child.name() for child in family] == ["ssh"]
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert becomes(lambda: not any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in family))
    assert heard(url) == b""
