"""Children: started, awaited, ended; never left behind; errors in plain words."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from qraft.embedded import guard
from qraft.embedded.process import Child, ChildError, PortTakenError, find_program, free_port, start

READY = "import pathlib, sys, time; pathlib.Path(sys.argv[1]).touch(); time.sleep(60)"


async def _start(folder: Path, code: str, *, lock: Path | None = None, timeout: float = 20.0) -> Child:
    ready = folder / "ready"
    ready.unlink(missing_ok=True)

    async def probe(_pid: int) -> bool:
        return ready.exists()

    command = [sys.executable, "-c", code, str(ready)]
    return await start("a child", command, url="none", log=folder / "log", probe=probe, lock=lock, timeout=timeout)


def _gone(pid: int) -> bool:
    """Whether a process ended; one that nobody has waited for counts as ended."""
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def _await_gone(pid: int) -> bool:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if _gone(pid):
            return True
        time.sleep(0.02)
    return False


async def test_start_and_stop(tmp_path: Path) -> None:
    child = await _start(tmp_path, READY)
    assert child.returncode is None
    assert os.getsid(child.pid) == child.pid != os.getsid(0)
    assert await child.stop() == -signal.SIGTERM
    assert _gone(child.pid)
    assert await child.stop() == -signal.SIGTERM


async def test_child_that_ignores_sigterm_is_killed_after_the_grace(tmp_path: Path) -> None:
    child = await _start(tmp_path, "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + READY)
    assert await child.stop(grace=0.2) == -signal.SIGKILL


async def test_cancelled_stop_leaves_nothing_behind(tmp_path: Path) -> None:
    child = await _start(tmp_path, "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + READY)
    stopping = asyncio.create_task(child.stop(grace=60))
    await asyncio.sleep(0.05)
    stopping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stopping
    assert _gone(child.pid)


async def test_cancelled_start_leaves_nothing_behind(tmp_path: Path) -> None:
    code = "import os, pathlib, sys, time; pathlib.Path(sys.argv[1] + '.pid').write_text(str(os.getpid())); time.sleep(60)"
    starting = asyncio.create_task(_start(tmp_path, code))
    file = tmp_path / "ready.pid"
    while not (file.exists() and file.read_text()):
        await asyncio.sleep(0.02)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert _gone(int(file.read_text()))


async def test_child_that_ends_at_start_says_its_last_lines(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("from an earlier run\n")
    with pytest.raises(
        ChildError, match=r"a child ended at start \(exit status 3\): first \| second; its log is .*log"
    ) as caught:
        await _start(tmp_path, "import sys; print('first', flush=True); print('second', file=sys.stderr); sys.exit(3)")
    assert "earlier" not in str(caught.value)


async def test_child_that_never_answers_is_ended(tmp_path: Path) -> None:
    with pytest.raises(ChildError, match="did not answer at none within 0 s"):
        await _start(tmp_path, "import time; time.sleep(60)", timeout=0.3)


async def test_missing_program(tmp_path: Path) -> None:
    with pytest.raises(
        ChildError, match=r"no-such-program was found neither in .* nor on PATH; install the Python package nothing"
    ):
        find_program("no-such-program", "nothing")

    async def probe(_pid: int) -> bool:
        return False

    with pytest.raises(ChildError, match=r"a child could not start: .*No such file"):
        await start("a child", [str(tmp_path / "absent")], url="none", log=tmp_path / "log", probe=probe)


def test_free_port() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(PortTakenError, match=f"port {port} on 127.0.0.1 cannot be used: Address already in use"):
            free_port(port)
    assert free_port(port) == port
    assert free_port() != 0


async def test_lock_is_held_by_the_child_for_as_long_as_it_lives(tmp_path: Path) -> None:
    lock = tmp_path / "data.lock"
    first = await _start(tmp_path, READY, lock=lock)
    with pytest.raises(
        ChildError, match=f"could not start: {tmp_path} is in use by pid {first.pid}; end that process first"
    ):
        await _start(tmp_path, READY, lock=lock)
    assert first.returncode is None
    await first.kill()
    second = await _start(tmp_path, READY, lock=lock)
    await second.stop()


PARENT = """
import asyncio, pathlib, sys, time
from qraft.embedded.process import start
async def probe(pid):
    return pathlib.Path(sys.argv[1], "ready").exists()
command = [sys.executable, "-c", sys.argv[2], sys.argv[1] + "/ready"]
child = asyncio.run(start("a child", command, url="none", log=pathlib.Path(sys.argv[1], "log"), probe=probe))
print(child.pid, flush=True)
time.sleep(60)
"""

WATCHED_PARENT = """
import pathlib, subprocess, sys, time
code = "import os, sys; from qraft.embedded import guard; guard.watch(os.getppid()); exec(sys.argv.pop(1))"
child = subprocess.Popen([sys.executable, "-c", code, sys.argv[2], sys.argv[1] + "/ready"], start_new_session=True)
while not pathlib.Path(sys.argv[1], "ready").exists():
    time.sleep(0.02)
print(child.pid, flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("code", [PARENT, WATCHED_PARENT], ids=["started", "watched"])
def test_child_dies_with_its_parent(tmp_path: Path, code: str) -> None:
    """The second way, a watching process, is that of systems without a parent-death signal."""
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path), READY], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert not _gone(pid)
        parent.kill()
    assert _await_gone(pid)


def test_guard_ends_when_the_parent_is_gone_already() -> None:
    done = subprocess.run(
        [sys.executable, guard.__file__, "1", "--", sys.executable, "-c", "print('lives')"], capture_output=True, check=False
    )
    assert done.returncode == 1
    assert done.stdout == b""
