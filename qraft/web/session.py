"""One browser tab: a `qraft tui` process, and what goes to and fro between it and the websocket.

The protocol is that of Textual's web driver: packets of one byte for the kind (D: terminal data, M: JSON, P: a chunk of a
file), four for the size, and the payload. textual-serve's `AppService` knows what they mean; here the process is started
without a shell, is known to have ended, and is ended for sure.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import shlex
from asyncio.subprocess import PIPE, Process
from collections.abc import Awaitable, Callable, Sequence

from textual_serve.app_service import AppService
from textual_serve.download_manager import DownloadManager

log = logging.getLogger(__name__)

QUIT_SECONDS = 4.0
"""How long the process may take to end when asked to, and again when told to."""
PRELUDE = b"__GANGLION__\n"
PRELUDE_LINES = 20
ERROR_BYTES = 16_384
TOKEN_VARIABLE = "QRAFT_WEB_TOKEN"


class Session(AppService):
    """The process of one tab.

    Args:
        command: what to run; it must use Textual's web driver when the environment says so.
        write_bytes: takes terminal data to the browser; must not fail when the browser is gone.
        write_str: takes a message to the page; likewise.
        downloads: where files on their way to the browser are known.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        write_bytes: Callable[[bytes], Awaitable[None]],
        write_str: Callable[[str], Awaitable[None]],
        downloads: DownloadManager,
    ) -> None:
        super().__init__(
            shlex.join(command), write_bytes=write_bytes, write_str=write_str, close=_nothing, download_manager=downloads
        )
        self._arguments = tuple(command)
        self._errors = bytearray()
        self._ending: asyncio.Task[None] | None = None
        self.ended = asyncio.Event()
        """Set when the process has ended or says no more."""

    @property
    def errors(self) -> str:
        """What the process said on its standard error, at most the last `ERROR_BYTES`."""
        return self._errors.decode("utf-8", "replace").strip()

    @property
    def status(self) -> int | None:
        """The exit status, once ended."""
        return self._process.returncode if self._process is not None else None

    async def run(self) -> None:
        """Takes what the process says to the browser, until its output ends. `start` starts this as a task."""
        process = self._process
        assert process is not None
        assert process.stdout is not None
        assert process.stderr is not None
        errors = asyncio.create_task(self._read_errors(process.stderr))
        try:
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionResetError):
                await self._read_packets(process.stdout)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asyncio.gather(errors, process.wait()), QUIT_SECONDS)
        finally:
            errors.cancel()
            self.ended.set()

    async def on_meta(self, data: bytes) -> None:
        """Acts on a message of the process. That it is about to end is none: its end is."""
        if json.loads(data).get("type") != "exit":
            await super().on_meta(data)

    async def stop(self) -> None:
        """Ends the process: it is asked to, then told to, then killed; returns when it is gone. May be called again."""
        if self._ending is None:
            self._ending = asyncio.create_task(self._end())
        await asyncio.shield(self._ending)

    async def _end(self) -> None:
        process, reader = self._process, self._task
        if process is None or reader is None:
            return
        await self._download_manager.cancel_app_downloads(app_service_id=self.app_service_id)
        steps: tuple[Callable[[], None], ...] = (self._ask_to_quit, process.terminate, process.kill)
        for step in steps:
            if process.returncode is not None:
                break
            with contextlib.suppress(ProcessLookupError):
                step()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), QUIT_SECONDS)
        self.stdin.close()
        await asyncio.wait((reader,), timeout=1.0)
        reader.cancel()
        await asyncio.gather(reader, return_exceptions=True)

    def _ask_to_quit(self) -> None:
        self.stdin.write(self.encode_packet(b"M", b'{"type":"quit"}'))

    def _build_environment(self, width: int = 80, height: int = 24) -> dict[str, str]:
        """The server's environment with the terminal of the browser in place of the server's own."""
        environment = super()._build_environment(width, height)
        for name in (TOKEN_VARIABLE, "TMUX", "STY", "TEXTUAL", "TEXTUAL_LOG"):
            environment.pop(name, None)
        environment.update(TERM="xterm-256color", COLORTERM="truecolor", LINES=str(height))
        if "utf" not in environment.get("LC_ALL", "utf").lower():
            del environment["LC_ALL"]
        if "LC_ALL" not in environment:
            environment["LC_CTYPE"] = "C.UTF-8"
        return environment

    async def _open_app_process(self, width: int = 80, height: int = 24) -> Process:
        # In a session of its own, so that ctrl-c in the server's terminal reaches the server alone, which ends its children.
        self._process = await asyncio.create_subprocess_exec(
            *self._arguments,
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
            env=self._build_environment(width, height),
            start_new_session=True,
        )
        self._stdin = self._process.stdin
        return self._process

    async def _read_packets(self, stdout: asyncio.StreamReader) -> None:
        for _ in range(PRELUDE_LINES):
            if (line := await stdout.readline()) == PRELUDE or not line:
                break
        while True:
            head = await stdout.readexactly(5)
            payload = await stdout.readexactly(int.from_bytes(head[1:], "big"))
            if head[:1] == b"D":
                await self.on_data(payload)
            elif head[:1] == b"M":
                await self.on_meta(payload)
            elif head[:1] == b"P":
                await self.on_packed(payload)

    async def _read_errors(self, stderr: asyncio.StreamReader) -> None:
        while data := await stderr.read(4096):
            self._errors += data
            del self._errors[:-ERROR_BYTES]


async def _nothing() -> None:
    """The end of the process closes the tab, not its word."""
