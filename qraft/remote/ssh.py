"""How the system's ssh is called: one connection kept open, and the port forwardings asked of it."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from qraft.remote.address import Forward
from qraft.remote.destination import Destination
from qraft.remote.errors import RemoteError

ALIVE_SECONDS: Final = 5
ALIVE_COUNT: Final = 3
_CONTROL_SECONDS: Final = 15.0
_LONGEST_SOCKET: Final = 103 - 17
"""A socket's path has at most 103 bytes on macOS, 107 on Linux, and ssh(1) adds 17 while it makes one."""


@dataclass(frozen=True, slots=True)
class Ssh:
    """Argument lists for one destination.

    Attributes:
        program: ssh with the arguments that stand before all others.
        destination: where to.
        socket: where a connection may be shared; None where it cannot be.
    """

    program: tuple[str, ...]
    destination: Destination
    socket: Path | None = None

    def connection(self, command: str, forwards: Sequence[Forward], *, ask: bool) -> list[str]:
        """A connection that runs ``command`` there, with ``forwards`` from the start.

        Args:
            command: for the login shell there.
            forwards: ports to forward; with a socket they are asked for with `forward` instead.
            ask: whether the user may be asked for a password or about a host's key.
        """
        options = [
            *("ExitOnForwardFailure=yes", f"ServerAliveInterval={ALIVE_SECONDS}", f"ServerAliveCountMax={ALIVE_COUNT}"),
            *("RemoteCommand=none", "ControlPersist=no"),
            # The user's own forwardings to this host may be up already in another connection, and would stop this one.
            *(["ClearAllForwardings=yes"] if self.socket else ["ControlMaster=no", "ControlPath=none"]),
            *([] if ask else ["BatchMode=yes"]),
        ]
        return [
            *self.program,
            *(["-M", "-S", str(self.socket)] if self.socket else []),
            *("-T", "-a", "-x"),
            *(part for option in options for part in ("-o", option)),
            *(part for forward in forwards for part in ("-L", forward.specification)),
            self.destination.text,
            command,
        ]

    def shared(self) -> bool:
        """Whether the open connection takes requests on its socket."""
        return self._control("check") is None

    def forward(self, forward: Forward) -> str | None:
        """Opens a forwarding on the open connection; None, or why not."""
        return self._control("forward", forward)

    def cancel(self, forward: Forward) -> str | None:
        """Ends a forwarding of the open connection; None, or why not."""
        return self._control("cancel", forward)

    def _control(self, verb: str, forward: Forward | None = None) -> str | None:
        if self.socket is None:
            return "connections are not shared"
        # Without the user's configuration, whose own forwardings would be asked for as well.
        command = [*self.program, "-F", "none", "-S", str(self.socket), "-O", verb]
        command += ["-L", forward.specification] if forward else []
        try:
            done = subprocess.run(
                [*command, self.destination.text],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
                timeout=_CONTROL_SECONDS,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return str(error)
        return None if done.returncode == 0 else done.stderr.strip().rpartition("\n")[2] or f"exit status {done.returncode}"


def program(environment: Mapping[str, str]) -> tuple[str, ...]:
    """The ssh command: QRAFT_SSH as a shell would split it, else ``ssh``.

    Raises:
        RemoteError: it cannot be split, or its program is not there.
    """
    try:
        words = tuple(shlex.split(environment.get("QRAFT_SSH", ""))) or ("ssh",)
    except ValueError as error:
        raise RemoteError(f"QRAFT_SSH: {error}") from None
    if shutil.which(words[0], path=environment.get("PATH")) is None:
        raise RemoteError(f"{words[0]} was not found; install OpenSSH's client, or name the command to use in QRAFT_SSH")
    return words


def private_folder(environment: Mapping[str, str]) -> Path | None:
    """A new folder of this user alone whose path is short enough for a socket; None where there is no such place."""
    for place in (environment.get("XDG_RUNTIME_DIR", ""), tempfile.gettempdir(), "/tmp"):
        if not place or len(os.fsencode(place)) + len("/qraft-12345678/s") > _LONGEST_SOCKET:
            continue
        with contextlib.suppress(OSError):
            return Path(tempfile.mkdtemp(prefix="qraft-", dir=place))
    return None
