"""A child that ends when its parent's end of the pipe is gone."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys

import pytest

from qraft.web.lifeline import in_browser

WAITS = (
    "from qraft.web import lifeline; lifeline.GRACE_SECONDS = 0.3; lifeline.end_with_parent(); print('ready', flush=True);"
)
OBEYS = "import time; time.sleep(60)"
IGNORES = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN);" + OBEYS


@pytest.mark.parametrize(("then", "status"), [(OBEYS, -signal.SIGTERM), (IGNORES, 1)])
@pytest.mark.parametrize("kind", ["pipe", "socket"])
def test_it_ends_when_the_other_end_is_closed(then: str, status: int, kind: str) -> None:
    ours, theirs = socket.socketpair()
    stdin = subprocess.PIPE if kind == "pipe" else theirs.fileno()
    with (
        ours,
        subprocess.Popen([sys.executable, "-c", WAITS + then], stdin=stdin, stdout=subprocess.PIPE, text=True) as child,
    ):
        theirs.close()
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        end = child.stdin if child.stdin is not None else ours
        if kind == "socket":
            ours.sendall(b"keys that nobody reads yet")
        with pytest.raises(subprocess.TimeoutExpired):
            child.wait(0.2)
        end.close()
        assert child.wait(20) == status


def test_the_driver_says_whether_a_browser_is_in_front(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEXTUAL_DRIVER", "textual.drivers.web_driver:WebDriver")
    assert in_browser()
    monkeypatch.setenv("TEXTUAL_DRIVER", "textual.drivers.linux_driver:LinuxDriver")
    assert not in_browser()
    monkeypatch.delenv("TEXTUAL_DRIVER")
    assert not in_browser()
