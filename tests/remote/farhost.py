"""A real sshd on loopback, with keys and configuration of its own below a folder of the test."""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

SSHD = shutil.which("sshd") or shutil.which("sshd", path="/usr/sbin:/usr/local/sbin")
TOOLS = (SSHD, shutil.which("ssh"), shutil.which("ssh-keygen"))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class FarHost:
    """A machine reached by ssh: this one, through an sshd of the test's own.

    Attributes:
        name: what ssh calls it.
        folder: holds the keys and configurations.
        runtime: where the sockets of ssh go, empty before and after.
    """

    name: str
    folder: Path
    runtime: Path
    command: list[str]
    port: int
    _sshd: subprocess.Popen[bytes] | None = None

    @property
    def environment(self) -> dict[str, str]:
        """The process's environment, led to this host."""
        return {**os.environ, "QRAFT_SSH": f"ssh -F {self.folder / 'config'}", "XDG_RUNTIME_DIR": str(self.runtime)}

    def start(self, *options: str) -> None:
        with (self.folder / "sshd.log").open("ab") as log:
            self._sshd = subprocess.Popen(
                [*self.command, *(part for option in options for part in ("-o", option))],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                if self._sshd.poll() is not None or time.monotonic() > deadline:
                    pytest.skip(f"sshd does not run here: {(self.folder / 'sshd.log').read_text()[-200:]}")
                time.sleep(0.02)
            else:
                return

    def stop(self) -> None:
        """Ends sshd and every connection it serves."""
        if self._sshd is None:
            return
        import psutil

        family = psutil.Process(self._sshd.pid).children(recursive=True) if self._sshd.poll() is None else []
        for process in family:
            try:
                process.terminate()
            except psutil.NoSuchProcess:
                continue
        self._sshd.terminate()
        self._sshd.wait(10)
        self._sshd = None


def far_host(folder: Path, runtime: Path) -> FarHost:
    """Writes keys and configurations; sshd is not started."""
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True)
    port = free_port()
    (folder / "sshd_config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nAuthorizedKeysFile {folder}/user.pub\n"
        "PidFile none\nUsePAM no\nStrictModes no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n"
        "PermitRootLogin yes\nPrintMotd no\n"
    )
    (folder / "config").write_text(
        f"Host far\n  HostName 127.0.0.1\n  Port {port}\n  User {getpass.getuser()}\n  IdentityFile {folder}/user\n"
        f"  IdentitiesOnly yes\n  IdentityAgent none\n  UserKnownHostsFile {folder}/known\n"
        "  StrictHostKeyChecking accept-new\n"
    )
    assert SSHD is not None
    command = [SSHD, "-D", "-e", "-f", str(folder / "sshd_config")]
    if os.getuid() == 0 and not Path("/run/sshd").is_dir():
        # As root sshd wants a folder that the system makes at boot: it gets one in a mount namespace of its own.
        script = 'mount -t tmpfs tmpfs /run && mkdir -m 755 /run/sshd && exec "$@"'
        command = ["unshare", "-m", "sh", "-c", script, "sh", *command]
    return FarHost("far", folder, runtime, command, port)


@contextlib.contextmanager
def running_host(folder: Path) -> Iterator[FarHost]:
    """A host named "far" whose sshd runs; skips where there is none."""
    if not all(TOOLS):
        pytest.skip("ssh, ssh-keygen or sshd is not installed")
    folder.mkdir()
    with tempfile.TemporaryDirectory(prefix="q") as runtime:  # short: a socket's path is limited
        host = far_host(folder, Path(runtime))
        try:
            host.start()
            yield host
        finally:
            host.stop()
