"""Runs in front of a child's program: ties the child's life to its parent's, holds a lock, then becomes the program.

Started as a script by `qraft.embedded.process` (`python -I -S guard.py PARENT_PID [--lock FILE] -- PROGRAM …`), so it
imports only what starts fast. The process id stays the same through `exec`.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import signal
import sys
import time

PLAIN_EXIT = 78
"""Exit status (EX_CONFIG) of a child whose last line of output is a sentence for people."""

_PR_SET_PDEATHSIG = 1
_WATCH_SECONDS = 0.5


class InUseError(Exception):
    """Another process holds the lock; the text is a sentence for people."""


def hold(path: str, what: str) -> None:
    """Takes the exclusive lock ``path`` for the rest of this process's life, also through `exec`.

    Args:
        path: the lock file; holds the owner's process id.
        what: what is locked, as the error names it.

    Raises:
        InUseError: another process holds it.
    """
    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.read(lock, 32).decode(errors="replace").strip() or "unknown"
        os.close(lock)
        raise InUseError(
            f"{what} is in use by pid {owner}; end that process first or choose another data directory"
        ) from None
    os.ftruncate(lock, 0)
    os.write(lock, str(os.getpid()).encode())
    os.set_inheritable(lock, True)


def die_with(parent: int) -> None:
    """Asks for SIGTERM when the process ``parent`` ends; ends at once when it already has."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    else:
        watch(parent)
    if os.getppid() != parent:
        os._exit(1)


def watch(parent: int) -> None:
    """Leaves a small process behind that ends this one when ``parent`` ends: for systems without a parent-death signal."""
    me = os.getpid()
    if os.fork():
        return
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while os.getppid() == me:
        try:
            os.kill(parent, 0)
        except ProcessLookupError:
            os.kill(me, signal.SIGTERM)
            break
        time.sleep(_WATCH_SECONDS)
    os._exit(0)


def main(arguments: list[str]) -> None:
    """Becomes the program after ``--``."""
    split = arguments.index("--")
    options, command = arguments[:split], arguments[split + 1 :]
    die_with(int(options[0]))
    try:
        if options[1:2] == ["--lock"]:
            hold(options[2], os.path.dirname(options[2]))  # noqa: PTH120 (pathlib would double the start time)
        os.execv(command[0], command)
    except (InUseError, OSError) as error:
        print(error, file=sys.stderr, flush=True)
        sys.exit(PLAIN_EXIT)


if __name__ == "__main__":
    main(sys.argv[1:])
