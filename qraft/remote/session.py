"""One running ssh: what it and the shell behind it say, and its end."""

from __future__ import annotations

import contextlib
import os
import secrets
import selectors
import subprocess
import threading
import time
from collections.abc import Sequence
from typing import Final

from qraft.remote.ending import end_family
from qraft.remote.errors import RemoteError
from qraft.remote.question import Answer, find_answer

SSH_FAILED: Final = 255
"""The exit status by which ssh says that it failed itself; any other is the command's over there."""
_CHUNK: Final = 65_536
_SPAWN_SECONDS: Final = 5.0
_MOST_OUTPUT: Final = 4 * 1024 * 1024


class Session:
    """A child process. Nothing of its output is read but within `pump`.

    Its input is a pipe of ours, and the command over there ends with that: even when this process is killed, the connection
    ends.
    """

    def __init__(self, command: Sequence[str], *, ask: bool) -> None:
        """Starts nothing yet.

        Args:
            command: the argument list.
            ask: whether it may use this terminal to ask the user; otherwise it is cut off from it.
        """
        self._command, self._ask = command, ask
        self._child: subprocess.Popen[bytes] | OSError | None = None
        self._begun, self._spawned = False, threading.Event()
        self._selector = selectors.DefaultSelector()
        self._output = b""
        self._errors = b""
        self._mark = ""
        self._unheard: list[tuple[float, str]] = []
        self.last_words = ""
        self.asked = 0.0
        self.answer: Answer | None = None

    def start(self) -> None:
        """Starts the command.

        Signals become exceptions in the main thread, and one between fork and here would lose the child, so another thread
        forks; `end` finds what it started.

        Raises:
            RemoteError: it could not be started.
        """
        self._begun = True
        threading.Thread(target=self._spawn, name="ssh-start", daemon=True).start()
        self._spawned.wait()
        if isinstance(self._child, OSError):
            raise RemoteError(f"{self._command[0]} could not be started: {self._child.strerror or self._child}") from None
        for stream in (self._process.stdout, self._process.stderr):
            self._selector.register(stream, selectors.EVENT_READ)  # type: ignore[arg-type]  # both are pipes, not None

    @property
    def status(self) -> int | None:
        """The exit status; None while it runs."""
        return self._process.poll()

    @property
    def waiting(self) -> bool:
        """Whether a question has no answer yet."""
        return bool(self._mark)

    def ask(self) -> None:
        """Asks for run.json; the answer comes to `answer` some `pump` later. Asking again forgets the question before."""
        self._mark = secrets.token_hex(8)
        self.asked = time.monotonic()
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(f"{self._mark}\n".encode())

    def pump(self, seconds: float) -> None:
        """Reads what has come, or comes within ``seconds``."""
        if not self._selector.get_map():
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(seconds)
            return
        for key, _ in self._selector.select(seconds):
            data = os.read(key.fd, _CHUNK)
            if not data:
                self._selector.unregister(key.fileobj)
            elif key.fileobj is self._process.stdout:
                self._hear(data)
            else:
                self._note(data)

    def said(self, before: float) -> list[str]:
        """The lines that ssh wrote for people until the time ``before`` (`time.monotonic`), each once."""
        lines = [line for when, line in self._unheard if when <= before]
        self._unheard = [(when, line) for when, line in self._unheard if when > before]
        return lines

    def why(self) -> str:
        """Why it ended, as far as is known: ssh's last line, or, where ssh itself did not fail, the other machine's."""
        while self._selector.get_map() and self._selector.select(0):
            self.pump(0)
        own = self._errors.decode(errors="replace").strip() or self.last_words
        heard = self._output.decode(errors="replace").strip().rpartition("\n")[2].strip()
        return (own or heard if self.status in (None, SSH_FAILED) else heard or own) or f"exit status {self.status}"

    def end(self) -> None:
        """Ends it, whatever it is doing, and what it started: a wrapper's ssh, a jump host's."""
        self._selector.close()
        if self._begun:
            self._spawned.wait(_SPAWN_SECONDS)
        if not isinstance(self._child, subprocess.Popen):
            return
        for stream in (self._child.stdin, self._child.stdout, self._child.stderr):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        end_family(self._child)

    @property
    def _process(self) -> subprocess.Popen[bytes]:
        assert isinstance(self._child, subprocess.Popen), "it was started"
        return self._child

    def _spawn(self) -> None:
        pipe = subprocess.PIPE
        try:
            self._child = subprocess.Popen(
                self._command, stdin=pipe, stdout=pipe, stderr=pipe, bufsize=0, start_new_session=not self._ask
            )
        except OSError as error:
            self._child = error
        finally:
            self._spawned.set()

    def _hear(self, data: bytes) -> None:
        self._output = (self._output + data)[-_MOST_OUTPUT:]
        if self._mark and (answer := find_answer(self._output, self._mark)) is not None:
            self.answer, self._mark, self._output = answer, "", b""

    def _note(self, data: bytes) -> None:
        *lines, self._errors = (self._errors + data).replace(b"\r", b"").split(b"\n")
        for line in filter(None, (line.decode(errors="replace").strip() for line in lines)):
            self.last_words = line
            self._unheard = [*self._unheard, (time.monotonic(), line)][-50:]
