"""Messages of a WebSocket server: connects, subscribes, and takes each message apart into events."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI

from qraft.config.settings import WebSocketSource
from qraft.ingest.base import Clock, NotConnected, Sink, SourceError
from qraft.ingest.batcher import Batcher
from qraft.ingest.records import KEPT_BYTES, MAX_RECORD_BYTES, RecordError, decode_json, event_time, lookup
from qraft.model import DeadLetter, Event, derive_id, event_id, iso_from_us

OPEN_SECONDS: Final = 10.0
"""How long connecting may take."""
CLOSE_SECONDS: Final = 1.0
"""How long the server may take to agree to an end."""

_OVERHEAD_BYTES: Final = 220
_LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
_TOO_BIG: Final = 1009


class WebSocketAdapter:
    """One connection to a WebSocket server; it ends with `NotConnected`, whatever ended it.

    The server cannot be made to wait nor asked again. While the sink is blocked, two batches are held; then the adapter
    stops reading, and the server notices that by TCP's flow control. An event's id comes from the start of the connection
    and a running number, since a message has no id of its own that every server would give.
    """

    def __init__(self, name: str, settings: WebSocketSource, sink: Sink, *, clock: Clock) -> None:
        self._name = name
        self._settings = settings
        self._sink = sink
        self._clock = clock
        self._started = 0
        self._number = 0

    async def run(self) -> None:
        """Reads until the connection ends.

        Raises:
            NotConnected: no connection, or no longer; the text says why.
            SourceError: the address is not one.
        """
        url = self._settings.url
        try:
            here = urlsplit(url).hostname in _LOOPBACK and urlsplit(url).port != 0
        except ValueError as error:
            raise SourceError(f"{url}: not the address of a WebSocket server ({error}); check url") from None
        try:
            connection = await connect(
                url,
                max_size=self._settings.max_message_bytes,
                open_timeout=OPEN_SECONDS,
                # Pings keep the way open. Their answers are not waited for: they stand behind the messages that a full
                # sink leaves unread. idle_seconds finds a dead server.
                ping_timeout=None,
                close_timeout=CLOSE_SECONDS,
                proxy=None if here else True,
            )
        except InvalidURI as error:
            raise SourceError(f"{url}: not the address of a WebSocket server ({error.msg}); check url") from None
        except TimeoutError:
            raise NotConnected(f"{url} did not answer within {OPEN_SECONDS:g} s") from None
        except OSError as error:
            raise NotConnected(f"{url} cannot be reached: {error.strerror or error}") from None
        except InvalidHandshake as error:
            raise NotConnected(f"{url} refused the connection: {error}") from None
        try:
            self._started, self._number = self._clock(), 0
            async with Batcher(self._sink) as batcher:
                try:
                    for message in self._settings.subscribe:
                        await connection.send(msgspec.json.encode(message).decode())
                    await self._receive(connection, batcher)
                except ConnectionClosed as closed:
                    await self._closed(closed, batcher)
        finally:
            await connection.close()

    async def _receive(self, connection: ClientConnection, batcher: Batcher) -> None:
        idle = self._settings.idle_seconds
        while True:
            try:
                async with asyncio.timeout(idle):
                    raw = await connection.recv(decode=False)
            except TimeoutError:
                raise NotConnected(f"{self._settings.url} sent nothing for {idle:g} s") from None
            items = list(self._items(raw))
            for item in items:
                await batcher.put(item, len(raw) // len(items) + _OVERHEAD_BYTES)

    async def _closed(self, closed: ConnectionClosed, batcher: Batcher) -> None:
        url, limit = self._settings.url, self._settings.max_message_bytes
        if closed.sent is not None and closed.sent.code == _TOO_BIG and not closed.rcvd_then_sent:
            reason = f"a message longer than {limit} bytes ended the connection; raise max_message_bytes to take it"
            await batcher.put(self._dead(reason, b""), _OVERHEAD_BYTES)
            raise NotConnected(f"{url}: {reason}") from None
        if closed.rcvd is None:
            raise NotConnected(f"{url} broke the connection off") from None
        said = f": {closed.rcvd.reason}" if closed.rcvd.reason else ""
        raise NotConnected(f"{url} closed the connection with code {closed.rcvd.code}{said}") from None

    def _items(self, raw: bytes) -> Iterator[Event | DeadLetter]:
        """One message as events, and what of it cannot be used as dead letters."""
        try:
            message = decode_json(raw)
            found = self._record(message)
        except RecordError as error:
            yield self._dead(str(error), raw)
            return
        if not isinstance(found, list):
            yield self._item(found, message, raw)
            return
        objects = [element for element in found if isinstance(element, dict)]
        if len(objects) < len(found):
            yield self._dead(f"{len(found) - len(objects)} of {len(found)} elements are no JSON objects", raw)
        for element in objects:
            yield self._item(element, message, None)

    def _record(self, message: Any) -> Any:
        path = self._settings.record
        if not path:
            return message
        found = lookup(message, path)
        if found is None:
            raise RecordError(f'has no "{path}"')
        return found

    def _item(self, record: Any, message: Any, raw: bytes | None) -> Event | DeadLetter:
        """One record; ``raw`` is the message where it holds this record alone."""
        try:
            if not isinstance(record, dict):
                raise RecordError("not a JSON object")
            size = 0 if raw is not None and len(raw) <= MAX_RECORD_BYTES else len(msgspec.json.encode(record))
            if size > MAX_RECORD_BYTES:
                raise RecordError(f"longer than {MAX_RECORD_BYTES} bytes; the first {KEPT_BYTES} are kept")
            stamp = self._time(record, message)
        except RecordError as error:
            return self._dead(str(error), raw if raw is not None else msgspec.json.encode(record))
        self._number += 1
        return Event(
            event_id=event_id(self._name, f"{self._started}:{self._number}"),
            source=self._name,
            type="message",
            timestamp=stamp,
            payload=record,
        )

    def _time(self, record: dict[str, Any], message: Any) -> str:
        """Event time stands in the record or, as many servers have it, in the message around it."""
        path = self._settings.time
        if not path:
            return iso_from_us(self._clock())
        value = lookup(record, path)
        if value is None:
            value = lookup(message, path)
        if value is None:
            raise RecordError(f'has no "{path}" to take the time from')
        return event_time(value)

    def _dead(self, reason: str, raw: bytes) -> DeadLetter:
        self._number += 1
        return DeadLetter(
            dead_id=derive_id("dead", self._name, f"{self._started}:{self._number}"),
            source=self._name,
            timestamp=iso_from_us(self._clock()),
            stage="ingest",
            reason=f"message: {reason}",
            original=raw if len(raw) <= MAX_RECORD_BYTES else raw[:KEPT_BYTES],
        )
