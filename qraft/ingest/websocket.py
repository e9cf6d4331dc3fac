"""A WebSocket server as a source: connects, subscribes, keeps the connection open, and notices when nothing comes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

import msgspec
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from qraft.config.sources import WebSocketSource
from qraft.config.sources.routes import Ping
from qraft.ingest.base import Clock, NotConnected, Sink
from qraft.ingest.batcher import Batcher
from qraft.ingest.feed_messages import Messages
from qraft.ingest.websocket_connect import expanded, open_connection

_OVERHEAD_BYTES: Final = 220
_TOO_BIG: Final = 1009
LEAVE_SECONDS: Final = 1.0
"""How long a cancelled adapter still takes what comes."""


class WebSocketAdapter:
    """One connection to a WebSocket server; it ends with `NotConnected`, whatever ended it.

    The server cannot be made to wait nor asked again. While the sink is blocked, two batches are held; then the adapter
    stops reading, and the server notices that by TCP's flow control. That time is no idleness of the server.

    When the adapter is cancelled, as when its settings change, it takes leave: what the server sent before it agrees to the
    end is still taken, for a second at most.
    """

    def __init__(self, name: str, settings: WebSocketSource, sink: Sink, *, clock: Clock) -> None:
        self._name = name
        self._settings = settings
        self._sink = sink
        self._clock = clock

    async def run(self) -> None:
        """Reads until the connection ends.

        Raises:
            NotConnected: no connection, or no longer; the text says why.
            SourceError: the settings cannot be used.
        """
        subscribe = [_text(message) for message in expanded(self._settings.subscribe, f"sources.{self._name}.subscribe")]
        connection = await open_connection(self._name, self._settings)
        try:
            messages = Messages(self._name, self._settings, self._sink, self._clock, asyncio.get_running_loop().time)
            async with Batcher(self._sink) as batcher:
                try:
                    for message in subscribe:
                        await connection.send(message)
                    self._sink.ready()
                    async with _pinging(connection, self._settings.ping):
                        await self._receive(connection, messages, batcher)
                except ConnectionClosed as closed:
                    await self._closed(closed, messages, batcher)
                except asyncio.CancelledError:
                    await self._leave(connection, messages, batcher)
                    raise
                finally:
                    messages.flush(all_of_it=True)
        finally:
            await connection.close()

    async def _receive(self, connection: ClientConnection, messages: Messages, batcher: Batcher) -> None:
        loop, idle = asyncio.get_running_loop(), self._settings.idle_seconds
        all_count = self._settings.idle_counts == "any"
        deadline = loop.time() + idle
        while True:
            try:
                async with asyncio.timeout_at(deadline):
                    raw = await connection.recv(decode=False)
            except TimeoutError:
                raise self._stale(messages) from None
            if await self._take(raw, messages, batcher) or all_count:
                deadline = loop.time() + idle

    async def _take(self, raw: bytes, messages: Messages, batcher: Batcher) -> bool:
        """Hands over what a message holds; whether that is anything. A cancellation waits for the rest of the message."""
        items = messages.items(raw)
        size = len(raw) // max(1, len(items)) + _OVERHEAD_BYTES
        rest = iter(items)
        try:
            for item in rest:
                await batcher.put(item, size)
        except asyncio.CancelledError:
            with suppress(TimeoutError):
                async with asyncio.timeout(LEAVE_SECONDS):
                    await batcher.put_all([item, *rest], size)
            raise
        messages.flush()
        return bool(items)

    async def _leave(self, connection: ClientConnection, messages: Messages, batcher: Batcher) -> None:
        closing = asyncio.create_task(connection.close(), name="websocket-close")
        try:
            async with asyncio.timeout(LEAVE_SECONDS):
                while True:
                    await self._take(await connection.recv(decode=False), messages, batcher)
        except (ConnectionClosed, TimeoutError):
            await closing

    def _stale(self, messages: Messages) -> NotConnected:
        said = f"{self._settings.url} sent no data for {self._settings.idle_seconds:g} s"
        if messages.ignored:
            sample = messages.sample.decode(errors="replace")
            said += f"; {messages.ignored} messages so far matched no route, the last of them {sample}"
        self._sink.notice("stale", f"{said}; connecting anew")
        return NotConnected(said)

    async def _closed(self, closed: ConnectionClosed, messages: Messages, batcher: Batcher) -> None:
        url, limit = self._settings.url, self._settings.max_message_bytes
        if closed.sent is not None and closed.sent.code == _TOO_BIG and not closed.rcvd_then_sent:
            reason = f"a message longer than {limit} bytes ended the connection; raise max_message_bytes to take it"
            await batcher.put(messages.too_long(reason), _OVERHEAD_BYTES)
            raise NotConnected(f"{url}: {reason}") from None
        if closed.rcvd is None:
            raise NotConnected(f"{url} broke the connection off") from None
        said = f": {closed.rcvd.reason}" if closed.rcvd.reason else ""
        raise NotConnected(f"{url} closed the connection with code {closed.rcvd.code}{said}") from None


@asynccontextmanager
async def _pinging(connection: ClientConnection, ping: Ping | None) -> AsyncIterator[None]:
    """Sends the feed's own pings meanwhile; a connection that has closed is the reader's to find."""
    if ping is None:
        yield
        return
    text, seconds = _text(ping.message), ping.interval_seconds

    async def send() -> None:
        while True:
            await asyncio.sleep(seconds)
            try:
                await connection.send(text)
            except ConnectionClosed:
                return

    task = asyncio.create_task(send(), name="websocket-ping")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})


def _text(message: Any) -> str:
    return message if isinstance(message, str) else msgspec.json.encode(message).decode()
