"""Messages of a subject of any NATS server: a plain subscription, or a JetStream stream read from where it was left."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

import msgspec
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error, SlowConsumerError, TimeoutError as NatsTimeoutError
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy, RetentionPolicy, StreamInfo
from nats.js.errors import APIError, NotFoundError, ServiceUnavailableError

from qraft.config.nats_login import NatsAddress, TlsOnly
from qraft.config.sources import NatsSource
from qraft.config.sources.nats import OWN_PREFIX
from qraft.config.tls import LoginError
from qraft.ingest.base import Clock, NotConnected, Sink, SourceError
from qraft.ingest.batcher import Batcher
from qraft.ingest.nats_messages import Message, MessageReader, Position
from qraft.model import us_from_datetime

OPEN_SECONDS: Final = 10.0
"""How long connecting, to any of the servers, may take."""
REQUEST_SECONDS: Final = 5.0
CLOSE_SECONDS: Final = 1.0
PULL_MESSAGES: Final = 256
PULL_BYTES: Final = 4 * 1024**2
PULL_SECONDS: Final = 20.0
HEARTBEAT_SECONDS: Final = 5.0
FORGET_SECONDS: Final = 300.0
"""The server removes a consumer that was not asked for so long, as when this process was killed."""
PENDING_BYTES: Final = 64 * 1024**2
"""Bytes of a subscription that are held while the engine is behind, at most."""
QUIET_SECONDS: Final = 30.0
"""Losses further apart than this are two incidents, and the operator is told of each."""

_OVERHEAD_BYTES: Final = 220
_CHUNK: Final = 256


class NatsAdapter:
    """One connection to a NATS server; it ends with `NotConnected`, whatever ended it, and the supervisor makes the next.

    A plain subscription cannot be made to wait: while the sink is blocked, ``pending_messages`` are held, and what comes
    beyond is counted as missing. A stream is pulled, so it waits. Its consumer is an ephemeral one without acknowledgements,
    started at the cursor: nothing of the reading is kept on the server, and the same message gives the same ids again.
    """

    def __init__(self, name: str, settings: NatsSource, sink: Sink, *, resume: str | None, clock: Clock) -> None:
        self._name = name
        self._settings = settings
        self._sink = sink
        self._clock = clock
        self._resume = Position.parse(resume)
        self._reader = MessageReader(name, settings, clock)

    async def run(self) -> None:
        """Reads until the connection ends.

        Raises:
            NotConnected: no connection, or no longer; the text says why.
            SourceError: the server refuses the login, the stream or the subject, or a secret or file is missing.
        """
        # What a stream had not stored yet is read again; what a subscription had not is lost, so it gets time to be sent.
        grace = 0.0 if self._settings.stream else 1.0
        async with _connected(self._name, self._settings, self._sink) as link:
            try:
                async with Batcher(self._sink, grace=grace) as batcher:
                    await (self._read_stream(link, batcher) if self._settings.stream else self._subscribe(link, batcher))
            except NotConnected as error:
                if link.inbox:
                    self._sink.notice("disconnected", str(error))
                raise

    async def _subscribe(self, link: _Link, batcher: Batcher) -> None:
        settings, started, number = self._settings, self._clock(), 0
        with self._translated():
            await link.subscribe(settings.subject, settings.pending_messages)
        self._sink.ready()
        while True:
            for message in await link.take():
                if not self._wanted(message.subject):
                    continue
                number += 1
                headers = message.headers or {}
                said = headers.get("Nats-Msg-Id")
                place = f"id:{said}" if said else f"{started}:{number}"
                await self._put(batcher, Message(message.subject, message.data, headers, place, self._clock()))

    async def _read_stream(self, link: _Link, batcher: Batcher) -> None:
        stream, subject = self._settings.stream, self._settings.subject
        with self._translated():
            jetstream = link.client.jetstream(timeout=REQUEST_SECONDS)
            info = await jetstream.stream_info(stream)
            start = self._start(info)
            begin: dict[str, Any] = {"deliver_policy": DeliverPolicy.NEW}
            if start is not None:
                begin = {"deliver_policy": DeliverPolicy.BY_START_SEQUENCE, "opt_start_seq": max(1, start.sequence)}
            await link.subscribe(link.client.new_inbox(), None)
            consumer = await jetstream.add_consumer(
                stream,
                ConsumerConfig(
                    filter_subject=subject,
                    ack_policy=AckPolicy.NONE,
                    inactive_threshold=FORGET_SECONDS,
                    mem_storage=True,
                    **begin,
                ),
            )
        self._sink.ready()
        try:
            await self._pull(_Pull(link, stream, consumer.name), batcher, info, start)
        finally:
            if not link.ended:
                with contextlib.suppress(Error, TimeoutError, OSError):
                    await asyncio.wait_for(jetstream.delete_consumer(stream, consumer.name), CLOSE_SECONDS)

    def _start(self, info: StreamInfo) -> Position | None:
        """Where reading begins; None for what comes from now on."""
        stream, first = self._settings.stream, info.state.first_seq
        if info.config.retention == RetentionPolicy.WORK_QUEUE:
            raise SourceError(
                f"stream {stream} is a work queue: reading it would take the messages from their workers; "
                f"leave out stream to watch the subject, or source another stream from it"
            )
        if info.config.retention == RetentionPolicy.INTEREST and self._resume is None:
            self._sink.notice("retention", f"stream {stream} keeps messages for its readers only; stops here lose some")
        born, resume = _born(info), self._resume
        if resume is None:
            return Position(born, 1, 0) if self._settings.start == "all" else None
        if resume.stream != born:
            self._sink.notice("restarted", f"stream {stream} was made anew; it is read from its first message")
            return Position(born, 1, 0)
        if first > resume.sequence + 1:
            self._gap(info, first - resume.sequence - 1, f"deleted messages up to {first - 1}, unread")
        return resume

    async def _pull(self, pull: _Pull, batcher: Batcher, info: StreamInfo, start: Position | None) -> None:
        born, last = _born(info), 0
        while True:
            with self._translated():
                messages = await pull.next()
            for message in messages:
                about = message.metadata
                sequence = about.sequence.stream
                if last and sequence > last + 1:
                    self._gap(
                        info, sequence - last - 1, f"deleted messages {last + 1} to {sequence - 1} before they were read"
                    )
                last = sequence
                if not self._wanted(message.subject):
                    continue
                arrived, place = us_from_datetime(about.timestamp), f"{born}:{sequence}"
                taken = start.taken if start is not None and sequence == start.sequence else 0
                whole = Message(message.subject, message.data, message.headers or {}, place, arrived, cursor=place)
                await self._put(batcher, whole, taken)

    async def _put(self, batcher: Batcher, message: Message, taken: int = 0) -> None:
        items = self._reader.items(message)
        for item in items[taken:]:
            await batcher.put(item, len(message.data) // len(items) + _OVERHEAD_BYTES)

    def _gap(self, info: StreamInfo, count: int, text: str) -> None:
        """Counts what a stream gave up, where its sequence says so: it is read whole, and it keeps more than the latest."""
        whole = self._settings.subject == ">" or info.config.subjects == [self._settings.subject]
        if whole and (info.config.max_msgs_per_subject or 0) <= 0:
            self._sink.missing(count)
            self._sink.notice("gap", f"stream {info.config.name} {text}")

    def _wanted(self, subject: str) -> bool:
        """Whether a wildcard was meant to cover a subject: not those of Qraft, nor of NATS itself."""
        settings = self._settings
        if subject.startswith(f"{OWN_PREFIX}."):
            return settings.own_subjects and not subject.endswith(f".{self._name}")
        return not (subject.startswith(("_INBOX.", "$")) and settings.subject[0] in "*>")

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        """Turns what nats-py raises into this package's errors."""
        url, stream = self._settings.url, self._settings.stream
        try:
            yield
        except NotFoundError:
            raise SourceError(f'{url} has no stream "{stream}"; make it, or leave out stream to subscribe') from None
        except ServiceUnavailableError:
            raise SourceError(f"{url} has no JetStream (or it is down); leave out stream to subscribe") from None
        except APIError as error:
            raise SourceError(f"{url} refuses stream {stream}: {error.description}; check stream and subject") from None
        except (NatsTimeoutError, TimeoutError):
            raise NotConnected(f"{url} did not answer within {REQUEST_SECONDS:g} s") from None
        except (Error, OSError) as error:
            raise NotConnected(f"{url}: {error}") from None


