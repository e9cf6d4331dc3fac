"""A real HTTP/1.1 server on loopback whose answers a test decides, and what the tests of the REST adapter share."""

from __future__ import annotations

import asyncio
import inspect
import itertools
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from qraft.config.sources import RestSource
from qraft.ingest.base import Adapter, Clock
from qraft.ingest.registry import make_adapter

NOW = 1_700_000_000_000_000
"""When the clock of `adapter` starts; each look at it is a millisecond later."""


@dataclass
class Asked:
    """One request."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    moment: float


@dataclass
class Reply:
    """One answer. `cut` ends the connection after so many bytes of the body, `wait` comes before the body."""

    body: bytes | str | Any = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: int | None = None
    wait: float = 0.0

    def encoded(self) -> bytes:
        if isinstance(self.body, bytes):
            return self.body
        return (self.body if isinstance(self.body, str) else json.dumps(self.body)).encode()


Handler = Callable[[Asked], "Reply | Awaitable[Reply]"]


class Server:
    """What was asked so far, and where."""

    def __init__(self, handler: Handler) -> None:
        self.handler = handler
        self.asked: list[Asked] = []
        self.open = 0
        self.most_open = 0
        self.url = ""
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
                while await self._one(reader, writer):
                    pass
        finally:
            self._tasks.discard(task)
            writer.close()

    async def close(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        method, target, _ = head[0].split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        parts = urlsplit(target)
        moment = asyncio.get_running_loop().time()
        asked = Asked(method, parts.path, dict(parse_qsl(parts.query, keep_blank_values=True)), headers, body, moment)
        self.asked.append(asked)
        self.open += 1
        self.most_open = max(self.open, self.most_open)
        try:
            made = self.handler(asked)
            reply = await made if inspect.isawaitable(made) else made
            raw = reply.encoded()
            lines = {"Content-Length": str(len(raw)), **reply.headers}
            writer.write(f"HTTP/1.1 {reply.status} X\r\n".encode())
            writer.write("".join(f"{name}: {value}\r\n" for name, value in lines.items()).encode() + b"\r\n")
            await writer.drain()
            await asyncio.sleep(reply.wait)
            writer.write(raw if reply.cut is None else raw[: reply.cut])
            await writer.drain()
        finally:
            self.open -= 1
        return reply.cut is None


@asynccontextmanager
async def served(handler: Handler | list[Any]) -> AsyncIterator[Server]:
    """A server on a free port; a list of replies is given one by one, its last again and again."""
    if isinstance(handler, list):
        replies = [reply if isinstance(reply, Reply) else Reply(reply) for reply in handler]
        numbers = itertools.count()
        server = Server(lambda _: replies[min(next(numbers), len(replies) - 1)])
    else:
        server = Server(handler)
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    try:
        yield server
    finally:
        listening.close()
        await server.close()
        await listening.wait_closed()


@asynccontextmanager
async def spoken(
    talk: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]], tls: ssl.SSLContext | None = None
) -> AsyncIterator[str]:
    """The address of a server that reads each request and leaves all else to ``talk``."""
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            with suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
                await reader.readuntil(b"\r\n\r\n")
                await talk(reader, writer)
        finally:
            tasks.discard(task)
            writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    try:
        yield f"{'http' if tls is None else 'https'}://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    finally:
        listening.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await listening.wait_closed()


def adapter(url: str, sink: Any, *, clock: Clock | None = None, resume: str | None = None, **keys: Any) -> Adapter:
    """A REST adapter that polls every 20 ms, unless told otherwise."""
    settings = RestSource.model_validate({"adapter": "rest", "url": url, "interval_seconds": 0.02, **keys})
    return make_adapter("r", settings, sink, resume=resume, clock=clock or itertools.count(NOW, 1000).__next__)


async def polled(url: str, sink: Any, reached: Callable[[], bool], **keys: Any) -> None:
    """Runs an adapter until ``reached`` holds, which is looked at every 5 ms; what ends the adapter is raised."""
    task = asyncio.create_task(adapter(url, sink, **keys).run())
    try:
        async with asyncio.timeout(20):
            while not reached():
                if task.done():
                    return task.result()
                await asyncio.sleep(0.005)
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    return None
