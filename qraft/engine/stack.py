"""`qraft up`: a whole instance: servers, engine and REST server as children, kept alive, and the terminal in front.

The children are started in order, watched, started again when they die, and ended in the opposite order, so that nothing
is lost and no orphan is left: the engine stores what it holds while its servers are still there.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import httpx
import msgspec

from qraft.config import RunInfo, Settings, alive, read_run, remove_run, write_run
from qraft.embedded.process import Child, ChildError, free_port, start
from qraft.engine.servers import start_embedded_clickhouse, start_embedded_nats
from qraft.ingest.base import wall_clock
from qraft.model import iso_from_us

log = logging.getLogger(__name__)

ENGINE_GRACE_SECONDS = 30.0
READY_SECONDS = 60.0
RESTART_FIRST, RESTART_MOST = 0.2, 10.0
STEADY_SECONDS = 30.0
"""A child that lived so long is restarted at once; one that keeps dying is restarted ever more slowly."""

VACANT_SECONDS = 40.0
"""How long the parts of a killed instance may take to store what they hold and end."""

Say = Callable[[str], None]


class AlreadyRunning(ChildError):
    """Another instance runs on this data directory; the text says which."""


@dataclass(slots=True)
class _Part:
    """A child that is to live as long as the instance, and how to start it (again, at the same place)."""

    name: str
    start: Callable[[], Awaitable[Child]]
    child: Child
    started: float


class Stack:
    """A running instance."""

    def __init__(self, settings: Settings, config: Path, data_dir: Path, say: Say) -> None:
        self._settings, self._config, self._data_dir, self._say = settings, config, data_dir, say
        self._parts: list[_Part] = []
        self.run = RunInfo(pids={"up": os.getpid()}, engine=settings.engine.name, database=settings.clickhouse.database)

    async def start(self) -> None:
        """Starts every part, each when those before it answer.

        Raises:
            ChildError: a part could not be started; those that were are to be ended with :meth:`stop`.
        """
        remove_run(self._data_dir)
        nats, clickhouse = self._settings.nats.url, self._settings.clickhouse.url
        starts = []
        if nats == "embedded":
            self._say("starting NATS")
            starts.append(self._keep("nats", lambda port: start_embedded_nats(self._settings, self._data_dir, port)))
        if clickhouse == "embedded":
            self._say("starting ClickHouse")
            starts.append(self._keep("clickhouse", lambda port: start_embedded_clickhouse(self._data_dir, port)))
        for outcome in await asyncio.gather(*starts, return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome
        self._note(
            nats_url=self._url_of("nats", nats),
            clickhouse_url=self._url_of("clickhouse", clickhouse),
            started=iso_from_us(wall_clock()),
        )
        self._say("starting the engine")
        await self._keep("engine", lambda _: self._start_engine())
        self.run = read_run(self._data_dir) or self.run
        self._say("starting the REST server")
        api = await self._keep("api", self._start_api)
        self._note(api_url=api.url)

    async def watch(self) -> None:
        """Starts parts that die again, for ever."""
        while True:
            for part in self._parts:
                if part.child.returncode is not None:
                    await self._revive(part)
            await asyncio.sleep(0.1)

    async def stop(self) -> None:
        """Ends the parts, the last started first; the engine stores what it holds."""
        for name in ("api", "engine", "clickhouse", "nats"):
            for part in [part for part in self._parts if part.name == name]:
                await part.child.stop(ENGINE_GRACE_SECONDS)
        remove_run(self._data_dir)

    async def _keep(self, name: str, begin: Callable[[int], Awaitable[Child]]) -> Child:
        child = await begin(0)
        port = int(child.url.rpartition(":")[2]) if child.url.count(":") > 1 else 0
        self._parts.append(_Part(name, lambda: begin(port), child, asyncio.get_running_loop().time()))
        return child

    async def _revive(self, part: _Part) -> None:
        now = asyncio.get_running_loop().time
        log.warning("%s ended unexpectedly (status %s); starting it again", part.name, part.child.returncode)
        delay = RESTART_FIRST if now() - part.started > STEADY_SECONDS else RESTART_MOST / 10
        while True:
            await asyncio.sleep(delay)
            try:
                part.child = await part.start()
            except ChildError as error:
                delay = min(2 * delay, RESTART_MOST)
                log.warning("%s; trying again in %.0f s", error, delay)
            else:
                part.started = now()
                pids = {**(read_run(self._data_dir) or self.run).pids, part.name: part.child.pid}
                self._note(pids=pids)
                return

    def _url_of(self, name: str, configured: str) -> str:
        return next((part.child.url for part in self._parts if part.name == name), configured)

    def _note(self, **changes: object) -> None:
        present = read_run(self._data_dir) or self.run
        pids = {"up": os.getpid()} | {part.name: part.child.pid for part in self._parts}
        self.run = msgspec.structs.replace(present, **{"pids": pids, **changes})
        write_run(self._data_dir, self.run)

    async def _start_engine(self) -> Child:
        async def ready(pid: int) -> bool:
            run = read_run(self._data_dir)
            return run is not None and run.pids.get("engine") == pid

        return await start(
            "engine", self._command("engine"), url="", log=self._log("engine"), probe=ready, timeout=READY_SECONDS
        )

    async def _start_api(self, port: int) -> Child:
        settings = self._settings.api
        url = settings.url(port or free_port(settings.port))

        async def ready(_: int) -> bool:
            try:  # it is this child that is asked, whatever names its certificate bears
                async with httpx.AsyncClient(verify=False, trust_env=False) as client:
                    return (await client.get(f"{url}/healthz")).status_code == httpx.codes.OK
            except httpx.HTTPError:
                return False

        command = [*self._command("api"), "--host", settings.host, "--port", url.rpartition(":")[2]]
        return await start("api", command, url=url, log=self._log("api"), probe=ready, timeout=READY_SECONDS)

    def _command(self, verb: str) -> list[str]:
        return qraft_command(verb, "--config", str(self._config), "--data-dir", str(self._data_dir))

    def _log(self, name: str) -> Path:
        return self._data_dir / "logs" / f"{name}.log"


def qraft_command(*arguments: str) -> list[str]:
    """The command line of another `qraft` process with this same Python."""
    return [sys.executable, "-m", "qraft.cli", *arguments]


@contextlib.asynccontextmanager
async def running(settings: Settings, config: Path, data_dir: Path, say: Say) -> AsyncIterator[Stack]:
    """A running instance for as long as the context lasts.

    Args:
        settings: what ``config`` holds.
        config: the configuration file the children read.
        data_dir: where everything is kept.
        say: told what is being started.

    Raises:
        AlreadyRunning: another instance runs on this data directory.
        ChildError: a part could not be started.
    """
    await _vacant(data_dir, say)
    stack = Stack(settings, config, data_dir, say)
    watcher: asyncio.Task[None] | None = None
    try:
        await stack.start()
        watcher = asyncio.create_task(stack.watch())
        yield stack
    finally:
        if watcher is not None:
            watcher.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watcher
        await asyncio.shield(stack.stop())


async def _vacant(data_dir: Path, say: Say) -> None:
    """Returns once nothing runs on a data directory: the parts of an instance that was killed take a moment to end."""
    deadline = asyncio.get_running_loop().time() + VACANT_SECONDS
    told = False
    while (present := read_run(data_dir)) is not None:
        owner = present.pids.get("up") or present.pids.get("engine", 0)
        if alive(owner) or asyncio.get_running_loop().time() > deadline:
            named = {name: pid for name, pid in present.pids.items() if alive(pid)}
            parts = ", ".join(f"{name} {pid}" for name, pid in named.items())
            raise AlreadyRunning(f"an instance already runs on {data_dir} (process ids: {parts}); see `qraft status`")
        if not told:
            say("waiting for an instance that was killed to end")
            told = True
        await asyncio.sleep(0.2)


async def in_front(arguments: list[str], stop: asyncio.Event) -> int:
    """Runs another `qraft` command in this terminal until it ends or ``stop`` is set; its exit status."""
    process = await asyncio.create_subprocess_exec(*qraft_command(*arguments))
    ended, stopped = asyncio.create_task(process.wait()), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait([ended, stopped], return_when=asyncio.FIRST_COMPLETED)
        if not ended.done():
            process.terminate()
        return await ended
    finally:
        stopped.cancel()
        await asyncio.gather(stopped, return_exceptions=True)