def _born(info: StreamInfo) -> str:
    """When a stream was made: what tells it from another of its name."""
    return f"{us_from_datetime(info.created):x}" if info.created is not None else "0"


class _SecureClient(TlsOnly, Client):
    """A client that insists on TLS."""


class _Link:
    """A connection and what came over it and was not taken yet."""

    def __init__(self, address: NatsAddress, sink: Sink) -> None:
        self.client = _SecureClient() if address.secure else Client()
        self.ended = False
        self.inbox = ""
        self._url = address.url
        self._sink = sink
        self._messages: deque[Msg] = deque()
        self._bytes = 0
        self._limit: int | None = None
        self._some = asyncio.Event()
        self._refused = ""
        self._lost_at = -QUIET_SECONDS
        self.last_error = ""

    async def subscribe(self, subject: str, limit: int | None) -> None:
        """Takes in what comes on ``subject``; beyond ``limit`` messages it is given up and counted."""
        self._limit, self.inbox = limit, subject
        await self.client.subscribe(subject, cb=self._received)
        await self.client.flush(timeout=int(REQUEST_SECONDS))

    async def take(self) -> list[Msg]:
        """Some of what came, at least one message.

        Raises:
            NotConnected: the connection has ended, and all that came before was taken.
            SourceError: the server forbids the subject.
        """
        while not self._messages:
            if self._refused:
                raise SourceError(f"{self._url}: {self._refused}; ask for the permission, or check subject")
            if self.ended:
                raise NotConnected(f"{self._url} ended the connection{f': {self.last_error}' if self.last_error else ''}")
            self._some.clear()
            await self._some.wait()
        taken = [self._messages.popleft() for _ in range(min(_CHUNK, len(self._messages)))]
        self._bytes -= sum(len(message.data) for message in taken)
        return taken

    async def _received(self, message: Msg) -> None:
        if self._limit is not None and (len(self._messages) >= self._limit or self._bytes >= PENDING_BYTES):
            self._lost()
            return
        self._messages.append(message)
        self._bytes += len(message.data)
        self._some.set()

    def _lost(self) -> None:
        self._sink.missing(1)
        now = asyncio.get_running_loop().time()
        if now - self._lost_at > QUIET_SECONDS:
            self._sink.notice("slow", "messages are lost: they come faster than they are taken, and NATS does not wait")
        self._lost_at = now

    async def on_error(self, error: Exception) -> None:
        """Told by nats-py of what goes wrong beside a call."""
        if isinstance(error, SlowConsumerError):
            self._lost()
        elif "permissions violation" in str(error).lower():
            self._refused = str(error).removeprefix("nats: ")
            self._some.set()
        elif str(error):
            self.last_error = str(error).removeprefix("nats: ")

    async def on_closed(self) -> None:
        """Told by nats-py when the connection is over."""
        self.ended = True
        self._some.set()


