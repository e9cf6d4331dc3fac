"""One child process: started, awaited until it is ready, ended in order, and never left behind.

Nothing here is bound to an event loop: a child may be started in one and stopped in another.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

from qraft.embedded import guard

_POLL_SECONDS = 0.02
_LOG_LINES = 5

Probe = Callable[[int], Awaitable[bool]]
"""Says whether the child with this process id answers. May raise OSError while it does not."""


class ChildError(Exception):
    """A child that could not be started; the text is a sentence for people."""


class PortTakenError(ChildError):
    """The port was asked for and something else listens on it."""


class Child:
    """A running child process in a session of its own, so that Ctrl-C in the terminal does not reach it.

    It gets SIGTERM when the thread that started it ends, however that comes about: on Linux at once, elsewhere within a
    second of the process's end.

    Attributes:
        name: what it is, as errors name it.
        url: where it is reached.
        log: the file its output goes to.
    """

    def __init__(self, name: str, url: str, log: Path, process: subprocess.Popen[bytes]) -> None:
        self.name = name
        self.url = url
        self.log = log
        self._process = process

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """The exit status, negative for a signal; None while it runs."""
        return self._process.poll()

    async def wait(self) -> int:
        """Waits until the child ends; its exit status."""
        while (status := self._process.poll()) is None:  # noqa: ASYNC110 (the kernel is asked, no event loop is told)
            await asyncio.sleep(_POLL_SECONDS)
        return status

    async def stop(self, grace: float = 10.0) -> int:
        """Ends the child with SIGTERM, after ``grace`` seconds with SIGKILL. Its exit status; it may be gone already."""
        self._send(signal.SIGTERM)
        try:
            return await asyncio.wait_for(self.wait(), grace)
        except TimeoutError:
            return await self.kill()
        except asyncio.CancelledError:
            self._send(signal.SIGKILL)
            self._process.wait()
            raise

    async def kill(self) -> int:
        """Ends the child with SIGKILL, as a crash would."""
        self._send(signal.SIGKILL)
        return await self.wait()

    def _send(self, number: signal.Signals) -> None:
        if self._process.poll() is None:
            self._process.send_signal(number)


async def start(
    name: str,
    command: Sequence[str],
    *,
    url: str,
    log: Path,
    probe: Probe,
    lock: Path | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float = 60.0,
) -> Child:
    """Starts ``command`` and waits until it answers.

    Args:
        name: what it is, as errors name it.
        command: program (a path) and arguments.
        url: where it will be reached.
        log: file that its output is appended to.
        probe: says whether it answers.
        lock: file that only one living child may hold.
        env: environment variables that it gets unless they are set already.
        timeout: seconds to wait for an answer.

    Raises:
        ChildError: the program is missing, the child ended at start, or it did not answer in time.
    """
    child, offset = _spawn(name, command, url=url, log=log, lock=lock, env=env or {})
    deadline = time.monotonic() + timeout
    try:
        while True:
            status = child.returncode
            if status is not None:
                raise ChildError(_why(name, log, offset, status))
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                if await asyncio.wait_for(probe(child.pid), 5.0):
                    return child
            if time.monotonic() > deadline:
                raise ChildError(f"{name} did not answer at {url} within {timeout:.0f} s; its log is {log}")
            await asyncio.sleep(_POLL_SECONDS)
    except BaseException:
        await child.kill()
        raise


def find_program(name: str, package: str) -> str:
    """The path of a program: beside this Python, then on PATH.

    Raises:
        ChildError: it is in neither place.
    """
    here = str(Path(sys.executable).parent)
    found = shutil.which(name, path=here) or shutil.which(name)
    if found is None:
        raise ChildError(f"{name} was found neither in {here} nor on PATH; install the Python package {package}")
    return found


def free_port(wanted: int = 0) -> int:
    """``wanted`` if nothing listens there, or any free port for 0; on 127.0.0.1.

    Raises:
        PortTakenError: something listens on the wanted port.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError as error:
            raise PortTakenError(f"port {wanted} on 127.0.0.1 cannot be used: {os.strerror(error.errno or 0)}") from None
        return int(probe.getsockname()[1])


def _spawn(
    name: str, command: Sequence[str], *, url: str, log: Path, lock: Path | None, env: Mapping[str, str]
) -> tuple[Child, int]:
    log.parent.mkdir(parents=True, exist_ok=True)
    held = ["--lock", str(lock)] if lock else []
    full = [sys.executable, "-I", "-S", guard.__file__, str(os.getpid()), *held, "--", *command]
    with log.open("ab") as output:
        offset = output.tell()
        process = subprocess.Popen(
            full,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            env={**env, **os.environ},
        )
    return Child(name, url, log, process), offset


def _why(name: str, log: Path, offset: int, status: int) -> str:
    with log.open("rb") as text:
        text.seek(offset)
        lines = text.read().decode(errors="replace").split("\n")
    said = [line.strip() for line in lines if line.strip()][-_LOG_LINES:]
    if status == guard.PLAIN_EXIT and said:
        return f"{name} could not start: {said[-1]}"
    ended = f"signal {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
    return f"{name} ended at start ({ended}): {' | '.join(said) or 'it wrote nothing'}; its log is {log}"
