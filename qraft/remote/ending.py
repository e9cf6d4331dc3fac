"""Ends a child process with all that it started: ssh leaves the command of a proxy behind when it is ended early."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Callable
from typing import Final

import psutil

_GRACE_SECONDS: Final = 2.0
_POLL_SECONDS: Final = 0.01


def end_family(child: subprocess.Popen[bytes]) -> None:
    """Ends ``child`` and its descendants with SIGTERM, after a grace with SIGKILL, and awaits their end."""
    family: list[psutil.Process] = []
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(child.pid)
        process.suspend()  # it starts nothing more while what it started is listed
        _until(lambda: process.status() in (psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE))
        family = process.children(recursive=True)
        process.terminate()
        process.resume()
    for kill in (False, True):
        with contextlib.suppress(subprocess.TimeoutExpired, PermissionError):  # of another user: it ends with its input
            if kill:
                child.kill()  # does nothing to what ended
            child.wait(_GRACE_SECONDS)
    for end in (psutil.Process.terminate, psutil.Process.kill):
        for process in family:
            with contextlib.suppress(psutil.Error):
                end(process)
        _until(lambda: all(map(_ended, family)))


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _GRACE_SECONDS
    while not condition() and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)


def _ended(process: psutil.Process) -> bool:
    """Whether it is gone, or only waits for its parent, which is no longer this process, to notice."""
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True