@contextlib.asynccontextmanager
async def _connected(name: str, settings: NatsSource, sink: Sink) -> AsyncIterator[_Link]:
    """A connection for as long as the context lasts; nats-py's own reconnecting is off, since the supervisor does that."""
    try:
        address = settings.login(settings.url, f"sources.{name}")
        options = address.options()
    except LoginError as error:
        raise SourceError(str(error)) from None
    link = _Link(address, sink)
    try:
        await _connect(link, name, address, options)
        yield link
    finally:
        # After a failed TLS handshake nats-py waits for an end of the connection that never comes; it asserts that there was
        # one where a key could not be used.
        with contextlib.suppress(TimeoutError, Error, OSError, AssertionError):
            await asyncio.wait_for(link.client.close(), CLOSE_SECONDS)


async def _connect(link: _Link, name: str, address: NatsAddress, options: dict[str, Any]) -> None:
    url = address.url
    try:
        async with asyncio.timeout(OPEN_SECONDS):
            await link.client.connect(
                address.servers,
                name=f"qraft-source-{name}",
                allow_reconnect=False,
                max_reconnect_attempts=1,
                reconnect_time_wait=0,
                ping_interval=10,
                error_cb=link.on_error,
                closed_cb=link.on_closed,
                **options,
            )
    except ModuleNotFoundError as error:
        raise SourceError(f"nkey_file and credentials_file need the Python package {error.name}; install it") from None
    except TimeoutError:
        raise NotConnected(f"{url} did not answer within {OPEN_SECONDS:g} s") from None
    except Exception as error:
        if fault := address.fault(error) or address.fault(link.last_error):
            raise SourceError(fault) from None
        if not isinstance(error, Error | OSError | ValueError):
            raise
        raise NotConnected(f"{url} cannot be reached: {link.last_error or str(error).removeprefix('nats: ')}") from None


class _Pull:
    """Asks a stream's consumer for messages, a bounded number at a time, and notices when one got lost on the way."""

    def __init__(self, link: _Link, stream: str, consumer: str) -> None:
        self._link = link
        self._subject = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}"
        self._stream = stream
        self._asked = 0
        self._last = 0

    async def next(self) -> list[Msg]:
        """Some messages in order, maybe none.

        Raises:
            NotConnected: the server is silent, the consumer gone, or a message lost; reading resumes at the cursor.
        """
        if self._asked <= 0:
            await self._ask()
        try:
            async with asyncio.timeout(2 * HEARTBEAT_SECONDS):
                came = await self._link.take()
        except TimeoutError:
            raise NotConnected(f"stream {self._stream}: the server is silent") from None
        messages = [message for message in came if message.reply.startswith("$JS.ACK.") or self._status(message)]
        self._asked -= len(messages)
        for message in messages:
            self._last += 1
            if message.metadata.sequence.consumer != self._last:
                raise NotConnected(f"stream {self._stream}: a message was lost on the way")
        if self._asked <= 0:
            await self._ask()  # the next ones travel while these are worked on
        return messages

    async def _ask(self) -> None:
        self._asked = PULL_MESSAGES
        request = {
            "batch": PULL_MESSAGES,
            "max_bytes": max(PULL_BYTES, 2 * self._link.client.max_payload),
            "expires": int(PULL_SECONDS * 1e9),
            "idle_heartbeat": int(HEARTBEAT_SECONDS * 1e9),
        }
        await self._link.client.publish(self._subject, msgspec.json.encode(request), reply=self._link.inbox)

    def _status(self, message: Msg) -> bool:
        """Takes in what the server says of a pull; False, since it is no message."""
        headers = message.headers or {}
        status, said = headers.get("Status", ""), headers.get("Description", "")
        if status == "503" or "Deleted" in said or "Shutdown" in said or "Leadership" in said:
            raise NotConnected(f"stream {self._stream}: {said or 'its consumer is gone'}")
        if status in ("404", "408") or "MaxBytes" in said:
            self._asked = 0  # over before its end; of one that came to it ("Batch Completed") all messages were counted
        return False
